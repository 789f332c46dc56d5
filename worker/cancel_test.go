package main

import (
	"context"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// An attempt is under way when its ingest is cancelled, and fails before it has
// noticed that: the server then reports the failure in place of the cancellation.
func TestACancelledIngestWhoseStepFailsIsCancelled(t *testing.T) {
	t.Parallel()
	address, namespace := testenv.Temporal(t)
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := &pipeline{T: t, c: c, index: "cancelled"}
	underWay, goOn := make(chan struct{}), make(chan struct{})
	w := worker.New(c, temporalclient.TaskQueue, worker.Options{})
	w.RegisterWorkflow(workflows.IngestWorkflow)
	w.RegisterActivityWithOptions(func(context.Context, activities.RegisterInput) (activities.Registered, error) {
		close(underWay)
		<-goOn
		return activities.Registered{}, temporal.NewApplicationError("no such file on this machine", activities.ErrTypeSourceNotHere)
	}, activity.RegisterOptions{Name: "RegisterRelease"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	run := p.startIngest("/data/none.csv", workflows.IngestOptions{})
	<-underWay
	if err := c.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()); err != nil {
		t.Fatal(err)
	}
	p.await("the request to cancel the attempt", func() bool {
		return p.has(run, enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
	})
	close(goOn)
	if err := run.Get(t.Context(), nil); !temporal.IsCanceledError(err) {
		t.Errorf("ended with %v", err)
	}
	if !p.has(run, enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED) {
		t.Error("the attempt did not fail")
	}
}

// has reports whether the history of a run has an event of a type.
func (p *pipeline) has(run client.WorkflowRun, event enumspb.EventType) bool {
	p.Helper()
	events := p.c.GetWorkflowHistory(p.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			p.Fatal(err)
		}
		if e.GetEventType() == event {
			return true
		}
	}
	return false
}
