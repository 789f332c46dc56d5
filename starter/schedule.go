package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/workflows"
)

func (a *app) scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "The hourly ETL schedule " + workflows.ScheduleID,
		Long: `The hourly ETL schedule ` + workflows.ScheduleID + `. tctl schedule and temporal schedule do the
same from outside; what they change (a pause, a note) is respected.`,
		RunE: func(*cobra.Command, []string) error {
			return usagef("schedule needs a verb: apply, show, pause, resume, trigger, backfill or delete; see `starter schedule --help`")
		},
	}
	c.AddCommand(a.scheduleApplyCommand(), a.scheduleShowCommand(),
		a.schedulePauseCommand("pause", "Start no runs until it is resumed", true),
		a.schedulePauseCommand("resume", "Start runs again", false),
		a.scheduleTriggerCommand(), a.scheduleBackfillCommand(), a.scheduleDeleteCommand())
	return c
}

func (a *app) scheduleApplyCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "apply",
		Short: "Create the schedule, or update what differs",
		Long: `Create the schedule, or update its times, action and policies where they differ,
and print each difference. Whether it is paused, and the note, are the operator's
and stay.`,
		Example: "  starter schedule apply --dry-run\n  starter schedule apply",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c.Context(), func(ctx context.Context, s *schedule) error {
				done, err := a.applySchedule(ctx, s, dryRun)
				if err != nil {
					return err
				}
				return a.printApplied(done)
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be changed and change nothing")
	return c
}

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Its state, the next runs and the latest ones",
		Example: "  starter schedule show",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c.Context(), a.showSchedule)
		},
	}
}

func (a *app) schedulePauseCommand(verb, short string, paused bool) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     verb,
		Short:   short,
		Example: "  starter schedule " + verb + ` --reason "the warehouse moves"`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c.Context(), func(ctx context.Context, s *schedule) error {
				return a.pauseSchedule(ctx, s, paused, reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", verb+"d with starter", "kept as the schedule's note")
	return c
}

func (a *app) scheduleTriggerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trigger",
		Short: "Start a run now and return",
		Long: `Start a run now, or behind the one under way, and return. It works on a paused
schedule too. "starter etl" does the same and waits for the run's end.`,
		Example: "  starter schedule trigger",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c.Context(), a.triggerSchedule)
		},
	}
}

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "backfill --from TIME --to TIME",
		Short: "Take the runs of past hours now",
		Long: `Take the runs of past hours now, at most 24. That is never needed: each run loads
everything that is new, however many hours were missed. The hours are due at once,
so most of them find a run under way and are skipped.`,
		Example: "  starter schedule backfill --from 2026-01-01T00:00:00Z --to 2026-01-01T06:00:00Z",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			begin, end, err := backfillTimes(from, to)
			if err != nil {
				return err
			}
			return a.onSchedule(c.Context(), func(ctx context.Context, s *schedule) error {
				return a.backfillSchedule(ctx, s, begin, end)
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "first time, as 2026-01-01T00:00:00Z (required)")
	c.Flags().StringVar(&to, "to", "", "last time (required)")
	return c
}

func backfillTimes(from, to string) (begin, end time.Time, err error) {
	for _, flag := range []struct {
		name, value string
		into        *time.Time
	}{{"from", from, &begin}, {"to", to, &end}} {
		if *flag.into, err = time.Parse(time.RFC3339, flag.value); err != nil {
			return begin, end, usagef("--%s is %q: a time such as 2026-01-01T00:00:00Z", flag.name, flag.value)
		}
	}
	if end.Before(begin) {
		return begin, end, usagef("--to is before --from")
	}
	return begin, end, nil
}

func (a *app) scheduleDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete",
		Short:   "Remove the schedule; a run under way goes on",
		Example: "  starter schedule delete",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c.Context(), func(ctx context.Context, s *schedule) error {
				_, err := s.service.DeleteSchedule(ctx, &workflowservice.DeleteScheduleRequest{Namespace: s.namespace, ScheduleId: workflows.ScheduleID})
				if err != nil {
					return s.error("delete", err)
				}
				return a.printDone("deleted; `starter schedule apply` creates it again")
			})
		},
	}
}

