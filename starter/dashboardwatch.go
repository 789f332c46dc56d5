package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
)

// sayAgainAfter is how soon a provisioning that does not get on is told again.
const sayAgainAfter = 10 * time.Second

// dashboardSteps says what a provisioning is at, by the name of its activity.
var dashboardSteps = map[string]string{
	"AwaitMetabase":   "Waiting until Metabase has started",
	"LogInMetabase":   "Logging in to Metabase",
	"ApplyDatabase":   "Connecting Metabase to the warehouse",
	"ApplyCollection": "Looking for the collection",
	"ApplyCard":       "Applying the cards",
	"ApplyDashboard":  "Applying the dashboard",
	"CheckCard":       "Running the cards",
}

// watchDashboard shows what a provisioning is at until it ends.
func (a *app) watchDashboard(ctx context.Context, c client.Client, run client.WorkflowRun) {
	v := &dashboardView{out: a.errOut}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		d, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err == nil && len(d.GetPendingActivities()) > 0 {
			v.show(d.GetPendingActivities()[0], time.Now()) // one step at a time
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// dashboardView remembers what it said of a step.
type dashboardView struct {
	out       io.Writer
	step, why string
	began     time.Time // of the step
	said      time.Time
}

// show says which step is on, at once; then why it is tried again, when that
// changes and every some seconds.
func (v *dashboardView) show(p *workflowpb.PendingActivityInfo, now time.Time) {
	step := dashboardSteps[p.GetActivityType().GetName()]
	if step == "" {
		step = p.GetActivityType().GetName()
	}
	if step != v.step {
		v.step, v.why, v.began, v.said = step, "", now, now
		fmt.Fprintf(v.out, "%s.\n", step)
	}
	why := strings.TrimSuffix(p.GetLastFailure().GetMessage(), ".")
	if (why == "" || why == v.why) && now.Sub(v.said) < sayAgainAfter {
		return
	}
	v.why, v.said = why, now
	line := fmt.Sprintf("%s: try %d after %d s", step, p.GetAttempt(), int(now.Sub(v.began).Seconds()))
	if why != "" {
		line += ": " + why
	}
	fmt.Fprintln(v.out, line+".")
}
