package activities

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
)

// FinishInput ends a release of which every batch is indexed.
type FinishInput struct {
	Release Release          `json:"release"`
	End     csvfile.Position `json:"end"`
	Digest  string           `json:"digest"` // SHA-256 of the bytes before End, in hex
	Counts  BatchCounts      `json:"counts"`
	// CanPlanOn: the workflow goes on planning when the answer is More.
	CanPlanOn bool  `json:"canPlanOn,omitempty"`
	Whole     bool  `json:"whole,omitempty"` // that of PlanInput
	Saved     int64 `json:"saved,omitempty"` // Planned.Saved of the last plan
	// JudgedLength and JudgedDigest are of the content that was judged before anything
	// was written; 0 when nothing was.
	JudgedLength int64  `json:"judgedLength,omitempty"`
	JudgedDigest string `json:"judgedDigest,omitempty"`
	// Retire limits what may be retired; nil is no limit.
	Retire *RetireLimit `json:"retire,omitempty"`
}

// RetireLimit limits how many documents a release may retire.
type RetireLimit struct {
	MaxRetired float64 `json:"maxRetired"` // percent, as in Limits
	Live       int64   `json:"live"`       // documents of the source before the release; 0 is unknown
	Accepted   int64   `json:"accepted"`   // documents that a person accepted to retire
}

// Finished reports how a release ended.
type Finished struct {
	// More: the source has become longer than End, so the release is not complete.
	More bool `json:"more,omitempty"`
	// Held says why the release waits for a person to accept that Left documents are
	// retired. It is not complete then.
	Held    string `json:"held,omitempty"`
	Left    int64  `json:"left,omitempty"`
	Retired int64  `json:"retired"` // keys that earlier releases of the source had and this one has not
}

// FinishProgress is the heartbeat of FinishRelease.
type FinishProgress struct {
	BytesChecked int64 `json:"bytesChecked"`
	Retired      int64 `json:"retired"`
}

// FinishRelease completes a release: it reads the source once more, so that no
// change made to it while it was indexed goes unnoticed, retires the keys that
// the source no longer has, and marks the release completed in the registry. A late
// attempt is refused unless it repeats what completed the release.
func (a *Ingest) FinishRelease(ctx context.Context, in FinishInput) (Finished, error) {
	var checked, retired atomic.Int64
	defer keepAlive(ctx, func() any {
		return FinishProgress{BytesChecked: checked.Load(), Retired: retired.Load()}
	})()
	out, err := a.finish(ctx, in, &checked, &retired)
	return out, classify(err)
}

func (a *Ingest) finish(ctx context.Context, in FinishInput, checked, retired *atomic.Int64) (Finished, error) {
	if in.CanPlanOn {
		more, err := a.hasGrown(ctx, in)
		if err != nil || more {
			return Finished{More: more}, err
		}
	}
	whole := sha256.New()
	if in.JudgedLength > 0 {
		if err := hashPart(ctx, a.Sources, whole, in.Release.Source, 0, in.JudgedLength, checked); err != nil {
			return Finished{}, err
		}
		if in.JudgedLength > in.End.Offset || digest(whole) != in.JudgedDigest {
			return Finished{}, fmt.Errorf("%w: the content of %s is not what was judged before it was indexed", csvfile.ErrChanged, in.Release.Source)
		}
	}
	if err := hashPart(ctx, a.Sources, whole, in.Release.Source, in.JudgedLength, in.End.Offset-in.JudgedLength, checked); err != nil {
		return Finished{}, err
	}
	if digest(whole) != in.Digest {
		return Finished{}, fmt.Errorf("%w: the content of %s changed while it was being indexed", csvfile.ErrChanged, in.Release.Source)
	}
	if err := a.sameIndex(ctx, in.Release); err != nil {
		return Finished{}, err
	}
	return a.complete(ctx, in, retired)
}

