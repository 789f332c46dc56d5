package health

import (
	"path"

	"covidpipeline/internal/search"
)

func (j *judge) ingests() {
	for _, run := range j.Ingests.Runs {
		name := path.Base(run.Source)
		switch run.State {
		case Failed, TimedOut:
			j.problem("ingest-failed", "see \"When something is wrong\" in docs/operations.md, then ingest again", "the ingest of %s failed: %s", name, run.Failure)
		case Terminated:
			j.problem("ingest-stopped", "starter ingest --source "+run.Source+" goes on where it was", "the ingest of %s was terminated", name)
		case Running:
			j.retried("the ingest of "+name, run.Retry)
			j.stuck("the ingest of "+name, run.Stuck)
			switch {
			case j.held(run) != "":
				j.problem("ingest-held", "look at the file; then starter ingest accept --source "+run.Source+", or starter ingest reject --source "+run.Source,
					"the ingest of %s is held: %s", name, j.held(run))
			case run.Progress == nil && j.CheckedAt.Sub(newestPoll(j.Workers.Workflow)) <= GoneAfter:
				j.notice("ingest-silent", "look at the worker if it stays so", "no worker answered for the ingest of %s", name)
			case run.Progress != nil && run.Progress.Phase == "paused":
				j.notice("ingest-paused", "starter ingest resume --source "+run.Source, "the ingest of %s is paused", name)
			}
		}
	}
}

// held says why an ingest waits for a person, or "". The registry knows it when no
// worker answers.
func (j *judge) held(run Ingest) string {
	if run.Progress != nil {
		return run.Progress.Held
	}
	if r := j.Releases.of(run.WorkflowID); r != nil && r.State == search.StateRunning {
		return r.Held
	}
	return ""
}

func (j *judge) releases() {
	if j.Ingests.Error != "" {
		return
	}
	known := map[string]bool{}
	for _, run := range j.Ingests.Runs {
		known[run.WorkflowID] = run.State != Cancelled
	}
	for _, r := range j.Releases.Newest {
		do := "starter ingest --source " + r.Source
		switch {
		case known[r.WorkflowID]: // said with its ingest
		case r.State == search.StateCancelled:
			j.notice("ingest-cancelled", do+" goes on where it was", "the ingest of %s was cancelled after %s", path.Base(r.Source), plural(r.Rows, "row"))
		case r.State == search.StateFailed:
			j.problem("ingest-failed", do, "release %d of %s failed", r.Number, path.Base(r.Source))
		case r.Stopped:
			j.problem("ingest-stopped", do+" goes on where it was", "release %d of %s stopped after %s and no ingest works on it",
				r.Number, path.Base(r.Source), plural(r.Rows, "row"))
		}
	}
}
