package activities

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
)

// judgedAtOnce is how many ranges of a source are judged at once.
const judgedAtOnce = 4

// JudgeInput asks for the judgement of a source before a release of it is written.
type JudgeInput struct {
	Release Release `json:"release"`
	Saved   int64   `json:"saved,omitempty"` // Planned.Saved of the registration
	Limits  Limits  `json:"limits"`
	// Growing: the source may still grow, so it is judged as far as it has come, and
	// without the keys that it lacks: FinishRelease counts those.
	Growing bool `json:"growing,omitempty"`
	Accept  bool `json:"accept,omitempty"` // whatever the judgement
	// Accepted is the judgement that a person has accepted; nil is none.
	Accepted *Judgement `json:"accepted,omitempty"`
}

// CheckInput asks for the judgement of a source alone.
type CheckInput struct {
	Index  string `json:"index"`
	Source string `json:"source"`
	Limits Limits `json:"limits"`
}

// JudgeProgress is the heartbeat of JudgeRelease and CheckSource.
type JudgeProgress struct {
	Records int64 `json:"records"`
}

// JudgeRelease reads a source once and reports what a release of it would bring and
// take away. Beyond the limits the release is held: Judgement.Held says why, here and in
// the registry. It writes nothing else, so it may be repeated.
func (a *Ingest) JudgeRelease(ctx context.Context, in JudgeInput) (Judgement, error) {
	j := judging{Ingest: a, index: in.Release.Index, uri: in.Release.Source, growing: in.Growing}
	defer keepAlive(ctx, j.progress)()
	out, err := j.release(ctx, in)
	return out, classify(err)
}

// CheckSource makes the judgement of JudgeRelease and writes nothing at all. The raw
// index need not exist.
func (a *Ingest) CheckSource(ctx context.Context, in CheckInput) (Judgement, error) {
	j := judging{Ingest: a, index: in.Index, uri: in.Source, mayLackIndex: true}
	defer keepAlive(ctx, j.progress)()
	out, err := j.judge(ctx)
	out.Held = out.beyond(in.Limits)
	return out, classify(err)
}

// judging is one judgement under way.
type judging struct {
	*Ingest
	index, uri   string
	growing      bool
	mayLackIndex bool
	records      atomic.Int64
}

func (j *judging) progress() any { return JudgeProgress{Records: j.records.Load()} }

func (j *judging) release(ctx context.Context, in JudgeInput) (Judgement, error) {
	if err := j.sameIndex(ctx, in.Release); err != nil {
		return Judgement{}, err
	}
	out, err := j.judgeAgain(ctx, in.Accepted)
	if err != nil || out.Again {
		return out, err
	}
	accepted := in.Accepted != nil && in.Accepted.Length == out.Length && in.Accepted.Digest == out.Digest
	out.Held, out.Accepted = "", accepted || in.Accept
	if !out.Accepted {
		out.Held = out.beyond(in.Limits)
	}
	_, err = j.update(ctx, in.Release, in.Saved, func(r search.Release) (search.Release, error) {
		return r.Hold(in.Release.holder(), out.Held)
	})
	return out, err
}

// judgeAgain judges, or returns the judgement of before when the source has not been
// touched since.
func (j *judging) judgeAgain(ctx context.Context, before *Judgement) (Judgement, error) {
	if before == nil {
		return j.judge(ctx)
	}
	info, err := j.Sources.Stat(j.uri)
	if err == nil && before.isOf(info) {
		return *before, nil
	}
	return j.judge(ctx)
}

// judge judges the source when it rests, since the half of a file that a slow writer has
// written lacks keys that the whole has. It returns with Again set when the source was
// written to all the time.
func (j *judging) judge(ctx context.Context) (Judgement, error) {
	deadline := time.Now().Add(followWait)
	for {
		rested, changed := true, false
		if !j.growing {
			var err error
			if rested, changed, err = j.awaitRest(ctx, j.uri); err != nil {
				return Judgement{}, err
			}
		}
		if !rested && !changed {
			return Judgement{Again: true}, ctx.Err()
		}
		if rested {
			out, err := j.readAtRest(ctx)
			if err != nil || !out.Again {
				return out, err
			}
		}
		if !time.Now().Before(deadline) {
			return Judgement{Again: true}, nil
		}
	}
}

