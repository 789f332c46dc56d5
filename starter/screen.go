package main

import (
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode"

	"covidpipeline/internal/health"
)

// screen gives the report as text. Texts from outside are put on one line.
func (r report) screen() string {
	p := &page{now: r.CheckedAt}
	fmt.Fprintf(&p.text, "%s, index %s: ", r.CheckedAt.Format("2006-01-02 15:04:05 MST"), r.Index)
	switch n := len(r.Problems); n {
	case 0:
		p.text.WriteString("healthy\n\n")
	case 1:
		p.text.WriteString("1 thing needs a person\n\n")
	default:
		fmt.Fprintf(&p.text, "%d things need a person\n\n", n)
	}
	p.findings("needs a person", r.Problems)
	p.findings("notice", r.Notices)
	p.servers(r.Status)
	p.workers(r.Workers)
	p.schedule(r.Schedule)
	p.etl(r.ETL)
	p.lag(r.Lag)
	p.ingests(r.Ingests)
	p.releases(r.Releases)
	p.refused("quarantine", r.Quarantine)
	p.refused("rejects", r.Rejects)
	p.proof(r.Proof)
	p.dashboard(r.Dashboard)
	return p.text.String()
}

// page is a screen being written.
type page struct {
	text strings.Builder
	now  time.Time
}

