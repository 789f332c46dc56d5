package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"covidpipeline/workflows"
)

// shown is the schedule as `starter schedule show --json` prints it.
type shown struct {
	Schedule string     `json:"schedule"`
	Times    string     `json:"times"` // when it runs
	Paused   bool       `json:"paused"`
	Note     string     `json:"note"`
	Next     *time.Time `json:"next"`    // null while it is paused
	Running  []string   `json:"running"` // ids of the runs under way
	Recent   []shownRun `json:"recent"`  // newest first
	Runs     int64      `json:"runs"`    // since it was created
	Skipped  int64      `json:"skipped"` // since another run was under way
	Missed   int64      `json:"missed"`  // since the server was away for too long
}

// shownRun is a run that the schedule started.
type shownRun struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Status  string    `json:"status"`
}

func (a *app) showSchedule(ctx context.Context, s *schedule) error {
	d, err := s.describe(ctx)
	if err != nil {
		return err
	}
	info, state := d.GetInfo(), d.GetSchedule().GetState()
	v := shown{
		Schedule: workflows.ScheduleID, Times: times(d.GetSchedule().GetSpec()), Paused: state.GetPaused(), Note: state.GetNotes(), Running: []string{}, Recent: []shownRun{},
		Runs: info.GetActionCount(), Skipped: info.GetOverlapSkipped(), Missed: info.GetMissedCatchupWindow(),
	}
	if next := info.GetFutureActionTimes(); len(next) > 0 && !v.Paused {
		at := next[0].AsTime()
		v.Next = &at
	}
	for _, r := range info.GetRunningWorkflows() {
		v.Running = append(v.Running, r.GetWorkflowId())
	}
	for i := len(info.GetRecentActions()) - 1; i >= 0; i-- {
		r := info.GetRecentActions()[i]
		status, err := s.statusOf(ctx, r)
		if err != nil {
			return err
		}
		v.Recent = append(v.Recent, shownRun{ID: r.GetStartWorkflowResult().GetWorkflowId(), Started: r.GetActualTime().AsTime(), Status: status})
	}
	if a.json {
		return a.printJSON(v)
	}
	a.printSchedule(v)
	return nil
}

// statusOf tells how a run stands. The schedule itself learns late that one has
// ended, and takes runs of one second, which share an id, for each other.
func (s *schedule) statusOf(ctx context.Context, r *schedulepb.ScheduleActionResult) (string, error) {
	run := r.GetStartWorkflowResult()
	d, err := s.c.DescribeWorkflowExecution(ctx, run.GetWorkflowId(), run.GetRunId())
	if err == nil && d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		d, err = s.c.DescribeWorkflowExecution(ctx, run.GetWorkflowId(), "")
	}
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return "forgotten", nil // its history is older than the namespace keeps
	case err != nil:
		return "", fmt.Errorf("look at the run %s: %w", run.GetWorkflowId(), err)
	}
	return d.GetWorkflowExecutionInfo().GetStatus().String(), nil
}

// times names when a schedule runs: by its comments, or as it stands.
func times(spec *schedulepb.ScheduleSpec) string {
	var comments []string
	for _, c := range spec.GetStructuredCalendar() {
		if c.GetComment() != "" {
			comments = append(comments, c.GetComment())
		}
	}
	if len(comments) == 0 || len(comments) < len(spec.GetStructuredCalendar())+len(spec.GetInterval()) {
		return "other times than `starter schedule apply` sets"
	}
	return strings.Join(comments, ", ")
}

func (a *app) printSchedule(v shown) {
	state := "active"
	if v.Paused {
		state = "PAUSED"
	}
	if v.Note != "" {
		state += ", note: " + v.Note
	}
	fmt.Fprintf(a.out, "Schedule %s, %s: %s\n", v.Schedule, v.Times, oneLine(state))
	if v.Next != nil {
		fmt.Fprintf(a.out, "Next run: %s, in %s\n", v.Next.Format(time.RFC3339), time.Until(*v.Next).Round(time.Second))
	}
	fmt.Fprintf(a.out, "Runs: %d, skipped since one was under way: %d, missed: %d\n", v.Runs, v.Skipped, v.Missed)
	for _, r := range v.Recent {
		fmt.Fprintf(a.out, "  %s  %s  %s\n", r.Started.Format(time.RFC3339), r.ID, r.Status)
	}
}

func (a *app) pauseSchedule(ctx context.Context, s *schedule, paused bool, reason string) error {
	if reason == "" {
		return usagef("--reason is empty: whoever finds the schedule wants to know why")
	}
	patch, done := &schedulepb.SchedulePatch{Unpause: reason}, "active"
	if paused {
		patch, done = &schedulepb.SchedulePatch{Pause: reason}, "paused; a run under way goes on"
	}
	if err := s.patch(ctx, "change", patch); err != nil {
		return err
	}
	err := s.await(ctx, func(d *workflowservice.DescribeScheduleResponse) bool {
		state := d.GetSchedule().GetState()
		return state.GetPaused() == paused && state.GetNotes() == reason
	})
	if err != nil {
		return err
	}
	return a.printDone(done)
}

func (a *app) triggerSchedule(ctx context.Context, s *schedule) error {
	before, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if err := s.trigger(ctx); err != nil {
		return err
	}
	done := ""
	err = s.await(ctx, func(d *workflowservice.DescribeScheduleResponse) bool {
		switch {
		case d.GetInfo().GetActionCount() > before.GetInfo().GetActionCount():
			recent := d.GetInfo().GetRecentActions()
			done = "started " + recent[len(recent)-1].GetStartWorkflowResult().GetWorkflowId()
		case d.GetInfo().GetBufferSize() > 0:
			done = "a run begins when the one under way has ended"
		}
		return done != ""
	})
	if err != nil {
		return err
	}
	return a.printDone(done)
}

// backfillAtMost is the longest backfill, in hours.
const backfillAtMost = 24

func (a *app) backfillSchedule(ctx context.Context, s *schedule, from, to time.Time) error {
	hours := int64(to.Truncate(time.Hour).Sub(from.Add(-time.Nanosecond).Truncate(time.Hour)) / time.Hour)
	if hours > backfillAtMost {
		return usagef("that is %d hours, at most %d can be taken at once: the server would start run after run for each", hours, backfillAtMost)
	}
	if hours == 0 {
		return usagef("there is no full hour from %s to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	before, err := s.describe(ctx)
	if err != nil {
		return err
	}
	err = s.patch(ctx, "backfill", &schedulepb.SchedulePatch{BackfillRequest: []*schedulepb.BackfillRequest{{
		StartTime: timestamppb.New(from), EndTime: timestamppb.New(to), OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	}}})
	if err != nil {
		return err
	}
	var started, skipped int64
	err = s.await(ctx, func(d *workflowservice.DescribeScheduleResponse) bool {
		started = d.GetInfo().GetActionCount() - before.GetInfo().GetActionCount()
		skipped = d.GetInfo().GetOverlapSkipped() - before.GetInfo().GetOverlapSkipped()
		return started+skipped >= hours
	})
	if err != nil && !(errors.Is(err, errPatchLost) && started+skipped > 0) { // what there is of it counts
		return err
	}
	return a.printDone(fmt.Sprintf("%d hours: runs started %d, skipped since one was under way %d; each run loads everything that is new", hours, started, skipped))
}
