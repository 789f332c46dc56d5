package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// memoOptions is the memo that keeps what an ingest, or a run of the dashboard, was
// started with.
const memoOptions = "options"

func (a *app) ingestCommand() *cobra.Command {
	var uri string
	var opt workflows.IngestOptions
	var detach, wait, check bool
	c := &cobra.Command{
		Use:   "ingest --source FILE",
		Short: "Ingest a source into the raw index",
		Long: `Ingest a CSV source of COVID-19 activity into Elasticsearch.

The ingest is a durable workflow: Ctrl-C leaves it running, and the same call
attaches to it again. A source that only grew costs only what was appended; one
that has not changed costs nothing.

A source that would take much away is not obeyed: when more of its records are bad than
--max-bad says, or more keys that are live would be retired than --max-retired says, the
ingest writes nothing and waits for starter ingest accept or reject. At least 100 may be
bad or retired whatever the percentage, and at most half of a small file.


The command looks at the file first and refuses, with exit status 2, what is not
there, cannot be read or is no activity file. --wait leaves that to the workers:
for a file on another machine, or one that is yet to come.`,
		Example: `  starter ingest --source data/activity.csv
  starter ingest --source data/activity.csv --follow --detach
  starter ingest --source data/activity.csv --batch-rows 100 --rate 500
  starter ingest --source data/activity.csv --check`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkIngest(opt); err != nil {
				return err
			}
			canonical, err := canonicalSource(uri)
			if err != nil {
				return err
			}
			if !wait {
				if err := checkSource(canonical, opt.Follow); err != nil {
					return err
				}
			}
			if check {
				return a.check(c.Context(), canonical, activities.Limits{MaxBad: opt.MaxBad, MaxRetired: opt.MaxRetired})
			}
			return a.ingest(c.Context(), canonical, opt, given(c.Flags()), detach)
		},
	}
	f := c.Flags()
	sourceFlag(f, &uri)
	f.BoolVar(&wait, "wait", false, "do not look for the file on this machine: wait until a worker finds it on its own")
	f.BoolVar(&opt.Follow, "follow", false, "go on with what is appended, until it is told to finish")
	f.BoolVar(&opt.NewRelease, "new-release", false, "begin a new release even if the source only grew or did not change")
	f.IntVar(&opt.BatchRows, "batch-rows", 5000, "rows a batch, 1 to 50000")
	f.IntVar(&opt.Concurrency, "concurrency", 4, "batches at once, 1 to 64")
	f.Int64Var(&opt.Rate, "rate", 0, "rows a second on average, a batch at a time; 0 is no limit")
	f.Float64Var(&opt.MaxBad, "max-bad", activities.DefaultLimit, "hold a release of which more records are bad than this percentage, at least 100")
	f.Float64Var(&opt.MaxRetired, "max-retired", activities.DefaultLimit, "hold a release that would retire more keys than this percentage, at least 100")
	f.BoolVar(&opt.Accept, "accept", false, "accept in advance whatever the release brings and takes away")
	f.BoolVar(&check, "check", false, "report what an ingest would bring and take away, and write nothing; exit status 1 when it would be held")
	f.BoolVar(&detach, "detach", false, "start it and return")
	c.AddCommand(a.ingestControls()...)
	return c
}

func checkIngest(opt workflows.IngestOptions) error {
	switch {
	case opt.BatchRows < 1 || opt.BatchRows > 50_000:
		return usagef("--batch-rows is %d: from 1 to 50000", opt.BatchRows)
	case opt.Concurrency < 1 || opt.Concurrency > 64:
		return usagef("--concurrency is %d: from 1 to 64", opt.Concurrency)
	case opt.Rate < 0:
		return usagef("--rate is %d: rows a second, or 0 for no limit", opt.Rate)
	case !(opt.MaxBad > 0 && opt.MaxBad <= 100):
		return usagef("--max-bad is %v: a percentage above 0, at most 100", opt.MaxBad)
	case !(opt.MaxRetired > 0 && opt.MaxRetired <= 100):
		return usagef("--max-retired is %v: a percentage above 0, at most 100", opt.MaxRetired)
	}
	return nil
}

// given are the options that a call names, by their flags.
func given(flags *pflag.FlagSet) map[string]bool {
	names := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { names[f.Name] = true })
	return names
}

func (a *app) ingest(ctx context.Context, uri string, opt workflows.IngestOptions, given map[string]bool, detach bool) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := workflows.IngestID(a.cfg.Index, uri)
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                temporalclient.TaskQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            fmt.Sprintf("Ingest %s into %s", filepath.Base(uri), a.cfg.Index),
		StaticDetails:            fmt.Sprintf("Source: `%s`", uri),
		Memo:                     map[string]any{memoOptions: opt, workflows.MemoSource: uri},
	}, workflows.IngestWorkflow, workflows.IngestInput{Index: a.cfg.Index, Source: uri, Options: opt})
	if err != nil {
		return fmt.Errorf("start the ingest: %w", err)
	}
	if err := a.sameOptions(ctx, c, run, opt, given); err != nil {
		return err
	}
	if detach {
		if a.json {
			return a.printJSON(map[string]string{"workflowId": id, "runId": run.GetRunID()})
		}
		fmt.Fprintf(a.out, "The ingest runs as workflow %s.\n", id)
		return nil
	}
	return a.watchIngest(ctx, c, run)
}

