package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/sample"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/warehouse"
)

// world is the servers, a source of its own and a worker process.
type world struct {
	name          string // of the schema, and of the indices in front
	elasticsearch string // URL
	dir, path     string // of the source
	shown         string // the source as the table names it
	es            *search.Client
	pg            *pgx.Conn
	c             client.Client
	worker        *worker
	indices       []string
	loaded        int64 // rows of the warehouse when the source is loaded
}

// newWorld makes everything that the measurements need. It stops ctx by cancel
// when the worker dies. What it has made is in the world even on an error.
func newWorld(ctx context.Context, cancel context.CancelCauseFunc, s settings) (*world, error) {
	w := &world{name: "bench_" + strings.ToLower(rand.Text()[:8])}
	address := map[string]string{}
	for _, name := range []string{"TEST_ELASTICSEARCH_URL", "TEST_DATABASE_URL", "TEST_TEMPORAL_ADDRESS"} {
		address[name] = os.Getenv(name)
		if err := checkLoopback(address[name]); err != nil {
			return w, fmt.Errorf("%s: %w; run `make bench`", name, err)
		}
	}
	w.elasticsearch = address["TEST_ELASTICSEARCH_URL"]
	if err := w.makeSource(s); err != nil {
		return w, err
	}
	var err error
	if w.es, err = search.New(search.Config{URL: w.elasticsearch}); err != nil {
		return w, err
	}
	database, err := w.makeSchema(ctx, address["TEST_DATABASE_URL"])
	if err != nil {
		return w, err
	}
	w.c, err = client.DialContext(ctx, client.Options{
		HostPort: address["TEST_TEMPORAL_ADDRESS"], Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return w, fmt.Errorf("reach Temporal: %w", err)
	}
	w.worker, err = startWorker(s.program, cancel, []string{
		"ELASTICSEARCH_URL=" + w.elasticsearch, "ELASTICSEARCH_INDEX=" + w.name, "DATABASE_URL=" + database,
		"TEMPORAL_ADDRESS=" + address["TEST_TEMPORAL_ADDRESS"], "TEMPORAL_NAMESPACE=" + client.DefaultNamespace, "LOG_LEVEL=WARN",
		"SOURCE_ROOTS=" + w.dir,
	})
	return w, err
}

// checkLoopback refuses every server that is not on this machine: the load is
// not for those of others.
func checkLoopback(address string) error {
	if address == "" {
		return errors.New("not set")
	}
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return errors.New("the server is not on a loopback address of this machine")
	}
	return nil
}

// makeSource makes a sample, or copies the given file, as rows will be appended
// and changed.
func (w *world) makeSource(s settings) (err error) {
	if w.dir, err = os.MkdirTemp("", "covidpipeline-bench-"); err != nil {
		return fmt.Errorf("make a folder for the source: %w", err)
	}
	w.path, w.shown = filepath.Join(w.dir, "source.csv"), "a sample"
	f, err := os.Create(w.path)
	if err != nil {
		return fmt.Errorf("make the source: %w", err)
	}
	defer f.Close()
	if s.source == "" {
		return sample.Write(f, s.rows)
	}
	w.shown = filepath.Base(s.source)
	original, err := os.Open(s.source)
	if err != nil {
		return fmt.Errorf("copy the source: %w", err)
	}
	defer original.Close()
	if _, err = io.Copy(f, original); err != nil {
		return fmt.Errorf("copy the source: %w", err)
	}
	end := make([]byte, 1)
	if _, err = original.Seek(-1, io.SeekEnd); err == nil {
		_, err = io.ReadFull(original, end)
	}
	if err == nil && end[0] != '\n' { // what is appended must not join the last record
		_, err = f.WriteString("\n")
	}
	return err
}

// appendRows appends new rows to the source, other ones in each round.
func (w *world) appendRows(round, rows int) error {
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("append to the source: %w", err)
	}
	defer f.Close()
	buffered := bufio.NewWriter(f)
	for i := range rows {
		fmt.Fprintf(buffered, "1000,Appended %d,Arizona,%s,America,Benchmark,1,,USA,United States,US,%d,50\n", round, covid.Date(18300+i), i)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("append to the source: %w", err)
	}
	return nil
}

// changeRows adds one to a count of about every hundredth record, of those that
// are plain lines.
func (w *world) changeRows(field int) (changed int, err error) {
	const op = "change the source"
	content, err := os.ReadFile(w.path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	var out bytes.Buffer
	due := 0
	for line := range bytes.Lines(content) {
		values := bytes.Split(line, []byte(","))
		due++
		if due >= 100 && len(values) == covid.NumFields && !bytes.Contains(line, []byte(`"`)) {
			if n, err := strconv.ParseInt(string(values[field]), 10, 32); err == nil {
				values[field] = strconv.AppendInt(nil, n+1, 10)
				line, due = bytes.Join(values, []byte(",")), due-100
				changed++
			}
		}
		out.Write(line)
	}
	if err := os.WriteFile(w.path, out.Bytes(), 0o600); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	return changed, nil
}

// makeSchema makes the warehouse and gives its URL.
func (w *world) makeSchema(ctx context.Context, database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", errors.New("TEST_DATABASE_URL is not a URL")
	}
	query := u.Query()
	query.Set("search_path", w.name)
	u.RawQuery = query.Encode()
	if w.pg, err = pgx.Connect(ctx, u.String()); err != nil {
		return "", fmt.Errorf("reach PostgreSQL: %w", err)
	}
	if _, err := w.pg.Exec(ctx, "CREATE SCHEMA "+w.name); err != nil {
		return "", fmt.Errorf("make a schema: %w", err)
	}
	_, _, err = warehouse.Migrate(ctx, u.String())
	return u.String(), err
}

