package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"covidpipeline/internal/health"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/terminal"
	"covidpipeline/internal/warehouse"
)

// watchEvery is the time between two looks.
const watchEvery = 3 * time.Second

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Is it healthy? One screen; exit status 1 when something needs a person",
		Long: `Ask every server side by side and show on one screen whether the pipeline is
healthy: servers, workers, schedule, ETL runs, what waits for the warehouse, ingests,
quarantine, rejects and disks. It takes at most 5 s, whatever answers or not.

Exit status: 0 healthy, 1 something needs a person (each such thing is a line that
says what to do), 2 usage or configuration.`,
		Example: "  starter status\n  starter status --watch\n  starter status --json | jq '.problems[].text'",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			url, err := a.databaseURL()
			if err != nil {
				return err
			}
			// It stays open until the process ends: closing waits for a server that does
			// not answer.
			db, err := warehouse.New(url)
			if err != nil {
				return usageError{err}
			}
			servers, err := a.servers(db)
			if err != nil {
				return err
			}
			defer servers.Temporal.Close()
			if watch {
				return a.watchStatus(c.Context(), servers)
			}
			report := newReport(health.Gather(c.Context(), servers))
			if err := a.printReport(a.out, report); err != nil {
				return err
			}
			if !report.Healthy {
				return errSaid
			}
			return nil
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "look again every few seconds until Ctrl-C; with --json one line a look")
	return c
}

// servers gives the clients beside that of the warehouse; none of them is
// connected yet.
func (a *app) servers(db *warehouse.DB) (health.Servers, error) {
	s := health.Servers{Index: a.cfg.Index, TaskQueue: temporalclient.TaskQueue, Warehouse: db}
	var err error
	s.Search, err = search.New(search.Config{
		URL: a.cfg.Elasticsearch.URL, Username: a.cfg.Username, Password: a.cfg.Password.Reveal(),
		APIKey: a.cfg.APIKey.Reveal(), CAFile: a.cfg.CAFile, CertFile: a.cfg.CertFile, KeyFile: a.cfg.KeyFile,
	})
	if err != nil {
		return s, usageError{err}
	}
	s.Temporal, s.Address, s.Namespace, err = temporalclient.Lazy(slog.New(slog.DiscardHandler))
	if err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// report is a status and what to make of it; the JSON of `starter status`.
type report struct {
	Healthy  bool             `json:"healthy"`
	Problems []health.Finding `json:"problems"`
	Notices  []health.Finding `json:"notices"`
	health.Status
}

func newReport(s health.Status) report {
	r := report{Problems: []health.Finding{}, Notices: []health.Finding{}, Status: s}
	r.Problems = append(r.Problems, s.Problems()...)
	r.Notices = append(r.Notices, s.Notices()...)
	r.Healthy = len(r.Problems) == 0
	return r
}

func (a *app) printReport(w io.Writer, r report) error {
	if a.json {
		return a.printJSON(r)
	}
	_, err := io.WriteString(w, r.screen())
	return err
}

// watchStatus looks until it is interrupted. A terminal is redrawn; elsewhere
// screens follow each other, or JSON, one line each.
func (a *app) watchStatus(ctx context.Context, servers health.Servers) error {
	screen := terminal.Of(a.out)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		r := newReport(health.Gather(ctx, servers))
		if ctx.Err() != nil { // what it could not ask is not the servers' fault
			return nil
		}
		var err error
		switch {
		case a.json:
			err = json.NewEncoder(a.out).Encode(r)
		case screen != nil:
			if _, err = io.WriteString(screen, "\x1b[H\x1b[2J"); err == nil {
				_, err = fmt.Fprint(a.out, r.screen(), "\nCtrl-C ends.\n")
			}
		default:
			_, err = fmt.Fprintln(a.out, r.screen())
		}
		if err != nil {
			return fmt.Errorf("print the status: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
