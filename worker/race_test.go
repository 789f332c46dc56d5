package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"covidpipeline/activities"
	"covidpipeline/internal/covid"
	"covidpipeline/internal/search"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// steps calls activities one by one, as a late or a lone attempt would.
type steps struct {
	*pipeline
	env *testsuite.TestActivityEnvironment
}

func (p *pipeline) steps(activities any) *steps {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(resultWithin)
	env.RegisterActivity(activities)
	return &steps{pipeline: p, env: env}
}

func do[Out any](s *steps, activity, in any) (out Out) {
	s.Helper()
	value, err := s.env.ExecuteActivity(activity, in)
	if err == nil {
		err = value.Get(&out)
	}
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// through gives a client whose first request that matches is held while then runs.
func (p *pipeline) through(matches func(*http.Request) bool, then func()) *search.Client {
	p.Helper()
	target, err := url.Parse(testenv.Elasticsearch(p))
	if err != nil {
		p.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var once atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if matches(r) && once.CompareAndSwap(false, true) {
			then()
		}
		proxy.ServeHTTP(w, r)
	}))
	p.Cleanup(server.Close)
	es, err := search.New(search.Config{URL: server.URL})
	if err != nil {
		p.Fatal(err)
	}
	return es
}

// rescan plans a run, which an ingest may overtake, and loads its windows.
func (p *pipeline) rescan(afterPlan func()) (*steps, *activities.ETL, activities.ExtractPlan) {
	p.Helper()
	etl := &activities.ETL{Search: p.es, Warehouse: p.db, Rules: covid.DefaultRules}
	s := p.steps(etl)
	plan := do[activities.ExtractPlan](s, etl.PlanExtract, activities.PlanExtractInput{Index: p.index})
	afterPlan()
	for from, upTo := plan.Shards[0].From, plan.Shards[0].UpTo; from < upTo; {
		w := do[activities.Extracted](s, etl.Extract, activities.WindowInput{Index: p.index, Run: plan.Run, From: from, UpTo: upTo})
		do[activities.Transformed](s, etl.Transform, activities.TransformInput{Run: plan.Run, From: from})
		do[activities.LoadCounts](s, etl.Load, activities.LoadInput{Index: p.index, Run: plan.Run, Generation: plan.Generation, From: from, Window: w})
		from = w.To
	}
	return s, etl, plan
}

// A stopped ingest had indexed more than its checkpoint. It is taken up with
// smaller batches, so that its first plan ends before what is indexed, and then
// the tail of the source changes.
func TestAReleaseIsNotContinuedOverATailThatChanged(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	content := source(days("Coconino", 1000))
	path := p.file("cases.csv", content)
	ingest := &activities.Ingest{Search: p.es, Sources: p.sources, Shards: 1}
	s := p.steps(ingest)
	reg := do[activities.Registered](s, ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path})
	plan := do[activities.Planned](s, ingest.PlanBatches, activities.PlanInput{
		Release: reg.Release, From: reg.From, Hash: reg.Hash, Identity: reg.Identity, BatchRows: 100, Checkpoint: reg.From,
	})
	for _, rng := range plan.Ranges {
		do[activities.BatchCounts](s, ingest.IndexBatch, activities.BatchInput{Release: reg.Release, Range: rng})
	}
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 1, Rate: 20, Concurrency: 20})
	p.await("the first batches", func() bool { return p.progress(run).Batches > 5 })
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strings.Replace(content, "US,999,50", "US,888,50", 1))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.update(run, workflows.UpdateRate, int64(0))
	if r := result[workflows.IngestResult](p, run); r.Release != 2 {
		t.Errorf("the changed source is release %d", r.Release)
	}
	p.etl()
	p.reconcile()
}

// Every document moves behind what a rescan planned, so that it sees none.
func TestARescanThatAnIngestOvertakesRemovesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.execute("UPDATE etl_state SET index_uuid = 'other'") // stands for any reason of a rescan
	s, etl, plan := p.rescan(func() {
		p.ingest(path, workflows.IngestOptions{NewRelease: true})
		if err := p.es.Refresh(t.Context(), p.index); err != nil {
			t.Fatal(err)
		}
	})
	finished := do[activities.FinishedETL](s, etl.FinishETL, activities.FinishETLInput{Index: p.index, Plan: plan})
	if got := p.value("SELECT count(*) FROM covid_cases"); got != int64(20) || !finished.SweepAwaits {
		t.Errorf("%v rows are left, %+v", got, finished)
	}
	if r := p.etl(); r.Finished.SweepAwaits || r.Finished.Rows != 20 {
		t.Errorf("the next run: %+v", r)
	}
	p.reconcile()
}

func TestReconcileIsBusyUntilARescanIsSwept(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20), days("Pima", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.execute("UPDATE etl_state SET index_uuid = 'other'")
	p.rescan(func() {})
	if r := p.proof(); r.Busy == "" {
		t.Errorf("not busy: %+v", r.Compared.Report.Kinds)
	}
	p.etl()
	p.reconcile()
}

// Between a plan's look at the index and its look at the cursor another run loads
// what is newer.
func TestAnotherRunThatLoadsMeanwhileIsNoReasonForARescan(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	es := p.through(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_refresh") }, func() {
		p.add(path, days("Pima", 20))
		p.ingest(path, workflows.IngestOptions{})
		p.etl()
	})
	etl := &activities.ETL{Search: es, Warehouse: p.db, Rules: covid.DefaultRules}
	plan := do[activities.ExtractPlan](p.steps(etl), etl.PlanExtract, activities.PlanExtractInput{Index: p.index})
	if plan.Rescan != "" {
		t.Errorf("a rescan: %s", plan.Rescan)
	}
}

func TestAnUnfinishedReleaseIsNoProof(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	ingest := &activities.Ingest{Search: p.es, Sources: p.sources, Shards: 1}
	do[activities.Registered](p.steps(ingest), ingest.RegisterRelease,
		activities.RegisterInput{Index: p.index, Source: path, NewRelease: true})
	if r := p.proof(); r.OK() || len(r.Compared.Problems) != 1 {
		t.Errorf("proved over a release of which nothing is read: %+v", r.Compared)
	}
}

// An attempt stalls before it creates its release; meanwhile another one ingests
// the source.
func TestALateRegistrationIsRefused(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	es := p.through(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "op_type=create") }, func() {
		p.ingest(path, workflows.IngestOptions{})
	})
	ingest := &activities.Ingest{Search: es, Sources: p.sources, Shards: 1}
	s := p.steps(ingest)
	_, err := s.env.ExecuteActivity(ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path})
	if err == nil || !strings.Contains(err.Error(), activities.ErrTypeRegistryChanged) {
		t.Errorf("ended with %v", err)
	}
	if again := do[activities.Registered](s, ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path}); !again.Nothing {
		t.Errorf("tried again: %+v", again)
	}
	p.etl()
	p.reconcile()
}
