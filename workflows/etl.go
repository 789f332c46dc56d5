package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
)

// ETLInput is what a run is told.
type ETLInput struct {
	Index string `json:"index"`
	// State is carried from run to run by ContinueAsNew; the schedule leaves it out.
	State *ETLState `json:"state,omitempty"`
}

// ETLState is what a run knows of its work. Rows never enter it.
type ETLState struct {
	Plan   activities.ExtractPlan `json:"plan"`
	At     []int64                `json:"at"` // per shard of the plan: sequence number loaded up to
	Counts activities.RunCounts   `json:"counts"`
	// StartedAt is when the first run of the chain began.
	StartedAt time.Time `json:"startedAt"`
}

// ETLResult is how a run ended.
type ETLResult struct {
	Run       int64                  `json:"run"`
	Overtaken bool                   `json:"overtaken"` // another run was loading the same windows: it goes on
	Rescan    string                 `json:"rescan,omitempty"`
	Counts    activities.RunCounts   `json:"counts"`
	Finished  activities.FinishedETL `json:"finished"`
}

// ETLWorkflow loads what is new in the raw index into the warehouse: it plans,
// then moves window after window through Extract, Transform and Load, and
// compares the totals at the end.
func ETLWorkflow(ctx workflow.Context, in ETLInput) (ETLResult, error) {
	r := &etlRun{in: in}
	if in.State != nil {
		if err := checkCarried(ctx); err != nil {
			return ETLResult{}, err
		}
		r.ETLState = *in.State
	} else if err := r.plan(ctx); err != nil {
		details(ctx, "failed", "nothing is planned, `"+in.Index+"` into the warehouse", quoted(explained(err)))
		return ETLResult{}, failed(err)
	}
	r.show(ctx, "loading")
	more, err := r.loadAll(ctx)
	if err == nil {
		err = ctx.Err() // a cancellation must not be lost in a new run
	}
	if err == nil && more {
		r.in.State = &r.ETLState
		return ETLResult{}, workflow.NewContinueAsNewError(ctx, ETLWorkflow, r.in)
	}
	result := ETLResult{Run: r.Plan.Run, Rescan: r.Plan.Rescan}
	if err == nil {
		err = r.finish(ctx, &result.Finished)
	}
	result.Counts = r.Counts
	result.Counts.Swept = result.Finished.Swept
	state := endState(err)
	r.showEnd(ctx, state, err)
	if err == nil {
		return result, nil
	}
	r.closed(ctx, state, err)
	if state == activities.RunOvertaken {
		result.Overtaken = true
		return result, nil
	}
	return ETLResult{}, failed(err)
}

// etlRun is one run of the ETL.
type etlRun struct {
	in ETLInput
	ETLState
}

func (r *etlRun) plan(ctx workflow.Context) error {
	r.StartedAt = workflow.Now(ctx)
	err := workflow.ExecuteActivity(etlStep(ctx, extractRetry, "Plan what is new"), etl.PlanExtract,
		activities.PlanExtractInput{Index: r.in.Index}).Get(ctx, &r.Plan)
	if err != nil {
		return err
	}
	r.Counts.Planned = r.Plan.Planned
	for _, s := range r.Plan.Shards {
		r.At = append(r.At, s.From)
	}
	return nil
}

// finishInSteps names the change after which sweep and sums are steps of their own.
const finishInSteps = "finish-in-steps"

// finish ends a run of which every window is loaded. Before finishInSteps one
// activity did all of it, within a minute.
func (r *etlRun) finish(ctx workflow.Context, out *activities.FinishedETL) error {
	in := activities.FinishETLInput{Index: r.in.Index, Plan: r.Plan, Counts: r.Counts}
	if workflow.GetVersion(ctx, finishInSteps, workflow.DefaultVersion, 1) == 1 {
		in.InSteps = true
		r.show(ctx, "removing stale rows")
		var swept activities.Swept
		err := workflow.ExecuteActivity(etlEndStep(ctx, "Remove stale rows"), etl.SweepGeneration,
			activities.SweepInput{Index: r.in.Index, Plan: r.Plan}).Get(ctx, &swept)
		if err != nil {
			return err
		}
		in.Counts.Swept = swept.Removed
		r.show(ctx, "summing for the dashboards")
		err = workflow.ExecuteActivity(etlEndStep(ctx, "Sum for the dashboards"), etl.SumDashboards,
			activities.SumInput{Index: r.in.Index, Generation: r.Plan.Generation}).Get(ctx, nil)
		if err != nil {
			return err
		}
		r.show(ctx, "comparing the totals")
	}
	return workflow.ExecuteActivity(etlStep(ctx, loadRetry, "Compare the totals"), etl.FinishETL, in).Get(ctx, out)
}

