package activities

import (
	"context"
	"fmt"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
)

// TransformInput names a staged window.
type TransformInput struct {
	Run   int64 `json:"run"`
	Shard int   `json:"shard"`
	From  int64 `json:"from"`
}

// Transformed says what the transform made of a window's documents.
type Transformed struct {
	Rows    int64 `json:"rows"`
	Rejects int64 `json:"rejects"`
	Retired int64 `json:"retired"`
}

// Transform judges and cleans the documents of a staged window and stages the
// result.
func (a *ETL) Transform(ctx context.Context, in TransformInput) (Transformed, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.transform(ctx, in)
	return out, classify(err)
}

func (a *ETL) transform(ctx context.Context, in TransformInput) (Transformed, error) {
	s, err := a.staged(ctx, in.Run, in.Shard, in.From, warehouse.StepExtract)
	if err != nil {
		return Transformed{}, err
	}
	var w window
	err = search.ParseWindow(s.Body, func(d *covid.Document, raw []byte, _ int64) error {
		w.add(a.Rules, d, raw)
		return nil
	})
	if err != nil {
		return Transformed{}, err
	}
	out := Transformed{Rows: int64(len(w.rows)), Rejects: int64(len(w.rejects)), Retired: int64(len(w.retired))}
	s.Step = warehouse.StepTransform
	return out, a.stage(ctx, s, w.encode(), &out)
}

// ReasonForeign begins the reason of a reject that is no document of this pipeline,
// or no longer what the pipeline wrote.
const ReasonForeign = "not a document of this pipeline"

// add puts a document where the rules say: to the rows, the rejects or the
// retired keys. One with a problem is set aside with the rejects, where it keeps
// the last good row, whatever it says of itself.
func (w *window) add(rules covid.Rules, d *covid.Document, raw []byte) {
	reason := d.Problem
	switch {
	case reason != "":
		reason = ReasonForeign + ": " + reason
	case d.Retired:
		w.retired = append(w.retired, d.Key)
		return
	default:
		var row covid.Row
		if row, reason = rules.Clean(d); reason == "" {
			w.rows = append(w.rows, row)
			return
		}
	}
	w.rejects = append(w.rejects, warehouse.Reject{
		Key: d.Key, Source: d.Source, Release: d.Release, Row: d.Row,
		Date: d.Values[covid.FieldDate], Reason: reason, Document: append([]byte(nil), raw...),
	})
}

// LoadInput names a transformed window.
type LoadInput struct {
	Index      string    `json:"index"`
	Run        int64     `json:"run"`
	Generation int       `json:"generation"`
	Shard      int       `json:"shard"`
	From       int64     `json:"from"`
	Window     Extracted `json:"window"`
}

// Load writes a transformed window to the warehouse and moves the checkpoint,
// in one transaction.
func (a *ETL) Load(ctx context.Context, in LoadInput) (warehouse.LoadCounts, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.load(ctx, in)
	return out, classify(err)
}

func (a *ETL) load(ctx context.Context, in LoadInput) (warehouse.LoadCounts, error) {
	load := warehouse.LoadInput{
		RawIndex: in.Index, Run: in.Run, Generation: in.Generation, Shard: in.Shard,
		From: in.From, To: in.Window.To, Last: in.Window.Last,
	}
	// A window that was loaded by an attempt whose answer was lost has no stage
	// any more; the ledger knows it.
	counts, loaded, err := a.Warehouse.Loaded(ctx, load)
	if err != nil || loaded {
		return counts, err
	}
	s, err := a.staged(ctx, in.Run, in.Shard, in.From, warehouse.StepTransform)
	if err != nil {
		return warehouse.LoadCounts{}, err
	}
	if s.To != in.Window.To {
		return warehouse.LoadCounts{}, fmt.Errorf("%w: what is staged behind %d ends at %d, not at %d", warehouse.ErrStageMissing, in.From, s.To, in.Window.To)
	}
	w, err := decodeWindow(s.Body)
	if err != nil {
		return warehouse.LoadCounts{}, err
	}
	load.Rows, load.Rejects, load.Retired = w.rows, w.rejects, w.retired
	if n := int64(len(w.rows) + len(w.rejects) + len(w.retired)); n != in.Window.Docs {
		return warehouse.LoadCounts{}, fmt.Errorf("%w: %d documents were extracted from shard %d (%d, %d], %d were transformed",
			errCounts, in.Window.Docs, in.Shard, in.From, in.Window.To, n)
	}
	return a.Warehouse.Load(ctx, load)
}
