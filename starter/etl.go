package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/workflows"
)

func (a *app) etlCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "etl",
		Short: "Run the ETL now, through the schedule's own action",
		Long: `Run the ETL now, through the action of the schedule, and wait for its end. It
works on a paused schedule too. A run that is under way may have planned before
the newest rows came: this one follows it.`,
		Example: "  starter etl",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.etl(c.Context()) },
	}
}

func (a *app) etl(ctx context.Context) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id, runID, err := a.triggerETL(ctx, c)
	if err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.errOut, "The ETL runs as workflow %s.\n", id)
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	go a.hintRetries(watching, c, id)
	var r workflows.ETLResult
	if err := c.GetWorkflow(ctx, id, runID).Get(ctx, &r); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The ETL goes on without this command, as workflow %s.\n", id)
			return errSaid
		}
		return fmt.Errorf("the ETL failed: %w", err)
	}
	return a.printETL(r)
}

// hintRetries says, once for each reason, why a step of a run is tried again.
func (a *app) hintRetries(ctx context.Context, c client.Client, id string) {
	v := &view{out: a.errOut}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			v.noteRetries(ctx, c, id)
		}
	}
}

// triggerETL makes the schedule start a run behind one that is under way, and
// gives its ids. Runs that were triggered within one second share the workflow's.
func (a *app) triggerETL(ctx context.Context, c client.Client) (id, runID string, err error) {
	s := a.scheduleOf(c)
	before, err := s.describe(ctx)
	if err != nil {
		return "", "", err
	}
	if err := s.trigger(ctx); err != nil {
		return "", "", err
	}
	return a.awaitRun(ctx, s, runsOf(before))
}

// awaitRun waits for a run that is not known and gives its ids. A trigger that was
// lost is repeated.
func (a *app) awaitRun(ctx context.Context, s *schedule, known map[string]string) (id, runID string, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began, triggered, said := time.Now(), time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return "", "", errors.New("interrupted before the new run began: it begins when the one under way has ended")
		case <-tick.C:
		}
		now, err := s.describe(ctx)
		if err != nil {
			return "", "", err
		}
		for runID, id := range runsOf(now) {
			if known[runID] == "" {
				return id, runID, nil
			}
		}
		switch {
		case len(now.GetInfo().GetRunningWorkflows()) > 0:
			if !said && time.Since(began) > sayLateAfter {
				said = true
				fmt.Fprintln(a.errOut, "The new run begins when the one under way has ended: waiting.")
			}
			triggered = time.Now() // the new run waits behind it
		case time.Since(triggered) > triggerAgainAfter:
			if err := s.trigger(ctx); err != nil {
				return "", "", err
			}
			triggered = time.Now()
		}
	}
}

// triggerAgainAfter is when a trigger counts as lost: a schedule that was made a
// moment ago may miss one. A run more than needed loads nothing.
const triggerAgainAfter = 10 * time.Second

// runsOf gives the schedule's recent runs: workflow ids by run id.
func runsOf(d *workflowservice.DescribeScheduleResponse) map[string]string {
	ids := map[string]string{}
	for _, r := range d.GetInfo().GetRecentActions() {
		ids[r.GetStartWorkflowResult().GetRunId()] = r.GetStartWorkflowResult().GetWorkflowId()
	}
	return ids
}

func (a *app) printETL(r workflows.ETLResult) error {
	if a.json {
		return a.printJSON(r)
	}
	l := r.Counts.Loaded
	switch {
	case r.Overtaken:
		fmt.Fprintf(a.out, "Run %d was overtaken: another run is loading the same windows and goes on.\n", r.Run)
		return nil
	case r.Counts.Windows == 0:
		fmt.Fprintf(a.out, "Run %d: nothing new. The warehouse holds %d rows and %d rejects.\n", r.Run, r.Finished.Rows, r.Finished.Rejects)
		return nil
	case r.Rescan != "":
		fmt.Fprintf(a.out, "Everything was read (%s); %d rows and rejects of before are gone.\n", r.Rescan, r.Finished.Swept)
	}
	fmt.Fprintf(a.out, "Run %d: %d documents in %d windows: %d inserted, %d updated, %d unchanged, %d moved to rejects, %d rejected, %d retired.\n",
		r.Run, l.Extracted, r.Counts.Windows, l.Inserted, l.Updated, l.Unchanged, l.MovedToRejects, l.Rejected, l.Retired)
	fmt.Fprintf(a.out, "The warehouse holds %d rows and %d rejects.\n", r.Finished.Rows, r.Finished.Rejects)
	if r.Finished.SweepAwaits {
		fmt.Fprintln(a.out, "The index moved on meanwhile: rows that the rescan did not see stay until the next run.")
	}
	return nil
}
