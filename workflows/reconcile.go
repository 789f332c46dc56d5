package workflows

import (
	"fmt"
	"reflect"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

const (
	// reconcileLook is how often it looks whether the ETL has caught up.
	reconcileLook = 3 * time.Second
	// reconcileTries is how often a comparison is made when the pipeline moves
	// meanwhile.
	reconcileTries = 3
)

// ReconcileInput is what a proof is told.
type ReconcileInput struct {
	Index  string        `json:"index"`
	Source string        `json:"source"` // empty: every source that was ever ingested
	Wait   time.Duration `json:"wait"`   // how long to wait for the ETL to catch up
}

// ReconcileResult is the outcome of a proof.
type ReconcileResult struct {
	// Busy says why nothing could be proved, or is empty.
	Busy     string              `json:"busy,omitempty"`
	Compared activities.Compared `json:"compared"`
	Snapshot activities.Snapshot `json:"snapshot"`
}

// OK tells that every record is accounted for.
func (r ReconcileResult) OK() bool {
	return r.Busy == "" && !r.Compared.Moved && r.Compared.Report.Balanced && len(r.Compared.Problems) == 0
}

// ReconcileWorkflow proves that every record is in exactly one known place. It
// compares only while nothing moves: otherwise it tries again, and then says
// that the pipeline is busy, never that there is a difference.
func ReconcileWorkflow(ctx workflow.Context, in ReconcileInput) (ReconcileResult, error) {
	result, err := prove(ctx, in)
	switch {
	case err != nil && !temporal.IsCanceledError(err):
		details(ctx, "failed", "nothing was proved", quoted(explained(err)))
	case result.Busy != "":
		details(ctx, "busy", "nothing was proved", quoted(result.Busy))
	}
	return result, failed(err)
}

func prove(ctx workflow.Context, in ReconcileInput) (ReconcileResult, error) {
	var result ReconcileResult
	for range reconcileTries {
		var err error
		if result.Snapshot, err = awaitLoaded(ctx, in); err != nil {
			return result, err
		}
		if result.Snapshot.Unswept {
			result.Busy = "a rescan is not at its end: run `starter etl`, then reconcile again"
			return result, nil
		}
		if result.Snapshot.NotLoaded > 0 {
			result.Busy = fmt.Sprintf("the ETL has not loaded the newest %d changes: run `starter etl`, then reconcile again", result.Snapshot.NotLoaded)
			return result, nil
		}
		details(ctx, "comparing", "the sources, the raw index and the warehouse", "")
		result.Compared = activities.Compared{} // what is left out of an answer keeps its value
		err = workflow.ExecuteActivity(proofStep(ctx, readTimeout, "Compare record by record"), reconcile.Compare,
			activities.CompareInput{Index: in.Index, Source: in.Source, Snapshot: result.Snapshot}).Get(ctx, &result.Compared)
		if err != nil {
			return result, err
		}
		after, err := snapshot(ctx, in)
		if err != nil {
			return result, err
		}
		if !result.Compared.Moved && reflect.DeepEqual(after, result.Snapshot) {
			showProof(ctx, result)
			return result, nil
		}
	}
	return ReconcileResult{
		Busy:     fmt.Sprintf("the pipeline moved during each of %d comparisons: pause the ingest, or try again later", reconcileTries),
		Snapshot: result.Snapshot,
	}, nil
}

// awaitLoaded waits until the ETL has loaded everything, as long as the input
// allows.
func awaitLoaded(ctx workflow.Context, in ReconcileInput) (activities.Snapshot, error) {
	deadline := workflow.Now(ctx).Add(in.Wait)
	for {
		s, err := snapshot(ctx, in)
		if err != nil || (s.NotLoaded == 0 && !s.Unswept) || !workflow.Now(ctx).Before(deadline) {
			return s, err
		}
		details(ctx, "waiting", "the ETL has to load "+number(s.NotLoaded)+" changes", "")
		if err := workflow.Sleep(ctx, reconcileLook); err != nil {
			return s, err
		}
	}
}

func snapshot(ctx workflow.Context, in ReconcileInput) (s activities.Snapshot, err error) {
	err = workflow.ExecuteActivity(proofStep(ctx, stepTimeout, "Look where the pipeline stands"), reconcile.Snapshot,
		activities.SnapshotInput{Index: in.Index, Source: in.Source}).Get(ctx, &s)
	return s, err
}

// showProof shows the outcome of a comparison.
func showProof(ctx workflow.Context, result ReconcileResult) {
	report := &result.Compared.Report
	more := quoted(report.Identities.Source) + quoted(report.Identities.Raw)
	for _, problem := range result.Compared.Problems {
		more += "- " + problem + "\n"
	}
	if result.OK() {
		details(ctx, "balanced", "every record is in exactly one known place", more)
		return
	}
	details(ctx, "NOT balanced", "`starter reconcile` names what differs", more)
}
