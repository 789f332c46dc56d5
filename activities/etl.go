package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
	"github.com/klauspost/compress/zstd"
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
