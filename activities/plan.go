package activities

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"time"

	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

const (
	// planRanges bounds a plan: some hundred ranges are far below a payload's
	// 2 MB and keep a few activities busy for half a minute.
	planRanges = 200
	// followWait is how long a plan of a growing source waits for new lines.
	followWait = 60 * time.Second
	// followLook is how often it looks at the source's size meanwhile.
	followLook = 200 * time.Millisecond
)

// PlanInput asks for the next ranges of a source.
type PlanInput struct {
	Release   Release          `json:"release"`
	From      csvfile.Position `json:"from"`
	Hash      []byte           `json:"hash"`           // SHA-256 state over the bytes before From
	Last      *csvfile.Range   `json:"last,omitempty"` // the range that ended at From
	Identity  string           `json:"identity"`       // of the source when From was reached
	BatchRows int              `json:"batchRows"`
	// Wait tells that the source may still grow: lines without an end stay, and
	// when there is nothing the plan waits.
	Wait       bool             `json:"wait"`
	Checkpoint csvfile.Position `json:"checkpoint"` // to keep in the registry
	Counts     BatchCounts      `json:"counts"`     // of the rows before Checkpoint
}

// Planned are the next ranges of a source.
type Planned struct {
	Ranges      []csvfile.Range  `json:"ranges,omitempty"`
	End         csvfile.Position `json:"end"`
	Hash        []byte           `json:"hash"`   // SHA-256 state over the bytes before End
	Digest      string           `json:"digest"` // SHA-256 of the bytes before End, in hex
	Identity    string           `json:"identity"`
	Size        int64            `json:"size"` // bytes of the source now
	AtRecordEnd bool             `json:"atRecordEnd"`
	EndOfSource bool             `json:"endOfSource"` // there is no more, now
}

// PlanBatches reads ahead and cuts the next ranges, and keeps in the registry
// how far the source has been read before any of it is indexed: a later ingest
// that goes on with this release then knows which content its rows had.
func (a *Ingest) PlanBatches(ctx context.Context, in PlanInput) (Planned, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.plan(ctx, in)
	return out, classify(err)
}

func (a *Ingest) plan(ctx context.Context, in PlanInput) (Planned, error) {
	if err := a.sameIndex(ctx, in.Release); err != nil {
		return Planned{}, err
	}
	size, identity, err := a.sameSource(ctx, in)
	if err != nil {
		return Planned{}, err
	}
	out := Planned{Size: size, Identity: identity, End: in.From}
	if in.Wait { // the registry would not know the checkpoint until lines come
		if err := a.keep(ctx, in, out); err != nil {
			return Planned{}, err
		}
	}
	deadline := time.Now().Add(followWait)
	for {
		if err := a.cut(in, &out); err != nil {
			return Planned{}, err
		}
		if len(out.Ranges) > 0 || !in.Wait || !awaitGrowth(ctx, a.Sources, in.Release.Source, out.Size, deadline) {
			break
		}
		if out.Size, out.Identity, err = a.sameSource(ctx, in); err != nil {
			return Planned{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Planned{}, err
	}
	if err := a.sameAsRead(ctx, in, out); err != nil {
		return Planned{}, err
	}
	return out, a.keep(ctx, in, out)
}

// sameAsRead compares the source with what an earlier ingest of this release has
// read of it, in the plan that gets that far: rows behind the checkpoint may be
// indexed, and other content must not get their versions.
func (a *Ingest) sameAsRead(ctx context.Context, in PlanInput, out Planned) error {
	r, err := a.Search.Get(ctx, in.Release.Index, in.Release.Number)
	if err != nil || r.Read.Length <= in.From.Offset || (r.Read.Length > out.End.Offset && !out.EndOfSource) {
		return err
	}
	running, err := takeUpHash(in.Hash)
	if err != nil {
		return err
	}
	return checkPart(ctx, a.Sources, running, in.Release.Source, in.From.Offset, r.Read.Length-in.From.Offset, r.Read.Digest)
}

// cut cuts what is there behind in.From.
func (a *Ingest) cut(in PlanInput, out *Planned) error {
	running, err := takeUpHash(in.Hash)
	if err != nil {
		return err
	}
	f, err := a.Sources.Open(in.Release.Source, in.From.Offset)
	if err != nil {
		return err
	}
	defer f.Close()
	plan, err := csvfile.Cut(f, in.From, running, csvfile.Limits{Rows: in.BatchRows, Ranges: planRanges, Final: !in.Wait})
	if err != nil {
		return sourceError(err)
	}
	if out.Hash, out.Digest, err = keepHash(running); err != nil {
		return err
	}
	out.Ranges, out.End, out.AtRecordEnd, out.EndOfSource = plan.Ranges, plan.End, plan.AtRecordEnd, !plan.More
	return nil
}

// awaitGrowth waits until the source has another size than size, and tells
// whether it has. It gives up at the deadline, when the worker stops and when
// the activity is cancelled.
func awaitGrowth(ctx context.Context, from source.Roots, uri string, size int64, deadline time.Time) bool {
	tick := time.NewTicker(followLook)
	defer tick.Stop()
	stop := activity.GetWorkerStopChannel(ctx)
	for time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return false
		case <-stop:
			return false
		case <-tick.C:
		}
		if info, err := from.Stat(uri); err != nil || info.Size != size {
			return true // an error shows itself again, with its class, in the next look
		}
	}
	return false
}

