package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// readyWindows is how many windows may lie ready while one loads.
const readyWindows = 1

// shardWindow is a window between its steps.
type shardWindow struct {
	from int64
	activities.Extracted
}

// loadShard moves the windows of a shard, in order, from where the run stands:
// one loads while the next is extracted and transformed.
func (r *etlRun) loadShard(ctx workflow.Context, i int) error {
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	ready := workflow.NewBufferedChannel(ctx, readyWindows)
	var prepareErr error
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer ready.Close()
		prepareErr = r.prepareWindows(ctx, i, ready)
	})
	var w shardWindow
	var loadErr error
	// What is prepared already is drained even after an error, so that nothing
	// is out when this returns.
	for ready.Receive(ctx, &w) {
		if loadErr != nil {
			continue
		}
		if loadErr = r.load(ctx, i, w); loadErr != nil {
			stop()
		}
	}
	if loadErr != nil {
		return loadErr
	}
	return prepareErr
}

// prepareWindows extracts and transforms window after window, until the shard's
// end or until history suggests a new run.
func (r *etlRun) prepareWindows(ctx workflow.Context, i int, ready workflow.Channel) error {
	shard := r.Plan.Shards[i]
	for from := r.At[i]; from < shard.UpTo && !workflow.GetInfo(ctx).GetContinueAsNewSuggested(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		w, err := r.prepare(ctx, i, from, shard.UpTo)
		if err != nil {
			return err
		}
		ready.Send(ctx, w)
		from = w.To
	}
	return nil
}

// prepare stages the window behind from, transformed. When the stage vanishes
// in between (a crash of PostgreSQL empties it), it begins again.
func (r *etlRun) prepare(ctx workflow.Context, i int, from, upTo int64) (shardWindow, error) {
	shard := r.Plan.Shards[i].Shard
	for {
		w := shardWindow{from: from}
		err := workflow.ExecuteActivity(etlStep(ctx, extractRetry, fmt.Sprintf("Shard %d: extract behind %d", shard, from)), etl.Extract,
			activities.WindowInput{Index: r.in.Index, Run: r.Plan.Run, Shard: shard, From: from, UpTo: upTo, Page: r.Plan.Page}).Get(ctx, &w.Extracted)
		if err != nil {
			return w, err
		}
		var made activities.Transformed
		err = workflow.ExecuteActivity(etlStep(ctx, transformRetry, fmt.Sprintf("Shard %d: transform %d to %d", shard, from+1, w.To)), etl.Transform,
			activities.TransformInput{Run: r.Plan.Run, Shard: shard, From: from}).Get(ctx, &made)
		if !isType(err, activities.ErrTypeStageMissing) {
			return w, err
		}
	}
}

// load writes a window to the warehouse, and extracts it again when its stage
// vanished.
func (r *etlRun) load(ctx workflow.Context, i int, w shardWindow) error {
	shard := r.Plan.Shards[i].Shard
	for {
		var counts activities.LoadCounts
		err := workflow.ExecuteActivity(etlStep(ctx, loadRetry, fmt.Sprintf("Shard %d: load %d to %d (%d documents)", shard, w.from+1, w.To, w.Docs)), etl.Load,
			activities.LoadInput{Index: r.in.Index, Run: r.Plan.Run, Generation: r.Plan.Generation, Shard: shard, From: w.from, Window: w.Extracted}).Get(ctx, &counts)
		if err == nil {
			r.At[i] = w.To
			r.Counts.Windows++
			r.Counts.Loaded.Add(counts)
			r.show(ctx, "loading")
			if r.Counts.Windows%publishEvery == 0 {
				r.publish(ctx)
			}
			return nil
		}
		if !isType(err, activities.ErrTypeStageMissing) {
			return err
		}
		if w, err = r.prepare(ctx, i, w.from, w.To); err != nil {
			return err
		}
	}
}
