package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
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
}

func (r *ingestRun) progress() IngestProgress {
	s := &r.state
	p := IngestProgress{
		Source: r.in.Source, Options: r.in.Options, Release: s.Registered.Release.Number, Phase: r.phase(),
		Rows: s.Checkpoint.Row, Bytes: s.Checkpoint.Offset, Size: s.Plan.Size, Counts: s.Counts, Batches: s.Batches,
		NewestDone: s.NewestDone, Rate: s.Rate, StartedAt: s.StartedAt, Restarts: s.Restarts, LastError: s.LastError,
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

func (r *ingestRun) phase() string {
	switch {
	case r.state.Registered.Release.Number == 0:
		return "registering the release"
	case r.state.Registered.Nothing:
		return "nothing to do"
	case r.state.Paused:
		return "paused"
	case r.running > 0 || len(r.state.Pending) > 0:
		return "indexing"
	case r.planWaits:
		return "waiting for new lines"
	case r.atEnd():
		return "completing the release"
	}
	return "planning"
}

// show puts the progress where the Web UI shows it, in every run anew.
func (r *ingestRun) show(ctx workflow.Context) {
	p := r.progress()
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: release %d of `%s`\n\n", p.Phase, p.Release, p.Source)
	fmt.Fprintf(&b, "| rows | written | already there | superseded | quarantined | batches | read |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %s |\n",
		p.Rows, p.Counts.Written, p.Counts.AlreadyThere, p.Counts.Superseded, p.Counts.Quarantined, p.Batches, percent(p.Bytes, p.Size))
	if p.NewestDone != "" {
		fmt.Fprintf(&b, "\nNewest: %s\n", p.NewestDone)
	}
	if p.LastError != "" {
		fmt.Fprintf(&b, "\nLast error: %s\n", p.LastError)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}
