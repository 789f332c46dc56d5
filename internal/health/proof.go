package health

import (
	"context"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"

	"covidpipeline/workflows"
)

// The outcomes of a proof that has ended.
const (
	Balanced   = "balanced"
	Unbalanced = "unbalanced"
	Busy       = "busy" // nothing was proved: the pipeline moved, or the ETL had not caught up
)

// Proof is the newest proof that every record is accounted for.
type Proof struct {
	Error   string     `json:"error,omitempty"`
	State   string     `json:"state"` // an outcome, the state of a run that has none, or "" without a proof
	EndedAt *time.Time `json:"endedAt,omitempty"`
	Records int64      `json:"records"` // of the sources that were compared
}

// proof looks at the newest proof of the index.
func (g *gatherer) proof(ctx context.Context) {
	p, id := &g.s.Proof, workflows.ReconcileID(g.Index)
	var info *workflowpb.WorkflowExecutionInfo
	if info, p.Error = g.latest(ctx, id); info == nil {
		return
	}
	p.State, p.EndedAt = states[info.GetStatus()], endOf(info)
	if p.State != Completed {
		return
	}
	var result workflows.ReconcileResult
	if err := g.Temporal.GetWorkflow(ctx, id, info.GetExecution().GetRunId()).Get(ctx, &result); err != nil {
		p.Error = say(err, "Temporal")
		return
	}
	p.Records = result.Compared.Report.Source.Records
	switch {
	case result.Busy != "":
		p.State = Busy
	case result.OK():
		p.State = Balanced
	default:
		p.State = Unbalanced
	}
}

func (j *judge) proof() {
	if j.Proof.State == Unbalanced {
		j.problem("unbalanced", "`starter reconcile` names each difference; it is gone when a later proof balances",
			"the proof of %s found records that are not accounted for", clock(j.Proof.EndedAt))
	}
}
