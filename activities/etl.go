package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
)

// ETL holds what the activities of ETLWorkflow need.
type ETL struct {
	Search    *search.Client
	Warehouse *warehouse.DB
	Rules     covid.Rules
}

// LoadCounts, RunCounts and RunState are those of package warehouse, under a name
// that workflows may use.
type (
	LoadCounts = warehouse.LoadCounts
	RunCounts  = warehouse.RunCounts
	RunState   = warehouse.RunState
)

// The ends that a run can have.
const (
	RunCompleted = warehouse.RunCompleted
	RunFailed    = warehouse.RunFailed
	RunOvertaken = warehouse.RunOvertaken
	RunCancelled = warehouse.RunCancelled
)

// windowDocs is the highest number of documents of a window: what one search
// returns at most (index.max_result_window).
const windowDocs = 10_000

// PlanExtractInput asks what a run has to load.
type PlanExtractInput struct {
	Index string `json:"index"`
}

// ExtractPlan is what a run has to load.
type ExtractPlan struct {
	Run        int64       `json:"run"`
	Generation int         `json:"generation"`
	Rescan     string      `json:"rescan,omitempty"` // why everything is read again
	Shards     []ShardPlan `json:"shards"`
	Planned    int64       `json:"planned"` // documents to read, as far as can be known
	// Page is how many documents one search may ask for; 0 is unknown.
	Page int `json:"page,omitempty"`
}

// ShardPlan is the part of one shard: sequence numbers (From, UpTo].
type ShardPlan struct {
	Shard int   `json:"shard"`
	From  int64 `json:"from"`
	UpTo  int64 `json:"upTo"`
}

// PlanExtract reads how far each shard can be read without
// missing anything. The global checkpoint is read before the refresh: every
// document at or below it is then visible, and none can appear there later. When that is known
// it opens the run.
func (a *ETL) PlanExtract(ctx context.Context, in PlanExtractInput) (ExtractPlan, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.planExtract(ctx, in)
	return out, classify(err)
}

func (a *ETL) planExtract(ctx context.Context, in PlanExtractInput) (ExtractPlan, error) {
	if _, err := a.Warehouse.SweepStages(ctx); err != nil {
		return ExtractPlan{}, err
	}
	// The cursor first: another run may move it on meanwhile, and it must not then
	// seem to be ahead of the index. Load refuses a cursor that is behind.
	cursor, found, err := a.Warehouse.State(ctx, in.Index)
	if err != nil {
		return ExtractPlan{}, err
	}
	state, err := a.Search.IndexState(ctx, in.Index)
	if err != nil {
		return ExtractPlan{}, err
	}
	if err := a.Search.Refresh(ctx, in.Index); err != nil {
		return ExtractPlan{}, err
	}
	// What can be read up to the checkpoints was planned, and so measured, before.
	page, err := a.Search.PageDocs(ctx, in.Index)
	if err != nil {
		return ExtractPlan{}, err
	}
	out := ExtractPlan{Generation: cursor.Generation, Page: page}
	out.Rescan, err = a.rescanReason(ctx, in.Index, state, cursor, found)
	if err != nil {
		return ExtractPlan{}, err
	}
	shards := shardCursors(state)
	switch {
	case out.Rescan != "":
		out.Generation, err = a.Warehouse.StartGeneration(ctx, in.Index, state.UUID, cursor.Generation, shards)
	case termsMoved(state, cursor):
		err = a.Warehouse.FollowHistory(ctx, in.Index, cursor.Generation, shards)
	}
	if err != nil {
		return ExtractPlan{}, err
	}
	for i, s := range state.Shards {
		plan := ShardPlan{Shard: s.Shard, From: -1, UpTo: s.GlobalCheckpoint}
		if out.Rescan == "" {
			plan.From = cursor.Shards[i].LastSeq
		}
		out.Shards = append(out.Shards, plan)
		out.Planned += plan.UpTo - plan.From
	}
	info := activity.GetInfo(ctx).WorkflowExecution
	out.Run, err = a.Warehouse.BeginRun(ctx, info.ID, info.RunID)
	return out, err
}

func shardCursors(state search.IndexState) []warehouse.ShardCursor {
	var shards []warehouse.ShardCursor
	for _, s := range state.Shards {
		shards = append(shards, warehouse.ShardCursor{Shard: s.Shard, LastSeq: -1, HistoryUUID: s.HistoryUUID, PrimaryTerm: s.PrimaryTerm})
	}
	return shards
}

func termsMoved(state search.IndexState, cursor warehouse.IndexCursor) bool {
	for i, s := range state.Shards {
		if s.PrimaryTerm != cursor.Shards[i].PrimaryTerm {
			return true
		}
	}
	return false
}

