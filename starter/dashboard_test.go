package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"covidpipeline/dashboards"
	"covidpipeline/internal/health"
	"covidpipeline/internal/metabasefake"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// newDashboardOperator is an operator with a Metabase.
func newDashboardOperator(t *testing.T) (*operator, *metabasefake.Server) {
	t.Helper()
	o := newOperator(t)
	database := testenv.Postgres(t)
	if _, _, err := warehouse.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	fake := metabasefake.New(t, metabasefake.Options{SearchPath: u.Query().Get("search_path")})
	t.Cleanup(func() {
		if wrong := fake.Violations(); len(wrong) > 0 {
			t.Errorf("what Metabase would not have understood: %q", wrong)
		}
	})
	o.env = append(o.env, "DATABASE_URL="+database, "METABASE_URL="+fake.URL, "METABASE_USERNAME=admin@example.com",
		"METABASE_PASSWORD=s3cret-enough", "METABASE_DATABASE_URL="+testenv.Reader(t, database))
	return o, fake
}

// created counts the objects that were made.
func created(fake *metabasefake.Server) int {
	n := 0
	for _, r := range fake.Writes() {
		if r.Method == http.MethodPost && r.Changed {
			n++
		}
	}
	return n
}

func TestDashboardApply(t *testing.T) {
	t.Parallel()
	o, fake := newDashboardOperator(t)
	o.start("worker")
	o.contains(o.must("dashboard", "apply", "--dry-run"), `user "first user" would be created: and with it all else`)
	if n := created(fake); n != 0 {
		t.Errorf("the dry run made %d objects", n)
	}
	text := o.must("dashboard", "apply")
	o.contains(text, `database "COVID-19 warehouse" created`, `card "Total Covid Records count" created`, `dashboard "COVID-19 activity" created`,
		"cards run, ", fake.URL+"/dashboard/", "#refresh=60")
	objects := len(dashboards.Cards()) + 4
	if n := created(fake); n != objects {
		t.Errorf("%d objects, want %d", n, objects)
	}
	writes := len(fake.Writes())
	type result struct {
		Address string
		workflows.DashboardResult
	}
	if r := answer[result](o, "dashboard", "apply"); !strings.HasSuffix(r.Address, r.Path+"#refresh=60") || len(r.Applied) != objects {
		t.Errorf("%+v", r)
	}
	o.contains(o.must("dashboard", "apply"), fmt.Sprintf("%d unchanged", objects))
	if n := len(fake.Writes()); n != writes {
		t.Errorf("repeated, it wrote %d times", n-writes)
	}
}

// Metabase fails in the middle, and the worker with it: another one goes on.
func TestDashboardWhoseWorkerIsKilled(t *testing.T) {
	t.Parallel()
	o, fake := newDashboardOperator(t)
	first, _ := o.start("worker")
	fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: "/api/collection", After: true, Times: 1})
	fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: "/api/dashboard", After: true, Times: 1})
	fake.Inject(metabasefake.Fault{Method: http.MethodPut, Path: "/api/dashboard/*", Status: http.StatusServiceUnavailable, Times: 3})
	apply, said := o.start("starter", "dashboard", "apply")
	o.await("some cards", func() bool { return created(fake) > 8 })
	o.end(first, syscall.SIGKILL)
	o.start("worker")
	if err := apply.Wait(); err != nil {
		t.Fatalf("apply: %v\n%s", err, said.String())
	}
	o.contains(said.String(), "cards run, ", "#refresh=60")
	if n, want := created(fake), len(dashboards.Cards())+4; n != want {
		t.Errorf("%d objects, want %d", n, want)
	}
}

// Who waits for a Metabase is told at once what for, then how often it was tried and why.
func TestDashboardWaitsForMetabase(t *testing.T) {
	t.Parallel()
	o, _ := newDashboardOperator(t)
	o.env = append(o.env, "METABASE_URL=http://127.0.0.1:1")
	o.start("worker")
	apply, out := o.start("starter", "dashboard", "apply")
	const waiting = "Waiting until Metabase has started"
	o.await("what it waits for, again and again", func() bool { return strings.Count(out.String(), waiting+": try ") >= 2 })
	first, rest, _ := strings.Cut(out.String(), waiting+": try ")
	o.contains(first, "runs as workflow dashboard/", waiting+".\n")
	o.contains(rest, "ask Metabase at http://127.0.0.1:1 whether it has started", "connection refused")
	if status := o.end(apply, syscall.SIGINT); status != 1 {
		t.Errorf("interrupted, it ended with %d", status)
	}
	o.contains(out.String(), "goes on without this command")

	status := o.status()
	o.contains(status.Dashboard.Retry.Failure, "http://127.0.0.1:1")
	o.finds(status, "no-schedule retrying", "no-index")
	if err := o.c.CancelWorkflow(t.Context(), workflows.DashboardID, ""); err != nil {
		t.Fatal(err)
	}
	o.await("its end", func() bool { return o.status().Dashboard.State == health.Cancelled })
	o.finds(o.status(), "no-schedule", "no-index")
}

func TestDashboardOfAWorkerWithoutSettings(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.env = append(o.env, "METABASE_USERNAME=", "METABASE_PASSWORD=", "METABASE_DATABASE_URL=")
	o.start("worker")
	_, text, status := o.call("dashboard", "apply")
	if status != 1 {
		t.Errorf("ended with %d", status)
	}
	o.contains(text, "METABASE_DATABASE_URL, METABASE_PASSWORD, METABASE_USERNAME not set", "docs/operations.md")
	r := o.status()
	o.finds(r, "no-schedule dashboard-failed", "no-index")
	o.contains(r.Problems[1].Text, "METABASE_PASSWORD")
}
