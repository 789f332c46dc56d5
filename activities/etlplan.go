package activities

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/warehouse"
)

// PlanExtract reads how far each shard can be read without missing anything. The
// global checkpoint is read before the refresh: every document at or below it is
// then visible, and none can appear there later. A run that has something to load
// stamps the raw index and the warehouse first. When all that is known it opens the
// run.
//
// A late attempt is harmless: it stamps only what still is as it has read it, and a
// stamp too many hurts nothing.
func (a *ETL) PlanExtract(ctx context.Context, in PlanExtractInput) (ExtractPlan, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.planExtract(ctx, in)
	return out, classify(err)
}

func (a *ETL) planExtract(ctx context.Context, in PlanExtractInput) (ExtractPlan, error) {
	if _, err := a.Warehouse.SweepStages(ctx); err != nil {
		return ExtractPlan{}, err
	}
	p := &planning{ETL: a, index: in.Index}
	for {
		out, settled, err := p.look(ctx)
		if err != nil && !changedMeanwhile(err) {
			return ExtractPlan{}, err
		}
		if err != nil || !settled {
			continue
		}
		info := activity.GetInfo(ctx).WorkflowExecution
		out.Run, err = a.Warehouse.BeginRun(ctx, info.ID, info.RunID)
		return out, err
	}
}

// errStampGone is the error of a stamp over one that the registry no longer holds:
// another run has replaced it, or a copy the index.
var errStampGone = errors.New("the release registry no longer holds the stamp of the warehouse")

// changedMeanwhile reports whether what was read has changed since: it has to be read
// again.
func changedMeanwhile(err error) bool {
	return errors.Is(err, errStampGone) || errors.Is(err, warehouse.ErrOvertaken)
}

// planning is one attempt to plan a run. It looks at index and cursor, and when it
// stamped them or began a generation it looks again: a plan counts only if nothing
// was put in the index's place between the look and the stamp.
type planning struct {
	*ETL
	index   string
	stamped bool   // this attempt has stamped both sides
	rescan  string // why it began a generation
}

// look reads the cursor, then the index, and returns the plan. settled is false when
// it changed something and has to look again.
func (p *planning) look(ctx context.Context) (out ExtractPlan, settled bool, err error) {
	// The cursor first: another run may move it on meanwhile, and it must not then
	// seem to be ahead of the index. Load refuses a cursor that is behind.
	cursor, found, err := p.Warehouse.State(ctx, p.index)
	if err != nil {
		return ExtractPlan{}, false, err
	}
	raw, err := p.rawIndex(ctx, p.index)
	if err != nil {
		return ExtractPlan{}, false, err
	}
	if raw.Stamped, err = p.Search.HasStamp(ctx, p.index, cursor.Stamp); err != nil {
		return ExtractPlan{}, false, err
	}
	if err := p.Search.Refresh(ctx, p.index); err != nil {
		return ExtractPlan{}, false, err
	}
	// What can be read up to the checkpoints was planned, and so measured, before.
	page, err := p.Search.PageDocs(ctx, p.index)
	if err != nil {
		return ExtractPlan{}, false, err
	}
	reason := warehouse.RescanReason(cursor, found, raw)
	if reason == "" {
		if reason, err = p.anchorMoved(ctx, p.index, cursor); err != nil {
			return ExtractPlan{}, false, err
		}
	}
	if reason != "" {
		return ExtractPlan{}, false, p.beginGeneration(ctx, cursor, raw, reason)
	}
	if termsMoved(raw, cursor) {
		if err := p.Warehouse.FollowHistory(ctx, p.index, cursor.Generation, shardCursors(raw)); err != nil {
			return ExtractPlan{}, false, err
		}
	}
	out = ExtractPlan{Generation: cursor.Generation, Rescan: p.rescan, Page: page}
	for i, s := range raw.Shards {
		plan := ShardPlan{Shard: s.Shard, From: cursor.Shards[i].LastSeq, UpTo: s.Checkpoint}
		out.Shards = append(out.Shards, plan)
		out.Planned += plan.UpTo - plan.From
	}
	// Another run's stamp on top of this attempt's is younger and serves as well.
	if out.Planned == 0 || p.stamped {
		return out, true, nil
	}
	err = p.putStamp(ctx, p.index, cursor)
	p.stamped = err == nil
	return out, false, err
}

