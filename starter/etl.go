package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
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
	id, err := a.triggerETL(ctx, c)
	if err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.errOut, "The ETL runs as workflow %s.\n", id)
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	var r workflows.ETLResult
	if err := c.GetWorkflow(ctx, id, "").Get(ctx, &r); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The ETL goes on without this command, as workflow %s.\n", id)
			return errSaid
		}
		return fmt.Errorf("the ETL failed: %w", err)
	}
	return a.printETL(r)
}

// triggerETL makes the schedule start a run behind one that is under way, and
// gives the id of the new run.
func (a *app) triggerETL(ctx context.Context, c client.Client) (string, error) {
	schedule := c.ScheduleClient().GetHandle(ctx, workflows.ScheduleID)
	before, err := describe(ctx, schedule)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return "", fmt.Errorf("there is no schedule %s: create it with `starter schedule apply`", workflows.ScheduleID)
	}
	if err != nil {
		return "", fmt.Errorf("look at the schedule: %w", err)
	}
	trigger := func() error {
		err := schedule.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
		if err != nil {
			return fmt.Errorf("trigger the schedule: %w", err)
		}
		return nil
	}
	if err := trigger(); err != nil {
		return "", err
	}
	return a.awaitRun(ctx, schedule, runsOf(before), trigger)
}

// awaitRun waits for a run that is not known and gives its id. A trigger that was
// lost is repeated.
func (a *app) awaitRun(ctx context.Context, schedule client.ScheduleHandle, known map[string]bool, trigger func() error) (string, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late, triggered := time.After(sayLateAfter), time.Now()
	for {
		select {
		case <-ctx.Done():
			return "", errors.New("interrupted before the new run began: it begins when the one under way has ended")
		case <-late:
			fmt.Fprintln(a.errOut, "The new run begins when the one under way has ended: waiting.")
			continue
		case <-tick.C:
		}
		now, err := describe(ctx, schedule)
		if err != nil {
			return "", fmt.Errorf("look at the schedule: %w", err)
		}
		for id := range runsOf(now) {
			if !known[id] {
				return id, nil
			}
		}
		switch {
		case len(now.Info.RunningWorkflows) > 0:
			triggered = time.Now() // the new run waits behind it
		case time.Since(triggered) > triggerAgainAfter:
			if err := trigger(); err != nil {
				return "", err
			}
			triggered = time.Now()
		}
	}
}

// triggerAgainAfter is when a trigger counts as lost: a schedule that was made a
// moment ago may miss one. A run more than needed loads nothing.
const triggerAgainAfter = 10 * time.Second

// scheduleWithin is how long the server may take to answer about a schedule. In a
// new namespace it needs some seconds before its schedules answer.
const scheduleWithin = time.Minute

// describe asks about a schedule until the server answers: the SDK gives up
// after 10 s.
func describe(ctx context.Context, schedule client.ScheduleHandle) (*client.ScheduleDescription, error) {
	for deadline := time.Now().Add(scheduleWithin); ; {
		d, err := schedule.Describe(ctx)
		var late *serviceerror.DeadlineExceeded
		if ctx.Err() != nil || time.Now().After(deadline) || !(errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)) {
			return d, err
		}
	}
}

// runsOf gives the ids of the schedule's recent runs.
func runsOf(d *client.ScheduleDescription) map[string]bool {
	ids := map[string]bool{}
	for _, r := range d.Info.RecentActions {
		if r.StartWorkflowResult != nil {
			ids[r.StartWorkflowResult.WorkflowID] = true
		}
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
