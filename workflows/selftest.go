package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// SelfTestInput names the raw index whose proof is tested.
type SelfTestInput struct {
	Index string `json:"index"`
}

// SelfTestWorkflow plants every kind of corruption in an index and a warehouse of
// its own and reports which of them the proof finds. The data of the pipeline is
// neither read nor changed.
func SelfTestWorkflow(ctx workflow.Context, in SelfTestInput) (activities.SelfTested, error) {
	var out activities.SelfTested
	details(ctx, "testing the proof", fmt.Sprintf("beside `%s`, on data of its own", in.Index), "")
	err := workflow.ExecuteActivity(proofStep(ctx, selfTestTimeout, "Plant corruption and prove"), reconcile.SelfTest,
		activities.SelfTestInput{Index: in.Index}).Get(ctx, &out)
	switch {
	case err != nil && !temporal.IsCanceledError(err):
		details(ctx, "failed", "nothing is known of the proof", quoted(explained(err)))
	case err == nil && out.OK():
		details(ctx, "passed", fmt.Sprintf("the proof finds all of %d corruptions", len(out.Planted)), "")
	case err == nil:
		details(ctx, "NOT passed", fmt.Sprintf("the proof misses %d of %d corruptions", out.Missed, len(out.Planted)), quoted(out.Leftover))
	}
	return out, failed(err)
}
