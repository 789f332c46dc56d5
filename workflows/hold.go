package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// A release that would take much away is held: nothing of it is written, or nothing is
// retired at its end, until a person accepts or rejects it.

// judge judges the release before anything of it is written, and waits while it is held.
func (r *ingestRun) judge(ctx workflow.Context) (rejected bool, err error) {
	if !r.judgeDue(ctx) {
		return false, nil
	}
	r.judging = true
	for {
		if r.state.Held == "" {
			passed, err := r.judgeOnce(ctx)
			if passed || err != nil {
				return false, err
			}
		}
		if r.state.Held != "" {
			if rejected, err := r.decided(ctx); rejected || err != nil {
				return rejected, err
			}
			r.state.Accepted, r.state.Held = r.state.Judged, ""
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return false, r.continueAsNew(ctx)
		}
	}
}

// judgeDue reports whether the release has to be judged: nothing of it is written, and
// no judgement has let it pass. One that continues at a checkpoint has passed before,
// and of it FinishRelease judges what it retires. A run that began before there were
// judgements goes on without.
func (r *ingestRun) judgeDue(ctx workflow.Context) bool {
	s := &r.state
	passed := s.Judged != nil && s.Held == "" && s.Accepted == nil
	if passed || s.Left > 0 || s.Registered.From.Row > 0 || s.Plan.End != s.Registered.From || len(s.Pending) > 0 {
		return false
	}
	return workflow.GetVersion(ctx, "judgement", workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// judgeOnce judges the source as it is now. It has not passed when it is held or was
// being written to.
func (r *ingestRun) judgeOnce(ctx workflow.Context) (passed bool, err error) {
	r.show(ctx)
	var j activities.Judgement
	err = workflow.ExecuteActivity(ingestStep(ctx, readTimeout, "Judge the source"), ingest.JudgeRelease,
		activities.JudgeInput{
			Release: r.state.Registered.Release, Saved: r.state.Registered.Saved, Limits: r.limits(),
			Growing: r.waiting(), Accept: r.in.Options.Accept, Accepted: r.state.Accepted,
		}).Get(ctx, &j)
	if err != nil || j.Again {
		return false, err
	}
	r.state.Judged, r.state.Held, r.state.Accepted = &j, j.Held, nil
	r.show(ctx)
	r.publish(ctx)
	return j.Held == "", nil
}

func (r *ingestRun) limits() activities.Limits {
	return activities.Limits{MaxBad: r.in.Options.MaxBad, MaxRetired: r.in.Options.MaxRetired}
}

// limitRetirement sets how much the end of a release may retire, and the content that
// was judged. A run that began before there were judgements has neither.
func (r *ingestRun) limitRetirement(in *activities.FinishInput) {
	if r.state.Judged != nil {
		in.JudgedLength, in.JudgedDigest = r.state.Judged.Length, r.state.Judged.Digest
	}
	if r.in.Options.Accept {
		return
	}
	in.Retire = &activities.RetireLimit{MaxRetired: r.in.Options.MaxRetired, Accepted: r.state.AcceptedLeft}
	if j := r.state.Judged; j != nil {
		in.Retire.Live = j.Live
		if j.Accepted {
			in.Retire.Accepted = max(in.Retire.Accepted, j.Vanishing)
		}
	}
}

// holdEnd waits while a release is held of which everything is indexed.
func (r *ingestRun) holdEnd(ctx workflow.Context, finished activities.Finished) (rejected bool, err error) {
	r.state.Held, r.state.Left = finished.Held, finished.Left
	r.show(ctx)
	r.publish(ctx)
	if rejected, err := r.decided(ctx); rejected || err != nil {
		return rejected, err
	}
	r.state.AcceptedLeft = r.state.Left
	r.state.Held, r.state.Left = "", 0
	r.show(ctx)
	return false, nil
}

// decided waits for the decision about a held release and takes it.
func (r *ingestRun) decided(ctx workflow.Context) (rejected bool, err error) {
	suggested := func() bool { return workflow.GetInfo(ctx).GetContinueAsNewSuggested() }
	if err := workflow.Await(ctx, func() bool { return r.state.Decision != "" || suggested() }); err != nil {
		return false, err
	}
	if r.state.Decision == "" {
		return false, r.continueAsNew(ctx)
	}
	r.rejected = r.state.Decision == UpdateReject
	r.state.Decision = ""
	return r.rejected, nil
}

// leave ends an ingest whose release is rejected, or that err keeps from going on.
func (r *ingestRun) leave(ctx workflow.Context, err error) (IngestResult, error) {
	switch {
	case workflow.IsContinueAsNewError(err):
		return IngestResult{}, err
	case err != nil:
		return IngestResult{}, r.closed(ctx, err)
	}
	result := r.result(ctx, activities.Finished{})
	result.Rejected, r.state.Held = r.state.Held, ""
	err = workflow.ExecuteActivity(ingestStep(ctx, stepTimeout, "Reject the release"), ingest.CloseRelease,
		activities.CloseInput{Release: r.state.Registered.Release, Failed: true, Checkpoint: r.state.Checkpoint, Counts: r.state.Counts}).Get(ctx, nil)
	if temporal.IsCanceledError(err) {
		return result, r.closed(ctx, err)
	}
	return result, err
}

// setDecision answers the updates that decide about a held release. They are refused
// when there is nothing to decide.
func (r *ingestRun) setDecision(ctx workflow.Context, name string) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, name,
		func(ctx workflow.Context) (IngestProgress, error) {
			r.state.Decision = name
			r.changes++
			r.show(ctx)
			return r.progress(), nil
		},
		workflow.UpdateHandlerOptions{Validator: func(workflow.Context) error {
			switch {
			case r.state.Held == "":
				return fmt.Errorf("the ingest is not held: there is nothing to %s", name)
			case r.state.Decision != "":
				return fmt.Errorf("the release was decided about already: %s", r.state.Decision)
			}
			return nil
		}})
}
