package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/workflows"
)

func (a *app) cancelCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "cancel --source FILE",
		Short: "End a running ingest; the next one continues at its checkpoint",
		Long: `End the running ingest of a source. What it has indexed stays, and its checkpoint
is kept: the next ingest of the same source continues there. It asks for no
confirmation, since nothing is removed.`,
		Example: "  starter ingest cancel --source data/activity.csv",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.cancelIngest(c.Context(), path) },
	}
	sourceFlag(c.Flags(), &path)
	return c
}

// cancelled is the JSON of `starter ingest cancel`.
type cancelled struct {
	WorkflowID string `json:"workflowId"`
	State      string `json:"state"` // cancelled, cancelling or completed
}

func (a *app) cancelIngest(ctx context.Context, path string) error {
	uri, err := canonicalSource(path)
	if err != nil {
		return err
	}
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := workflows.IngestID(a.cfg.Index, uri)
	// The server takes a cancellation of a workflow that has ended for a success.
	d, err := c.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) || err == nil && d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return a.noIngest(uri)
	}
	if err == nil {
		err = c.CancelWorkflow(ctx, id, "")
	}
	if err != nil {
		return fmt.Errorf("cancel the ingest: %w", err)
	}
	return a.printCancelled(ctx, c.GetWorkflow(ctx, id, ""), uri)
}

// printCancelled says how a run ended that was asked to. The request is kept by the
// server, so that a run that does not end soon ends later.
func (a *app) printCancelled(ctx context.Context, run client.WorkflowRun, uri string) error {
	within, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	err := run.Get(within, nil)
	said := cancelled{WorkflowID: run.GetID(), State: "cancelled"}
	next := fmt.Sprintf("What it has indexed stays; the next `starter ingest --source %s` continues at its checkpoint.", uri)
	text := "The ingest is cancelled. " + next
	switch {
	case err == nil:
		said.State, text = "completed", "The ingest had completed before it could be cancelled."
	case temporal.IsCanceledError(err):
	case within.Err() != nil:
		said.State = "cancelling"
		text = "The ingest is asked to end: it does when its batches under way have ended, or when a worker runs. " + next
	default:
		return fmt.Errorf("the ingest failed before it could be cancelled: %w", err)
	}
	if a.json {
		return a.printJSON(said)
	}
	_, err = fmt.Fprintln(a.out, text)
	return err
}

// noIngest is the error for a message to an ingest that does not run.
func (a *app) noIngest(uri string) error {
	return fmt.Errorf("no ingest of %s into %s is running", uri, a.cfg.Index)
}
