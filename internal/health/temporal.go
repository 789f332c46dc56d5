package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// queryWithin is how long a worker may take to answer for an ingest.
const queryWithin = time.Second

func (g *gatherer) temporal(ctx context.Context) {
	s := g.s
	s.Temporal.Namespace, s.Workers.TaskQueue, s.Schedule.ID = g.Namespace, g.TaskQueue, workflows.ScheduleID
	if err := g.reach(ctx); err != nil {
		s.Temporal.Error = err.Error()
		notAsked("Temporal", &s.Workers.Error, &s.Schedule.Error, &s.ETL.Error, &s.Ingests.Error, &s.Proof.Error, &s.Dashboard.Error, &s.Temporal.AttributesError)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, thenWithin)
	defer cancel()
	together(func() { g.schedule(ctx) }, func() { g.etl(ctx) }, func() { g.proof(ctx) }, func() { g.dashboard(ctx) }, func() { g.attributes(ctx) }, func() {
		g.workers(ctx)
		g.ingests(ctx)
	})
}

// reach asks the server for its version and the namespace.
func (g *gatherer) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	service := g.Temporal.WorkflowService()
	info, err := service.GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return errors.New(say(err, g.Address))
	}
	g.s.Temporal.Version = info.GetServerVersion()
	if _, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: g.Namespace}); err != nil {
		return fmt.Errorf("the namespace %s: %s", g.Namespace, say(err, g.Address))
	}
	return nil
}

// attributes asks which search attributes the namespace lacks.
func (g *gatherer) attributes(ctx context.Context) {
	missing, err := temporalclient.MissingAttributes(ctx, g.Temporal, g.Namespace)
	g.s.Temporal.AttributesError = say(err, "Temporal")
	for _, a := range missing {
		g.s.Temporal.Missing = append(g.s.Temporal.Missing, a.Name)
	}
}

func (g *gatherer) workers(ctx context.Context) {
	w := &g.s.Workers
	pollers := func(kind enumspb.TaskQueueType) (found []Poller, err error) {
		d, err := g.Temporal.DescribeTaskQueue(ctx, g.TaskQueue, kind)
		for _, p := range d.GetPollers() {
			found = append(found, Poller{Identity: p.GetIdentity(), LastSeen: p.GetLastAccessTime().AsTime()})
		}
		return found, err
	}
	var workflowErr, activityErr error
	together(func() { w.Workflow, workflowErr = pollers(enumspb.TASK_QUEUE_TYPE_WORKFLOW) },
		func() { w.Activity, activityErr = pollers(enumspb.TASK_QUEUE_TYPE_ACTIVITY) })
	w.Error = say(errors.Join(workflowErr, activityErr), "Temporal")
}

func (g *gatherer) schedule(ctx context.Context) {
	sc := &g.s.Schedule
	d, err := g.Temporal.ScheduleClient().GetHandle(ctx, sc.ID).Describe(ctx)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return
	}
	if err != nil {
		sc.Error = say(err, "Temporal")
		return
	}
	sc.Exists, sc.Paused, sc.Note = true, d.Schedule.State.Paused, d.Schedule.State.Note
	if next := d.Info.NextActionTimes; len(next) > 0 && !sc.Paused {
		sc.NextRun = &next[0]
	}
}

// latest gives the newest run of a workflow, nil where there is none, or why it is
// not known.
func (g *gatherer) latest(ctx context.Context, id string) (run *workflowpb.WorkflowExecutionInfo, failure string) {
	d, err := g.Temporal.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil, ""
	}
	return d.GetWorkflowExecutionInfo(), say(err, "Temporal")
}

