package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// checkCarried refuses the state in a run's input unless the run before it handed
// it on by ContinueAsNew. A client that starts a run could put any source,
// position or index into a state, past the checks of the first steps.
//
// The server names the run before also in one that it begins by itself, as a retry
// or by a cron schedule, with the input that the client gave. No starter of this
// pipeline asks for either.
func checkCarried(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	if info.ContinuedExecutionRunID != "" && info.Attempt <= 1 && info.CronSchedule == "" {
		return nil
	}
	return failed(temporal.NewNonRetryableApplicationError(
		"the input has a state, which only a run that continues another may have", activities.ErrTypeStateRefused, nil))
}
