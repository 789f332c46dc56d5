package devstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// elasticsearchSettings are those of a node of its own that keeps nothing
// elsewhere: its folders for data and logs, and its port.
//
// The watermarks are absolute: the defaults, shares of the disk, make the indices
// of a node read-only at 95 % full, which on a big laptop disk leaves tens of
// gigabytes unused. Below the flood stage Elasticsearch still refuses to write,
// visibly, instead of filling the disk.
const elasticsearchSettings = `cluster.name: covidpipeline
node.name: covidpipeline
path.data: %q
path.logs: %q
path.repo: %q
network.host: 127.0.0.1
http.port: %d
transport.port: 0
discovery.type: single-node
cluster.routing.allocation.disk.watermark.low: 2gb
cluster.routing.allocation.disk.watermark.high: 1gb
cluster.routing.allocation.disk.watermark.flood_stage: 500mb
`

const elasticsearchLogging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// StartElasticsearch starts Elasticsearch with a heap such as "1g" and waits until
// its indices can be used.
func (t Tools) StartElasticsearch(ctx context.Context, heap string, o Options) (*Server, error) {
	return onPort(ctx, "Elasticsearch", o, func(o Options) (*Server, error) { return t.elasticsearchOn(ctx, heap, o) })
}

func (t Tools) elasticsearchOn(ctx context.Context, heap string, o Options) (*Server, error) {
	config, temp := filepath.Join(o.Dir, "config"), filepath.Join(o.Dir, "tmp")
	for _, dir := range []string{o.Dir, config, temp} {
		if err := makeServerFolder(dir); err != nil {
			return nil, fmt.Errorf("start Elasticsearch: %w", err)
		}
	}
	for name, text := range map[string]string{
		"elasticsearch.yml": fmt.Sprintf(elasticsearchSettings, filepath.Join(o.Dir, "data"), filepath.Join(o.Dir, "logs"), filepath.Join(o.Dir, "snapshots"), o.Port),
		"log4j2.properties": elasticsearchLogging,
	} {
		if err := replaceFile(filepath.Join(config, name), text, 0o644); err != nil {
			return nil, fmt.Errorf("start Elasticsearch: %w", err)
		}
	}
	p := program{
		path: t.java,
		args: []string{
			"-Xms" + heap, "-Xmx" + heap, "-XX:+ExitOnOutOfMemoryError",
			"-Des.path.home=" + t.elasticsearch, "-Des.path.conf=" + config,
			"-Dlog4j2.disable.jmx=true", "-Djava.io.tmpdir=" + temp,
			"-cp", filepath.Join(t.elasticsearch, "classes") + ":" + filepath.Join(t.elasticsearch, "lib", "*"),
			"Launcher",
		},
		env:  plainEnvironment(o.Dir),
		dir:  o.Dir,
		user: serverUser(),
	}
	s := &Server{Name: "Elasticsearch", StopSignal: syscall.SIGTERM}
	return run(ctx, p, s, o, s.elasticsearchAnswers)
}

// elasticsearchAnswers asks whether the primary of every index is there.
func (s *Server) elasticsearchAnswers(ctx context.Context) error {
	return httpAnswers(ctx, "http://"+s.Addr()+"/_cluster/health?wait_for_status=yellow&timeout=4s")
}

// httpAnswers asks whether an address answers 200.
func httpAnswers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %.500s", url, resp.Status, body)
	}
	return nil
}

// replaceFile writes a file at once, over one that is there.
func replaceFile(path, text string, mode os.FileMode) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := writeFile(temp, strings.NewReader(text), mode); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
