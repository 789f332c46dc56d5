//go:build temporalserver && linux

package containers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/internal/sample"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
)

// A stack is what docker-compose.yml makes of PostgreSQL and Temporal, without
// containers: their commands, scripts, settings and secrets, with the programs that
// `make containers` builds.
type stack struct {
	*testing.T
	secrets string            // folder
	here    map[string]string // variables that differ from the containers'
	path    string
}

func newStack(t *testing.T) *stack {
	t.Helper()
	folder := t.TempDir()
	s := &stack{T: t, secrets: makeSecrets(t, folder)}
	server, err := url.Parse(databases(t, readSecrets(t, s.secrets)))
	if err != nil {
		t.Fatal(err)
	}
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"temporal", "temporal-server", "temporal-sql-tool"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			t.Fatalf("%v: run `make containers`", err)
		}
	}
	s.path = bin + ":/usr/local/bin:/usr/bin:/bin"
	ports := freePorts(t, 9)
	s.here = map[string]string{
		"POSTGRES_SEEDS": server.Hostname(), "DB_PORT": server.Port(),
		"SQL_HOST": server.Hostname(), "SQL_PORT": server.Port(),
		"DYNAMIC_CONFIG_FILE_PATH": filepath.Join(root, "temporal-config/dynamic.yaml"),
		"HOME":                     folder,
		"FRONTEND_GRPC_PORT":       ports[0], "FRONTEND_MEMBERSHIP_PORT": ports[1], "FRONTEND_HTTP_PORT": ports[2],
		"MATCHING_GRPC_PORT": ports[3], "MATCHING_MEMBERSHIP_PORT": ports[4],
		"HISTORY_GRPC_PORT": ports[5], "HISTORY_MEMBERSHIP_PORT": ports[6],
		"WORKER_GRPC_PORT": ports[7], "WORKER_MEMBERSHIP_PORT": ports[8],
		"TEMPORAL_ADDRESS": "127.0.0.1:" + ports[0],
	}
	return s
}

// freePorts gives ports that nobody listens on. Temporal's schema for PostgreSQL
// holds a port in a smallint: none above 32767, where the kernel takes its free
// ports from.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for len(ports) < n {
		port := fmt.Sprint(20_000 + rand.IntN(12_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return ports
}

// command gives the command of a service, with its folders where they are here.
func (s *stack) command(name string) *exec.Cmd {
	s.Helper()
	service := project(s.T).Services[name]
	words := slices.Concat(service.Entrypoint, service.Command)
	for i, word := range words {
		switch {
		case word == "/" && words[i-1] == "--root":
			words[i] = root
		case strings.HasPrefix(word, "/containers/"), strings.HasPrefix(word, "/temporal-config/"):
			words[i] = filepath.Join(root, word)
		}
		words[i] = strings.ReplaceAll(words[i], "/run/secrets", s.secrets)
	}
	cmd := exec.CommandContext(s.Context(), words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = s.environment(service)
	return cmd
}

func (s *stack) environment(service types.ServiceConfig) []string {
	all := map[string]string{"PATH": s.path}
	for name, value := range service.Environment {
		all[name] = *value
	}
	for name, value := range s.here {
		all[name] = value
	}
	var list []string
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	return list
}

// once runs a service that ends by itself.
func (s *stack) once(name string) string {
	s.Helper()
	began := time.Now()
	out, err := s.command(name).CombinedOutput()
	if err != nil {
		s.Fatalf("%s: %v: %s", name, err, out)
	}
	s.Logf("%s ended after %.1f s", name, time.Since(began).Seconds())
	return string(out)
}

// server starts the Temporal server and waits until its health check passes. It
// gives what stops it.
func (s *stack) server() (stop func()) {
	s.Helper()
	began := time.Now()
	log, err := os.Create(filepath.Join(s.TempDir(), "temporal.log"))
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	cmd := s.command("temporal")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	said := func() string {
		b, _ := os.ReadFile(log.Name())
		return string(b[max(0, len(b)-4000):])
	}
	check := project(s.T).Services["temporal"].HealthCheck.Test
	health := strings.Replace(check[len(check)-1], ":7243", ":"+s.here["FRONTEND_HTTP_PORT"], 1)
	s.await("the server's health check", time.Minute, func() error {
		select {
		case err := <-ended:
			s.Fatalf("the server ended: %v\n%s", err, said())
		default:
		}
		request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, health, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said())
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", answer.Status)
		}
		return nil
	})
	s.Logf("the Temporal server is healthy after %.1f s", time.Since(began).Seconds())
	return func() {
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.Fatal(err)
		}
		if err := <-ended; err != nil {
			s.Errorf("the server ends with %v\n%s", err, said())
		}
		took := time.Since(began)
		s.Logf("the server stopped after %.1f s", took.Seconds())
		if grace := time.Duration(*project(s.T).Services["temporal"].StopGracePeriod); took > grace {
			s.Errorf("the server took %s to stop and would be killed after %s", took, grace)
		}
	}
}

