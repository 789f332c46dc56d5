package workflows

import (
	"fmt"
	"path"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
	"covidpipeline/internal/temporalclient"
)

// IngestProgress is the answer of the query "progress" and of the updates.
type IngestProgress struct {
	Source     string                 `json:"source"`
	Options    IngestOptions          `json:"options"`
	Release    int64                  `json:"release"` // 0 = not registered yet
	Phase      string                 `json:"phase"`
	Rows       int64                  `json:"rows"`   // indexed of the release, those of earlier ingests included
	Bytes      int64                  `json:"bytes"`  // of the source before the checkpoint
	Size       int64                  `json:"size"`   // of the source when last looked at
	Counts     activities.BatchCounts `json:"counts"` // of the rows indexed
	Batches    int64                  `json:"batches"`
	NewestDone string                 `json:"newestDone"`
	Rate       int64                  `json:"rate"`
	StartedAt  time.Time              `json:"startedAt"`
	Restarts   int                    `json:"restarts"`
	LastError  string                 `json:"lastError,omitempty"`
	Held       string                 `json:"held,omitempty"` // why the release waits for a person
}

func (r *ingestRun) progress() IngestProgress {
	s := &r.state
	p := IngestProgress{
		Source: r.in.Source, Options: r.in.Options, Release: s.Registered.Release.Number, Phase: r.phase(),
		Rows: s.Checkpoint.Row, Bytes: s.Checkpoint.Offset, Size: s.Plan.Size, Counts: s.Counts, Batches: s.Batches,
		NewestDone: s.NewestDone, Rate: s.Rate, StartedAt: s.StartedAt, Restarts: s.Restarts, LastError: s.LastError, Held: s.Held,
	}
	for _, b := range r.out {
		if b.done {
			p.Counts.Add(b.counts)
			p.Rows += int64(b.rng.Rows)
			p.Bytes += b.rng.Length
		}
	}
	return p
}

// phaseHeld is the phase of an ingest whose release waits for a person.
const phaseHeld = "held"

func (r *ingestRun) phase() string {
	switch {
	case r.state.Registered.Release.Number == 0:
		return "registering the release"
	case r.state.Registered.Nothing:
		return "nothing to do"
	case r.rejected:
		return "rejected"
	case r.state.Held != "":
		return phaseHeld
	case r.state.Judged == nil && r.judging:
		return "judging the source"
	case r.state.Paused:
		return "paused"
	case r.running > 0 || len(r.state.Pending) > 0:
		return "indexing"
	case r.planWaits || r.awaiting:
		return "waiting for new lines"
	case r.atEnd():
		return "completing the release"
	}
	return "planning"
}

// show puts the progress where the Web UI shows it, in every run anew.
func (r *ingestRun) show(ctx workflow.Context) { r.showPhase(ctx, r.phase(), r.state.LastError) }

// ended shows how the ingest ended.
func (r *ingestRun) ended(ctx workflow.Context, err error) {
	switch {
	case workflow.IsContinueAsNewError(err):
		return
	case temporal.IsCanceledError(err):
		r.showPhase(ctx, "cancelled: the next ingest goes on at the checkpoint", r.state.LastError)
	case err != nil:
		r.showPhase(ctx, "failed", explained(err))
	case r.state.Registered.Nothing:
		r.showPhase(ctx, "nothing to do", "")
	case r.rejected:
		r.showPhase(ctx, "rejected", "")
	default:
		r.showPhase(ctx, "completed", "")
	}
	r.publish(ctx)
}

func (r *ingestRun) showPhase(ctx workflow.Context, phase, lastError string) {
	p := r.progress()
	var b strings.Builder
	if lastError != "" {
		b.WriteString(quoted(lastError))
	}
	if p.Held != "" {
		b.WriteString(quoted(p.Held))
		fmt.Fprintf(&b, "A person decides: `starter ingest accept --source %[1]s` or `starter ingest reject --source %[1]s`.\n\n", inCode(p.Source))
	}
	b.WriteString(progressBar(p.Bytes, p.Size, p.NewestDone))
	b.WriteString(table(
		[]string{"rows", "rows/s", "written", "already there", "superseded", "quarantined", "batches"},
		number(p.Rows), perSecond(p.Rows-r.state.Registered.From.Row, workflow.Now(ctx).Sub(p.StartedAt)), number(p.Counts.Written),
		number(p.Counts.AlreadyThere), number(p.Counts.Superseded), number(p.Counts.Quarantined), number(p.Batches)))
	if p.Restarts > 0 {
		fmt.Fprintf(&b, "\nThe release was begun anew %d times.\n", p.Restarts)
	}
	details(ctx, phase, fmt.Sprintf("release %d of `%s` into `%s`", p.Release, shortName(p.Source), r.in.Index), b.String())
}

// publish puts the progress where runs are listed.
func (r *ingestRun) publish(ctx workflow.Context) {
	p := r.progress()
	set(ctx,
		temporalclient.AttributeSource.ValueSet(shortName(p.Source)), temporalclient.AttributeRelease.ValueSet(p.Release),
		temporalclient.AttributeRows.ValueSet(p.Rows), temporalclient.AttributeRejects.ValueSet(p.Counts.Quarantined))
}

// shortName is a source without its folders, as long as a keyword may be.
func shortName(uri string) string {
	name := []rune(inCode(path.Base(uri)))
	return string(name[:min(len(name), maxKeyword)])
}

// inCode makes a text fit to stand between backticks in Markdown.
func inCode(text string) string { return strings.ReplaceAll(text, "`", "'") }
