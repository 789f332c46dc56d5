// Command starter is the operator's command: it starts ingests, runs and
// reconciles the schedule, proves that every record is accounted for, says whether
// all is healthy, and prints or serves the dashboard's cards. `starter help VERB`
// shows each with examples.
//
// Exit status: 0 done, 1 the job, the proof or writing its output failed, 2 usage,
// configuration, or a source that is no activity file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/internal/config"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/terminal"
	"covidpipeline/internal/warehouse"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one call and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out, errOut := terminal.New(stdout), terminal.New(stderr)
	defer errOut.Flush() //nolint:errcheck // there is nowhere else to say it
	a := &app{out: out, errOut: errOut}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	// Most of what a verb prints goes through functions whose errors are not looked at
	// one by one.
	if printed := out.Flush(); printed != nil && (err == nil || errors.Is(err, errSaid)) {
		err = fmt.Errorf("write the output: %w", printed)
	}
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(errOut, "starter: "+sentence(err))
	}
	var usage usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
		return 2
	}
	return 1
}

// errSaid ends a command whose failure has been printed already.
var errSaid = errors.New("said already")

// usageError is a mistake in the call or the configuration: exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// sentence gives the innermost message of a failed workflow: the frames around
// it say what the reader knows already.
func sentence(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return fmt.Sprintf("%s (%s)", app.Message(), app.Type())
	}
	return err.Error()
}

// app is one call of the command.
type app struct {
	out, errOut io.Writer
	cfg         config.Starter
	json        bool
	namespace   string
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "starter",
		Short:         "Operate the COVID activity pipeline",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			var err error
			if a.cfg, err = config.LoadStarter(); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(a.ingestCommand(), a.scheduleCommand(), a.etlCommand(), a.reconcileCommand(), a.cardsCommand())
	root.AddCommand(a.statusCommand(), a.dashboardCommand(), a.serveCommand())
	return root
}

// noArgs refuses arguments that are not flags.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q; see `%s --help`", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// temporal connects to the server. What the SDK logs is not for the operator.
func (a *app) temporal(ctx context.Context) (client.Client, error) {
	c, namespace, err := temporalclient.Dial(ctx, slog.New(slog.DiscardHandler))
	a.namespace = namespace
	return c, err
}

// hintNoWorker says after a while that no worker runs, when that is so: what has
// been started waits for one.
func (a *app) hintNoWorker(ctx context.Context, c client.Client) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(sayLateAfter):
	}
	queue, err := c.DescribeTaskQueue(ctx, temporalclient.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err == nil && len(queue.GetPollers()) == 0 {
		fmt.Fprintln(a.errOut, "No worker runs: start one with `go run ./worker`. What was started waits for it.")
	}
}

// sayLateAfter is how soon the operator is told why nothing happens.
const sayLateAfter = 5 * time.Second

// warehouse connects to the warehouse.
func (a *app) warehouse(ctx context.Context) (*warehouse.DB, error) {
	url, err := a.databaseURL()
	if err != nil {
		return nil, err
	}
	db, err := warehouse.Open(ctx, url)
	return db, hinted(err)
}

// hinted adds to an error of the warehouse what to look at.
func hinted(err error) error {
	switch {
	case errors.Is(err, warehouse.ErrUnavailable):
		return fmt.Errorf("%w: start PostgreSQL, or correct the host and port of DATABASE_URL", err)
	case errors.Is(err, warehouse.ErrDenied):
		return fmt.Errorf("%w: correct the user, password and database of DATABASE_URL; the user has to be a member of covid_reader", err)
	case errors.Is(err, warehouse.ErrNotMigrated):
		return fmt.Errorf("%w: a worker does it when it starts", err)
	}
	return err
}

func (a *app) databaseURL() (string, error) {
	if a.cfg.Database.URL == "" {
		return "", usagef("DATABASE_URL is not set: the address of the warehouse (`source .dev/env` sets that of the local stack)")
	}
	return a.cfg.Database.URL.Reveal(), nil
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