// newest lists the newest executions that a query finds and keeps the newest of
// each workflow id.
func (g *gatherer) newest(ctx context.Context, query string, n int32) ([]*workflowpb.WorkflowExecutionInfo, error) {
	answer, err := g.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: g.Namespace, PageSize: n, Query: query,
	})
	if err != nil {
		return nil, err
	}
	var order []string
	byID := map[string]*workflowpb.WorkflowExecutionInfo{}
	for _, e := range answer.GetExecutions() {
		id := e.GetExecution().GetWorkflowId()
		known, ok := byID[id]
		if !ok {
			order = append(order, id)
		}
		if !ok || e.GetStartTime().AsTime().After(known.GetStartTime().AsTime()) {
			byID[id] = e
		}
	}
	found := make([]*workflowpb.WorkflowExecutionInfo, len(order))
	for i, id := range order {
		found[i] = byID[id]
	}
	return found, nil
}

// states names how an execution stands.
var states = map[enumspb.WorkflowExecutionStatus]string{
	enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:          Running,
	enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: Running, // its continuation is not listed yet
	enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:        Completed,
	enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:           Failed,
	enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:         Cancelled,
	enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:       Terminated,
	enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        TimedOut,
}

func endOf(e *workflowpb.WorkflowExecutionInfo) *time.Time {
	if e.GetCloseTime() == nil {
		return nil
	}
	t := e.GetCloseTime().AsTime()
	return &t
}

// etl lists the ETL's runs, and asks about the one under way and the newest that
// failed.
func (g *gatherer) etl(ctx context.Context) {
	found, err := g.newest(ctx, "WorkflowType = 'ETLWorkflow'", recentRuns)
	if err != nil {
		g.s.ETL.Error = say(err, "Temporal")
		return
	}
	g.known = true
	for _, e := range found {
		run := Run{
			WorkflowID: e.GetExecution().GetWorkflowId(), runID: e.GetExecution().GetRunId(), State: states[e.GetStatus()],
			StartedAt: e.GetStartTime().AsTime(), EndedAt: endOf(e),
		}
		g.etlRuns = append(g.etlRuns, run)
	}
	failed := false
	var parts []func()
	for i := range g.etlRuns {
		run := &g.etlRuns[i]
		switch {
		case run.State == Running:
			parts = append(parts, func() {
				d := g.describe(ctx, run.WorkflowID, run.runID)
				run.Retry, run.Stuck = d.retry, d.stuck
			})
		case run.State == Failed && !failed:
			failed = true
			parts = append(parts, func() { run.Failure = g.failure(ctx, run.WorkflowID, run.runID) })
		}
	}
	together(parts...)
}

// ingests lists the ingests of the index that did not complete, and asks about
// those that are the newest of their source.
func (g *gatherer) ingests(ctx context.Context) {
	prefix := workflows.IngestPrefix(g.Index)
	found, err := g.newest(ctx, fmt.Sprintf("WorkflowType = 'IngestWorkflow' AND WorkflowId STARTS_WITH '%s'"+
		" AND ExecutionStatus IN ('Running', 'Failed', 'Canceled', 'Terminated', 'TimedOut')", prefix), recentIngests)
	if err != nil {
		g.s.Ingests.Error = say(err, "Temporal")
		return
	}
	var runs []*Ingest
	var parts []func()
	for _, e := range found {
		run := &Ingest{
			WorkflowID: e.GetExecution().GetWorkflowId(), runID: e.GetExecution().GetRunId(), State: states[e.GetStatus()],
			StartedAt: e.GetStartTime().AsTime(), EndedAt: endOf(e),
		}
		runs = append(runs, run)
		parts = append(parts, func() {
			d := g.describe(ctx, run.WorkflowID, run.runID)
			run.Source, run.Retry, run.Stuck = d.source, d.retry, d.stuck
		})
		if run.State != Running {
			parts = append(parts, func() { run.older = !g.isNewest(ctx, run.WorkflowID, run.runID) })
		}
		switch {
		case run.State == Failed:
			parts = append(parts, func() { run.Failure = g.failure(ctx, run.WorkflowID, run.runID) })
		case run.State == Running && len(g.s.Workers.Workflow) > 0:
			parts = append(parts, func() { g.progress(ctx, run) })
		}
	}
	together(parts...)
	for _, run := range runs {
		if run.older {
			continue
		}
		if run.uri != "" {
			run.Source = run.uri
		}
		g.s.Ingests.Runs = append(g.s.Ingests.Runs, *run)
	}
}

