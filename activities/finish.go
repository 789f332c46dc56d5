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
}

// Finished tells how a release ended.
type Finished struct {
	Retired int64 `json:"retired"` // keys that earlier releases of the source had and this one has not
}

// FinishProgress is the heartbeat of FinishRelease.
type FinishProgress struct {
	BytesChecked int64 `json:"bytesChecked"`
	Retired      int64 `json:"retired"`
}

// FinishRelease completes a release: it reads the source once more, so that no
// change made to it while it was indexed goes unnoticed, retires the keys that
// the source no longer has, and marks the release completed in the registry.
func (a *Ingest) FinishRelease(ctx context.Context, in FinishInput) (Finished, error) {
	var checked, retired atomic.Int64
	defer keepAlive(ctx, func() any {
		return FinishProgress{BytesChecked: checked.Load(), Retired: retired.Load()}
	})()
	out, err := a.finish(ctx, in, &checked, &retired)
	return out, classify(err)
}

func (a *Ingest) finish(ctx context.Context, in FinishInput, checked, retired *atomic.Int64) (Finished, error) {
	whole := sha256.New()
	if err := hashPart(ctx, a.Sources, whole, in.Release.Source, 0, in.End.Offset, checked); err != nil {
		return Finished{}, err
	}
	if digest(whole) != in.Digest {
		return Finished{}, fmt.Errorf("%w: the content of %s changed while it was being indexed", csvfile.ErrChanged, in.Release.Source)
	}
	if err := a.sameIndex(ctx, in.Release); err != nil {
		return Finished{}, err
	}
	gone, err := a.Search.Retire(ctx, in.Release.Index, in.Release.Source, in.Release.Number, retired.Store)
	if err != nil {
		return Finished{}, err
	}
	if err := a.sameIndex(ctx, in.Release); err != nil {
		return Finished{}, err
	}
	err = a.update(ctx, in.Release, func(r *search.Release) {
		if r.State != search.StateCompleted {
			now := time.Now().UTC()
			r.State, r.FinishedAt = search.StateCompleted, &now
		}
		r.Checkpoint, r.Counts = search.Position(in.End), search.Counts(in.Counts)
		r.Retired = gone
	})
	return Finished{Retired: gone}, err
}

// CloseInput ends a release before its end.
type CloseInput struct {
	Release    Release          `json:"release"`
	Failed     bool             `json:"failed"` // its number is not used again; otherwise it can be taken up at Checkpoint
	Checkpoint csvfile.Position `json:"checkpoint"`
	Counts     BatchCounts      `json:"counts"`
}

// CloseRelease marks a release failed or cancelled in the registry.
func (a *Ingest) CloseRelease(ctx context.Context, in CloseInput) error {
	return classify(a.update(ctx, in.Release, func(r *search.Release) {
		r.State = search.StateCancelled
		if in.Failed {
			r.State = search.StateFailed
		}
		r.Checkpoint, r.Counts = search.Position(in.Checkpoint), search.Counts(in.Counts)
	}))
}
