package activities

import (
	"context"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/warehouse"
)

// SweepInput names the run whose generation is swept, when all its windows are
// loaded.
type SweepInput struct {
	Index string      `json:"index"`
	Plan  ExtractPlan `json:"plan"`
}

// Swept is what a sweep removed: at least this, as an attempt that is cut does not
// report its last chunks.
type Swept struct {
	Removed int64 `json:"removed"`
}

// SweepGeneration removes what a rescan did not see, in chunks; its heartbeats hold
// how far it has come. A late attempt is harmless: it removes the same rows, and none
// once another generation has begun.
func (a *ETL) SweepGeneration(ctx context.Context, in SweepInput) (Swept, error) {
	var at atomic.Value // a warehouse.SweepProgress
	var from warehouse.SweepProgress
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read begin anew: what is gone is passed over.
		if err := activity.GetHeartbeatDetails(ctx, &from); err != nil {
			from = warehouse.SweepProgress{}
		}
	}
	at.Store(from)
	defer keepAlive(ctx, at.Load)()
	done, err := a.sweep(ctx, in, from, func(p warehouse.SweepProgress) {
		at.Store(p)
		activity.RecordHeartbeat(ctx, p)
	})
	return Swept{Removed: done.Rows + done.Rejects}, classify(err)
}

// sweep removes what a rescan did not see, unless the index moved on meanwhile: a
// document that an ingest moved behind the plan was not seen and is alive. Once it
// has begun, an index that moves on does not matter.
func (a *ETL) sweep(ctx context.Context, in SweepInput, from warehouse.SweepProgress, progress func(warehouse.SweepProgress)) (warehouse.SweepProgress, error) {
	cursor, _, err := a.Warehouse.State(ctx, in.Index)
	if err != nil {
		return from, err
	}
	if cursor.Generation != in.Plan.Generation {
		return from, warehouse.ErrOvertaken
	}
	if cursor.Swept {
		return from, nil
	}
	if from == (warehouse.SweepProgress{}) {
		if still, err := a.standsStill(ctx, in.Index, in.Plan); err != nil || !still {
			return from, err
		}
	}
	return a.Warehouse.SweepGeneration(ctx, warehouse.Sweep{
		RawIndex: in.Index, Generation: in.Plan.Generation, From: from, Progress: progress,
	})
}

// SumInput names the run after whose load the sums are made.
type SumInput struct {
	Index      string `json:"index"`
	Generation int    `json:"generation"`
}

// SumDashboards makes the sums of the dashboards and their index after the first
// load; later it finds them done. May be repeated.
func (a *ETL) SumDashboards(ctx context.Context, in SumInput) error {
	defer keepAlive(ctx, silent)()
	return classify(a.Warehouse.Sum(ctx, in.Index, in.Generation))
}
