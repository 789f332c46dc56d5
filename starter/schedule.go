package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

func (a *app) scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "The hourly ETL schedule " + workflows.ScheduleID,
		RunE: func(*cobra.Command, []string) error {
			return usagef("schedule needs a verb: apply; pausing and triggering is done with `tctl schedule` or `temporal schedule`")
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "apply",
		Short: "Create the schedule, or update what differs",
		Long: `Create the schedule, or update its times, action and policies where they differ.
Whether it is paused, and the note, are the operator's and stay.`,
		Example: "  starter schedule apply",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tc, err := a.temporal(c.Context())
			if err != nil {
				return err
			}
			defer tc.Close()
			done, err := a.applySchedule(c.Context(), tc)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"schedule": workflows.ScheduleID, "done": done})
			}
			fmt.Fprintf(a.out, "Schedule %s: %s.\n", workflows.ScheduleID, done)
			return nil
		},
	})
	return c
}

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

// applySchedule reconciles the schedule and says what it did.
func (a *app) applySchedule(ctx context.Context, c client.Client) (string, error) {
	want, err := a.wantedSchedule()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, scheduleWithin)
	defer cancel()
	service := c.WorkflowService()
	now, err := service.DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{Namespace: a.namespace, ScheduleId: workflows.ScheduleID})
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		_, err := service.CreateSchedule(ctx, &workflowservice.CreateScheduleRequest{
			Namespace: a.namespace, ScheduleId: workflows.ScheduleID, Schedule: want, RequestId: uuid.NewString(),
		})
		if err != nil {
			return "", fmt.Errorf("create the schedule: %w", err)
		}
		return "created", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at the schedule: %w", err)
	}
	if sameSchedule(now.GetSchedule(), want) {
		return "nothing to change", nil
	}
	want.State = now.GetSchedule().GetState()
	_, err = service.UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
		Namespace: a.namespace, ScheduleId: workflows.ScheduleID, Schedule: want, RequestId: uuid.NewString(),
		ConflictToken: now.GetConflictToken(), // somebody else's change in between is refused, not overwritten
	})
	if err != nil {
		return "", fmt.Errorf("update the schedule: %w", err)
	}
	return "updated", nil
}

// sameSchedule compares what apply is responsible for. The server fills in
// defaults of the action, which are left out of the comparison.
func sameSchedule(now, want *schedulepb.Schedule) bool {
	nowRun, wantRun := now.GetAction().GetStartWorkflow(), want.GetAction().GetStartWorkflow()
	return proto.Equal(now.GetSpec(), want.GetSpec()) &&
		proto.Equal(now.GetPolicies(), want.GetPolicies()) &&
		nowRun.GetWorkflowId() == wantRun.GetWorkflowId() &&
		nowRun.GetWorkflowType().GetName() == wantRun.GetWorkflowType().GetName() &&
		nowRun.GetTaskQueue().GetName() == wantRun.GetTaskQueue().GetName() &&
		proto.Equal(nowRun.GetInput(), wantRun.GetInput()) &&
		proto.Equal(nowRun.GetUserMetadata(), wantRun.GetUserMetadata())
}
