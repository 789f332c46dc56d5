package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/search"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// ingesting is an ingest of which every row is indexed and nothing is completed.
type ingesting struct {
	*steps
	a    *activities.Ingest
	path string
	reg  activities.Registered
	plan activities.Planned
}

func (p *pipeline) ingesting(path string, follow bool) *ingesting {
	p.Helper()
	i := &ingesting{a: &activities.Ingest{Sources: p.sources, Search: p.es, Shards: 1}, path: path}
	i.steps = p.steps(i.a)
	i.reg = do[activities.Registered](i.steps, i.a.RegisterRelease,
		activities.RegisterInput{Index: p.index, Source: path, Follow: follow, Owner: "first"})
	i.plan = do[activities.Planned](i.steps, i.a.PlanBatches, activities.PlanInput{
		Release: i.reg.Release, From: i.reg.From, Hash: i.reg.Hash, Identity: i.reg.Identity, BatchRows: 100, Checkpoint: i.reg.From,
	})
	for _, rng := range i.plan.Ranges {
		do[activities.BatchCounts](i.steps, i.a.IndexBatch, activities.BatchInput{Release: i.reg.Release, Range: rng})
	}
	return i
}

// next is the input of the plan behind the first one.
func (i *ingesting) next(checkpoint activities.Position) activities.PlanInput {
	last := i.plan.Ranges[len(i.plan.Ranges)-1]
	return activities.PlanInput{
		Release: i.reg.Release, From: i.plan.End, Hash: i.plan.Hash, Last: &last, Identity: i.plan.Identity,
		BatchRows: 100, Wait: true, Checkpoint: checkpoint,
	}
}

func (i *ingesting) finish() activities.FinishInput {
	return activities.FinishInput{Release: i.reg.Release, End: i.plan.End, Digest: i.plan.Digest}
}

// isTaken fails the test unless an activity was refused as not the owner's.
func (p *pipeline) isTaken(err error) {
	p.Helper()
	if err == nil || !strings.Contains(err.Error(), activities.ErrTypeReleaseTaken) {
		p.Errorf("ended with %v", err)
	}
}

// isExact loads what the newest ingest brought, and proves it.
func (p *pipeline) isExact(path string, newRows int64) {
	p.Helper()
	if r := p.ingest(path, workflows.IngestOptions{}); r.Nothing || r.NewRows != newRows {
		p.Errorf("the next ingest: %+v", r)
	}
	if r := p.ingest(path, workflows.IngestOptions{}); !r.Nothing {
		p.Errorf("the ingest after it: %+v", r)
	}
	p.etl()
	p.reconcile()
}

func (p *pipeline) number(i int64) search.Release {
	p.Helper()
	r, err := p.es.Get(p.Context(), p.index, i)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

func firstLook(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/_cluster/state/") }

func TestALatePlanLeavesTheReleaseOfAnotherIngestAlone(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 1000)))
	followed := p.ingesting(path, true)
	held := &activities.Ingest{Sources: p.sources, Shards: 1}
	held.Search = p.through(firstLook, func() { // the followed ingest is terminated
		p.ingest(path, workflows.IngestOptions{})
		p.add(path, days("Pima", 50))
	})
	_, err := p.steps(held).env.ExecuteActivity(held.PlanBatches, followed.next(followed.plan.End))
	p.isTaken(err)
	if r := p.number(1); r.State != search.StateCompleted || r.Read.Rows != 1000 || r.Checkpoint.Row != 1000 {
		t.Errorf("the completed release: %+v", r)
	}
	p.isExact(path, 50)
}

func TestALatePlanOfTheSameIngestTakesNothingBack(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 1000)))
	i := p.ingesting(path, true)
	held := &activities.Ingest{Sources: p.sources, Shards: 1}
	held.Search = p.through(firstLook, func() { // another worker tries again, and the source is finished
		do[activities.Finished](i.steps, i.a.FinishRelease, i.finish())
		p.add(path, days("Pima", 50))
	})
	_, err := p.steps(held).env.ExecuteActivity(held.PlanBatches, i.next(i.reg.From))
	p.isTaken(err)
	if again := do[activities.Finished](i.steps, i.a.FinishRelease, i.finish()); again.Retired != 0 {
		t.Errorf("completed again: %+v", again)
	}
	if r := p.number(1); r.State != search.StateCompleted || r.Checkpoint.Row != 1000 {
		t.Errorf("the completed release: %+v", r)
	}
	p.isExact(path, 50)
}

