package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// Names of the ingest's messages.
const (
	QueryProgress = "progress"
	UpdatePause   = "pause"
	UpdateResume  = "resume"
	UpdateRate    = "rate"
	UpdateFinish  = "finish"
	UpdateAccept  = "accept"
	UpdateReject  = "reject"
)

// MemoSource is the memo that keeps the source of an ingest in every run of it.
const MemoSource = "source"

// IngestInput is what an ingest is told.
type IngestInput struct {
	Index   string        `json:"index"`
	Source  string        `json:"source"` // canonical URI
	Options IngestOptions `json:"options"`
	// State is carried from run to run by ContinueAsNew; a starter leaves it out.
	State *IngestState `json:"state,omitempty"`
}

// IngestOptions are the operator's.
type IngestOptions struct {
	Follow      bool  `json:"follow"`
	NewRelease  bool  `json:"newRelease"`
	BatchRows   int   `json:"batchRows"`
	Concurrency int   `json:"concurrency"` // batches at once
	Rate        int64 `json:"rate"`        // rows per second at most; 0 = no limit
	// MaxBad and MaxRetired are activities.Limits, beyond which a release is held.
	MaxBad     float64 `json:"maxBad,omitempty"`
	MaxRetired float64 `json:"maxRetired,omitempty"`
	Accept     bool    `json:"accept,omitempty"` // no release of this ingest is held
}

// IngestState is all that an ingest knows of its work: the checkpoint and what
// is planned behind it.
type IngestState struct {
	Registered activities.Registered  `json:"registered"`
	Plan       activities.Planned     `json:"plan"` // the newest; its Ranges are in Pending
	Last       *activities.Range      `json:"last,omitempty"`
	Pending    []activities.Range     `json:"pending,omitempty"` // planned, not started
	Checkpoint activities.Position    `json:"checkpoint"`        // all batches before it are done
	Counts     activities.BatchCounts `json:"counts"`            // of the rows before the checkpoint
	Batches    int64                  `json:"batches"`           // started so far
	NewestDone string                 `json:"newestDone"`        // name of the newest batch that is done
	StartedAt  time.Time              `json:"startedAt"`
	Restarts   int                    `json:"restarts"` // releases begun anew because source or index changed
	Paused     bool                   `json:"paused"`
	Finish     bool                   `json:"finish"` // a followed source is complete now
	Rate       int64                  `json:"rate"`
	LastError  string                 `json:"lastError,omitempty"`

	// Judged is the judgement of the release; nil before there is one.
	Judged *activities.Judgement `json:"judged,omitempty"`
	// Held says why the release waits for a person; empty when it does not. Left is
	// then how many documents it would retire at its end, 0 when nothing is written yet.
	Held string `json:"held,omitempty"`
	Left int64  `json:"left,omitempty"`
	// Decision is the name of the update that decided about a held release, until that
	// is carried out.
	Decision string `json:"decision,omitempty"`
	// Accepted is the judgement, and AcceptedLeft the Left, that a person accepted.
	Accepted     *activities.Judgement `json:"accepted,omitempty"`
	AcceptedLeft int64                 `json:"acceptedLeft,omitempty"`
}

// IngestResult is how an ingest ended.
type IngestResult struct {
	Source  string `json:"source"`
	Release int64  `json:"release"`
	Nothing bool   `json:"nothing"` // the release was complete already
	// Rejected says why the release was held, and that a person rejected it.
	Rejected string                 `json:"rejected,omitempty"`
	Rows     int64                  `json:"rows"`    // of the release, those of earlier ingests included
	NewRows  int64                  `json:"newRows"` // of them, those that this ingest indexed
	Retired  int64                  `json:"retired"`
	Counts   activities.BatchCounts `json:"counts"`
	Batches  int64                  `json:"batches"`
	Seconds  float64                `json:"seconds"`
}

// IngestWorkflow ingests a source into the raw index: it registers the release,
// plans ranges ahead, indexes a bounded number of them at once, and completes
// the release. When the source or the index changes under it, it begins the
// next release.
func IngestWorkflow(ctx workflow.Context, in IngestInput) (IngestResult, error) {
	if in.State != nil {
		if err := checkCarried(ctx); err != nil {
			return IngestResult{}, err
		}
	}
	r := &ingestRun{in: in}
	if err := r.setup(ctx); err != nil {
		return IngestResult{}, err
	}
	for {
		result, err := r.release(ctx)
		err = endedBy(ctx, err)
		if !r.startsAgain(err) {
			r.ended(ctx, err)
			return result, failed(err)
		}
		r.startAgain(ctx, err)
		if err := workflow.Sleep(ctx, restartDelay(r.state.Restarts)); err != nil {
			r.ended(ctx, err)
			return IngestResult{}, err
		}
	}
}

