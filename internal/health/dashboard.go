package health

import (
	"context"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"

	"covidpipeline/workflows"
)

// Dashboard is the newest provisioning of the dashboard in Metabase.
type Dashboard struct {
	Error   string     `json:"error,omitempty"`
	State   string     `json:"state"` // of its run; "" without one: a pipeline needs no Metabase
	EndedAt *time.Time `json:"endedAt,omitempty"`
	Failure string     `json:"failure,omitempty"`
	Retry   *Retry     `json:"retry,omitempty"`
	Stuck   *Stuck     `json:"stuck,omitempty"`
}

// dashboard looks at the newest provisioning.
func (g *gatherer) dashboard(ctx context.Context) {
	b, id := &g.s.Dashboard, workflows.DashboardID
	var info *workflowpb.WorkflowExecutionInfo
	if info, b.Error = g.latest(ctx, id); info == nil {
		return
	}
	b.State, b.EndedAt = states[info.GetStatus()], endOf(info)
	switch runID := info.GetExecution().GetRunId(); b.State {
	case Running:
		now := g.describe(ctx, id, runID)
		b.Retry, b.Stuck = now.retry, now.stuck
	case Failed:
		b.Failure = g.failure(ctx, id, runID)
	}
}

func (j *judge) dashboard() {
	const what = "the provisioning of the dashboard"
	d := j.Dashboard
	if d.State == Failed {
		j.problem("dashboard-failed", "mend what it names, then starter dashboard apply", "%s of %s failed: %s", what, clock(d.EndedAt), d.Failure)
	}
	j.retried(what, d.Retry)
	j.stuck(what, d.Stuck)
}