// sameIndex fails with IndexGone when the raw index is not the one that the
// release is bound to: what was written to the other one is lost.
func (a *Ingest) sameIndex(ctx context.Context, r Release) error {
	uuid, err := a.Search.IndexUUID(ctx, r.Index)
	if err != nil {
		return err
	}
	if uuid != r.IndexUUID {
		return &search.Error{Kind: search.IndexGone, Op: "check the raw index",
			Reason: fmt.Sprintf("the index %s was deleted and made anew while release %d was being ingested", r.Index, r.Number)}
	}
	return nil
}

// sameSource notices that the source was truncated or replaced: it is at least
// as long as what was read, the last range has the bytes it had, and when it is
// another file (renamed over the old one) all that was read is in it too.
func (a *Ingest) sameSource(ctx context.Context, in PlanInput) (size int64, identity string, err error) {
	info, err := a.Sources.Stat(in.Release.Source)
	if err != nil {
		return 0, "", err
	}
	if info.Size < in.From.Offset {
		return 0, "", fmt.Errorf("%w: %s has %d bytes, %d were read before: it was truncated or replaced",
			csvfile.ErrChanged, in.Release.Source, info.Size, in.From.Offset)
	}
	if info.Identity != in.Identity {
		running, err := takeUpHash(in.Hash)
		if err != nil {
			return 0, "", err
		}
		return info.Size, info.Identity, checkPart(ctx, a.Sources, sha256.New(), in.Release.Source, 0, in.From.Offset, digest(running))
	}
	if in.Last != nil {
		return info.Size, info.Identity, checkPart(ctx, a.Sources, sha256.New(), in.Release.Source, in.Last.Offset, in.Last.Length, in.Last.Digest)
	}
	return info.Size, info.Identity, nil
}

// checkPart compares a part of a source with the digest it had, or the
// beginning of that digest.
func checkPart(ctx context.Context, from source.Roots, h hash.Hash, uri string, offset, length int64, want string) error {
	if err := hashPart(ctx, from, h, uri, offset, length, nil); err != nil {
		return err
	}
	if got := digest(h); len(want) > len(got) || got[:len(want)] != want {
		return fmt.Errorf("%w: bytes %d to %d of %s differ from what was read before", csvfile.ErrChanged, offset, offset+length, uri)
	}
	return nil
}

// keep writes the checkpoint and how far the source has been read.
func (a *Ingest) keep(ctx context.Context, in PlanInput, out Planned) error {
	return a.update(ctx, in.Release, func(r *search.Release) {
		r.Checkpoint = search.Position(in.Checkpoint)
		r.Counts = search.Counts(in.Counts)
		// What an earlier ingest of this release read beyond is not forgotten: its
		// rows may be indexed.
		if out.End.Offset > in.From.Offset && out.End.Offset >= r.Read.Length {
			// An earlier plan of this source may have ended a record that more bytes
			// would have made another: that stays so.
			atRecordEnd := out.AtRecordEnd && (r.Read.Length == 0 || r.Read.AtRecordEnd)
			r.Read = search.Extent{Length: out.End.Offset, Digest: out.Digest, Rows: out.End.Row, AtRecordEnd: atRecordEnd}
		}
	})
}

// update changes a release in the registry, again when somebody else changed
// it in between.
func (a *Ingest) update(ctx context.Context, rel Release, change func(*search.Release)) error {
	for {
		r, err := a.Search.Get(ctx, rel.Index, rel.Number)
		if err != nil {
			return err
		}
		before := r
		change(&r)
		if r == before {
			return nil
		}
		if _, err = a.Search.Save(ctx, rel.Index, r); !errors.Is(err, search.ErrConflict) {
			return err
		}
	}
}
