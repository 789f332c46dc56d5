package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/internal/health"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// setting gives a variable of the operator's environment.
func (o *operator) setting(name string) string {
	o.Helper()
	for i := len(o.env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(o.env[i], name+"="); ok {
			return value
		}
	}
	o.Fatalf("%s is not set", name)
	return ""
}

// status gives the JSON of `starter status`, whose exit status must fit it. A part
// that the busy server did not give in time is asked again.
func (o *operator) status() (r report) {
	o.Helper()
	o.await("an answer of every part", func() bool {
		r = o.statusOnce()
		return !slices.ContainsFunc(r.Notices, func(f health.Finding) bool { return f.ID == "slow" })
	})
	return r
}

func (o *operator) statusOnce() (r report) {
	o.Helper()
	out, errOut, status := o.call("status", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		o.Fatalf("%v: %s%s", err, out, errOut)
	}
	if r.Healthy != (status == 0) || r.Healthy != (len(r.Problems) == 0) || status > 1 || errOut != "" {
		o.Errorf("ended with %d: %s%s", status, out, errOut)
	}
	return r
}

// finds fails the test unless a status has just these findings.
func (o *operator) finds(r report, problems, notices string) {
	o.Helper()
	ids := func(found []health.Finding) string {
		var all []string
		for _, f := range found {
			all = append(all, f.ID)
		}
		return strings.Join(all, " ")
	}
	if ids(r.Problems) != problems || ids(r.Notices) != notices {
		o.Errorf("problems %+v\nnotices %+v\nwant %q and %q", r.Problems, r.Notices, problems, notices)
	}
}

// setIndex changes a setting of the raw index.
func (o *operator) setIndex(body string) {
	o.Helper()
	url := o.setting("ELASTICSEARCH_URL") + "/" + o.setting("ELASTICSEARCH_INDEX") + "/_settings"
	req, err := http.NewRequestWithContext(o.Context(), http.MethodPut, url, bytes.NewReader([]byte(body)))
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		o.Fatalf("%s: %s", body, res.Status)
	}
}

func (o *operator) execute(statement string) {
	o.Helper()
	conn, err := pgx.Connect(o.Context(), o.setting("DATABASE_URL"))
	if err == nil {
		defer conn.Close(context.Background())
		_, err = conn.Exec(o.Context(), statement)
	}
	if err != nil {
		o.Fatal(err)
	}
}

func TestStatusOfAPipeline(t *testing.T) {
	o := newScheduler(t)
	facts := o.sampleFile(2000)
	o.start("worker")
	o.must("ingest", "--source", "sample.csv")
	o.must("schedule", "apply")
	if r := o.status(); r.Lag.Numbers == 0 || r.Lag.Loaded {
		t.Errorf("before the first run: %+v", r.Lag)
	}
	o.must("etl")

	r := o.status()
	o.finds(r, "", "")
	if r.Lag.Numbers != 0 || r.Lag.Documents != 0 || r.Lag.Error != "" || r.ETL.Completed == nil || r.ETL.Completed.Counts == nil ||
		r.ETL.Completed.Counts.Loaded.Inserted != int64(facts.Rows) || r.Schedule.NextRun == nil || !r.Schedule.Exists {
		t.Errorf("%+v\n%+v\n%+v", r.Lag, r.ETL.Completed, r.Schedule)
	}
	if n := r.Releases.Newest; len(n) != 1 || n[0].Number != 1 || n[0].State != "completed" || n[0].Rows != 2000 || len(r.Ingests.Runs) != 0 {
		t.Errorf("%+v %+v", n, r.Ingests.Runs)
	}
	if r.Rejects.Count == 0 || len(r.Rejects.Reasons) != 3 || len(r.Workers.Workflow) == 0 || len(r.Workers.Activity) == 0 {
		t.Errorf("%+v %+v", r.Rejects, r.Workers)
	}
	o.contains(o.must("status"), "healthy\n", "Elasticsearch   8.", "PostgreSQL      1", "Temporal        1.", "next run at", "completed", "the warehouse has all")

	// Documents that the cursor has not reached.
	o.must("ingest", "--source", "sample.csv", "--new-release")
	if r := o.status(); r.Lag.Numbers < 1000 || r.Lag.Since == nil || r.Lag.Rescan || !r.Healthy {
		t.Errorf("after the next release: %+v", r.Lag)
	}
	schedule := o.c.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID)
	if err := schedule.Pause(t.Context(), client.SchedulePauseOptions{Note: "the warehouse moves"}); err != nil {
		t.Fatal(err)
	}
	o.finds(o.status(), "", "schedule-paused")
	o.contains(o.must("status"), "the warehouse moves")

	o.setIndex(`{"index.blocks.write":true}`)
	o.finds(o.status(), "blocked", "schedule-paused")
	o.setIndex(`{"index.blocks.write":null}`)

	// A run that fails for good, and the next that is well again.
	o.execute("UPDATE etl_state SET rows = rows + 1")
	if _, _, status := o.call("etl"); status != 1 {
		t.Fatalf("the ETL over wrong totals ended with %d", status)
	}
	r = o.status()
	o.finds(r, "etl-failed", "schedule-paused")
	o.contains(r.Problems[0].Text, "1 ETL run failed", "run `starter reconcile`")
	out, _, _ := o.call("status")
	o.contains(out, "1 thing needs a person", "[etl-failed]", "ETL completed", "ETL last")
	o.execute("UPDATE etl_state SET rows = rows - 1")
	o.must("etl")
	r = o.status()
	o.finds(r, "", "schedule-paused")
	if r.Proof.State != "" || r.Proof.Error != "" {
		t.Errorf("without a proof: %+v", r.Proof)
	}

	o.must("reconcile")
	if p := o.status().Proof; p.State != health.Balanced || p.Records != 2000 {
		t.Errorf("after a proof: %+v", p)
	}
	o.execute("UPDATE covid_cases SET new_cases = 1 + coalesce(new_cases, 0) WHERE key = (SELECT key FROM covid_cases LIMIT 1)")
	if _, _, status := o.call("reconcile"); status != 1 {
		t.Errorf("a proof of changed rows ended with %d", status)
	}
	o.finds(o.status(), "unbalanced", "schedule-paused")
	out, _, _ = o.call("status")
	o.contains(out, "proof           unbalanced ")
}

