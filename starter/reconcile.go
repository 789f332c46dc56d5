package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

func (a *app) reconcileCommand() *cobra.Command {
	var path string
	var wait time.Duration
	var selfTest bool
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Prove that every record is in exactly one known place",
		Long: `Compare the source, the raw index and the warehouse record by record:

  source records = live in the raw index + superseded + quarantined
  raw documents  = warehouse rows + rejected + retired

and per report date the counts, sums and contents. The exit status is 1 on any
difference, and when the pipeline moves too much to compare.

With --self-test nothing of the pipeline is compared: each kind of corruption is
planted in an index and a warehouse made for that and removed afterwards, and the
exit status is 1 unless the proof finds them all.`,
		Example: "  starter reconcile\n  starter reconcile --source data/activity.csv --json\n  starter reconcile --self-test",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if selfTest {
				if path != "" || c.Flags().Changed("wait") {
					return usagef("--self-test tests the proof on data of its own: leave out --source and --wait")
				}
				return a.selfTest(c.Context())
			}
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
	c.Flags().BoolVar(&selfTest, "self-test", false, "plant corruption in data made for that, and require that the proof finds it")
	return c
}

func (a *app) reconcile(ctx context.Context, in workflows.ReconcileInput) error {
	var r workflows.ReconcileResult
	err := a.awaitProof(ctx, workflows.ReconcileID(a.cfg.Index),
		fmt.Sprintf("Prove that every record of %s is accounted for", a.cfg.Index), &r, workflows.ReconcileWorkflow, in)
	if err != nil {
		return err
	}
	return a.printReconcile(r)
}

func (a *app) selfTest(ctx context.Context) error {
	var r activities.SelfTested
	err := a.awaitProof(ctx, workflows.SelfTestID(a.cfg.Index),
		fmt.Sprintf("Test the proof of %s on data of its own", a.cfg.Index), &r, workflows.SelfTestWorkflow, workflows.SelfTestInput{Index: a.cfg.Index})
	if err != nil {
		return err
	}
	return a.printSelfTest(r)
}

// awaitProof starts a workflow and waits for its result.
func (a *app) awaitProof(ctx context.Context, id, summary string, result, flow, in any) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                temporalclient.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary,
	}, flow, in)
	if err != nil {
		return fmt.Errorf("start the proof: %w", err)
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	if err := run.Get(ctx, result); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The proof goes on without this command, as workflow %s.\n", run.GetID())
			return errSaid
		}
		return fmt.Errorf("nothing is proved: %w", err)
	}
	return nil
}

func (a *app) printSelfTest(r activities.SelfTested) error {
	if a.json {
		if err := a.printJSON(struct {
			OK bool `json:"ok"`
			activities.SelfTested
		}{r.OK(), r}); err != nil {
			return err
		}
	} else if err := a.writeSelfTest(r); err != nil {
		return err
	}
	if !r.OK() {
		return errSaid
	}
	return nil
}

func (a *app) writeSelfTest(r activities.SelfTested) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "PLANTED\tFOUND AS\n")
	for _, p := range r.Planted {
		found := p.Kind
		if p.Found == "" {
			found = "NOT FOUND as " + p.Kind
		}
		fmt.Fprintf(t, "%s\t%s\n", p.What, found)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Missed > 0 {
		fmt.Fprintf(a.out, "NOT passed: the proof misses %d of %d corruptions. Do not rely on this version.\n", r.Missed, len(r.Planted))
	} else {
		fmt.Fprintf(a.out, "Passed: the proof finds all of %d corruptions.\n", len(r.Planted))
	}
	if r.Leftover != "" {
		fmt.Fprintln(a.out, "Remove what is left behind by hand: "+r.Leftover)
	}
	return nil
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
		for _, source := range r.Compared.Sources {
			fmt.Fprintf(a.out, "%s: release %d, %d rows\n", source.Source, source.Release, source.Rows)
		}
		if more := r.Compared.SourceCount - len(r.Compared.Sources); more > 0 {
			fmt.Fprintf(a.out, "and %d more sources\n", more)
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
