package health

import (
	"fmt"
	"strings"
	"time"

	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// Finding is one thing that a person should know. docs/operations.md lists the
// ids.
type Finding struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Do   string `json:"do"`
}

// Problems are the findings that need a person. Healthy is: there are none.
func (s Status) Problems() []Finding { return s.judge().problems }

// Notices are worth knowing and need nobody: what a person did on purpose, and
// what is not yet a problem.
func (s Status) Notices() []Finding { return s.judge().notices }

const (
	// waitAtMost is how long documents may wait for the warehouse: an hourly run
	// may be missed, two may not.
	waitAtMost = 2 * workflows.ScheduleEvery
	// GoneAfter is when a worker counts as gone: an idle one polls each minute.
	GoneAfter = 2 * time.Minute
	// manyAttempts is when a retry stops being a passing fault. Attempts double
	// their distance up to half a minute: this is after some 15 s.
	manyAttempts = 6
)

// judge holds what it found.
type judge struct {
	Status
	problems, notices []Finding
}

func (s Status) judge() *judge {
	j := &judge{Status: s}
	j.servers()
	j.disks()
	j.indices()
	j.workers()
	j.schedule()
	j.runs()
	j.waiting()
	j.ingests()
	j.releases()
	j.proof()
	j.dashboard()
	j.repeats()
	j.unread()
	return j
}

func (j *judge) problem(id, do, format string, args ...any) {
	j.problems = append(j.problems, Finding{ID: id, Text: fmt.Sprintf(format, args...), Do: do})
}

func (j *judge) notice(id, do, format string, args ...any) {
	j.notices = append(j.notices, Finding{ID: id, Text: fmt.Sprintf(format, args...), Do: do})
}

func (j *judge) servers() {
	if e := j.Elasticsearch.Error; e != "" {
		j.problem("elasticsearch", "start it, or correct ELASTICSEARCH_URL and its log-in", "Elasticsearch cannot be asked: %s", e)
	}
	if e := j.PostgreSQL.Error; e != "" {
		do := "start it, or correct DATABASE_URL"
		if strings.Contains(e, warehouse.ErrDenied.Error()) {
			do = "correct DATABASE_URL; its user has to be a member of covid_reader"
		}
		j.problem("postgresql", do, "PostgreSQL cannot be asked: %s", e)
	}
	if e := j.Temporal.Error; e != "" {
		j.problem("temporal", "start it, or correct TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE", "Temporal cannot be asked: %s", e)
	}
	if m := j.Temporal.Missing; len(m) > 0 {
		j.problem("attributes", "restart a worker: it registers them", "namespace %s lacks the search attributes %s, without which workflows hang", j.Temporal.Namespace, strings.Join(m, ", "))
	}
	switch p := j.PostgreSQL; {
	case p.Error != "":
	case p.Schema < p.SchemaWanted:
		j.problem("schema-old", "start a worker of this version: it brings the tables up to date",
			"the warehouse's tables are at version %d, this program needs %d", p.Schema, p.SchemaWanted)
	case p.Schema > p.SchemaWanted:
		j.notice("schema-newer", "use the programs of the newer version",
			"the warehouse's tables are at version %d, this program knows %d", p.Schema, p.SchemaWanted)
	}
}