func (s *stack) await(what string, within time.Duration, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), within)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s: not within %s: %v", what, within, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// attributed sets the search attributes as an ingest does.
func attributed(ctx workflow.Context) error {
	return workflow.UpsertTypedSearchAttributes(ctx,
		temporalclient.AttributeSource.ValueSet("activity.csv"), temporalclient.AttributeRelease.ValueSet(7),
		temporalclient.AttributeRows.ValueSet(100_000), temporalclient.AttributeRejects.ValueSet(36))
}

func TestTemporalServer(t *testing.T) {
	s := newStack(t)
	for range 2 { // the stack comes up again
		s.once("temporal-schema")
	}
	stop := s.server()
	s.once("temporal-namespace")
	c, err := client.Dial(client.Options{HostPort: s.here["TEMPORAL_ADDRESS"]})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	missing, err := temporalclient.MissingAttributes(t.Context(), c, client.DefaultNamespace)
	if err != nil || len(missing) > 0 {
		t.Errorf("after temporal-config/namespace.sh are missing: %v, %v", missing, err)
	}
	again := s.once("temporal-namespace")
	if n := strings.Count(again, "is registered"); n != len(temporalclient.SearchAttributes) {
		t.Errorf("namespace.sh, repeated, finds %d attributes:\n%s", n, again)
	}
	namespace, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: client.DefaultNamespace})
	if err != nil || namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() != 30*24*time.Hour {
		t.Errorf("the namespace: %v, %v", namespace.GetConfig(), err)
	}
	s.runs(c)
	s.pipeline()
	stop()

	// What ran is there when the server starts on its data again.
	s.once("temporal-schema")
	stop = s.server()
	defer stop()
	s.once("temporal-namespace")
	s.found(c)
}

// runs runs a workflow and finds it.
func (s *stack) runs(c client.Client) {
	s.Helper()
	w := worker.New(c, "attributes", worker.Options{})
	w.RegisterWorkflow(attributed)
	if err := w.Start(); err != nil {
		s.Fatal(err)
	}
	defer w.Stop()
	began := time.Now()
	run, err := c.ExecuteWorkflow(s.Context(), client.StartWorkflowOptions{ID: "attributed", TaskQueue: "attributes"}, attributed)
	if err != nil {
		s.Fatal(err)
	}
	if err := run.Get(s.Context(), nil); err != nil {
		s.Fatal(err)
	}
	s.Logf("a workflow ran in %d ms", time.Since(began).Milliseconds())
	s.found(c)
}

// pipeline brings up the rest of the stack, the image of the worker and starter with
// its own user of the warehouse, and takes a sample through it.
func (s *stack) pipeline() {
	s.Helper()
	i := build(s.T)
	here := map[string]string{"TEMPORAL_ADDRESS": s.here["TEMPORAL_ADDRESS"], "ELASTICSEARCH_INDEX": testenv.Index(s.T)}
	given, err := url.Parse(readSecrets(s.T, s.secrets)["database_url"])
	if err != nil {
		s.Fatal(err)
	}
	given.Host = net.JoinHostPort(s.here["SQL_HOST"], s.here["SQL_PORT"])
	i.secret(s.T, "database_url", given.String())
	csv, err := os.Create(filepath.Join(i.root, "data/cases.csv"))
	if err != nil {
		s.Fatal(err)
	}
	defer csv.Close()
	if err := sample.Write(csv, 20_000); err != nil {
		s.Fatal(err)
	}
	defer i.worker(s.T, i.variables(s.T, "worker", here))()
	for _, verb := range [][]string{
		project(s.T).Services["schedule"].Command[1:],
		{"ingest", "--source", "/data/cases.csv"},
		{"etl"},
		{"reconcile"},
	} {
		out, err := i.start(s.Context(), i.variables(s.T, "starter", here), append([]string{"starter"}, verb...)...).CombinedOutput()
		if err != nil {
			s.Fatalf("starter %v: %v: %s", verb, err, out)
		}
		s.Logf("starter %s\n%s", strings.Join(verb, " "), out)
	}
}

// found finds the workflow by its search attributes.
func (s *stack) found(c client.Client) {
	s.Helper()
	s.await("the workflow in a list by its search attributes", time.Minute, func() error {
		list, err := c.ListWorkflow(s.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "CovidSource = 'activity.csv' AND CovidRelease = 7 AND CovidRows > 99999 AND CovidRejects < 37",
		})
		if err != nil {
			return err
		}
		if n := len(list.GetExecutions()); n != 1 {
			return fmt.Errorf("%d found", n)
		}
		return nil
	})
}

// The server knows each setting and its type.
func TestTemporalServerKnowsItsDynamicSettings(t *testing.T) {
	name := filepath.Join(root, "temporal-config/dynamic.yaml")
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "bin/temporal-server"), "validate-dynamic-config", name).CombinedOutput()
	if err != nil || regexp.MustCompile(`error:|warning:`).Match(out) {
		t.Errorf("validate-dynamic-config: %v: %s", err, out)
	}
}
