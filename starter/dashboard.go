package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// refreshSeconds is how often the printed page reads itself anew: Metabase keeps
// that in the address alone.
const refreshSeconds = 60

func (a *app) dashboardCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dashboard",
		Short: "Provision the dashboard in Metabase",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("say what to do with the dashboard: `%s apply`; see `%[1]s --help`", c.CommandPath())
		},
	}
	c.AddCommand(a.dashboardApplyCommand())
	return c
}

func (a *app) dashboardApplyCommand() *cobra.Command {
	var opt activities.ApplyOptions
	c := &cobra.Command{
		Use:   "apply",
		Short: "Create or update the dashboard, its cards and their database",
		Long: `Make Metabase show the dashboard: first user, database, collection, cards, tabs
and filters. Repeated, it writes only what differs. Every card and every filter
is run at the end.

What a person has edited in Metabase is kept and said, unless --force. The worker
does it: it reaches Metabase at its own METABASE_URL and needs METABASE_USERNAME,
METABASE_PASSWORD and METABASE_DATABASE_URL. This command reaches no Metabase: of
its METABASE_URL it makes the address that it prints.`,
		Example: "  starter dashboard apply\n  starter dashboard apply --dry-run",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.applyDashboard(c.Context(), opt) },
	}
	c.Flags().BoolVar(&opt.DryRun, "dry-run", false, "change nothing, show what would be changed")
	c.Flags().BoolVar(&opt.Force, "force", false, "overwrite what people have edited")
	return c
}

func (a *app) applyDashboard(ctx context.Context, opt activities.ApplyOptions) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       workflows.DashboardID,
		TaskQueue:                temporalclient.TaskQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "Provision the dashboard in Metabase",
		Memo:                     map[string]any{memoOptions: opt},
	}, workflows.DashboardWorkflow, workflows.DashboardInput{Options: opt})
	if err != nil {
		return fmt.Errorf("start the provisioning: %w", err)
	}
	var running activities.ApplyOptions
	if found, err := startedWith(ctx, c, run, &running); err != nil {
		return err
	} else if found && running != opt {
		return usagef("the dashboard is being provisioned with other options: try again when workflow %s has ended", run.GetID())
	}
	if !a.json {
		fmt.Fprintf(a.errOut, "The provisioning runs as workflow %s.\n", run.GetID())
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go a.hintNoWorker(watching, c)
	go a.watchDashboard(watching, c, run)
	var r workflows.DashboardResult
	if err := run.Get(ctx, &r); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.errOut, "The provisioning goes on without this command, as workflow %s.\n", run.GetID())
			return errSaid
		}
		return fmt.Errorf("provision the dashboard: %w", err)
	}
	return a.printDashboard(r)
}

func (a *app) printDashboard(r workflows.DashboardResult) error {
	address := ""
	if r.Path != "" {
		address = fmt.Sprintf("%s%s#refresh=%d", strings.TrimRight(a.cfg.Metabase.URL, "/"), r.Path, refreshSeconds)
	}
	if a.json {
		return a.printJSON(struct {
			Address string `json:"address,omitempty"`
			workflows.DashboardResult
		}{address, r})
	}
	same := 0
	for _, one := range r.Applied {
		if one.Done == activities.Same {
			same++
			continue
		}
		done := string(one.Done)
		if r.DryRun && one.Done != activities.Kept {
			done = "would be " + done
		}
		if one.Reason != "" {
			done += ": " + one.Reason
		}
		fmt.Fprintf(a.out, "%s %q %s\n", one.What, one.Name, done)
		if r.DryRun || one.Done == activities.Kept {
			a.printDifferences(one.Differences)
		}
		if len(one.Stored) > 0 {
			fmt.Fprintln(a.out, "  Metabase stored otherwise than it was sent:")
			a.printDifferences(one.Stored)
		}
	}
	if same > 0 {
		fmt.Fprintf(a.out, "%d unchanged\n", same)
	}
	if !r.DryRun {
		fmt.Fprintf(a.out, "%d cards run, %d filters proved, %d had nothing to filter (Metabase %s)\n",
			r.Checked.Cards, r.Checked.Filters, r.Checked.Without, r.Metabase)
	}
	if address != "" {
		fmt.Fprintln(a.out, address)
	}
	return nil
}

// printDifferences shows what is there (-) and what is wanted (+).
func (a *app) printDifferences(all []metabase.Difference) {
	show := func(sign, text string) {
		if text == "" {
			return
		}
		for _, line := range strings.Split(text, "\n") {
			fmt.Fprintf(a.out, "    %s %s\n", sign, line)
		}
	}
	for _, d := range all {
		fmt.Fprintf(a.out, "  %s\n", d.Name)
		show("-", d.Now)
		show("+", d.Want)
	}
}