// clock names a time, or says that it is not known.
func clock(t *time.Time) string {
	if t == nil {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

func (j *judge) disks() {
	for _, n := range j.Elasticsearch.Nodes {
		for _, d := range n.Disks {
			left := fmt.Sprintf("%s of %s left on the disk of Elasticsearch node %s", Size(d.Available), Size(d.Total), n.Name)
			switch {
			case d.Available < d.Flood:
				j.problem("disk-flood", "free disk space now", "%s, below the flood stage of %s: indices become read-only", left, Size(d.Flood))
			case d.Available < d.High:
				j.problem("disk-high", "free disk space before writing stops", "%s, below the high watermark of %s; writing stops at %s", left, Size(d.High), Size(d.Flood))
			case d.Available < d.Low:
				j.notice("disk-low", "free disk space soon", "%s, below the low watermark of %s", left, Size(d.Low))
			}
		}
	}
}

func (j *judge) indices() {
	for _, b := range j.Elasticsearch.Blocks {
		what, do := "index "+b.Index, "remove what blocks it: PUT /"+b.Index+"/_settings, or POST /"+b.Index+"/_open if it is closed"
		switch {
		case b.Index == "":
			what, do = "the cluster", "look at the cluster's log and at cluster.blocks in its settings"
		case b.Disk:
			do = "free disk space; Elasticsearch removes the block below the high watermark, else set index.blocks.read_only_allow_delete to null"
		}
		j.problem("blocked", do, "%s is blocked: %s", what, b.Reason)
	}
	for _, name := range []string{j.Index, search.QuarantineIndex(j.Index), search.ReleasesIndex(j.Index)} {
		switch j.Elasticsearch.Indices[name] {
		case "red":
			j.problem("index-red", "ask GET /_cluster/allocation/explain; start the node that holds its data, or restore it", "index %s lacks a primary shard", name)
		case "yellow":
			j.notice("index-yellow", "add a node, or set number_of_replicas to 0", "index %s lacks a replica", name)
		}
	}
	if j.Elasticsearch.Error != "" || j.Elasticsearch.IndicesError != "" || j.Elasticsearch.Indices[j.Index] != "" {
		return
	}
	if j.Lag.Loaded {
		j.problem("index-gone", "restore it or ingest again; correct ELASTICSEARCH_INDEX if it is another", "index %s is gone, and the warehouse was loaded from it", j.Index)
		return
	}
	j.notice("no-index", "starter ingest --source FILE", "index %s does not exist: nothing has been ingested", j.Index)
}

func (j *judge) workers() {
	if j.Workers.Error != "" {
		return
	}
	const do = "start one: go run ./worker"
	workflow, activity := newestPoll(j.Workers.Workflow), newestPoll(j.Workers.Activity)
	oldest := workflow
	if activity.Before(oldest) {
		oldest = activity
	}
	switch {
	case workflow.IsZero() && activity.IsZero():
		j.problem("no-worker", do, "no worker polls the task queue %s: nothing goes on", j.Workers.TaskQueue)
	case workflow.IsZero():
		j.problem("no-worker", do, "no worker takes workflows of the task queue %s", j.Workers.TaskQueue)
	case activity.IsZero():
		j.problem("no-worker", do, "no worker takes activities of the task queue %s", j.Workers.TaskQueue)
	case j.CheckedAt.Sub(oldest) > GoneAfter:
		j.problem("no-worker", do, "no worker has polled the task queue %s for %s", j.Workers.TaskQueue, j.ago(oldest))
	}
}

func newestPoll(pollers []Poller) (newest time.Time) {
	for _, p := range pollers {
		if p.LastSeen.After(newest) {
			newest = p.LastSeen
		}
	}
	return newest
}

func (j *judge) schedule() {
	switch s := j.Schedule; {
	case s.Error != "":
	case !s.Exists:
		j.problem("no-schedule", "starter schedule apply", "there is no schedule %s: nothing runs the ETL", s.ID)
	case s.Paused:
		text := "schedule " + s.ID + " is paused"
		if s.Note != "" {
			text += ": " + s.Note
		}
		j.notice("schedule-paused", "starter schedule resume, when the reason is gone", "%s", text)
	case s.NextRun == nil || s.NextRun.Sub(j.CheckedAt) > waitAtMost:
		j.problem("schedule-differs", "starter schedule apply, which first shows with --dry-run what differs", "the schedule %s starts no run within %s", s.ID, Span(waitAtMost))
	}
}

func (j *judge) runs() {
	e := j.ETL
	if n := e.FailedSince; n > 0 {
		text := plural(int64(n), "ETL run") + " failed"
		if e.Completed != nil {
			text += " since the last that completed, " + j.ago(e.Completed.StartedAt) + " ago"
		}
		if e.Last.Failure != "" {
			text += ": " + e.Last.Failure
		}
		j.problem("etl-failed", "see \"When something is wrong\" in docs/operations.md, then starter etl", "%s", text)
	}
	if r := e.Running; r != nil {
		j.retried("the ETL run "+r.WorkflowID, r.Retry)
		j.stuck("the ETL run "+r.WorkflowID, r.Stuck)
	}
	if e.Last == nil {
		return
	}
	switch e.Last.State {
	case Terminated, Cancelled, Lost:
		j.notice("etl-stopped", "nothing: the next run loads what this one left", "ETL run %s was %s", e.Last.WorkflowID, ended(e.Last.State))
	}
}

// ended words an end that somebody brought about.
func ended(state string) string {
	if state == Lost {
		return "stopped from outside: its row says that it runs, and Temporal does not know it any more"
	}
	return state
}

// retried judges an activity that is being tried again.
func (j *judge) retried(what string, r *Retry) {
	if r == nil || r.Attempt < manyAttempts {
		return
	}
	j.problem("retrying", "mend what it names; it is tried again by itself, up to half a minute later", "%s: %s is at attempt %d: %s", what, r.Activity, r.Attempt, r.Failure)
}

// stuck judges a workflow whose workflow task is not done. That nobody takes it is
// said once, with the workers, when there are none.
func (j *judge) stuck(what string, s *Stuck) {
	switch {
	case s == nil:
	case s.Taken:
		j.problem("stuck", "look at the worker's log: a worker of another version, or a search attribute that is missing; then restart the workers",
			"%s does not get on: its workflow task is at attempt %d", what, s.Attempt)
	case j.CheckedAt.Sub(newestPoll(j.Workers.Workflow)) <= GoneAfter:
		j.problem("stuck", "if the schedule started it on another task queue: starter schedule apply, and terminate it",
			"%s waits for a worker since %s, and none of the task queue %s takes it", what, j.ago(s.Since), j.Workers.TaskQueue)
	}
}

func (j *judge) waiting() {
	l := j.Lag
	if l.Error != "" || l.Numbers == 0 {
		return
	}
	if l.Rescan {
		j.notice("rescan", "nothing: the next run does it", "index %s is not the one that the warehouse was loaded from: the next ETL run reads all of it", j.Index)
		return
	}
	since, why := l.Since, "the last ETL run that completed began"
	if !l.Loaded {
		since, why = j.Releases.firstFinished(), "nothing has ever been loaded, and an ingest ended"
	}
	underWay := j.ETL.Running != nil && j.CheckedAt.Sub(j.ETL.Running.StartedAt) <= waitAtMost
	if since == nil || j.CheckedAt.Sub(*since) <= waitAtMost || underWay {
		return
	}
	why += " " + j.ago(*since) + " ago"
	if j.Schedule.Paused {
		why += "; the schedule is paused"
	}
	j.problem("lag", "starter etl; look at the schedule and at the failed runs", "%s for the warehouse: %s", j.waits(), why)
}

// firstFinished gives when the first of the releases was complete, or nil.
func (r Releases) firstFinished() (first *time.Time) {
	for _, release := range r.Newest {
		if t := release.FinishedAt; t != nil && (first == nil || t.Before(*first)) {
			first = t
		}
	}
	return first
}

// waits says what waits.
func (j *judge) waits() string {
	switch j.Lag.Documents {
	case 0:
		return "up to " + plural(j.Lag.Numbers, "document") + " may wait"
	case 1:
		return "1 document waits"
	}
	return plural(j.Lag.Documents, "document") + " wait"
}

// unread names the parts that a server which answers did not give.
func (j *judge) unread() {
	part := func(serverError, name, text string) {
		switch {
		case serverError != "" || text == "":
		case strings.HasSuffix(text, noAnswer):
			j.notice("slow", "look again; if it stays so, look at that server", "%s is not known: %s", name, text)
		default:
			j.problem("unread", "mend what it names, mostly a privilege", "%s cannot be read: %s", name, text)
		}
	}
	es, pg := j.Elasticsearch.Error, j.PostgreSQL.Error
	if pg == "" && j.PostgreSQL.Schema < j.PostgreSQL.SchemaWanted {
		pg = "the tables are old" // said already
	}
	part(es, "the state of the indices", j.Elasticsearch.IndicesError)
	part(es, "the release registry", j.Releases.Error)
	part(es, "the quarantine", j.Quarantine.Error)
	part(pg, "the run table", j.ETL.TableError)
	part(pg, "the rejects", j.Rejects.Error)
	part(pg, "the days that count more than once", j.Repeats.Error)
	part(es+pg, "the lag", j.Lag.Error)
	part(j.Temporal.Error, "the workers of the task queue", j.Workers.Error)
	part(j.Temporal.Error, "the schedule", j.Schedule.Error)
	part(j.Temporal.Error, "the list of ETL runs", j.ETL.Error)
	part(j.Temporal.Error, "the list of ingests", j.Ingests.Error)
	part(j.Temporal.Error, "the newest proof", j.Proof.Error)
	part(j.Temporal.Error, "the provisioning of the dashboard", j.Dashboard.Error)
	part(j.Temporal.Error, "the search attributes", j.Temporal.AttributesError)
}