// emptyWarehouse forgets everything that was loaded.
func (w *world) emptyWarehouse(ctx context.Context) error {
	_, err := w.pg.Exec(ctx, "TRUNCATE covid_cases, covid_rejects, etl_state, etl_checkpoint, etl_window, etl_run, etl_stage")
	if err != nil {
		return fmt.Errorf("empty the warehouse: %w", err)
	}
	return nil
}

// describe tells what is measured with.
func (w *world) describe(ctx context.Context, rows int) (about, error) {
	a := about{Source: w.shown, Rows: rows, Cores: runtime.NumCPU()}
	if err := w.pg.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('fsync')").Scan(&a.PostgreSQL, &a.Fsync); err != nil {
		return a, fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	var answer bytes.Buffer
	if _, err := call(ctx, http.MethodGet, w.elasticsearch+"/_nodes/_local?filter_path=nodes.*.version", nil, &answer); err != nil {
		return a, fmt.Errorf("ask Elasticsearch for its version: %w", err)
	}
	var found struct {
		Nodes map[string]struct{ Version string }
	}
	if err := json.Unmarshal(answer.Bytes(), &found); err != nil {
		return a, fmt.Errorf("ask Elasticsearch for its version: %w", err)
	}
	for _, node := range found.Nodes {
		a.Elasticsearch = node.Version
	}
	return a, nil
}

// execute runs a workflow to its end.
func (w *world) execute(ctx context.Context, id string, done any, workflow any, in any) (time.Duration, error) {
	began := time.Now()
	run, err := w.c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: temporalclient.TaskQueue}, workflow, in)
	if err == nil {
		err = run.Get(ctx, done)
	}
	if err != nil {
		return 0, fmt.Errorf("run workflow %s: %w", id, err)
	}
	return time.Since(began), nil
}

// lastSeqNo gives the newest sequence number of an index of one shard.
func (w *world) lastSeqNo(ctx context.Context, index string) (int64, error) {
	state, err := w.es.IndexState(ctx, index)
	if err != nil {
		return 0, err
	}
	return state.Shards[0].GlobalCheckpoint, nil
}

// newIndex gives the name of an index that will be removed.
func (w *world) newIndex(name string) string {
	index := w.name + "_" + name
	w.indices = append(w.indices, index)
	return index
}

// dropIndex removes an index with what stands beside it. It does so after an
// interrupt too.
func (w *world) dropIndex(index string) error {
	w.indices = slices.DeleteFunc(w.indices, func(name string) bool { return name == index })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, name := range []string{index, search.QuarantineIndex(index), search.ReleasesIndex(index)} {
		for _, path := range []string{"/" + name, "/_index_template/" + name} {
			var answer bytes.Buffer
			status, err := call(ctx, http.MethodDelete, w.elasticsearch+path, nil, &answer)
			if err != nil && status != http.StatusNotFound {
				return fmt.Errorf("remove %s: %w", path, err)
			}
		}
	}
	return nil
}

// close stops the worker and removes what was made.
func (w *world) close() error {
	var errs []error
	if w.worker != nil {
		w.worker.stop()
	}
	if w.c != nil {
		w.c.Close()
	}
	for _, index := range slices.Clone(w.indices) {
		errs = append(errs, w.dropIndex(index))
	}
	if w.pg != nil {
		errs = append(errs, w.dropSchema())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

func (w *world) dropSchema() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	defer w.pg.Close(ctx)
	if w.pg.IsClosed() { // an interrupt closes it in the middle of a statement
		again, err := pgx.ConnectConfig(ctx, w.pg.Config())
		if err != nil {
			return fmt.Errorf("remove the schema: %w", err)
		}
		w.pg = again
	}
	if _, err := w.pg.Exec(ctx, "DROP SCHEMA IF EXISTS "+w.name+" CASCADE"); err != nil {
		return fmt.Errorf("remove the schema: %w", err)
	}
	return nil
}

// worker is a worker process.
type worker struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// startWorker starts the worker's program with those settings of the pipeline and
// no others. If it ends too early, cancel gets the end of its log.
func startWorker(path string, cancel context.CancelCauseFunc, env []string) (*worker, error) {
	cmd := exec.Command(path) //nolint:noctx // stop lets it drain, also after an interrupt
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "_")
		if !slices.Contains([]string{"ELASTICSEARCH", "DATABASE", "TEMPORAL", "LOG", "SOURCE"}, name) {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the worker (build it with `make bench`): %w", err)
	}
	w := &worker{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the state tells how it ended
		tail := text.Bytes()[max(0, text.Len()-2000):]
		cancel(fmt.Errorf("the worker has ended (%s); the end of its log:\n%s", cmd.ProcessState, tail))
		close(w.ended)
	}()
	return w, nil
}

// stop ends the worker and waits until it has ended.
func (w *worker) stop() {
	_ = w.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-w.ended:
	case <-time.After(30 * time.Second): // it drains for 20 s
		_ = w.cmd.Process.Kill()
		<-w.ended
	}
}

// peakMemory gives the most memory, in bytes, that the worker has had so far, as
// Linux accounts for it.
func (w *worker) peakMemory() (bytes int64, err error) {
	const op = "read the worker's memory"
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("%s: no VmHWM in %s", op, status)
}
