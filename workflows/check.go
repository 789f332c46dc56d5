package workflows

import (
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// CheckInput asks what an ingest of a source would bring and take away.
type CheckInput struct {
	Index  string            `json:"index"`
	Source string            `json:"source"`
	Limits activities.Limits `json:"limits"`
}

// CheckWorkflow makes the judgement of an ingest and writes nothing.
func CheckWorkflow(ctx workflow.Context, in CheckInput) (activities.Judgement, error) {
	for {
		var j activities.Judgement
		err := workflow.ExecuteActivity(proofStep(ctx, readTimeout, "Judge the source"), ingest.CheckSource,
			activities.CheckInput(in)).Get(ctx, &j)
		if err != nil || !j.Again {
			return j, failed(err)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return j, workflow.NewContinueAsNewError(ctx, CheckWorkflow, in)
		}
	}
}
