package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// planAhead is how few unstarted ranges make the next plan due: enough that
// indexing does not wait for planning.
const planAhead = 50

// indexAll plans and indexes until the source's end, or until history suggests
// a new run (more). Nothing is out when it returns.
func (r *ingestRun) indexAll(ctx workflow.Context) (more bool, err error) {
	workCtx, stop := workflow.WithCancel(ctx)
	defer stop()
	var endPlan, endWait workflow.CancelFunc
	for {
		if r.failure == nil {
			r.failure = ctx.Err()
		}
		if r.failure != nil {
			stop() // what is out would only be waited for
		}
		leaving := r.failure != nil || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
		if r.planWaits && (leaving || !r.waiting()) {
			endPlan()
		}
		if r.awaiting && (leaving || !r.waiting()) {
			endWait()
		}
		if !leaving && r.planDue() {
			var planCtx workflow.Context
			planCtx, endPlan = workflow.WithCancel(workCtx)
			r.startPlan(planCtx)
		}
		if !leaving && r.waitDue() {
			var waitCtx workflow.Context
			waitCtx, endWait = workflow.WithCancel(workCtx)
			r.startWait(waitCtx)
		}
		for !leaving && r.batchDue(ctx) {
			r.startBatch(workCtx)
		}
		if !r.planning && !r.awaiting && r.running == 0 && (leaving || r.atEnd()) {
			return !r.atEnd(), r.failure
		}
		r.awaitChange(ctx)
	}
}

// waiting tells whether the source may still grow.
func (r *ingestRun) waiting() bool { return r.in.Options.Follow && !r.state.Finish }

// atEnd tells whether everything of the source is planned and started.
func (r *ingestRun) atEnd() bool { return r.state.Plan.EndOfSource && len(r.state.Pending) == 0 }

// planDue reports whether the next plan may start. One that found no more lines is
// followed by another when the source has grown, when its end is wanted, or when the
// registry does not have the newest checkpoint yet: an ingest that begins after this
// one was terminated starts there.
func (r *ingestRun) planDue() bool {
	due := !r.caughtUp || !r.waiting() || r.idle() && r.state.Checkpoint != r.kept
	return due && !r.planning && !r.awaiting && !r.state.Paused && len(r.state.Pending) < planAhead && !r.state.Plan.EndOfSource
}

// waitDue reports whether all that is to be done is to wait for lines.
func (r *ingestRun) waitDue() bool {
	return r.caughtUp && r.waiting() && r.idle() && !r.planning && !r.awaiting && !r.state.Paused
}

// idle reports whether nothing is being indexed or about to be.
func (r *ingestRun) idle() bool { return r.running == 0 && len(r.state.Pending) == 0 }

// batchDue tells whether the next range may start now: one is planned, a place
// is free, nobody paused, and the rate allows it.
func (r *ingestRun) batchDue(ctx workflow.Context) bool {
	return len(r.state.Pending) > 0 && r.running < r.in.Options.Concurrency && !r.state.Paused && !workflow.Now(ctx).Before(r.nextStart)
}

// awaitChange waits until something is to be done: an activity ended, the
// operator said something, the workflow is cancelled, or the rate lets the next
// batch start.
func (r *ingestRun) awaitChange(ctx workflow.Context) {
	before := r.changes
	changed := func() bool { return r.changes != before }
	if r.failure != nil {
		// What is out is waited for even when the workflow is cancelled.
		ctx, _ = workflow.NewDisconnectedContext(ctx)
	}
	// The only error is that the workflow is cancelled, which indexAll looks at.
	wait := r.nextStart.Sub(workflow.Now(ctx))
	if wait <= 0 || r.state.Paused || len(r.state.Pending) == 0 {
		_ = workflow.Await(ctx, changed)
		return
	}
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: wait, TimerOptions: workflow.TimerOptions{Summary: "Keep to the rate"},
	}, changed)
}

func (r *ingestRun) startPlan(ctx workflow.Context) {
	plan, waits := r.state.Plan, r.waiting()
	// A run that began when plans waited for lines goes on so.
	apart := waits && workflow.GetVersion(ctx, "wait-apart", workflow.DefaultVersion, 1) != workflow.DefaultVersion
	r.planning, r.planWaits, r.kept = true, waits && !apart, r.state.Checkpoint
	future := workflow.ExecuteActivity(ingestStep(ctx, planTimeout, fmt.Sprintf("Plan from row %d", plan.End.Row+1)), ingest.PlanBatches,
		activities.PlanInput{
			Release: r.state.Registered.Release, From: plan.End, Hash: plan.Hash, Last: r.state.Last, Identity: plan.Identity,
			BatchRows: r.in.Options.BatchRows, Wait: waits && !apart, Growing: apart, Whole: r.state.Finish,
			Checkpoint: r.state.Checkpoint, Counts: r.state.Counts, Saved: plan.Saved,
		})
	workflow.Go(ctx, func(ctx workflow.Context) {
		var next activities.Planned
		err := future.Get(ctx, &next)
		r.planning, r.planWaits = false, false
		r.changes++
		switch {
		case temporal.IsCanceledError(err):
			// indexAll ended the wait for lines, or the workflow is cancelled.
		case err != nil:
			r.fail(err)
		default:
			r.caughtUp = apart && next.EndOfSource
			r.take(next, waits)
			r.publish(ctx)
		}
		r.show(ctx)
	})
}