// A late plan reads appended lines before the release is completed.
func TestAReleaseIsNotCompletedBeforeWhatALatePlanRead(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 1000)))
	i := p.ingesting(path, true)
	p.add(path, days("Pima", 50))
	do[activities.Planned](i.steps, i.a.PlanBatches, i.next(i.plan.End))
	_, err := i.env.ExecuteActivity(i.a.FinishRelease, i.finish())
	p.isTaken(err)
	p.isExact(path, 50)
}

func TestAFinishedIngestThatIsResetChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 1000)))
	run := p.startIngest(path, workflows.IngestOptions{})
	result[workflows.IngestResult](p, run)
	p.add(path, days("Pima", 50))
	p.ingest(path, workflows.IngestOptions{})
	if r := result[workflows.IngestResult](p, p.resetBefore(run, "FinishRelease")); !r.Nothing || r.Release != 1 {
		t.Errorf("the ingest after its reset: %+v", r)
	}
	if r := p.number(1); r.State != search.StateCompleted || r.Checkpoint.Row != 1050 {
		t.Errorf("the release: %+v", r)
	}
	p.etl()
	p.reconcile()
}

// resetBefore takes a workflow back to before it scheduled an activity.
func (p *pipeline) resetBefore(run client.WorkflowRun, activity string) client.WorkflowRun {
	p.Helper()
	history := p.c.GetWorkflowHistory(p.Context(), run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var before int64
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			p.Fatal(err)
		}
		if s := event.GetActivityTaskScheduledEventAttributes(); s.GetActivityType().GetName() == activity {
			before = s.GetWorkflowTaskCompletedEventId()
		}
	}
	answer, err := p.c.ResetWorkflowExecution(p.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:         p.namespace,
		WorkflowExecution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Reason:            "a test", RequestId: strconv.FormatInt(before, 10), WorkflowTaskFinishEventId: before,
	})
	if err != nil {
		p.Fatal(err)
	}
	return p.c.GetWorkflow(p.Context(), run.GetID(), answer.GetRunId())
}

// A bulk request of a release arrives when the next one is complete.
func TestALateBulkRequestIsFoundByTheNextIngest(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Pima", 1), days("Coconino", 20)))
	first := &activities.Ingest{Sources: p.sources, Shards: 1, Search: p.es}
	s := p.steps(first)
	reg := do[activities.Registered](s, first.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path, Owner: "first"})
	plan := do[activities.Planned](s, first.PlanBatches, activities.PlanInput{
		Release: reg.Release, From: reg.From, Hash: reg.Hash, Identity: reg.Identity, BatchRows: 100, Checkpoint: reg.From,
	})
	held := &activities.Ingest{Sources: p.sources, Shards: 1}
	held.Search = p.through(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_bulk") }, func() {
		p.file("cases.csv", source(days("Coconino", 20)))
		p.ingest(path, workflows.IngestOptions{})
	})
	late := do[activities.BatchCounts](p.steps(held), held.IndexBatch, activities.BatchInput{Release: reg.Release, Range: plan.Ranges[0]})
	if late.Written != 1 {
		t.Fatalf("the late request: %+v", late)
	}
	if r := p.ingest(path, workflows.IngestOptions{}); r.Nothing || r.Release != 2 || r.Retired != 1 || r.NewRows != 0 {
		t.Errorf("the next ingest: %+v", r)
	}
	if r := p.ingest(path, workflows.IngestOptions{}); !r.Nothing {
		t.Errorf("the ingest after it: %+v", r)
	}
	p.etl()
	p.reconcile()
}

func TestAReleaseOfAnEarlierVersionIsContinued(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 300)))
	i := p.ingesting(path, false)
	old := p.number(1)
	old.Owner, old.History = "", ""
	if _, err := p.es.Save(t.Context(), p.index, old); err != nil {
		t.Fatal(err)
	}
	in := i.next(i.plan.Ranges[0].End())
	in.Release.Owner, in.Release.History, in.Wait = "", "", false
	do[activities.Planned](i.steps, i.a.PlanBatches, in)
	p.isExact(path, 200)
	if r := p.number(1); r.Owner == "" || r.History == "" {
		t.Errorf("the release: %+v", r)
	}
	_, err := i.env.ExecuteActivity(i.a.PlanBatches, in)
	p.isTaken(err)
}

