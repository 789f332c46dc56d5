package activities

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"time"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

// planRanges bounds a plan: some hundred ranges are far below a payload's 2 MB and
// keep a few activities busy for half a minute.
const planRanges = 200

// PlanInput asks for the next ranges of a source.
type PlanInput struct {
	Release   Release          `json:"release"`
	From      csvfile.Position `json:"from"`
	Hash      []byte           `json:"hash"`           // SHA-256 state over the bytes before From
	Last      *csvfile.Range   `json:"last,omitempty"` // the range that ended at From
	Identity  string           `json:"identity"`       // of the source when From was reached
	BatchRows int              `json:"batchRows"`
	// Growing: the source may still grow, so a line without an end stays. Ranges may
	// be none.
	Growing bool `json:"growing,omitempty"`
	// Wait is Growing of a workflow that began before the wait for lines was an
	// activity of its own: when there is nothing the plan waits.
	Wait bool `json:"wait"`
	// Whole: the operator says that the source is complete, so the plan does not
	// wait until nothing writes to it.
	Whole      bool             `json:"whole,omitempty"`
	Checkpoint csvfile.Position `json:"checkpoint"`      // to keep in the registry
	Counts     BatchCounts      `json:"counts"`          // of the rows before Checkpoint
	Saved      int64            `json:"saved,omitempty"` // Planned.Saved of the plan before, or of the registration
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
	// Saved is the sequence number of the release in the registry as this plan left
	// it; 0 is unknown. A lower one later shows that an older copy of the registry,
	// and so of the raw index, was put back.
	Saved int64 `json:"saved,omitempty"`
	// longest is the most bytes that the values of a record of Ranges take in a
	// document.
	longest int64
}

