package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/temporalproto"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// wantedSchedule is the schedule as plain data: each full hour, one run at a
// time. An hour that is missed costs nothing, since the cursor catches up; one
// run is made up for when the server was away at the full hour.
func (a *app) wantedSchedule() (*schedulepb.Schedule, error) {
	input, err := converter.GetDefaultDataConverter().ToPayloads(workflows.ETLInput{Index: a.cfg.Index})
	if err != nil {
		return nil, fmt.Errorf("encode the schedule's input: %w", err)
	}
	summary, err := converter.GetDefaultDataConverter().ToPayload(fmt.Sprintf("Load what is new in %s into the warehouse", a.cfg.Index))
	if err != nil {
		return nil, fmt.Errorf("encode the schedule's summary: %w", err)
	}
	return &schedulepb.Schedule{
		Spec: &schedulepb.ScheduleSpec{StructuredCalendar: []*schedulepb.StructuredCalendarSpec{{
			Second:     []*schedulepb.Range{{Start: 0, End: 0, Step: 1}},
			Minute:     []*schedulepb.Range{{Start: 0, End: 0, Step: 1}},
			Hour:       []*schedulepb.Range{{Start: 0, End: 23, Step: 1}},
			DayOfMonth: []*schedulepb.Range{{Start: 1, End: 31, Step: 1}},
			Month:      []*schedulepb.Range{{Start: 1, End: 12, Step: 1}},
			DayOfWeek:  []*schedulepb.Range{{Start: 0, End: 6, Step: 1}},
			Comment:    "every full hour",
		}}},
		Action: &schedulepb.ScheduleAction{Action: &schedulepb.ScheduleAction_StartWorkflow{
			StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{
				WorkflowId:   workflows.ETLWorkflowID,
				WorkflowType: &commonpb.WorkflowType{Name: "ETLWorkflow"},
				TaskQueue:    &taskqueuepb.TaskQueue{Name: temporalclient.TaskQueue},
				Input:        input,
				UserMetadata: &sdkpb.UserMetadata{Summary: summary},
			},
		}},
		Policies: &schedulepb.SchedulePolicies{
			OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
			CatchupWindow: durationpb.New(workflows.ScheduleEvery),
		},
	}, nil
}

// applied is what apply did, or would do.
type applied struct {
	Schedule string   `json:"schedule"`
	Done     string   `json:"done"`
	Changes  []change `json:"changes"`
}

// change is one thing of the schedule that differs from the wanted one.
type change struct {
	What string `json:"what"`
	Now  string `json:"now"`
	Want string `json:"want"`
}

// applySchedule reconciles the schedule, or says what it would do. It repeats what
// somebody else's change at the same moment has undone.
func (a *app) applySchedule(ctx context.Context, s *schedule, dryRun bool) (applied, error) {
	for try := 1; ; try++ {
		done, err := a.applyOnce(ctx, s, dryRun)
		if !errors.Is(err, errPatchLost) || try == applyTries {
			return done, err
		}
	}
}

// applyTries is how often apply tries against changes of others.
const applyTries = 3

// applyOnce reconciles the schedule once. errPatchLost when the server has not taken
// the change: it drops one that was made from an older state, without an error.
func (a *app) applyOnce(ctx context.Context, s *schedule, dryRun bool) (applied, error) {
	done := applied{Schedule: workflows.ScheduleID, Changes: []change{}}
	want, err := a.wantedSchedule()
	if err != nil {
		return done, err
	}
	if err := errors.Join(a.checkAttributes(ctx, s), a.checkWarehouse(ctx)); err != nil {
		return done, err
	}
	now, err := s.describe(ctx)
	switch {
	case errors.Is(err, errNoSchedule):
		if done.Done = "would be created"; dryRun {
			return done, nil
		}
		done.Done = "created"
		_, err := s.service.CreateSchedule(ctx, &workflowservice.CreateScheduleRequest{
			Namespace: a.namespace, ScheduleId: workflows.ScheduleID, Schedule: want, RequestId: uuid.NewString(),
		})
		var already *serviceerror.WorkflowExecutionAlreadyStarted
		if errors.As(err, &already) { // by another apply at the same time
			return done, errPatchLost
		}
		if err != nil {
			return done, fmt.Errorf("create the schedule: %w", err)
		}
		return done, nil
	case err != nil:
		return done, err
	}
	if done.Changes, err = differences(now.GetSchedule(), want); err != nil {
		return done, err
	}
	switch {
	case len(done.Changes) == 0:
		done.Done = "nothing to change"
		return done, nil
	case dryRun:
		done.Done = "would be updated"
		return done, nil
	}
	done.Done = "updated"
	want.State = keptState(now.GetSchedule())
	_, err = s.service.UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
		Namespace: a.namespace, ScheduleId: workflows.ScheduleID, Schedule: want, RequestId: uuid.NewString(),
		ConflictToken: now.GetConflictToken(),
	})
	if err != nil {
		return done, s.error("update", err)
	}
	return done, s.await(ctx, func(d *workflowservice.DescribeScheduleResponse) bool {
		left, err := differences(d.GetSchedule(), want)
		return err == nil && len(left) == 0
	})
}