// line writes a line with a name in front.
func (p *page) line(name, format string, args ...any) {
	fmt.Fprintf(&p.text, "%-15s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
}

// unknown writes that a part could not be read.
func (p *page) unknown(name, why string) { p.line(name, "not known: %s", why) }

// oneLine keeps control characters, which texts from outside may hold, off the
// terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func (p *page) ago(t time.Time) string { return health.Span(p.now.Sub(t)) + " ago" }

func (p *page) findings(title string, found []health.Finding) {
	for _, f := range found {
		p.line(title, "[%s] %s. Do: %s", f.ID, f.Text, f.Do)
	}
	if len(found) > 0 {
		p.text.WriteByte('\n')
	}
}

func (p *page) servers(s health.Status) {
	if s.Elasticsearch.Error != "" {
		p.line("Elasticsearch", "cannot be asked")
	}
	for _, n := range s.Elasticsearch.Nodes {
		text := fmt.Sprintf("%s, node %s", n.Version, n.Name)
		for _, d := range n.Disks {
			text += fmt.Sprintf(", %s of %s free, read-only below %s", health.Size(d.Available), health.Size(d.Total), health.Size(d.Flood))
		}
		p.line("Elasticsearch", "%s", text)
	}
	var indices []string
	for name, state := range s.Elasticsearch.Indices {
		indices = append(indices, name+" "+state)
	}
	sort.Strings(indices)
	if len(indices) > 0 {
		p.line("  indices", "%s", strings.Join(indices, ", "))
	}
	if s.PostgreSQL.Error != "" {
		p.line("PostgreSQL", "cannot be asked")
	} else {
		p.line("PostgreSQL", "%s, database of %s, tables at version %d", s.PostgreSQL.Version, health.Size(s.PostgreSQL.DatabaseBytes), s.PostgreSQL.Schema)
	}
	if s.Temporal.Error != "" {
		p.line("Temporal", "cannot be asked")
	} else {
		p.line("Temporal", "%s, namespace %s", s.Temporal.Version, s.Temporal.Namespace)
	}
}

func (p *page) workers(w health.Workers) {
	if w.Error != "" {
		p.unknown("workers", w.Error)
		return
	}
	p.line("workers", "of task queue %s: workflows %s; activities %s", w.TaskQueue, p.pollers(w.Workflow), p.pollers(w.Activity))
}

func (p *page) pollers(found []health.Poller) string {
	if len(found) == 0 {
		return "none"
	}
	var names []string
	for _, f := range found {
		if p.now.Sub(f.LastSeen) < health.GoneAfter || len(found) == 1 {
			names = append(names, fmt.Sprintf("%s (seen %s)", f.Identity, p.ago(f.LastSeen)))
		}
	}
	if gone := len(found) - len(names); gone > 0 {
		names = append(names, fmt.Sprintf("%d gone", gone))
	}
	return strings.Join(names, ", ")
}

func (p *page) schedule(s health.Schedule) {
	switch {
	case s.Error != "":
		p.unknown("schedule", s.Error)
	case !s.Exists:
		p.line("schedule", "%s does not exist", s.ID)
	case s.Paused:
		p.line("schedule", "%s is paused: %s", s.ID, s.Note)
	case s.NextRun == nil:
		p.line("schedule", "%s has no next run", s.ID)
	default:
		p.line("schedule", "%s, next run at %s, in %s", s.ID, s.NextRun.UTC().Format("15:04 MST"), health.Span(s.NextRun.Sub(p.now)))
	}
}

func (p *page) etl(e health.ETL) {
	if e.Error != "" {
		p.unknown("ETL", e.Error+"; what follows is from the run table")
	}
	if e.TableError != "" {
		p.unknown("ETL counts", e.TableError)
	}
	if r := e.Running; r != nil {
		p.line("ETL now", "%s since %s", r.WorkflowID, p.ago(r.StartedAt))
		p.retry(r.Retry)
	}
	switch {
	case e.Last != nil:
		p.run("ETL last", e.Last)
	case e.Error == "" && e.TableError == "":
		p.line("ETL last", "no run has ended yet")
	}
	if e.Completed != nil && e.Completed != e.Last {
		p.run("ETL completed", e.Completed)
	}
}

func (p *page) run(name string, r *health.Run) {
	text := r.WorkflowID
	if r.Number != 0 {
		text = fmt.Sprintf("run %d, %s", r.Number, text)
	}
	text += ": " + r.State
	if r.EndedAt != nil {
		text += fmt.Sprintf(" %s after %.1f s", p.ago(*r.EndedAt), r.EndedAt.Sub(r.StartedAt).Seconds())
	}
	if r.Counts != nil {
		l := r.Counts.Loaded
		text += fmt.Sprintf(", %d documents: %d inserted, %d updated, %d unchanged, %d rejected, %d retired",
			l.Extracted, l.Inserted, l.Updated, l.Unchanged, l.Rejected+l.MovedToRejects, l.Retired)
	}
	p.line(name, "%s", text)
	if r.Failure != "" {
		p.line("  error", "%s", r.Failure)
	}
}

func (p *page) retry(r *health.Retry) {
	if r != nil {
		p.line("  retrying", "%s, attempt %d: %s", r.Activity, r.Attempt, r.Failure)
	}
}

func (p *page) lag(l health.Lag) {
	switch {
	case l.Error != "":
		p.unknown("lag", l.Error)
	case l.Numbers == 0:
		p.line("lag", "none: the warehouse has all of the raw index")
	default:
		text := fmt.Sprintf("%d documents wait for the warehouse", l.Documents)
		if l.Numbers > l.Documents {
			text += fmt.Sprintf(", up to %d with those not visible yet", l.Numbers)
		}
		if l.Since != nil {
			text += ", none for longer than " + health.Span(p.now.Sub(*l.Since))
		}
		p.line("lag", "%s", text)
	}
}

func (p *page) ingests(in health.Ingests) {
	if in.Error != "" {
		p.unknown("ingest", in.Error)
	} else if len(in.Runs) == 0 {
		p.line("ingest", "none runs")
	}
	for _, run := range in.Runs {
		text := fmt.Sprintf("%s: %s, started %s", run.Source, run.State, p.ago(run.StartedAt))
		switch g := run.Progress; {
		case g != nil:
			text = fmt.Sprintf("%s: %s, release %d, %d rows, %.1f %%, %.0f rows/s, %d quarantined",
				run.Source, g.Phase, g.Release, g.Rows, g.Percent, g.RowsPerSecond, g.Quarantined)
		case run.State == health.Running:
			text += "; no worker answers for it"
		}
		p.line("ingest", "%s", text)
		if run.Failure != "" {
			p.line("  error", "%s", run.Failure)
		}
		if run.Progress != nil && run.Progress.LastError != "" {
			p.line("  last error", "%s", run.Progress.LastError)
		}
		p.retry(run.Retry)
	}
}

func (p *page) releases(r health.Releases) {
	if r.Error != "" {
		p.unknown("release", r.Error)
	}
	for _, n := range r.Newest {
		text := fmt.Sprintf("%d of %s: %s, %d rows, registered %s", n.Number, n.Source, n.State, n.Rows, p.ago(n.Registered))
		if n.FinishedAt != nil {
			text += ", finished " + p.ago(*n.FinishedAt)
		}
		p.line("release", "%s", text)
	}
}

func (p *page) proof(r health.Proof) {
	switch {
	case r.Error != "":
		p.unknown("proof", r.Error)
	case r.State == "":
		p.line("proof", "none yet: `starter reconcile` makes one")
	case r.EndedAt == nil:
		p.line("proof", "%s", r.State)
	case r.State == health.Busy:
		p.line("proof", "nothing was proved %s: the pipeline was busy", p.ago(*r.EndedAt))
	default:
		p.line("proof", "%s %s, %d source records", r.State, p.ago(*r.EndedAt), r.Records)
	}
}

// dashboard shows the newest provisioning; without one there is nothing to show.
func (p *page) dashboard(d health.Dashboard) {
	switch {
	case d.Error != "":
		p.unknown("dashboard", d.Error)
	case d.EndedAt != nil:
		p.line("dashboard", "provisioning %s %s", d.State, p.ago(*d.EndedAt))
	case d.State != "":
		p.line("dashboard", "provisioning %s", d.State)
	}
	p.retry(d.Retry)
}

func (p *page) refused(name string, r health.Refused) {
	if r.Error != "" {
		p.unknown(name, r.Error)
		return
	}
	p.line(name, "%d", r.Count)
	for _, reason := range r.Reasons {
		p.line("", "%d: %s", reason.Count, reason.Reason)
	}
}
