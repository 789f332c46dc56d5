package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/internal/terminal"
	"covidpipeline/workflows"
)

const (
	lookEvery = 500 * time.Millisecond
	// queryWithin is how long a worker may take to answer a look.
	queryWithin = 3 * time.Second
)

// watchIngest shows the progress of an ingest until it ends. An interrupt ends
// the watching alone.
func (a *app) watchIngest(ctx context.Context, c client.Client, run client.WorkflowRun) error {
	done := make(chan error, 1)
	var result workflows.IngestResult
	go func() { done <- run.Get(ctx, &result) }()
	view := a.newView()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			view.end()
			fmt.Fprintf(a.errOut, "The ingest goes on without this command, as workflow %s. The same call attaches again; `starter ingest pause` stops it for a while.\n", run.GetID())
			return errSaid
		case err := <-done:
			if ctx.Err() != nil {
				continue // the interrupt ended the waiting, not the ingest
			}
			view.end()
			if temporal.IsCanceledError(err) {
				return errors.New("the ingest was cancelled: the next one of this source continues at its checkpoint")
			}
			if err != nil {
				return fmt.Errorf("the ingest failed: %w", err)
			}
			return a.printIngest(result)
		case <-tick.C:
			view.look(ctx, c, run.GetID())
		}
	}
}

func (a *app) printIngest(r workflows.IngestResult) error {
	if a.json {
		if err := a.printJSON(r); err != nil || r.Rejected == "" {
			return err
		}
		return errSaid
	}
	if r.Rejected != "" {
		return fmt.Errorf("release %d of %s was rejected, and what is in effect stays: %s", r.Release, r.Source, r.Rejected)
	}
	if r.Nothing {
		fmt.Fprintf(a.out, "Nothing to do: release %d of %s holds this content already (%d rows).\n", r.Release, r.Source, r.Rows)
		return nil
	}
	rate := ""
	if r.NewRows < r.Rows {
		rate = fmt.Sprintf(", %d of them new,", r.NewRows)
	}
	if r.Seconds > 0 {
		rate += fmt.Sprintf(" in %.1f s, %.0f rows/s", r.Seconds, float64(r.NewRows)/r.Seconds)
	}
	fmt.Fprintf(a.out, "Release %d of %s is complete: %d rows%s.\n", r.Release, r.Source, r.Rows, rate)
	fmt.Fprintf(a.out, "  written %d, already there %d, superseded %d, quarantined %d, retired %d\n",
		r.Counts.Written, r.Counts.AlreadyThere, r.Counts.Superseded, r.Counts.Quarantined, r.Retired)
	return nil
}

// view shows an ingest: one live line on a terminal, plain lines elsewhere.
type view struct {
	out      io.Writer
	live     *liveLine // nil when not on a terminal
	last     workflows.IngestProgress
	first    workflows.IngestProgress // from which rates are measured
	since    time.Time                // of first
	silent   time.Time                // since when no worker answers
	lastNote string
}

func (a *app) newView() *view {
	v := &view{out: a.errOut}
	if f := terminal.Of(a.errOut); f != nil {
		v.live = &liveLine{f}
	}
	return v
}

func (v *view) end() {
	if v.live != nil {
		v.live.clear()
	}
}

func (v *view) look(ctx context.Context, c client.Client, id string) {
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	answer, err := c.QueryWorkflow(ctx, id, "", workflows.QueryProgress)
	var p workflows.IngestProgress
	if err == nil {
		err = answer.Get(&p)
	}
	if err != nil {
		v.noAnswer()
		return
	}
	v.silent = time.Time{}
	v.measure(p, time.Now())
	v.show(p)
	if p.Held != "" {
		v.note(fmt.Sprintf("The release is held: %s. `starter ingest accept --source %[2]s` lets it go on, `starter ingest reject --source %[2]s` ends it.", p.Held, p.Source))
	}
	v.noteRetries(ctx, c, id)
}

// measure begins the measuring of rates anew with each release, and when an ingest
// has fewer rows than before: it was started over.
func (v *view) measure(p workflows.IngestProgress, now time.Time) {
	if v.since.IsZero() || p.Release != v.first.Release || p.Rows < v.first.Rows || p.Bytes < v.first.Bytes {
		v.first, v.since = p, now
	}
}

// show prints what has changed.
func (v *view) show(p workflows.IngestProgress) {
	if p == v.last {
		return
	}
	v.last = p
	line := v.line(p, time.Now())
	if v.live == nil {
		fmt.Fprintln(v.out, line)
		return
	}
	part := share(p)
	_, short, _ := strings.Cut(line, ": ")
	v.live.draw(part+bar(p)+line, part+line, part+short)
}

// share shows how much of the source is indexed.
func share(p workflows.IngestProgress) string {
	if p.Size <= 0 {
		return ""
	}
	return fmt.Sprintf("%3d %% ", 100*min(p.Bytes, p.Size)/p.Size)
}

// bar draws it.
func bar(p workflows.IngestProgress) string {
	const cells = 20
	if p.Size <= 0 {
		return ""
	}
	full := int(cells * min(p.Bytes, p.Size) / p.Size)
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full) + " "
}

func (v *view) line(p workflows.IngestProgress, now time.Time) string {
	name := p.NewestDone
	if name == "" {
		name = p.Phase
	}
	took := now.Sub(v.since)
	rate := float64(p.Rows-v.first.Rows) / max(took.Seconds(), 0.001)
	line := fmt.Sprintf("%s: %d rows, %.0f rows/s, %d quarantined", name, p.Rows, rate, p.Counts.Quarantined)
	if bytes := p.Bytes - v.first.Bytes; bytes > 0 && p.Size > p.Bytes {
		left := time.Duration(float64(took) * float64(p.Size-p.Bytes) / float64(bytes))
		line += fmt.Sprintf(", ETA %s", left.Round(time.Second))
	}
	if p.Phase != "indexing" && p.NewestDone != "" {
		line += ", " + p.Phase
	}
	return line
}

// noAnswer says, once for each silence, that no worker answers.
func (v *view) noAnswer() {
	if v.silent.IsZero() {
		v.silent = time.Now()
	}
	if time.Since(v.silent) > 2*queryWithin {
		v.note("No worker answers: start one with `go run ./worker`. The ingest goes on where it was.")
	}
}

// noteRetries says why an activity is being tried again.
func (v *view) noteRetries(ctx context.Context, c client.Client, id string) {
	d, err := c.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return // the next look tells
	}
	for _, p := range d.GetPendingActivities() {
		if f := p.GetLastFailure(); f != nil && p.GetAttempt() > 1 {
			v.note(fmt.Sprintf("%s is being tried again: %s", p.GetActivityType().GetName(), f.GetMessage()))
			return
		}
	}
}

func (v *view) note(text string) {
	if text == v.lastNote {
		return
	}
	v.lastNote = text
	v.end()
	fmt.Fprintln(v.out, text)
}