// sameOptions refuses to attach to an ingest of the same source that was
// started with other options than the call names: they would silently not hold.
func (a *app) sameOptions(ctx context.Context, c client.Client, run client.WorkflowRun, opt workflows.IngestOptions, given map[string]bool) error {
	var running workflows.IngestOptions
	found, err := startedWith(ctx, c, run, &running)
	if err != nil || !found {
		return err
	}
	var other []string
	asked := flagsOf(opt)
	for name, value := range flagsOf(running) {
		if given[name] && asked[name] != value {
			other = append(other, fmt.Sprintf("--%s is %v there and %v here", name, value, asked[name]))
		}
	}
	if len(other) == 0 {
		return nil
	}
	slices.Sort(other)
	return usagef("this source is being ingested with other options (%s): leave them out to attach, or use `starter ingest pause|resume|rate|finish`, or end it with `starter ingest cancel` first",
		strings.Join(other, ", "))
}

// startedWith reads the options that a run was started with.
func startedWith(ctx context.Context, c client.Client, run client.WorkflowRun, options any) (found bool, err error) {
	d, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return false, fmt.Errorf("look at workflow %s: %w", run.GetID(), err)
	}
	payload := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[memoOptions]
	if payload == nil {
		return false, nil
	}
	if err := converter.GetDefaultDataConverter().FromPayload(payload, options); err != nil {
		return false, fmt.Errorf("read the options of workflow %s: %w", run.GetID(), err)
	}
	return true, nil
}

// flagsOf gives options by their flags.
func flagsOf(o workflows.IngestOptions) map[string]any {
	return map[string]any{
		"batch-rows": o.BatchRows, "concurrency": o.Concurrency, "rate": o.Rate, "follow": o.Follow, "new-release": o.NewRelease,
		"max-bad": o.MaxBad, "max-retired": o.MaxRetired, "accept": o.Accept,
	}
}

// ingestControls are the messages to a running ingest.
func (a *app) ingestControls() []*cobra.Command {
	control := func(name, short, done string) *cobra.Command {
		var uri string
		c := &cobra.Command{
			Use:     name + " --source FILE",
			Short:   short,
			Example: "  starter ingest " + name + " --source data/activity.csv",
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return a.tellIngest(c.Context(), uri, name, done)
			},
		}
		sourceFlag(c.Flags(), &uri)
		return c
	}
	var uri string
	var rows int64
	rate := &cobra.Command{
		Use:     "rate --source FILE --rows N",
		Short:   "Limit the rows a second of a running ingest",
		Example: "  starter ingest rate --source data/activity.csv --rows 500",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("rows") || rows < 0 {
				return usagef("--rows is missing or negative: rows a second, or 0 for no limit")
			}
			return a.tellIngest(c.Context(), uri, workflows.UpdateRate, "The rate is set.", rows)
		},
	}
	sourceFlag(rate.Flags(), &uri)
	rate.Flags().Int64Var(&rows, "rows", 0, "rows a second at most; 0 is no limit (required)")
	return []*cobra.Command{
		control(workflows.UpdatePause, "Start no new batches", "The ingest is paused: batches under way end, new ones do not start."),
		control(workflows.UpdateResume, "Go on after a pause", "The ingest goes on."),
		rate,
		control(workflows.UpdateFinish, "Tell a following ingest that its source is complete", "The ingest takes what is left and completes the release."),
		a.cancelCommand(),
		control(workflows.UpdateAccept, "Let a held ingest go on", "The release is accepted as it was judged; if its source changed since, it is judged again."),
		control(workflows.UpdateReject, "End a held ingest", "The release is rejected."),
	}
}

// answerWithin is how long a worker may take to answer an update.
const answerWithin = 10 * time.Second

func (a *app) tellIngest(ctx context.Context, path, update, done string, args ...any) error {
	uri, err := canonicalSource(path)
	if err != nil {
		return err
	}
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflows.IngestID(a.cfg.Index, uri), UpdateName: update, Args: args,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var p workflows.IngestProgress
	if err == nil {
		err = handle.Get(ctx, &p)
	}
	var missing *serviceerror.NotFound
	var unanswered *client.WorkflowUpdateServiceTimeoutOrCanceledError
	switch {
	case errors.As(err, &missing):
		return a.noIngest(uri)
	case errors.As(err, &unanswered), err != nil && ctx.Err() != nil:
		return fmt.Errorf("no worker answered within %s, so nothing is known to have changed: start a worker (`go run ./worker`) and try again", answerWithin)
	case err != nil:
		return fmt.Errorf("%s the ingest: %w", update, err)
	}
	if a.json {
		return a.printJSON(p)
	}
	fmt.Fprintf(a.out, "%s %d rows so far.\n", done, p.Rows)
	return nil
}
