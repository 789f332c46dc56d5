package testenv

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// failure records what would end a test.
type failure struct {
	testing.TB
	text string
}

func (f *failure) Helper() {}

func (f *failure) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMissingServerFailsTheTest(t *testing.T) {
	for variable, use := range map[string]func(testing.TB){
		"TEST_ELASTICSEARCH_URL": func(t testing.TB) { Elasticsearch(t) },
		"TEST_DATABASE_URL":      func(t testing.TB) { Postgres(t) },
		"TEST_TEMPORAL_ADDRESS":  func(t testing.TB) { Temporal(t) },
	} {
		t.Setenv(variable, "")
		f := &failure{TB: t}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			use(f)
		}()
		<-ended
		if !strings.Contains(f.text, variable) || !strings.Contains(f.text, "make test") {
			t.Errorf("without %s a test says %q", variable, f.text)
		}
	}
}

func TestIndexGoesWithItsTest(t *testing.T) {
	t.Parallel()
	base := Elasticsearch(t)
	var paths []string
	t.Run("A Test, with a Long Name / and ODD characters: é #1", func(t *testing.T) {
		name, other := Index(t), Index(t)
		if name == other {
			t.Errorf("two indices have the name %s", name)
		}
		for _, index := range []string{name, name + "-quarantine", name + "-releases"} {
			template := "/_index_template/" + index
			send(t, http.MethodPut, base+template, fmt.Sprintf(`{"index_patterns":[%q],"priority":500}`, index))
			send(t, http.MethodPut, base+"/"+index, "")
			paths = append(paths, "/"+index, template)
		}
	})
	for _, path := range paths {
		if status := get(t, base+path); status != http.StatusNotFound {
			t.Errorf("after its test %s answers %d, want 404", path, status)
		}
	}
}

func TestSchemaGoesWithItsTest(t *testing.T) {
	t.Parallel()
	var urls []string
	t.Run("two", func(t *testing.T) {
		urls = []string{Postgres(t), Postgres(t)}
		for i, url := range urls {
			execute(t, url, fmt.Sprintf("CREATE TABLE a AS SELECT %d AS n", i))
		}
		for i, url := range urls {
			if n := query(t, url, "SELECT n FROM a"); n != i {
				t.Errorf("schema %d holds the table of schema %d", i, n)
			}
		}
	})
	config, err := pgx.ParseConfig(urls[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := query(t, urls[1], "SELECT count(*) FROM pg_namespace WHERE nspname = '"+config.RuntimeParams["search_path"]+"'"); n != 0 {
		t.Error("the schema is still there after its test")
	}
}

func TestNamespaceWorksAtOnce(t *testing.T) {
	t.Parallel()
	address, namespace := Temporal(t)
	if _, other := Temporal(t); other == namespace {
		t.Errorf("two tests have the namespace %s", namespace)
	}
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := worker.New(c, "queue", worker.Options{})
	w.RegisterWorkflowWithOptions(func(workflow.Context) (int, error) { return 42, nil }, workflow.RegisterOptions{Name: "answer"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "queue"}, "answer")
	if err != nil {
		t.Fatal(err)
	}
	var answer int
	if err := run.Get(t.Context(), &answer); err != nil || answer != 42 {
		t.Errorf("the workflow answers %d, %v", answer, err)
	}
}
