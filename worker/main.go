// Command worker runs the pipeline's workflows and activities.
//
// Everything it is told comes from the environment, see docs/operations.md. On
// SIGTERM or an interrupt it takes no new work, gives what is under way time to
// end and leaves; what does not end in time is done again by another worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"covidpipeline/activities"
	"covidpipeline/internal/config"
	"covidpipeline/internal/covid"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/search"
	files "covidpipeline/internal/source"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/terminal"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

const (
	// stopTimeout is how long activities under way may take to end. Batches and
	// windows need a second or two; whoever stops the worker has to wait longer
	// than this (a container's grace period: 30 s).
	stopTimeout = 20 * time.Second
	// activitiesAtOnce bounds what is in memory: a batch or window is some 10 MB.
	activitiesAtOnce = 32
	// waitsAtOnce is how many followed sources may wait for lines: a wait holds no
	// memory, and looks at its file five times a second.
	waitsAtOnce = 1000
	// memoryLimit is a soft limit: the collector works harder near it. The
	// buffers of activitiesAtOnce batches are well below.
	memoryLimit = 200 << 20
)

const usage = `usage: worker [check]

Runs the pipeline's workflows and activities until SIGTERM. Its settings come from
the environment, see docs/operations.md. The exit status of "worker check" reports
whether a worker of this host polls for work.`

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "check":
		if err := check(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, terminal.Escape(err.Error()))
			os.Exit(1)
		}
		return
	case len(os.Args) == 2 && slices.Contains([]string{"help", "-h", "-help", "--help"}, os.Args[1]):
		if _, err := fmt.Println(usage); err != nil {
			os.Exit(1)
		}
		return
	case len(os.Args) > 1:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	cfg, err := config.LoadWorker()
	if err != nil {
		fmt.Fprintln(os.Stderr, terminal.Escape(err.Error()))
		os.Exit(2)
	}
	logger := cfg.Logger()
	slog.SetDefault(logger)
	if err := run(cfg, logger); err != nil {
		logger.Error("the worker stops", "error", err)
		os.Exit(1)
	}
}

func run(cfg config.Worker, logger *slog.Logger) error {
	debug.SetMemoryLimit(memoryLimit)
	ctx := context.Background()
	sources, err := files.NewRoots(cfg.Roots...)
	if err != nil {
		return fmt.Errorf("SOURCE_ROOTS: %w", err)
	}
	db, err := openWarehouse(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer db.Close()
	es, err := search.New(search.Config{
		URL: cfg.Elasticsearch.URL, Username: cfg.Username, Password: cfg.Password.Reveal(), APIKey: cfg.APIKey.Reveal(),
		CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
	})
	if err != nil {
		return err
	}
	c, namespace, err := temporalclient.Dial(ctx, logger)
	if err != nil {
		return err
	}
	defer c.Close()
	added, err := temporalclient.EnsureAttributes(ctx, c, namespace)
	if err != nil {
		return err
	}
	for _, a := range added {
		logger.Info("registered a search attribute", "name", a.Name, "type", a.Type, "namespace", namespace)
	}
	waits := newWaiter(c, sources)
	if err := waits.Start(); err != nil {
		return fmt.Errorf("run the worker: %w", err)
	}
	defer waits.Stop()
	w := newWorker(c, cfg, es, db, sources)
	logger.Info("sources are read below SOURCE_ROOTS alone", "roots", sources.String())
	for _, folder := range sources.Missing() {
		logger.Warn("a folder of SOURCE_ROOTS does not exist", "folder", folder)
	}
	logger.Info("the worker starts", "taskQueue", temporalclient.TaskQueue, "pid", os.Getpid())
	if err := w.Run(worker.InterruptCh()); err != nil {
		return fmt.Errorf("run the worker: %w", err)
	}
	logger.Info("the worker has ended")
	return nil
}

// openWarehouse connects to the warehouse and brings its tables up to date.
func openWarehouse(ctx context.Context, cfg config.Worker, logger *slog.Logger) (*warehouse.DB, error) {
	url := cfg.Database.URL.Reveal()
	applied, version, err := warehouse.MigrateLogged(ctx, url, logger)
	if err != nil {
		return nil, err
	}
	for _, name := range applied {
		logger.Info("migrated the warehouse", "migration", name)
	}
	logger.Debug("the warehouse is up to date", "version", version)
	return warehouse.Open(ctx, url)
}

// newWaiter returns the worker of the waits for followed sources. It runs no
// workflows.
func newWaiter(c client.Client, sources files.Roots) worker.Worker {
	w := worker.New(c, temporalclient.WaitQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: waitsAtOnce,
		DisableWorkflowWorker:              true,
		WorkerStopTimeout:                  stopTimeout,
	})
	w.RegisterActivity(&activities.Waits{Sources: sources})
	return w
}

func newWorker(c client.Client, cfg config.Worker, es *search.Client, db *warehouse.DB, sources files.Roots) worker.Worker {
	w := worker.New(c, temporalclient.TaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: activitiesAtOnce,
		WorkerStopTimeout:                  stopTimeout,
	})
	w.RegisterWorkflow(workflows.IngestWorkflow)
	w.RegisterWorkflow(workflows.CheckWorkflow)
	w.RegisterWorkflow(workflows.ETLWorkflow)
	w.RegisterWorkflow(workflows.ReconcileWorkflow)
	w.RegisterWorkflow(workflows.SelfTestWorkflow)
	w.RegisterWorkflow(workflows.DashboardWorkflow)
	w.RegisterActivity(&activities.Ingest{Search: es, Sources: sources, Shards: cfg.Shards, Replicas: cfg.Replicas, Quiet: cfg.Quiet, Rules: covid.DefaultRules})
	w.RegisterActivity(&activities.ETL{Search: es, Warehouse: db, Rules: covid.DefaultRules})
	w.RegisterActivity(&activities.Reconcile{Search: es, Sources: sources, Warehouse: db, Rules: covid.DefaultRules, Running: running(c)})
	w.RegisterActivity(metabaseOf(cfg.Metabase))
	return w
}

// running returns what reports whether the ingest of a source runs.
func running(c client.Client) func(ctx context.Context, index, source string) (bool, error) {
	return func(ctx context.Context, index, source string) (bool, error) {
		found, err := c.DescribeWorkflowExecution(ctx, workflows.IngestID(index, source), "")
		var none *serviceerror.NotFound
		if errors.As(err, &none) {
			return false, nil
		}
		return found.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, err
	}
}

// metabaseOf gives the activities that reach Metabase. A worker without these
// settings runs all else.
func metabaseOf(cfg config.Metabase) *activities.Dashboards {
	out := &activities.Dashboards{
		Metabase: metabase.New(metabase.Config{URL: cfg.URL, Username: cfg.Username, Password: cfg.Password.Reveal()}),
		Missing:  cfg.Missing(),
	}
	if c, err := cfg.Connection(); err == nil { // checked when it was read, if it is set
		out.Connection = metabase.Connection{
			Host: c.Host, Port: c.Port, Database: c.Database, User: c.User, Password: c.Password.Reveal(), SSL: c.SSL,
		}
	}
	return out
}