// readAtRest judges what is there. It returns with Again set when the source changed
// meanwhile and nothing says that it may.
func (j *judging) readAtRest(ctx context.Context) (Judgement, error) {
	info, err := j.Sources.Stat(j.uri)
	if err != nil {
		return Judgement{}, err
	}
	out := Judgement{Identity: info.Identity, Size: info.Size, ModTime: info.ModTime}
	err = j.read(ctx, &out)
	if j.growing {
		return out, err
	}
	if errors.Is(err, csvfile.ErrChanged) {
		return Judgement{Again: true}, nil
	}
	if err != nil {
		return Judgement{}, err
	}
	now, err := j.Sources.Stat(j.uri)
	if err == nil && !out.isOf(now) {
		out.Again = true
	}
	return out, err
}

// read reads the source and, where it has live documents, their keys.
func (j *judging) read(ctx context.Context, out *Judgement) (err error) {
	if out.Live, err = j.live(ctx); err != nil {
		return err
	}
	var keys *proof.Keys
	if out.Live > 0 && !j.growing {
		if keys, err = proof.NewKeys(""); err != nil {
			return fmt.Errorf("%w: %w", errProof, err)
		}
		defer func() { err = errors.Join(err, keys.Close()) }()
	}
	if err := j.readRecords(ctx, out, keys); err != nil || keys == nil {
		return err
	}
	if err := j.Search.LiveKeys(ctx, j.index, j.uri, keys.AddBefore); err != nil {
		return err
	}
	if out.Live, out.Vanishing, err = keys.Missing(ctx); err != nil {
		return fmt.Errorf("%w: %w", errProof, err)
	}
	return nil
}

func (j *judging) live(ctx context.Context) (int64, error) {
	err := j.Search.Refresh(ctx, j.index)
	if j.mayLackIndex && search.KindOf(err) == search.IndexGone {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return j.Search.CountLive(ctx, j.index, j.uri)
}

// readRecords reads every record in the ranges that an ingest would cut.
func (j *judging) readRecords(ctx context.Context, out *Judgement, keys *proof.Keys) error {
	var start Registered
	running, err := j.startOfSource(ctx, j.uri, &start)
	if err != nil {
		return err
	}
	t := tally{registered: covid.DateOf(serverTime(ctx)), keys: keys, reasons: map[string]int64{}}
	for at, more := start.From, true; more; {
		plan, err := j.cutRanges(at, running)
		if err != nil {
			return err
		}
		ranges, rangesCtx := errgroup.WithContext(ctx)
		ranges.SetLimit(judgedAtOnce)
		for _, rng := range plan.Ranges {
			ranges.Go(func() error { return j.readRange(rangesCtx, rng, &t) })
		}
		if err := ranges.Wait(); err != nil {
			return err
		}
		at, more = plan.End, plan.More
		out.Length = at.Offset
	}
	out.Records, out.Quarantined, out.Rejected = t.records, t.quarantined, t.rejected
	out.Reasons, out.Digest = t.top(), digest(running)
	return nil
}

func (j *judging) cutRanges(at csvfile.Position, running hash.Hash) (csvfile.Plan, error) {
	f, err := j.Sources.Open(j.uri, at.Offset)
	if err != nil {
		return csvfile.Plan{}, err
	}
	defer f.Close()
	plan, err := csvfile.Cut(f, at, running, csvfile.Limits{Ranges: planRanges, Final: !j.growing})
	if err != nil {
		return csvfile.Plan{}, sourceError(err)
	}
	return plan, nil
}

// readRange adds the records of a range to the tally.
func (j *judging) readRange(ctx context.Context, rng csvfile.Range, t *tally) error {
	f, err := j.Sources.Open(j.uri, rng.Offset)
	if err != nil {
		return err
	}
	defer f.Close()
	part := tally{registered: t.registered, keys: t.keys, reasons: map[string]int64{}}
	records := csvfile.NewScanner(f, rng)
	for records.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := part.add(records, j.Rules); err != nil {
			return fmt.Errorf("%w: %w", errProof, err)
		}
		j.records.Add(1)
	}
	if err := records.Err(); err != nil {
		return sourceError(err)
	}
	t.merge(&part)
	return records.Check()
}
