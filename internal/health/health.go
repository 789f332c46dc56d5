// Package health answers "is it healthy?": Gather asks every server side by side
// within a few seconds, and Problems and Notices judge what was found. What
// cannot be asked is said and hides nothing else.
package health

import (
	"time"

	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
)

// Status is what was found. An Error says why a part could not be read; what
// stands beside it is then not known. The JSON names are stable.
type Status struct {
	CheckedAt     time.Time     `json:"checkedAt"`
	Index         string        `json:"index"` // the raw index
	Elasticsearch Elasticsearch `json:"elasticsearch"`
	PostgreSQL    PostgreSQL    `json:"postgresql"`
	Temporal      Temporal      `json:"temporal"`
	Workers       Workers       `json:"workers"`
	Schedule      Schedule      `json:"schedule"`
	ETL           ETL           `json:"etl"`
	Lag           Lag           `json:"lag"`
	Ingests       Ingests       `json:"ingests"`
	Releases      Releases      `json:"releases"`
	Quarantine    Refused       `json:"quarantine"`
	Rejects       Refused       `json:"rejects"`
	Repeats       Repeats       `json:"repeats"`
	Proof         Proof         `json:"proof"`
	Dashboard     Dashboard     `json:"dashboard"`
}

// Elasticsearch is the server of the raw index.
type Elasticsearch struct {
	Error string        `json:"error,omitempty"`
	Nodes []search.Node `json:"nodes"`

	IndicesError string            `json:"indicesError,omitempty"`
	Indices      map[string]string `json:"indices"` // green, yellow or red; those that exist of the three
	Blocks       []search.Block    `json:"blocks"`
}

// PostgreSQL is the server of the warehouse.
type PostgreSQL struct {
	Error string `json:"error,omitempty"`
	warehouse.Server
}

// Temporal is the server that runs the workflows.
type Temporal struct {
	Error     string `json:"error,omitempty"`
	Version   string `json:"version"`
	Namespace string `json:"namespace"`
	// Missing are the search attributes that the namespace lacks; workflows hang
	// without them.
	AttributesError string   `json:"attributesError,omitempty"`
	Missing         []string `json:"missing"`
}

// Workers are who polls the task queue.
type Workers struct {
	Error     string   `json:"error,omitempty"`
	TaskQueue string   `json:"taskQueue"`
	Workflow  []Poller `json:"workflow"`
	Activity  []Poller `json:"activity"`
}

// Poller is one worker's poller. The server forgets it five minutes after its
// last poll; a poll takes up to a minute.
type Poller struct {
	Identity string    `json:"identity"`
	LastSeen time.Time `json:"lastSeen"`
}

// Schedule is the hourly schedule.
type Schedule struct {
	Error   string     `json:"error,omitempty"`
	ID      string     `json:"id"`
	Exists  bool       `json:"exists"`
	Paused  bool       `json:"paused"`
	Note    string     `json:"note,omitempty"`
	NextRun *time.Time `json:"nextRun,omitempty"`
}

// The states of a workflow's run, besides those of warehouse.RunState.
const (
	Running    = "running"
	Completed  = "completed"
	Failed     = "failed"
	Cancelled  = "cancelled"
	Terminated = "terminated"
	TimedOut   = "timedOut"
	// Lost is a run that the warehouse has as running and Temporal does not know
	// any more: it was terminated, and its history is gone.
	Lost = "lost"
)

// ETL is how the runs of the ETL stand.
type ETL struct {
	Error      string `json:"error,omitempty"`      // of Temporal's list; the run table alone tells then
	TableError string `json:"tableError,omitempty"` // of the run table
	Running    *Run   `json:"running,omitempty"`
	Last       *Run   `json:"last,omitempty"`      // the newest that ended
	Completed  *Run   `json:"completed,omitempty"` // the newest that completed
	// FailedSince counts the runs that failed after Completed, of those looked at.
	FailedSince int `json:"failedSince"`
}

