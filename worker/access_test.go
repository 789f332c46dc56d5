package main

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/activities"
	"covidpipeline/internal/config"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// fails fails the test unless a workflow ends with an error of that type, whose
// text has all the parts.
func (p *pipeline) fails(run client.WorkflowRun, errType string, parts ...string) {
	p.Helper()
	err := run.Get(p.Context(), nil)
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != errType {
		p.Errorf("workflow %s ended with %v, want an error of type %s", run.GetID(), err, errType)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			p.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

// start starts a workflow as any client of the Temporal server can.
func (p *pipeline) start(options client.StartWorkflowOptions, workflow, in any) client.WorkflowRun {
	p.Helper()
	options.ID, options.TaskQueue = "forged-"+uuid.NewString(), temporalclient.TaskQueue
	run, err := p.c.ExecuteWorkflow(p.Context(), options, workflow, in)
	if err != nil {
		p.Fatal(err)
	}
	return run
}

// secret writes a file that no ingest may read.
func secret(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("root:x:0:0:root:/root:/bin/sh\nsecret:x:1:1::/:/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// quarantined returns how many records the quarantine of the raw index holds.
func (p *pipeline) quarantined() int64 {
	p.Helper()
	n, err := p.es.CountQuarantined(p.Context(), p.index, "", 0)
	if err != nil {
		p.Fatal(err)
	}
	return n
}

func TestASourceOutsideOfTheRootsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := secret(t, filepath.Join(t.TempDir(), "passwd"))
	link := filepath.Join(p.dir, "link.csv")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{path, link, "/etc/passwd"} {
		run := p.startIngest(uri, workflows.IngestOptions{})
		p.fails(run, activities.ErrTypeSourceOutside, uri, p.dir, "What to do: add the folder", "SOURCE_ROOTS")
		if err := run.Get(t.Context(), nil); strings.Contains(err.Error(), "root:x") {
			t.Errorf("the error shows what is in the file: %v", err)
		}
	}
	if n := p.quarantined(); n != 0 {
		t.Errorf("%d records of it are in the quarantine", n)
	}
}

// A source that was ingested becomes a link out of the root: the proof reads the
// sources too.
func TestTheProofReadsNothingOutsideOfTheRoots(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	content := source(days("Coconino", 20))
	path := p.file("cases.csv", content)
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.reconcile()
	other := filepath.Join(t.TempDir(), "cases.csv")
	err := os.Rename(path, other)
	if err == nil {
		err = os.Symlink(other, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	run, err := p.c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: workflows.ReconcileID(p.index), TaskQueue: temporalclient.TaskQueue,
	}, workflows.ReconcileWorkflow, workflows.ReconcileInput{Index: p.index, Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p.fails(run, activities.ErrTypeSourceOutside, path, "leads to "+other)
}

// forgedIngest is the input of an ingest that claims to be in the middle of a file
// whose header nobody has checked.
func (p *pipeline) forgedIngest(path string) workflows.IngestInput {
	p.Helper()
	good := p.file("good.csv", source(days("Coconino", 2)))
	p.ingest(good, workflows.IngestOptions{})
	ingest := &activities.Ingest{Search: p.es, Sources: p.sources, Shards: 1}
	reg := do[activities.Registered](p.steps(ingest), ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: good, NewRelease: true})
	nothingRead, err := sha256.New().(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		p.Fatal(err)
	}
	info, err := p.sources.Stat(path)
	if err != nil {
		p.Fatal(err)
	}
	reg.Release.Source, reg.From, reg.Hash, reg.Identity = path, activities.Position{}, nothingRead, info.Identity
	return workflows.IngestInput{
		Index: p.index, Source: path, Options: workflows.IngestOptions{BatchRows: 100, Concurrency: 1},
		State: &workflows.IngestState{Registered: reg, Plan: activities.Planned{Hash: reg.Hash, Identity: reg.Identity}, StartedAt: time.Now()},
	}
}

// The file is in the root, so that only the refusal of the state keeps it from
// being read.
func TestAForgedStateIsRefused(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := secret(t, filepath.Join(p.dir, "passwd"))
	in := p.forgedIngest(path)
	run := p.start(client.StartWorkflowOptions{}, workflows.IngestWorkflow, in)
	p.fails(run, activities.ErrTypeStateRefused, "the input has a state", "What to do: ")
	p.fails(p.reset(run), activities.ErrTypeStateRefused)
	p.fails(p.start(client.StartWorkflowOptions{}, workflows.ETLWorkflow, workflows.ETLInput{
		Index: p.index, State: &workflows.ETLState{Plan: activities.ExtractPlan{Shards: []activities.ShardPlan{{From: -1, UpTo: 100}}}, At: []int64{-1}},
	}), activities.ErrTypeStateRefused, "the input has a state")
	// The server begins further runs by itself, and names the run before in each.
	cron := p.start(client.StartWorkflowOptions{CronSchedule: "@every 1s"}, workflows.IngestWorkflow, in)
	p.failsAgain(cron)
	if err := p.c.TerminateWorkflow(t.Context(), cron.GetID(), "", "the test has seen enough"); err != nil {
		t.Fatal(err)
	}
	if n := p.quarantined(); n != 0 {
		t.Errorf("%d records of the file are in the quarantine", n)
	}
}

// A retry gets past a first run that ended before a worker took it.
func TestAForgedStateIsRefusedInARetryToo(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	in := p.forgedIngest(secret(t, filepath.Join(p.dir, "passwd")))
	p.stop()
	run := p.start(client.StartWorkflowOptions{
		WorkflowRunTimeout: 2 * time.Second,
		RetryPolicy:        &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 1},
	}, workflows.IngestWorkflow, in)
	first := run.GetRunID()
	p.await("the second run", func() bool {
		d, err := p.c.DescribeWorkflowExecution(p.Context(), run.GetID(), "")
		return err == nil && d.GetWorkflowExecutionInfo().GetExecution().GetRunId() != first
	})
	p.work(config.Worker{})
	p.failsAgain(run)
	if n := p.quarantined(); n != 0 {
		t.Errorf("%d records of the file are in the quarantine", n)
	}
}

// failsAgain waits until a run behind the first of a workflow has failed, and fails
// the test if it has begun a step.
func (p *pipeline) failsAgain(run client.WorkflowRun) {
	p.Helper()
	first, second := run.GetRunID(), ""
	p.await("the end of the second run", func() bool {
		answer, err := p.c.WorkflowService().ListWorkflowExecutions(p.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: p.namespace, Query: "WorkflowId = '" + run.GetID() + "' AND ExecutionStatus = 'Failed'",
		})
		if err != nil {
			return false
		}
		for _, e := range answer.GetExecutions() {
			if id := e.GetExecution().GetRunId(); id != first {
				second = id
			}
		}
		return second != ""
	})
	events := p.c.GetWorkflowHistory(p.Context(), run.GetID(), second, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			p.Fatal(err)
		}
		if started := e.GetWorkflowExecutionStartedEventAttributes(); started != nil && started.GetContinuedExecutionRunId() == "" {
			p.Error("the second run names no run before it: the test shows nothing")
		}
		if e.GetActivityTaskScheduledEventAttributes() != nil {
			p.Error("the second run has begun a step")
		}
	}
}

// reset begins a workflow again from its first task, as an operator does.
func (p *pipeline) reset(run client.WorkflowRun) client.WorkflowRun {
	p.Helper()
	events := p.c.GetWorkflowHistory(p.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var done int64
	for done == 0 && events.HasNext() {
		e, err := events.Next()
		if err != nil {
			p.Fatal(err)
		}
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			done = e.GetEventId()
		}
	}
	answer, err := p.c.ResetWorkflowExecution(p.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: p.namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Reason: "test", WorkflowTaskFinishEventId: done, RequestId: uuid.NewString(),
	})
	if err != nil {
		p.Fatal(err)
	}
	return p.c.GetWorkflow(p.Context(), run.GetID(), answer.GetRunId())
}