// startWait waits for the source to grow, on a task queue of its own. It is left to
// itself when it is cancelled: it writes nothing.
func (r *ingestRun) startWait(ctx workflow.Context) {
	r.awaiting = true
	future := workflow.ExecuteActivity(waitStep(ctx), waits.AwaitGrowth,
		activities.AwaitInput{Source: r.in.Source, Size: r.state.Plan.Size, Identity: r.state.Plan.Identity})
	workflow.Go(ctx, func(ctx workflow.Context) {
		var awaited activities.Awaited
		err := future.Get(ctx, &awaited)
		r.awaiting = false
		r.changes++
		r.caughtUp = err == nil && !awaited.Changed
		if err != nil && !temporal.IsCanceledError(err) {
			r.fail(err)
		}
		r.show(ctx)
	})
}

// take makes a plan the newest. What a plan that waited calls the end of the
// source is not its end: lines without an end were left.
func (r *ingestRun) take(next activities.Planned, waited bool) {
	r.state.Pending = append(r.state.Pending, next.Ranges...)
	if n := len(next.Ranges); n > 0 {
		r.state.Last = &next.Ranges[n-1]
	}
	next.Ranges = nil
	next.EndOfSource = next.EndOfSource && !waited
	r.state.Plan = next
}

func (r *ingestRun) startBatch(ctx workflow.Context) {
	rng := r.state.Pending[0]
	r.state.Pending = r.state.Pending[1:]
	r.state.Batches++
	b := &batch{name: batchName(r.state.Batches, rng), rng: rng}
	r.out = append(r.out, b)
	r.running++
	r.pace(ctx, rng.Rows)
	future := workflow.ExecuteActivity(ingestStep(ctx, stepTimeout, b.name), ingest.IndexBatch,
		activities.BatchInput{Release: r.state.Registered.Release, Range: rng})
	workflow.Go(ctx, func(ctx workflow.Context) {
		err := future.Get(ctx, &b.counts)
		r.running--
		r.changes++
		if err != nil {
			r.fail(err)
			return
		}
		b.done = true
		r.advance(ctx, b)
	})
}

func batchName(number int64, rng activities.Range) string {
	if rng.Rows == 0 {
		return fmt.Sprintf("Batch %d (no rows)", number)
	}
	return fmt.Sprintf("Batch %d (rows %d to %d)", number, rng.FirstRow, rng.FirstRow+int64(rng.Rows)-1)
}

// pace sets when the next batch may start so that rows per second stay below the
// rate. Batches keep to a time line of their own: the server fires timers up to a
// second late, and what was missed by that is made up for.
func (r *ingestRun) pace(ctx workflow.Context, rows int) {
	last := r.nextStart
	r.nextStart = time.Time{}
	if r.state.Rate <= 0 {
		return
	}
	from := workflow.Now(ctx)
	// A run that began before there was a time line goes on without.
	if !last.IsZero() && workflow.GetVersion(ctx, "steady-rate", workflow.DefaultVersion, 1) != workflow.DefaultVersion {
		if earliest := from.Add(-paceSlack); last.Before(earliest) {
			last = earliest
		}
		from = last
	}
	r.nextStart = from.Add(time.Duration(float64(rows) / float64(r.state.Rate) * float64(time.Second)))
}

// paceSlack is how much of the time line is made up for at most: more than a timer
// is late, and little after a pause.
const paceSlack = 2 * time.Second

// advance moves the checkpoint over the batches that are done without a gap.
func (r *ingestRun) advance(ctx workflow.Context, newest *batch) {
	r.state.NewestDone = newest.name
	for len(r.out) > 0 && r.out[0].done {
		r.state.Checkpoint = r.out[0].rng.End()
		r.state.Counts.Add(r.out[0].counts)
		r.out = r.out[1:]
	}
	r.show(ctx)
}

func (r *ingestRun) fail(err error) {
	if r.failure == nil {
		r.failure = err
		r.state.LastError = rootMessage(err)
	}
}
