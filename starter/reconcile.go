package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

func (a *app) reconcileCommand() *cobra.Command {
	var path string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Prove that every record is in exactly one known place",
		Long: `Compare the source, the raw index and the warehouse record by record:

  source records = live in the raw index + superseded + quarantined
  raw documents  = warehouse rows + rejected + retired

and per report date the counts, sums and contents. The exit status is 1 on any
difference, and when the pipeline moves too much to compare.`,
		Example: "  starter reconcile\n  starter reconcile --source data/activity.csv --json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in := workflows.ReconcileInput{Index: a.cfg.Index, Wait: wait}
			if path != "" {
				var err error
				if in.Source, err = canonicalSource(path); err != nil {
					return err
				}
			}
			return a.reconcile(c.Context(), in)
		},
	}
	c.Flags().StringVar(&path, "source", "", "compare this source alone; without it all that were ingested")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the ETL to catch up")
	return c
}

func (a *app) reconcile(ctx context.Context, in workflows.ReconcileInput) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.ReconcileID(a.cfg.Index),
		TaskQueue:                                temporalclient.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Prove that every record of %s is accounted for", a.cfg.Index),
	}, workflows.ReconcileWorkflow, in)
	if err != nil {
		return fmt.Errorf("start the proof: %w", err)
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	var r workflows.ReconcileResult
	if err := run.Get(ctx, &r); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The proof goes on without this command, as workflow %s.\n", run.GetID())
			return errSaid
		}
		return fmt.Errorf("nothing is proved: %w", err)
	}
	return a.printReconcile(r)
}

func (a *app) printReconcile(r workflows.ReconcileResult) error {
	switch {
	case a.json:
		if err := a.printJSON(struct {
			OK bool `json:"ok"`
			workflows.ReconcileResult
		}{r.OK(), r}); err != nil {
			return err
		}
	case r.Busy != "":
		fmt.Fprintf(a.out, "Busy: %s.\n", r.Busy)
	default:
		for _, release := range r.Snapshot.Releases {
			fmt.Fprintf(a.out, "%s: release %d, %d rows\n", release.Source, release.Number, release.Checkpoint.Row)
		}
		if err := r.Compared.Report.WriteText(a.out); err != nil {
			return err
		}
		for _, note := range r.Compared.Notes {
			fmt.Fprintln(a.out, "Note: "+note)
		}
		for _, problem := range r.Compared.Problems {
			fmt.Fprintln(a.out, "PROBLEM: "+problem)
		}
	}
	if !r.OK() {
		return errSaid
	}
	return nil
}