// A run that was handed its state by the run before it can be reset.
func TestAContinuedRunCanBeReset(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 1500)))
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 10, Rate: 5000})
	first := run.GetRunID()
	if r := result[workflows.IngestResult](p, run); r.Rows != 1500 {
		t.Fatalf("%+v", r)
	}
	newest, err := p.c.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
	if err != nil {
		t.Fatal(err)
	}
	last := newest.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	if last == first {
		t.Fatal("the ingest was one run: the test shows nothing")
	}
	if r := result[workflows.IngestResult](p, p.reset(p.c.GetWorkflow(t.Context(), run.GetID(), last))); r.Rows != 1500 {
		t.Errorf("after the reset: %+v", r)
	}
}

// A hostile name of an index must not reach another index.
func TestAHostileIndexNameTouchesNoOtherIndex(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	const refused = "ElasticsearchRefused"
	for _, name := range []string{p.index + "/_close?x", p.index + "," + p.index + "-releases", "*", ""} {
		p.fails(p.start(client.StartWorkflowOptions{}, workflows.IngestWorkflow, workflows.IngestInput{Index: name, Source: path}), refused, "not the name of a raw index")
		p.fails(p.start(client.StartWorkflowOptions{}, workflows.ETLWorkflow, workflows.ETLInput{Index: name}), refused, "not the name of a raw index")
		p.fails(p.start(client.StartWorkflowOptions{}, workflows.ReconcileWorkflow, workflows.ReconcileInput{Index: name}), refused, "not the name of a raw index")
	}
	if n, err := p.es.Count(t.Context(), p.index, search.CountQuery{}); err != nil || n != 20 {
		t.Errorf("the other index has %d documents, %v", n, err)
	}
}