// Run is one run of the ETL, with its continuations.
type Run struct {
	WorkflowID string               `json:"workflowId"`
	Number     int64                `json:"number,omitempty"` // in the run table; 0 = it did not come that far
	State      string               `json:"state"`
	StartedAt  time.Time            `json:"startedAt"`
	EndedAt    *time.Time           `json:"endedAt,omitempty"`
	Counts     *warehouse.RunCounts `json:"counts,omitempty"` // known when it has ended
	Failure    string               `json:"failure,omitempty"`
	Retry      *Retry               `json:"retry,omitempty"`
	Stuck      *Stuck               `json:"stuck,omitempty"`

	runID string // of the newest continuation
}

// Retry is an activity that is being tried again.
type Retry struct {
	Activity string `json:"activity"`
	Attempt  int32  `json:"attempt"`
	Failure  string `json:"failure"`
}

// Stuck is a workflow that does not get on: its workflow task fails again and again,
// or no worker takes it.
type Stuck struct {
	Attempt int32     `json:"attempt"`
	Since   time.Time `json:"since"`
	Taken   bool      `json:"taken"` // a worker took it
}

// Lag is what the raw index has and the warehouse has not.
type Lag struct {
	Error     string `json:"error,omitempty"`
	Documents int64  `json:"documents"` // as of the index's last refresh, up to 30 s ago
	// Numbers is how many sequence numbers lie behind the cursor: no fewer than
	// the documents, those not visible yet included.
	Numbers int64 `json:"numbers"`
	// Since is the start of the newest completed run: all that was in the index
	// before it is loaded, so none that waits is older. Nil when no run is known
	// or everything is to be read again.
	Since *time.Time `json:"since,omitempty"`
	// Rescan tells that the cursor does not fit the index: the next run reads
	// everything.
	Rescan bool `json:"rescan"`
	Loaded bool `json:"loaded"` // something has been loaded before
}

// Ingests are the newest run of each ingest, of those that did not complete.
type Ingests struct {
	Error string   `json:"error,omitempty"`
	Runs  []Ingest `json:"runs"`
}

// Ingest is one ingest. Progress is nil when no worker answered.
type Ingest struct {
	WorkflowID string     `json:"workflowId"`
	Source     string     `json:"source"` // URI, or the workflow id when it is not known
	State      string     `json:"state"`
	StartedAt  time.Time  `json:"startedAt"`
	EndedAt    *time.Time `json:"endedAt,omitempty"`
	Failure    string     `json:"failure,omitempty"`
	Progress   *Progress  `json:"progress,omitempty"`
	Retry      *Retry     `json:"retry,omitempty"`
	Stuck      *Stuck     `json:"stuck,omitempty"`

	runID string
	older bool   // a later ingest of the source has begun
	uri   string // of the source, as a worker gave it
}

// Progress is where a running ingest stands.
type Progress struct {
	Phase         string  `json:"phase"`
	Release       int64   `json:"release"` // 0 = not registered yet
	Rows          int64   `json:"rows"`
	Percent       float64 `json:"percent"`       // of the source's bytes as last seen
	RowsPerSecond float64 `json:"rowsPerSecond"` // average since the ingest began
	Quarantined   int64   `json:"quarantined"`
	LastError     string  `json:"lastError,omitempty"`
	Held          string  `json:"held,omitempty"` // why the release waits for a person
}

// Releases are the newest release of each source, as the registry has them.
type Releases struct {
	Error  string    `json:"error,omitempty"`
	Newest []Release `json:"newest"`
}

// Release is the newest release of a source.
type Release struct {
	Source     string     `json:"source"`
	Number     int64      `json:"number"`
	State      string     `json:"state"` // running, completed, failed, cancelled
	Rows       int64      `json:"rows"`  // before the checkpoint
	Registered time.Time  `json:"registered"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	WorkflowID string     `json:"workflowId"` // of the source's ingest
	// Stopped tells that the state is running and no ingest works on it: it was
	// terminated.
	Stopped bool   `json:"stopped"`
	Held    string `json:"held,omitempty"` // why it waits for a person, as the registry has it
}

// Refused counts records that were set aside, with the most frequent reasons.
type Refused struct {
	Error   string   `json:"error,omitempty"`
	Count   int64    `json:"count"`
	Reasons []Reason `json:"reasons"`
}

// Reason is a reason and how often it stands.
type Reason struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}