func TestStatusOfANamespaceWithoutAttributes(t *testing.T) {
	t.Parallel()
	address, namespace := testenv.TemporalBare(t)
	o := operatorIn(t, address, namespace)
	for _, f := range o.status().Problems {
		if f.ID == "attributes" {
			o.contains(f.Text, "CovidSource", "CovidRows")
			return
		}
	}
	t.Error("missing search attributes are no problem")
}

func TestStatusWithoutAWorker(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(100)
	r := o.status()
	o.finds(r, "schema-old no-worker no-schedule", "no-index")
	o.must("ingest", "--source", "sample.csv", "--detach")
	o.await("the ingest in Temporal's list", func() bool { r = o.status(); return len(r.Ingests.Runs) == 1 })
	if run := r.Ingests.Runs[0]; run.State != health.Running || run.Progress != nil || !strings.Contains(run.Source, "sample.csv") {
		t.Errorf("%+v", run)
	}
	out, _, status := o.call("status")
	if status != 1 {
		t.Errorf("ended with %d", status)
	}
	o.contains(out, "no worker answers for it", "workflows none; activities none", "go run ./worker", "starter schedule apply")
}

func TestStatusOfARunningIngest(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(3000)
	o.start("worker")
	o.must("ingest", "--source", "sample.csv", "--batch-rows", "10", "--rate", "50", "--detach")
	var run health.Ingest
	o.await("progress", func() bool {
		runs := o.status().Ingests.Runs
		if len(runs) == 1 {
			run = runs[0]
		}
		return run.Progress != nil && run.Progress.Rows > 0
	})
	if p := run.Progress; p.Phase != "indexing" || p.Release != 1 || p.Percent <= 0 || p.Percent >= 100 || p.RowsPerSecond <= 0 ||
		!strings.HasSuffix(run.Source, "/sample.csv") {
		t.Errorf("%+v %+v", run, p)
	}
	o.must("ingest", "pause", "--source", "sample.csv")
	r := o.status()
	o.finds(r, "no-schedule", "ingest-paused")
	if err := o.c.TerminateWorkflow(t.Context(), run.WorkflowID, "", "for the test"); err != nil {
		t.Fatal(err)
	}
	o.await("the end in Temporal's list", func() bool {
		r = o.status()
		return len(r.Ingests.Runs) == 1 && r.Ingests.Runs[0].State == health.Terminated
	})
	o.finds(r, "no-schedule ingest-stopped", "")
	// When Temporal has forgotten it, the registry alone tells.
	_, err := o.c.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: o.setting("TEMPORAL_NAMESPACE"), WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.WorkflowID}})
	if err != nil {
		t.Fatal(err)
	}
	o.await("the run to be forgotten", func() bool { r = o.status(); return len(r.Ingests.Runs) == 0 })
	o.finds(r, "no-schedule ingest-stopped", "")
	if n := r.Releases.Newest; len(n) != 1 || !n[0].Stopped {
		t.Errorf("%+v", n)
	}
}