// endedBy returns why a release ended, of its error. An attempt that fails after
// the workflow was cancelled is not tried again, and its failure takes the place of
// the cancellation, which is what ended the ingest all the same.
func endedBy(ctx workflow.Context, err error) error {
	var step *temporal.ActivityError
	if ctx.Err() == nil || !errors.As(err, &step) || temporal.IsCanceledError(err) {
		return err
	}
	if workflow.GetVersion(ctx, "cancelled-is-no-failure", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return err
	}
	return ctx.Err()
}

// ingestRun is one run of an ingest.
type ingestRun struct {
	in    IngestInput
	state IngestState

	out       []*batch // started, in order; the first is the oldest not known to be done
	running   int
	planning  bool
	planWaits bool                // the plan under way waits for lines
	caughtUp  bool                // the newest plan of a followed source found no more lines
	awaiting  bool                // for the source to grow
	kept      activities.Position // the checkpoint that the newest plan put into the registry
	changes   int                 // counts what awaitChange waits for
	failure   error
	judging   bool      // the release is being judged
	rejected  bool      // a person rejected the release
	nextStart time.Time // when the rate lets the next batch start
}

// batch is one range being indexed.
type batch struct {
	name   string
	rng    activities.Range
	counts activities.BatchCounts
	done   bool
}

func (r *ingestRun) setup(ctx workflow.Context) error {
	if r.in.State != nil {
		r.state = *r.in.State
	} else {
		r.state = IngestState{StartedAt: workflow.Now(ctx), Rate: r.in.Options.Rate}
	}
	r.show(ctx)
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (IngestProgress, error) { return r.progress(), nil }); err != nil {
		return err
	}
	return r.setHandlers(ctx)
}

// setHandlers answers the operator. A handler only sets state: an update that
// waits would not survive ContinueAsNew.
func (r *ingestRun) setHandlers(ctx workflow.Context) error {
	set := func(name string, change func()) error {
		return workflow.SetUpdateHandler(ctx, name, func(ctx workflow.Context) (IngestProgress, error) {
			change()
			r.changes++
			r.show(ctx)
			return r.progress(), nil
		})
	}
	err := errors.Join(
		set(UpdatePause, func() { r.state.Paused = true }),
		set(UpdateResume, func() { r.state.Paused = false }),
		set(UpdateFinish, func() { r.state.Finish = true }),
		r.setDecision(ctx, UpdateAccept),
		r.setDecision(ctx, UpdateReject),
	)
	if err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateRate,
		func(ctx workflow.Context, rowsPerSecond int64) (IngestProgress, error) {
			r.state.Rate, r.nextStart = rowsPerSecond, time.Time{}
			r.changes++
			r.show(ctx)
			return r.progress(), nil
		},
		workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, rowsPerSecond int64) error {
			if rowsPerSecond < 0 {
				return fmt.Errorf("a rate is 0 (no limit) or a number of rows per second, not %d", rowsPerSecond)
			}
			return nil
		}})
}

// release ingests one release, from where it stands.
func (r *ingestRun) release(ctx workflow.Context) (IngestResult, error) {
	if r.state.Registered.Release.Number == 0 {
		if err := r.register(ctx); err != nil {
			return IngestResult{}, err
		}
		if r.state.Registered.Nothing {
			return r.result(ctx, activities.Finished{}), nil
		}
	}
	if rejected, err := r.judge(ctx); rejected || err != nil {
		return r.leave(ctx, err)
	}
	for {
		more, err := r.indexAll(ctx)
		if err != nil {
			return IngestResult{}, r.closed(ctx, err)
		}
		if more {
			return IngestResult{}, r.continueAsNew(ctx)
		}
		finished, err := r.finish(ctx)
		switch {
		case err != nil:
			return IngestResult{}, r.closed(ctx, err)
		case finished.Held != "":
			if rejected, err := r.holdEnd(ctx, finished); rejected || err != nil {
				return r.leave(ctx, err)
			}
			continue
		case !finished.More:
			return r.result(ctx, finished), nil
		}
		r.state.Plan.EndOfSource = false // it has grown meanwhile
	}
}

