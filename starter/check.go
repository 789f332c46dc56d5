package main

import (
	"context"
	"fmt"
	"path/filepath"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// check prints the judgement of a source, and fails when an ingest would be held.
func (a *app) check(ctx context.Context, uri string, limits activities.Limits) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.CheckID(a.cfg.Index, uri),
		TaskQueue:                                temporalclient.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Judge %s for %s", filepath.Base(uri), a.cfg.Index),
	}, workflows.CheckWorkflow, workflows.CheckInput{Index: a.cfg.Index, Source: uri, Limits: limits})
	if err != nil {
		return fmt.Errorf("start the check: %w", err)
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	var j activities.Judgement
	if err := run.Get(ctx, &j); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The check goes on without this command, as workflow %s.\n", run.GetID())
			return errSaid
		}
		return fmt.Errorf("nothing is known of %s: %w", uri, err)
	}
	return a.printCheck(uri, j)
}

func (a *app) printCheck(uri string, j activities.Judgement) error {
	if a.json {
		if err := a.printJSON(struct {
			Source string `json:"source"`
			activities.Judgement
		}{uri, j}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%s: %d records, %d for the quarantine, %d for the rejects\n", uri, j.Records, j.Quarantined, j.Rejected)
		for _, r := range j.Reasons {
			fmt.Fprintf(a.out, "  %d: %s\n", r.Count, r.Reason)
		}
		fmt.Fprintf(a.out, "%d of the %d live keys of this source would be retired.\n", j.Vanishing, j.Live)
		if j.Held == "" {
			fmt.Fprintln(a.out, "An ingest would not be held.")
		} else {
			fmt.Fprintf(a.out, "An ingest would be held: %s.\n", j.Held)
		}
	}
	if j.Held != "" {
		return errSaid
	}
	return nil
}