// loadAll loads every shard, side by side. more tells that history suggests a
// new run first.
func (r *etlRun) loadAll(ctx workflow.Context) (more bool, err error) {
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	done := workflow.NewWaitGroup(ctx)
	for i := range r.Plan.Shards {
		done.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer done.Done()
			if shardErr := r.loadShard(ctx, i); shardErr != nil && err == nil {
				err = shardErr
				stop()
			}
		})
	}
	done.Wait(ctx)
	for i, s := range r.Plan.Shards {
		more = more || r.At[i] < s.UpTo
	}
	return more, err
}

// endState tells what kind of end an error is.
func endState(err error) activities.RunState {
	switch {
	case err == nil:
		return activities.RunCompleted
	case isType(err, activities.ErrTypeOvertaken):
		return activities.RunOvertaken
	case temporal.IsCanceledError(err):
		return activities.RunCancelled
	}
	return activities.RunFailed
}

// closed records how the run ended, also when the workflow is cancelled.
func (r *etlRun) closed(ctx workflow.Context, state activities.RunState, cause error) {
	text := ""
	if state != activities.RunCancelled {
		text = rootMessage(cause)
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	err := workflow.ExecuteActivity(etlStep(ctx, loadRetry, "Record how the run ended"), etl.CloseETL,
		activities.CloseETLInput{Run: r.Plan.Run, State: state, Counts: r.Counts, Error: text}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("the run table does not know that the run ended", "error", errors.Join(cause, err))
	}
}

// showEnd shows how the run ended: of a failed one, what failed and what to do.
func (r *etlRun) showEnd(ctx workflow.Context, state activities.RunState, err error) {
	switch state {
	case activities.RunFailed:
		r.show(ctx, "failed", quoted(explained(err)))
	case activities.RunOvertaken:
		r.show(ctx, "overtaken: another run loads the same windows and goes on")
	default:
		r.show(ctx, string(state))
	}
	r.publish(ctx)
}

// show puts the progress where the Web UI shows it, in every run anew.
func (r *etlRun) show(ctx workflow.Context, phase string, notes ...string) {
	l := r.Counts.Loaded
	var b strings.Builder
	b.WriteString(strings.Join(notes, ""))
	if r.Plan.Rescan != "" {
		fmt.Fprintf(&b, "Everything is read: %s.\n\n", r.Plan.Rescan)
	}
	var done, planned int64
	for i, s := range r.Plan.Shards {
		done, planned = done+r.At[i]-s.From, planned+s.UpTo-s.From
	}
	rate := perSecond(l.Extracted, workflow.Now(ctx).Sub(r.StartedAt))
	b.WriteString(progressBar(done, planned, fmt.Sprintf("%s documents in %s windows, %s a second", number(l.Extracted), number(r.Counts.Windows), rate)))
	b.WriteString(table(
		[]string{"inserted", "updated", "unchanged", "moved to rejects", "rejected", "retired"},
		number(l.Inserted), number(l.Updated), number(l.Unchanged), number(l.MovedToRejects), number(l.Rejected), number(l.Retired)))
	details(ctx, phase, fmt.Sprintf("run %d, `%s` into the warehouse", r.Plan.Run, r.in.Index), b.String())
}

// publishEvery is how many windows pass until the lists show them.
const publishEvery = 10

// publish puts the progress where runs are listed.
func (r *etlRun) publish(ctx workflow.Context) {
	l := r.Counts.Loaded
	set(ctx, temporalclient.AttributeRows.ValueSet(l.Extracted), temporalclient.AttributeRejects.ValueSet(l.MovedToRejects+l.Rejected))
}
