package activities

import (
	"context"
	"fmt"

	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
)

// FinishETLInput ends a run of which every window is loaded.
type FinishETLInput struct {
	Index  string              `json:"index"`
	Plan   ExtractPlan         `json:"plan"`
	Counts warehouse.RunCounts `json:"counts"`
}

// FinishedETL is what the warehouse holds at the end of a run.
type FinishedETL struct {
	Rows    int64 `json:"rows"`
	Rejects int64 `json:"rejects"`
	Swept   int64 `json:"swept"` // rows and rejects of older generations that a rescan removed
	// SweepAwaits tells that a rescan is not at its end: the index moved on while
	// it ran, so what it did not see may be live. The next run goes on with it.
	SweepAwaits bool `json:"sweepAwaits,omitempty"`
	// Checked tells that the totals were compared for equality. When the index
	// moved on during the run, only its bounds could be.
	Checked bool `json:"checked"`
}

// FinishETL ends a run: after a rescan it removes what the raw index no longer
// has, after the first load it makes the sums of the dashboards, and it fails unless
// the warehouse's total is that of the raw index.
func (a *ETL) FinishETL(ctx context.Context, in FinishETLInput) (FinishedETL, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.finish(ctx, in)
	return out, classify(err)
}

func (a *ETL) finish(ctx context.Context, in FinishETLInput) (FinishedETL, error) {
	cursor, _, err := a.Warehouse.State(ctx, in.Index)
	if err != nil {
		return FinishedETL{}, err
	}
	if cursor.Generation != in.Plan.Generation {
		return FinishedETL{}, warehouse.ErrOvertaken
	}
	var out FinishedETL
	if !cursor.Swept {
		if out.Swept, err = a.sweep(ctx, in); err != nil {
			return FinishedETL{}, err
		}
		if cursor, _, err = a.Warehouse.State(ctx, in.Index); err != nil {
			return FinishedETL{}, err
		}
	}
	out.Rows, out.Rejects, out.SweepAwaits = cursor.Rows, cursor.Rejects, !cursor.Swept
	// First, since what is there is shown even when the totals are not right.
	if err := a.Warehouse.Sum(ctx, in.Index, in.Plan.Generation); err != nil {
		return out, err
	}
	if cursor.Swept {
		if out.Checked, err = a.compareTotals(ctx, in, out.Rows+out.Rejects); err != nil {
			return out, err
		}
	}
	in.Counts.Swept = out.Swept
	return out, a.Warehouse.FinishRun(ctx, in.Plan.Run, warehouse.RunCompleted, in.Counts, "")
}

// sweep removes what a rescan did not see, unless the index moved on meanwhile:
// a document that an ingest moved behind the plan was not seen and is alive.
func (a *ETL) sweep(ctx context.Context, in FinishETLInput) (swept int64, err error) {
	still, err := a.standsStill(ctx, in)
	if err != nil || !still {
		return 0, err
	}
	rows, rejects, err := a.Warehouse.SweepGeneration(ctx, in.Index, in.Plan.Generation)
	return rows + rejects, err
}

// compareTotals compares the number of keys in the warehouse with the number of
// live documents: equal when the index and the checkpoint stand where the run
// planned; otherwise no fewer than the live documents that the run has seen and
// are still there, and no more than all documents.
func (a *ETL) compareTotals(ctx context.Context, in FinishETLInput, loaded int64) (equal bool, err error) {
	var seen int64
	retired := false
	for _, s := range in.Plan.Shards {
		n, err := a.Search.Count(ctx, in.Index, search.CountQuery{Retired: &retired, Shard: &s.Shard, MaxSeqNo: &s.UpTo})
		if err != nil {
			return false, err
		}
		seen += n
	}
	all, err := a.Search.Count(ctx, in.Index, search.CountQuery{})
	if err != nil {
		return false, err
	}
	still, err := a.standsStill(ctx, in)
	if err != nil {
		return false, err
	}
	sure := loaded
	if seen < loaded {
		// A document that was changed past the pipeline is set aside although it may
		// say that it is retired.
		foreign, err := a.Warehouse.CountRejects(ctx, ReasonForeign)
		if err != nil {
			return false, err
		}
		sure -= min(foreign, loaded-seen)
	}
	if (still && seen != sure) || seen > sure || sure > all {
		return still, fmt.Errorf("%w: the warehouse holds %d keys, the index %s has %d live documents below the checkpoint and %d in all; run `starter reconcile`, it names the keys",
			errCounts, loaded, in.Index, seen, all)
	}
	return still, nil
}

// standsStill tells whether neither the index nor the warehouse's checkpoint
// moved since the run was planned.
func (a *ETL) standsStill(ctx context.Context, in FinishETLInput) (bool, error) {
	state, err := a.Search.IndexState(ctx, in.Index)
	if err != nil {
		return false, err
	}
	cursor, _, err := a.Warehouse.State(ctx, in.Index)
	if err != nil {
		return false, err
	}
	if len(state.Shards) != len(in.Plan.Shards) || len(cursor.Shards) != len(in.Plan.Shards) {
		return false, nil
	}
	for i, s := range in.Plan.Shards {
		if state.Shards[i].GlobalCheckpoint != s.UpTo || cursor.Shards[i].LastSeq != s.UpTo {
			return false, nil
		}
	}
	return true, nil
}

// CloseETLInput ends a run that did not come to its end.
type CloseETLInput struct {
	Run    int64               `json:"run"`
	State  warehouse.RunState  `json:"state"`
	Counts warehouse.RunCounts `json:"counts"`
	Error  string              `json:"error"`
}

// CloseETL records that a run failed, was overtaken or cancelled.
func (a *ETL) CloseETL(ctx context.Context, in CloseETLInput) error {
	return classify(a.Warehouse.FinishRun(ctx, in.Run, in.State, in.Counts, in.Error))
}