// PlanBatches reads ahead and cuts the next ranges, and keeps in the registry
// how far the source has been read before any of it is indexed: a later ingest
// that goes on with this release then knows which content its rows had. A late
// attempt is refused once the release was taken over or ended; before that it takes
// nothing back.
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
		if err := a.keep(ctx, in, &out); err != nil {
			return Planned{}, err
		}
	}
	rested, err := a.isOld(in.Release.Source)
	if err != nil {
		return Planned{}, err
	}
	deadline := time.Now().Add(followWait)
	for {
		final := !in.Wait && !in.Growing && (in.Whole || rested)
		if err := a.cut(in, &out, final); err != nil {
			return Planned{}, err
		}
		if len(out.Ranges) > 0 || final || in.Growing {
			break
		}
		changed := false
		if in.Wait {
			changed = awaitChange(ctx, a.Sources, in.Release.Source, source.Info{Size: out.Size, Identity: out.Identity}, deadline)
		} else if rested, changed, err = a.awaitRest(ctx, in.Release.Source); err != nil {
			return Planned{}, err
		}
		if !rested && !changed || !time.Now().Before(deadline) {
			break
		}
		if out.Size, out.Identity, err = a.sameSource(ctx, in); err != nil {
			return Planned{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Planned{}, err
	}
	return out, a.keep(ctx, in, &out)
}

// sameAsRead compares what the plan out has read, what was read before under the
// release r, and the source: rows behind the checkpoint may be indexed, and other
// content must not get their versions. Each byte is read once, so that all three agree
// about the source at one moment; a late attempt may have read its plan long ago.
func sameAsRead(ctx context.Context, sources source.Roots, in PlanInput, out Planned, r search.Release) error {
	uri, from, end, before := in.Release.Source, in.From.Offset, out.End.Offset, r.Read.Length
	// The first plan of an ingest that continues at the very end, or one that comes past it.
	if (before == from && in.Last == nil || before > from) && end > before {
		if err := continuesARecord(r); err != nil {
			return err
		}
	}
	if before < from {
		return nil
	}
	running, err := takeUpHash(in.Hash)
	if err != nil {
		return err
	}
	if from < end && end < before {
		if err := checkPart(ctx, sources, running, uri, from, end-from, out.Digest); err != nil {
			return err
		}
		from = end
	}
	if err := checkPart(ctx, sources, running, uri, from, before-from, r.Read.Digest); err != nil {
		return err
	}
	if from < before && before <= end {
		return checkPart(ctx, sources, running, uri, before, end-before, out.Digest)
	}
	return nil
}

// cut cuts what is there behind in.From. A source that is still being written has no
// end yet.
func (a *Ingest) cut(in PlanInput, out *Planned, final bool) error {
	running, err := takeUpHash(in.Hash)
	if err != nil {
		return err
	}
	f, err := a.Sources.Open(in.Release.Source, in.From.Offset)
	if err != nil {
		return err
	}
	defer f.Close()
	plan, err := csvfile.Cut(f, in.From, running, csvfile.Limits{Rows: in.BatchRows, Ranges: planRanges, Final: final})
	if err != nil {
		return sourceError(err)
	}
	if out.Hash, out.Digest, err = keepHash(running); err != nil {
		return err
	}
	out.Ranges, out.End, out.AtRecordEnd, out.EndOfSource = plan.Ranges, plan.End, plan.AtRecordEnd, !plan.More && (final || in.Wait || in.Growing)
	out.longest = plan.Longest
	return nil
}

// sameIndex fails with IndexGone when the raw index is not the one that the release
// is bound to: what was written to the other one is lost. An index that was restored
// over itself keeps its UUID, and its shards get other histories.
func (a *Ingest) sameIndex(ctx context.Context, r Release) error {
	state, err := a.Search.IndexState(ctx, r.Index)
	if err != nil {
		return err
	}
	if state.UUID != r.IndexUUID {
		return indexGone("the index %s was deleted and made anew while release %d was being ingested", r.Index, r.Number)
	}
	if r.History != "" && state.History() != r.History {
		return indexGone("the index %s was restored or cut while release %d was being ingested", r.Index, r.Number)
	}
	return nil
}

func indexGone(format string, args ...any) error {
	return &search.Error{Kind: search.IndexGone, Op: "check the raw index", Reason: fmt.Sprintf(format, args...)}
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

// keep writes the checkpoint and how far the source has been read, and sets
// out.Saved. The source is compared with the very state of the release that is
// replaced: another attempt may have read more of it in between.
func (a *Ingest) keep(ctx context.Context, in PlanInput, out *Planned) error {
	read := search.Extent{Length: out.End.Offset, Rows: out.End.Row, AtRecordEnd: out.AtRecordEnd}
	if out.End.Offset > in.From.Offset {
		read.Digest = out.Digest
	}
	saved, err := a.update(ctx, in.Release, in.Saved, func(r search.Release) (search.Release, error) {
		if err := sameAsRead(ctx, a.Sources, in, *out, r); err != nil {
			return r, err
		}
		next, err := r.Plan(in.Release.holder(), progress(in.Checkpoint, in.Counts), read)
		// A release that an earlier version began stays one of unknown records.
		if err == nil && len(out.Ranges) > 0 && (r.Longest > 0 || r.Read.Length == 0) {
			next.Longest = max(r.Longest, out.longest, 1)
		}
		return next, err
	})
	out.Saved = saved.SeqNo
	return err
}

func (r Release) holder() search.Holder { return search.Holder{Source: r.Source, Owner: r.Owner} }

func progress(checkpoint csvfile.Position, counts BatchCounts) search.Progress {
	return search.Progress{Checkpoint: search.Position(checkpoint), Counts: search.Counts(counts)}
}

// stored reads a release. It fails with IndexGone when the registry lacks it or is an
// older copy of the one that the ingest saw: the raw index is then as old.
func (a *Ingest) stored(ctx context.Context, rel Release, saved int64) (search.Release, error) {
	r, err := a.Search.Get(ctx, rel.Index, rel.Number)
	var e *search.Error
	if err == nil && r.SeqNo < saved || errors.As(err, &e) && e.Status == http.StatusNotFound && e.Kind == search.Refused {
		err = indexGone("an older copy of the index %s was put back while release %d was being ingested", rel.Index, rel.Number)
	}
	return r, err
}

// update changes a release in the registry, and does so again when it was changed in
// between. It returns the release as it then is. saved is as in stored.
func (a *Ingest) update(ctx context.Context, rel Release, saved int64, change func(search.Release) (search.Release, error)) (search.Release, error) {
	for {
		before, err := a.stored(ctx, rel, saved)
		if err != nil {
			return before, err
		}
		after, err := change(before)
		if err != nil || after == before {
			return before, err
		}
		if after, err = a.Search.Save(ctx, rel.Index, after); !errors.Is(err, search.ErrConflict) {
			return after, err
		}
	}
}