// restored stands for a snapshot that is put over an index: it drops documents and
// changes the histories of the shards, which a proxy does here.
func restored(t *testing.T) (p *pipeline, restore func()) {
	t.Helper()
	target, err := url.Parse(testenv.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var done atomic.Bool
	proxy.ModifyResponse = func(r *http.Response) error {
		if !done.Load() || !strings.HasSuffix(r.Request.URL.Path, "/_stats") {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = bytes.ReplaceAll(body, []byte(`"history_uuid":"`), []byte(`"history_uuid":"restored`))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	p = startPipeline(t, server.URL, testenv.Index(t), testenv.Postgres(t))
	return p, func() {
		t.Helper()
		p.dropRowsFrom(100)
		done.Store(true)
	}
}

// dropRowsFrom deletes the documents of the rows from one on.
func (p *pipeline) dropRowsFrom(row int) {
	p.Helper()
	post := func(path, body string, out any) {
		p.Helper()
		res, err := http.Post(testenv.Elasticsearch(p)+"/"+p.index+path, "application/json", strings.NewReader(body))
		if err != nil {
			p.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode != http.StatusOK {
			p.Fatalf("%s: status %d, %v", path, res.StatusCode, err)
		}
	}
	if err := p.es.Refresh(p.Context(), p.index); err != nil {
		p.Fatal(err)
	}
	var found struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	post("/_search?size=1000", fmt.Sprintf(`{"query":{"range":{"row":{"gte":%d}}}}`+"\n", row), &found)
	var bulk strings.Builder
	for _, hit := range found.Hits.Hits {
		fmt.Fprintf(&bulk, `{"delete":{"_id":%q}}`+"\n", hit.ID)
	}
	var answer struct{ Errors bool }
	if post("/_bulk", bulk.String(), &answer); answer.Errors || len(found.Hits.Hits) == 0 {
		p.Fatalf("%d documents were not deleted", len(found.Hits.Hits))
	}
}

func TestARestoredIndexIsNotTakenForComplete(t *testing.T) {
	t.Parallel()
	p, restore := restored(t)
	path := p.file("cases.csv", source(days("Coconino", 300)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	restore()
	p.isExact(path, 300)
}

func TestAnIndexIsRestoredUnderAPausedIngest(t *testing.T) {
	t.Parallel()
	p, restore := restored(t)
	path := p.file("cases.csv", source(days("Coconino", 400)))
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 10, Rate: 200})
	p.await("half of the rows", func() bool { return p.progress(run).Rows >= 200 })
	p.update(run, workflows.UpdatePause)
	p.await("the pause", func() bool { return p.es.Refresh(t.Context(), p.index) == nil && p.progress(run).Phase == "paused" })
	restore()
	p.update(run, workflows.UpdateRate, int64(0))
	p.update(run, workflows.UpdateResume)
	if r := result[workflows.IngestResult](p, run); r.Release != 2 || r.Rows != 400 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
}

func TestAnOlderCopyIsPutBackUnderAPausedIngest(t *testing.T) {
	t.Parallel()
	server := testenv.PrivateElasticsearch(t)
	p := startPipeline(t, server.URL, "cases", testenv.Postgres(t))
	path := p.file("cases.csv", source(days("Coconino", 300)))
	i := p.ingesting(path, false)
	server.Stop(t)
	restore := server.Save(t)
	server.Start(t)
	p.add(path, days("Pima", 300))
	in := i.next(i.plan.End)
	in.Saved = i.plan.Saved
	i.plan = do[activities.Planned](i.steps, i.a.PlanBatches, in)
	for _, rng := range i.plan.Ranges {
		do[activities.BatchCounts](i.steps, i.a.IndexBatch, activities.BatchInput{Release: i.reg.Release, Range: rng})
	}
	server.Stop(t)
	restore()
	server.Start(t)
	finish := i.finish()
	finish.Saved = i.plan.Saved
	if _, err := i.env.ExecuteActivity(i.a.FinishRelease, finish); err == nil || !strings.Contains(err.Error(), activities.ErrTypeIndexGone) {
		t.Errorf("completed over an older copy: %v", err)
	}
	p.add(path, days("Yuma", 100))
	in = i.next(i.plan.End)
	in.Saved = i.plan.Saved
	if _, err := i.env.ExecuteActivity(i.a.PlanBatches, in); err == nil || !strings.Contains(err.Error(), activities.ErrTypeIndexGone) {
		t.Errorf("planned over an older copy: %v", err)
	}
	p.isExact(path, 700)
}
