// Package workflows holds the order of the pipeline's steps. It does no I/O:
// that is the activities' part.
package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
)

// Time limits of the activities. One attempt has StartToClose; a killed worker
// is noticed after the heartbeat timeout.
const (
	stepTimeout      = 60 * time.Second // one batch, one window's step: a second or two when all is well
	heartbeatTimeout = 10 * time.Second
	// planTimeout leaves a plan of a growing source its minute of waiting.
	planTimeout = 3 * time.Minute
	// readTimeout is for activities that read a whole source or index once.
	readTimeout = 2 * time.Hour
	// selfTestTimeout is for a self-test of the proof: some seconds when all is well.
	selfTestTimeout = 10 * time.Minute

	// ScheduleEvery is the interval of the schedule.
	ScheduleEvery = time.Hour
	// etlTimeout bounds all attempts of an ETL step, so that a run fails before
	// the next one is due.
	etlTimeout = ScheduleEvery - 10*time.Minute
	// etlEndTimeout bounds all attempts of a sweep and of the dashboards' sums, of
	// which one attempt has readTimeout. They go once over a table of any size, and
	// the schedule skips the runs that are due meanwhile: cut after an hour, they
	// would begin again every hour. A sweep goes on where its last attempt stopped.
	etlEndTimeout = 12 * time.Hour
	// metabaseTimeout bounds all attempts of a step of the dashboard: a Metabase
	// takes a minute or two to start, and somebody waits for the outcome.
	metabaseTimeout = 10 * time.Minute
)

// transient is how faults of servers are retried: at once, then less and less
// often. Which faults are not retried the activities say.
var transient = temporal.RetryPolicy{
	InitialInterval:    500 * time.Millisecond,
	BackoffCoefficient: 2,
	MaximumInterval:    30 * time.Second,
}

func ingestStep(ctx workflow.Context, timeout time.Duration, summary string) workflow.Context {
	return step(ctx, timeout, 0, transient, summary)
}

// waitStep is for the wait for lines of a followed source.
func waitStep(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           temporalclient.WaitQueue,
		StartToCloseTimeout: planTimeout,
		HeartbeatTimeout:    heartbeatTimeout,
		RetryPolicy:         &transient,
		Summary:             "Wait for new lines",
	})
}

// extractRetry, transformRetry and loadRetry are the steps' own: a search that
// fails is given time, a transform fails only with its database, a load is
// tried again soon because the next window waits for it.
var (
	extractRetry   = temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}
	transformRetry = temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second}
	loadRetry      = temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second}
)

func etlStep(ctx workflow.Context, retry temporal.RetryPolicy, summary string) workflow.Context {
	return step(ctx, stepTimeout, etlTimeout, retry, summary)
}

func etlEndStep(ctx workflow.Context, summary string) workflow.Context {
	return step(ctx, readTimeout, etlEndTimeout, loadRetry, summary)
}

// proofRetry ends: a proof that cannot be carried out is told soon.
var proofRetry = temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second, MaximumAttempts: 5}

func proofStep(ctx workflow.Context, timeout time.Duration, summary string) workflow.Context {
	return step(ctx, timeout, 0, proofRetry, summary)
}

// metabaseRetry is for a Metabase that starts, or that the network lost: soon
// enough that a person who waits does not notice.
var metabaseRetry = temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second}

func metabaseStep(ctx workflow.Context, summary string) workflow.Context {
	return step(ctx, stepTimeout, metabaseTimeout, metabaseRetry, summary)
}

// step sets how an activity runs: an attempt has timeout, all attempts together
// have within (0: for ever).
func step(ctx workflow.Context, timeout, within time.Duration, retry temporal.RetryPolicy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    timeout,
		ScheduleToCloseTimeout: within,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy:            &retry,
		WaitForCancellation:    true,
		Summary:                summary,
	})
}

// The activities are called through these nil pointers: only their names count.
var (
	ingest    *activities.Ingest
	waits     *activities.Waits
	etl       *activities.ETL
	reconcile *activities.Reconcile
	dashboard *activities.Dashboards
)