func TestStatusTellsHowATerminatedRunEnded(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	url := o.setting("DATABASE_URL")
	if _, _, err := warehouse.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := warehouse.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// No worker takes it: it stands as one whose worker was lost.
	run, err := o.c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "etl-one", TaskQueue: temporalclient.TaskQueue},
		workflows.ETLWorkflow, workflows.ETLInput{Index: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.BeginRun(t.Context(), run.GetID(), run.GetRunID()); err != nil {
		t.Fatal(err)
	}
	var etl health.ETL
	o.await("the run in Temporal's list", func() bool { etl = o.status().ETL; return etl.Running != nil })
	if etl.Running.WorkflowID != "etl-one" || etl.Running.Number != 1 || etl.Last != nil {
		t.Errorf("%+v", etl)
	}
	if err := o.c.TerminateWorkflow(t.Context(), "etl-one", "", "for the test"); err != nil {
		t.Fatal(err)
	}
	o.await("its end", func() bool { etl = o.status().ETL; return etl.Running == nil })
	if etl.Last == nil || etl.Last.State != health.Terminated || etl.Last.EndedAt == nil {
		t.Errorf("%+v", etl.Last)
	}
	if _, err := db.BeginRun(t.Context(), "etl-two", "forgotten"); err != nil {
		t.Fatal(err)
	}
	if etl = o.status().ETL; etl.Last == nil || etl.Last.WorkflowID != "etl-two" || etl.Last.State != health.Lost {
		t.Errorf("%+v", etl.Last)
	}
}

// silent listens and never answers, as a host does whose packets are swallowed.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestStatusComesSoonWhateverAnswers(t *testing.T) {
	t.Parallel()
	const es, pg, temporal = "ELASTICSEARCH_URL=http://", "DATABASE_URL=postgres://user:secret-word@", "TEMPORAL_ADDRESS="
	nowhere := "127.0.0.1:1"
	for _, c := range []struct {
		name     string
		env      []string
		problems string
		says     []string
	}{
		{"all refuse", []string{es + nowhere, pg + nowhere + "/w", temporal + nowhere}, "elasticsearch postgresql temporal", []string{"connection refused"}},
		{"all are silent", []string{es + silent(t), pg + silent(t) + "/w", temporal + silent(t)}, "elasticsearch postgresql temporal", []string{"no answer"}},
		{"Elasticsearch refuses", []string{es + nowhere}, "elasticsearch schema-old no-worker no-schedule", []string{"PostgreSQL      1", "Temporal        1."}},
		{"PostgreSQL is silent", []string{pg + silent(t) + "/w"}, "postgresql no-worker no-schedule", []string{"Elasticsearch   8.", "Temporal        1."}},
		{"Temporal is silent", []string{temporal + silent(t)}, "temporal schema-old", []string{"Elasticsearch   8.", "PostgreSQL      1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newOperator(t)
			o.env = append(o.env, c.env...)
			began := time.Now()
			out, errOut, status := o.call("status")
			took := time.Since(began)
			if status != 1 || errOut != "" {
				t.Errorf("ended with %d: %s%s", status, out, errOut)
			}
			if took > 7*time.Second { // 5 s, and two for a busy machine
				t.Errorf("took %s", took)
			}
			o.contains(out, c.says...)
			r := o.status()
			var ids []string
			for _, p := range r.Problems {
				ids = append(ids, p.ID)
			}
			if got := strings.Join(ids, " "); got != c.problems {
				t.Errorf("problems %q, want %q: %s", got, c.problems, out)
			}
			if strings.Contains(out, "secret-word") {
				t.Errorf("a password is shown: %s", out)
			}
		})
	}
}

func TestStatusWatches(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	for _, args := range [][]string{{"status", "--watch"}, {"status", "--watch", "--json"}} {
		watching, out := o.start("starter", args...)
		o.await("two looks", func() bool { return strings.Count(out.String(), "no-schedule") >= 2 })
		if status := o.end(watching, syscall.SIGINT); status != 0 {
			t.Errorf("%v ended with %d", args, status)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("escape codes in a pipe: %q", out.String())
		}
		if len(args) < 3 {
			continue
		}
		for line := range strings.Lines(out.String()) {
			var r report
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.Healthy {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
}

func TestStatusWithoutASettingIsUsage(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	if _, text, status := o.call("status", "more"); status != 2 || text == "" {
		t.Errorf("an argument: %d %s", status, text)
	}
	o.env = append(testenv.Environ(), "DATABASE_URL=")
	if _, text, status := o.call("status"); status != 2 || !strings.Contains(text, "DATABASE_URL") {
		t.Errorf("no DATABASE_URL: %d %s", status, text)
	}
}