// rescanReason tells why the cursor cannot be trusted, or gives "". Everything
// it looks at changes when an index was deleted, restored or replaced by an
// older copy of its files; a copy keeps both UUIDs, so the newest windows' last
// documents are looked up where they stood too.
func (a *ETL) rescanReason(ctx context.Context, index string, state search.IndexState, cursor warehouse.IndexCursor, found bool) (string, error) {
	switch {
	case !found:
		return "first load", nil
	case cursor.IndexUUID == "":
		return "somebody asked for it", nil
	case cursor.IndexUUID != state.UUID:
		return "the raw index was made anew", nil
	case len(cursor.Shards) != len(state.Shards):
		return "the raw index has another number of shards", nil
	}
	for i, s := range state.Shards {
		c := cursor.Shards[i]
		switch {
		case s.HistoryUUID != c.HistoryUUID:
			return fmt.Sprintf("shard %d has another history", s.Shard), nil
		case s.GlobalCheckpoint < c.LastSeq:
			return fmt.Sprintf("shard %d ends at %d, loaded was up to %d: it is an older copy", s.Shard, s.GlobalCheckpoint, c.LastSeq), nil
		case s.PrimaryTerm < c.PrimaryTerm:
			return fmt.Sprintf("the primary term of shard %d went back: it is an older copy", s.Shard), nil
		}
		moved, err := a.anchorMoved(ctx, index, c)
		if err != nil || moved != "" {
			return moved, err
		}
	}
	return "", nil
}

// anchorMoved looks up the documents that ended the newest windows. Each still
// stands where it did, or was written again behind what has been loaded.
func (a *ETL) anchorMoved(ctx context.Context, index string, c warehouse.ShardCursor) (string, error) {
	if len(c.Anchors) == 0 {
		return "", nil
	}
	ids := make([]string, len(c.Anchors))
	for i, anchor := range c.Anchors {
		ids[i] = anchor.ID
	}
	now, err := a.Search.Locate(ctx, index, ids)
	if err != nil {
		return "", err
	}
	for i, anchor := range c.Anchors {
		same := now[i].Version == anchor.Version && now[i].SeqNo == anchor.SeqNo
		newer := now[i].Version > anchor.Version && now[i].SeqNo > c.LastSeq
		if !now[i].Found || (!same && !newer) {
			return fmt.Sprintf("document %s of shard %d is not where it was loaded from: the index is an older copy", anchor.ID, c.Shard), nil
		}
	}
	return "", nil
}

// WindowInput names a window to extract: the documents behind From, at most
// windowDocs and none above UpTo.
type WindowInput struct {
	Index string `json:"index"`
	Run   int64  `json:"run"`
	Shard int    `json:"shard"`
	From  int64  `json:"from"`
	UpTo  int64  `json:"upTo"`
	Page  int    `json:"page,omitempty"` // of the plan
}

// Extracted is a staged window: sequence numbers (From, To].
type Extracted struct {
	To   int64            `json:"to"`
	Docs int64            `json:"docs"`
	Last warehouse.Anchor `json:"last"` // its last document that can be looked up again
}

// Extract stages the documents of the next window of a shard, as Elasticsearch
// gave them. A repeated Extract gives what the first one staged.
func (a *ETL) Extract(ctx context.Context, in WindowInput) (Extracted, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.extract(ctx, in)
	return out, classify(err)
}

func (a *ETL) extract(ctx context.Context, in WindowInput) (Extracted, error) {
	w, err := a.Search.ReadWindow(ctx, in.Index, search.WindowQuery{Shard: in.Shard, From: in.From, UpTo: in.UpTo, Max: windowDocs, Page: in.Page})
	if err != nil {
		return Extracted{}, err
	}
	out := Extracted{To: w.To, Docs: int64(w.Docs), Last: warehouse.Anchor{ID: w.Last.ID, Version: w.Last.Version, SeqNo: w.Last.SeqNo}}
	err = a.stage(ctx, warehouse.Stage{Run: in.Run, Shard: in.Shard, From: in.From, To: w.To, Step: warehouse.StepExtract}, w.Body, &out)
	return out, err
}

// stage stores a step's data once and sets meta to that of what is stored.
func (a *ETL) stage(ctx context.Context, s warehouse.Stage, body []byte, meta any) error {
	var err error
	if s.Meta, err = json.Marshal(meta); err != nil {
		return fmt.Errorf("stage a window: %w", err)
	}
	s.Body = encoder.EncodeAll(body, nil)
	stored, err := a.Warehouse.PutStage(ctx, s)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(stored.Meta, meta); err != nil {
		return fmt.Errorf("read a stage's description: %w", err)
	}
	return nil
}

// One coder of each kind serves all windows: their methods for whole buffers
// may be called side by side.
var (
	encoder = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2)))
	decoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(2)))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // only for options that do not exist
	}
	return v
}

// staged gives a step's data.
func (a *ETL) staged(ctx context.Context, run int64, shard int, from int64, step int) (warehouse.Stage, error) {
	s, err := a.Warehouse.GetStage(ctx, run, shard, from, step)
	if err != nil {
		return s, err
	}
	if s.Body, err = decoder.DecodeAll(s.Body, nil); err != nil {
		return s, fmt.Errorf("unpack a stage: %w", err)
	}
	return s, nil
}