func (r *ingestRun) finish(ctx workflow.Context) (finished activities.Finished, err error) {
	in := activities.FinishInput{
		Release: r.state.Registered.Release, End: r.state.Checkpoint, Digest: r.state.Plan.Digest, Counts: r.state.Counts,
		CanPlanOn: true, Whole: r.state.Finish, Saved: r.state.Plan.Saved,
	}
	r.limitRetirement(&in)
	err = workflow.ExecuteActivity(ingestStep(ctx, readTimeout, "Check and complete the release"), ingest.FinishRelease, in).Get(ctx, &finished)
	return finished, err
}

func (r *ingestRun) register(ctx workflow.Context) error {
	opt := r.in.Options
	err := workflow.ExecuteActivity(ingestStep(ctx, readTimeout, "Register the release"), ingest.RegisterRelease,
		activities.RegisterInput{
			Index: r.in.Index, Source: r.in.Source, Follow: opt.Follow, NewRelease: opt.NewRelease && r.state.Restarts == 0,
			Owner: fmt.Sprintf("%s/%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, r.state.Restarts),
		}).Get(ctx, &r.state.Registered)
	if err != nil {
		return err
	}
	reg := &r.state.Registered
	r.state.Checkpoint, r.state.Counts = reg.From, reg.Counts
	r.state.Plan = activities.Planned{End: reg.From, Hash: reg.Hash, Digest: reg.Digest, Size: reg.Size, Identity: reg.Identity, Saved: reg.Saved}
	r.show(ctx)
	r.publish(ctx)
	return nil
}

func (r *ingestRun) result(ctx workflow.Context, finished activities.Finished) IngestResult {
	return IngestResult{
		Source: r.in.Source, Release: r.state.Registered.Release.Number, Nothing: r.state.Registered.Nothing,
		Rows: r.state.Checkpoint.Row, NewRows: r.state.Checkpoint.Row - r.state.Registered.From.Row, Retired: finished.Retired, Counts: r.state.Counts, Batches: r.state.Batches,
		Seconds: workflow.Now(ctx).Sub(r.state.StartedAt).Seconds(),
	}
}

// startsAgain reports whether the ingest registers its source again: when the source
// or the index is no longer the one that the release was bound to, or when the release
// is no longer the ingest's.
func (r *ingestRun) startsAgain(err error) bool {
	return isType(err, activities.ErrTypeSourceChanged) || isType(err, activities.ErrTypeIndexGone) ||
		isType(err, activities.ErrTypeReleaseTaken)
}

func (r *ingestRun) startAgain(ctx workflow.Context, err error) {
	workflow.GetLogger(ctx).Warn("the release begins anew", "release", r.state.Registered.Release.Number, "reason", err)
	r.state = IngestState{
		StartedAt: r.state.StartedAt, Rate: r.state.Rate, Paused: r.state.Paused, Finish: r.state.Finish,
		Restarts: r.state.Restarts + 1, Batches: r.state.Batches, LastError: rootMessage(err),
	}
	r.out, r.failure, r.nextStart = nil, nil, time.Time{}
	r.show(ctx)
}

// restartDelay spares the servers when a source is rewritten all the time.
func restartDelay(restarts int) time.Duration {
	return min(time.Duration(restarts)*time.Second, time.Minute)
}

// closed records in the registry that the release ended early, and gives err.
// A cancelled release can be taken up again at its checkpoint; of one whose
// content changed the number is not used again. It runs when the workflow is
// cancelled too.
func (r *ingestRun) closed(ctx workflow.Context, err error) error {
	if isType(err, activities.ErrTypeIndexGone) {
		return err // the registry may be gone with the index; the next register looks
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	closeErr := workflow.ExecuteActivity(ingestStep(ctx, stepTimeout, "Keep the checkpoint"), ingest.CloseRelease,
		activities.CloseInput{
			Release: r.state.Registered.Release, Failed: isType(err, activities.ErrTypeSourceChanged),
			Checkpoint: r.state.Checkpoint, Counts: r.state.Counts,
		}).Get(ctx, nil)
	if closeErr != nil && !isType(closeErr, activities.ErrTypeReleaseTaken) {
		workflow.GetLogger(ctx).Error("the registry does not know that the release ended", "error", closeErr)
	}
	return err
}

// continueAsNew goes on in a new run with the same work. Nothing is out; rows
// are never in history, only the ranges that are planned.
func (r *ingestRun) continueAsNew(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return r.closed(ctx, err)
	}
	next := r.in
	next.State = &r.state
	return workflow.NewContinueAsNewError(ctx, IngestWorkflow, next)
}