// recentIngests is how many ingests that did not complete are looked at.
const recentIngests = 200

// described is what only a look at the run itself tells.
type described struct {
	source string // or the workflow id
	retry  *Retry // of the activity that was tried most often
	stuck  *Stuck
}

// A workflow task takes milliseconds. It counts as stuck after some attempts, or
// when nobody took it for a while.
const (
	stuckAttempts = 3
	stuckAfter    = time.Minute
)

func (g *gatherer) describe(ctx context.Context, id, runID string) described {
	out := described{source: id}
	d, err := g.Temporal.DescribeWorkflowExecution(ctx, id, runID)
	if err != nil {
		return out // the run itself is known from the list
	}
	if p := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoSource]; p != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(p, &out.source); err != nil {
			out.source = id
		}
	}
	for _, p := range d.GetPendingActivities() {
		if f := p.GetLastFailure(); f != nil && p.GetAttempt() > 1 && (out.retry == nil || p.GetAttempt() > out.retry.Attempt) {
			out.retry = &Retry{Activity: p.GetActivityType().GetName(), Attempt: p.GetAttempt(), Failure: f.GetMessage()}
		}
	}
	if t := d.GetPendingWorkflowTask(); t != nil {
		since, taken := t.GetOriginalScheduledTime().AsTime(), t.GetState() == enumspb.PENDING_WORKFLOW_TASK_STATE_STARTED
		if t.GetAttempt() >= stuckAttempts || (!taken && g.s.CheckedAt.Sub(since) > stuckAfter) {
			out.stuck = &Stuck{Attempt: t.GetAttempt(), Since: since, Taken: taken || t.GetAttempt() > 1}
		}
	}
	return out
}

// isNewest tells whether a run is the newest of its workflow. One that cannot be
// asked about counts as that.
func (g *gatherer) isNewest(ctx context.Context, id, runID string) bool {
	d, err := g.Temporal.DescribeWorkflowExecution(ctx, id, "")
	return err != nil || d.GetWorkflowExecutionInfo().GetExecution().GetRunId() == runID
}

// failure tells why a run failed.
func (g *gatherer) failure(ctx context.Context, id, runID string) string {
	err := g.Temporal.GetWorkflow(ctx, id, runID).GetWithOptions(ctx, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	var app *temporal.ApplicationError
	switch {
	case errors.As(err, &app):
		return fmt.Sprintf("%s (%s)", app.Message(), app.Type())
	case err == nil, ctx.Err() != nil:
		return "why is in the Temporal Web UI"
	}
	return err.Error()
}

// progress asks a running ingest where it stands, which stays unknown when no
// worker answers.
func (g *gatherer) progress(ctx context.Context, run *Ingest) {
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	var p workflows.IngestProgress
	answer, err := g.Temporal.QueryWorkflow(ctx, run.WorkflowID, "", workflows.QueryProgress)
	if err != nil || answer.Get(&p) != nil {
		return
	}
	run.uri = p.Source
	run.Progress = &Progress{
		Phase: p.Phase, Release: p.Release, Rows: p.Rows, Percent: percentOf(p.Bytes, p.Size),
		Quarantined: p.Counts.Quarantined, LastError: p.LastError, Held: p.Held,
	}
	if seconds := g.s.CheckedAt.Sub(p.StartedAt).Seconds(); seconds > 0 {
		run.Progress.RowsPerSecond = float64(p.Counts.Rows) / seconds
	}
}

// runs tells whether a workflow runs at this moment. One that cannot be asked
// counts as running: nothing is known against it.
func (g *gatherer) runs(ctx context.Context, id string) bool {
	d, err := g.Temporal.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if err != nil {
		return !errors.As(err, &missing)
	}
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}