// beginGeneration begins a rescan. The registry is stamped first: when this attempt
// dies in between, the warehouse does not know the stamp and the rescan is due still.
func (p *planning) beginGeneration(ctx context.Context, cursor warehouse.IndexCursor, raw warehouse.RawIndex, reason string) error {
	if err := p.Search.EnsureRegistry(ctx, p.index); err != nil {
		return err
	}
	fresh := uuid.NewString()
	if err := p.Search.PutStamp(ctx, p.index, fresh); err != nil {
		return err
	}
	_, err := p.Warehouse.StartGeneration(ctx, warehouse.Beginning{
		RawIndex: p.index, IndexUUID: raw.UUID, Expected: cursor.Generation, ExpectedStamp: cursor.Stamp,
		Stamp: fresh, Shards: shardCursors(raw),
	})
	if err != nil {
		return err
	}
	p.stamped, p.rescan = true, reason
	return p.dropStamp(ctx, p.index, cursor.Stamp)
}

// putStamp writes a new stamp into the release registry, where the one that was read
// must still be, and then into the warehouse in its place. The other order of things
// is left to the next look: a copy that is put in the index's place before the new
// stamp is written lacks the old one, and one that is put there later the new one.
func (a *ETL) putStamp(ctx context.Context, index string, cursor warehouse.IndexCursor) error {
	if cursor.Stamp == "" { // a warehouse of an earlier version
		if err := a.Search.EnsureRegistry(ctx, index); err != nil {
			return err
		}
	}
	fresh := uuid.NewString()
	if err := a.Search.PutStamp(ctx, index, fresh); err != nil {
		return err
	}
	if cursor.Stamp != "" {
		held, err := a.Search.HasStamp(ctx, index, cursor.Stamp)
		if err == nil && !held {
			err = errStampGone
		}
		if err != nil {
			return err
		}
	}
	if err := a.Warehouse.PutStamp(ctx, index, cursor.Generation, cursor.Stamp, fresh); err != nil {
		return err
	}
	return a.dropStamp(ctx, index, cursor.Stamp)
}

// dropStamp removes a stamp that the warehouse no longer has. A run that has read it
// there meanwhile finds that and looks again.
func (a *ETL) dropStamp(ctx context.Context, index, stamp string) error {
	if stamp == "" {
		return nil
	}
	return a.Search.DropStamp(ctx, index, stamp)
}

// rawIndex returns the state of the raw index, without its registry.
func (a *ETL) rawIndex(ctx context.Context, index string) (warehouse.RawIndex, error) {
	state, err := a.Search.IndexState(ctx, index)
	if err != nil {
		return warehouse.RawIndex{}, err
	}
	raw := warehouse.RawIndex{UUID: state.UUID}
	for _, s := range state.Shards {
		raw.Shards = append(raw.Shards, warehouse.RawShard{
			Shard: s.Shard, HistoryUUID: s.HistoryUUID, PrimaryTerm: s.PrimaryTerm, Checkpoint: s.GlobalCheckpoint,
		})
	}
	return raw, nil
}

func shardCursors(raw warehouse.RawIndex) []warehouse.ShardCursor {
	var shards []warehouse.ShardCursor
	for _, s := range raw.Shards {
		shards = append(shards, warehouse.ShardCursor{Shard: s.Shard, LastSeq: -1, HistoryUUID: s.HistoryUUID, PrimaryTerm: s.PrimaryTerm})
	}
	return shards
}

func termsMoved(raw warehouse.RawIndex, cursor warehouse.IndexCursor) bool {
	for i, s := range raw.Shards {
		if s.PrimaryTerm != cursor.Shards[i].PrimaryTerm {
			return true
		}
	}
	return false
}

// anchorMoved looks up the anchors of every shard.
func (a *ETL) anchorMoved(ctx context.Context, index string, cursor warehouse.IndexCursor) (string, error) {
	for _, c := range cursor.Shards {
		ids := make([]string, len(c.Anchors))
		for i, anchor := range c.Anchors {
			ids[i] = anchor.ID
		}
		located, err := a.Search.Locate(ctx, index, ids)
		if err != nil {
			return "", err
		}
		now := make([]warehouse.Anchor, len(located))
		for i, l := range located {
			if l.Found {
				now[i] = warehouse.Anchor{ID: l.ID, Version: l.Version, SeqNo: l.SeqNo}
			}
		}
		if moved := warehouse.AnchorMoved(c, now); moved != "" {
			return moved, nil
		}
	}
	return "", nil
}