// schedule is the server's side of the schedule.
type schedule struct {
	service   workflowservice.WorkflowServiceClient
	namespace string
	c         client.Client
}

// onSchedule does something to the schedule within a time that an answer needs at
// most.
func (a *app) onSchedule(ctx context.Context, do func(context.Context, *schedule) error) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, scheduleWithin)
	defer cancel()
	return do(ctx, a.scheduleOf(c))
}

// scheduleWithin is how long the server may take to answer about a schedule. In a
// new namespace it needs some seconds before its schedules answer.
const scheduleWithin = time.Minute

func (a *app) scheduleOf(c client.Client) *schedule {
	return &schedule{service: c.WorkflowService(), namespace: a.namespace, c: c}
}

// describe asks until the server answers: while it restarts a schedule or is busy,
// a question can get lost.
func (s *schedule) describe(ctx context.Context) (*workflowservice.DescribeScheduleResponse, error) {
	for {
		began := time.Now()
		once, cancel := context.WithTimeout(ctx, describeWithin)
		d, err := s.service.DescribeSchedule(once, &workflowservice.DescribeScheduleRequest{Namespace: s.namespace, ScheduleId: workflows.ScheduleID})
		cancel()
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil || !(lostQuestion(err) || time.Since(began) > describeWithin/2) {
			return nil, s.error("look at", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(describeAgain):
		}
	}
}

// lostQuestion tells that the server was too busy to take a question.
func lostQuestion(err error) bool {
	var exhausted *serviceerror.ResourceExhausted
	var unavailable *serviceerror.Unavailable
	return errors.As(err, &exhausted) || errors.As(err, &unavailable)
}

// describeAgain is how long a busy server is left alone.
const describeAgain = 300 * time.Millisecond

// describeWithin is how long one question about the schedule may take. The server
// needs 5 s when it has to look for another worker that holds the schedule.
const describeWithin = 10 * time.Second

func (s *schedule) patch(ctx context.Context, verb string, p *schedulepb.SchedulePatch) error {
	_, err := s.service.PatchSchedule(ctx, &workflowservice.PatchScheduleRequest{
		Namespace: s.namespace, ScheduleId: workflows.ScheduleID, Patch: p, RequestId: uuid.NewString(),
	})
	if err != nil {
		return s.error(verb, err)
	}
	return nil
}

// trigger asks for a run behind the one under way, which may have planned before
// the newest rows came.
func (s *schedule) trigger(ctx context.Context) error {
	return s.patch(ctx, "trigger", &schedulepb.SchedulePatch{
		TriggerImmediately: &schedulepb.TriggerImmediatelyRequest{OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE},
	})
}

// await looks at the schedule until a condition holds. A patch that is not yet
// carried out is replaced by the next one, so each is waited for. errPatchLost when
// the condition does not hold in time.
func (s *schedule) await(ctx context.Context, holds func(*workflowservice.DescribeScheduleResponse) bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patchWithin)
	for {
		d, err := s.describe(ctx)
		if err != nil || holds(d) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted before the schedule showed the change: look with `starter schedule show`")
		case <-late:
			return errPatchLost
		case <-tick.C:
		}
	}
}

// patchWithin is how long the server may take to carry out a patch.
const patchWithin = 15 * time.Second

var errPatchLost = errors.New("the schedule does not show the change: the server may be busy, or another change took its place; look with `starter schedule show` and try again")

// error says what could not be done to the schedule.
func (*schedule) error(verb string, err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return errNoSchedule
	}
	return fmt.Errorf("%s the schedule: %w", verb, err)
}

var errNoSchedule = fmt.Errorf("there is no schedule %s: create it with `starter schedule apply`", workflows.ScheduleID)

func (a *app) printDone(done string) error {
	if a.json {
		return a.printJSON(map[string]string{"schedule": workflows.ScheduleID, "done": done})
	}
	fmt.Fprintf(a.out, "Schedule %s: %s.\n", workflows.ScheduleID, done)
	return nil
}