// keptState is what of the schedule's state is the operator's.
func keptState(s *schedulepb.Schedule) *schedulepb.ScheduleState {
	return &schedulepb.ScheduleState{Paused: s.GetState().GetPaused(), Notes: s.GetState().GetNotes()}
}

// checkAttributes refuses a namespace without the search attributes: a run that
// sets one that is not registered hangs, with nothing to look at.
func (a *app) checkAttributes(ctx context.Context, s *schedule) error {
	missing, err := temporalclient.MissingAttributes(ctx, s.c, a.namespace)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%s, or start a worker: it registers them if it may", temporalclient.AddAttributes(a.namespace, missing))
	}
	return err
}

// checkWarehouse refuses to schedule runs of an index that the warehouse does not
// belong to. A warehouse that cannot be asked from here is the runs' to find.
func (a *app) checkWarehouse(ctx context.Context) error {
	if a.cfg.Database.URL == "" {
		return nil
	}
	db, err := a.warehouse(ctx)
	if err == nil {
		defer db.Close()
		_, _, err = db.State(ctx, a.cfg.Index)
	}
	if errors.Is(err, warehouse.ErrOtherIndex) {
		return fmt.Errorf("the runs would fail: %w", err)
	}
	return nil
}

// differences compares what apply is responsible for.
func differences(now, want *schedulepb.Schedule) ([]change, error) {
	changes := []change{}
	have, err := describeSchedule(now)
	if err != nil {
		return nil, err
	}
	wanted, err := describeSchedule(want)
	if err != nil {
		return nil, err
	}
	for i, w := range wanted {
		if have[i].text != w.text {
			changes = append(changes, change{What: w.what, Now: have[i].text, Want: w.text})
		}
	}
	return changes, nil
}

// fact is one thing of a schedule as text.
type fact struct{ what, text string }

func describeSchedule(s *schedulepb.Schedule) ([]fact, error) {
	run, decode := s.GetAction().GetStartWorkflow(), converter.GetDefaultDataConverter()
	var errs []error
	text := func(m proto.Message) string {
		if proto.Size(m) == 0 { // absent, or a time of zero: no limit
			return ""
		}
		b, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(m)
		var plain any // the encoder varies its white space on purpose
		if err == nil {
			err = json.Unmarshal(b, &plain)
		}
		if err == nil {
			b, err = json.Marshal(plain)
		}
		errs = append(errs, err)
		return string(b)
	}
	return []fact{
		{"times", text(s.GetSpec())},
		{"runs at most", limit(s.GetState())},
		{"policies", text(s.GetPolicies())},
		{"workflow id", run.GetWorkflowId()},
		{"workflow type", run.GetWorkflowType().GetName()},
		{"task queue", run.GetTaskQueue().GetName()},
		{"input", strings.Join(decode.ToStrings(run.GetInput()), " ")},
		{"summary", decode.ToString(run.GetUserMetadata().GetSummary())},
		{"execution timeout", text(run.GetWorkflowExecutionTimeout())},
		{"run timeout", text(run.GetWorkflowRunTimeout())},
		{"retry policy", text(run.GetRetryPolicy())},
		{"memo", text(run.GetMemo())},
		{"search attributes", text(run.GetSearchAttributes())},
	}, errors.Join(errs...)
}

// limit gives how many runs a schedule may still start, or "".
func limit(s *schedulepb.ScheduleState) string {
	if !s.GetLimitedActions() {
		return ""
	}
	return fmt.Sprint(s.GetRemainingActions())
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (a *app) printApplied(done applied) error {
	if a.json {
		return a.printJSON(done)
	}
	fmt.Fprintf(a.out, "Schedule %s: %s.\n", done.Schedule, done.Done)
	for _, c := range done.Changes {
		fmt.Fprintf(a.out, "  %s\n    - %s\n    + %s\n", c.What, orNone(c.Now), orNone(c.Want))
	}
	return nil
}