// complete retires what the release does not have and marks it completed. It looks
// at the release before too: an attempt that is refused must not retire anything.
func (a *Ingest) complete(ctx context.Context, in FinishInput, retired *atomic.Int64) (Finished, error) {
	completion := search.Completion{Progress: progress(in.End, in.Counts), Digest: in.Digest, At: time.Now().UTC()}
	r, err := a.stored(ctx, in.Release, in.Saved)
	if err != nil {
		return Finished{}, err
	}
	if _, err := r.Complete(in.Release.holder(), completion); err != nil {
		return Finished{}, err
	}
	if r.State == search.StateCompleted { // the answer of an earlier attempt was lost
		return Finished{Retired: r.Retired}, nil
	}
	held, err := a.holdRetirement(ctx, in)
	if err != nil || held.Held != "" {
		return held, err
	}
	gone, err := a.Search.Retire(ctx, in.Release.Index, in.Release.Source, in.Release.Number, retired.Store)
	if err != nil {
		return Finished{}, err
	}
	if err := a.sameIndex(ctx, in.Release); err != nil {
		return Finished{}, err
	}
	completion.Retired, completion.At = gone, time.Now().UTC()
	r, err = a.update(ctx, in.Release, in.Saved, func(r search.Release) (search.Release, error) {
		return r.Complete(in.Release.holder(), completion)
	})
	return Finished{Retired: r.Retired}, err
}

// holdRetirement holds a release that would retire more than it may.
func (a *Ingest) holdRetirement(ctx context.Context, in FinishInput) (Finished, error) {
	limit := in.Retire
	if limit == nil {
		return Finished{}, nil
	}
	left, err := a.Search.CountLeft(ctx, in.Release.Index, in.Release.Source, in.Release.Number)
	if err != nil || left <= limit.Accepted {
		return Finished{}, err
	}
	live := limit.Live
	if live == 0 {
		if live, err = a.Search.CountLive(ctx, in.Release.Index, in.Release.Source); err != nil {
			return Finished{}, err
		}
	}
	why := vanishing(left, live, limit.MaxRetired)
	if why == "" {
		return Finished{}, nil
	}
	_, err = a.update(ctx, in.Release, in.Saved, func(r search.Release) (search.Release, error) {
		return r.Hold(in.Release.holder(), why)
	})
	return Finished{Held: why, Left: left}, err
}

// hasGrown reports whether the source is longer than what was planned of it, or may
// yet be, since something still writes to it: a file that is being rewritten in place
// would otherwise lose the keys that are not there yet.
func (a *Ingest) hasGrown(ctx context.Context, in FinishInput) (bool, error) {
	rested := in.Whole
	if !rested {
		var err error
		if rested, _, err = a.awaitRest(ctx, in.Release.Source); err != nil {
			return false, err
		}
	}
	info, err := a.Sources.Stat(in.Release.Source)
	if err != nil || info.Size <= in.End.Offset {
		return !rested, err
	}
	r, err := a.stored(ctx, in.Release, in.Saved)
	if err == nil {
		err = continuesARecord(r)
	}
	return true, err
}

// continuesARecord fails when bytes behind what was read of a source may have made
// another record of one that was read: its last line had no end, or quotes were open.
func continuesARecord(r search.Release) error {
	if r.Read.AtRecordEnd {
		return nil
	}
	return fmt.Errorf("%w: %s went on behind a record that had no end", csvfile.ErrChanged, r.Source)
}

// CloseInput ends a release before its end.
type CloseInput struct {
	Release    Release          `json:"release"`
	Failed     bool             `json:"failed"` // its number is not used again; otherwise it can be taken up at Checkpoint
	Checkpoint csvfile.Position `json:"checkpoint"`
	Counts     BatchCounts      `json:"counts"`
}

// CloseRelease marks a release failed or cancelled in the registry. A late attempt is
// refused once the release was taken over or completed.
func (a *Ingest) CloseRelease(ctx context.Context, in CloseInput) error {
	_, err := a.update(ctx, in.Release, 0, func(r search.Release) (search.Release, error) {
		return r.Close(in.Release.holder(), progress(in.Checkpoint, in.Counts), in.Failed)
	})
	return classify(err)
}
