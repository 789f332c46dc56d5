package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
)

var now = time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// healthy is a pipeline that needs nobody.
func healthy() Status {
	next := now.Add(30 * time.Minute)
	completed := &Run{WorkflowID: "etl-12", State: Completed, StartedAt: before(30 * time.Minute)}
	return Status{
		CheckedAt: now, Index: "cases",
		Elasticsearch: Elasticsearch{
			Nodes:   []search.Node{{Name: "one", Disks: []search.Disk{{Total: 100 << 30, Available: 50 << 30, Low: 15 << 30, High: 10 << 30, Flood: 5 << 30}}}},
			Indices: map[string]string{"cases": "green", "cases-quarantine": "green", "cases-releases": "green"},
		},
		PostgreSQL: PostgreSQL{Server: warehouse.Server{Schema: 2, SchemaWanted: 2}},
		Workers:    Workers{TaskQueue: "q", Workflow: []Poller{{LastSeen: before(70 * time.Second)}}, Activity: []Poller{{LastSeen: before(time.Second)}}},
		Schedule:   Schedule{ID: "etl-hourly", Exists: true, NextRun: &next},
		ETL:        ETL{Last: completed, Completed: completed},
		Lag:        Lag{Loaded: true, Since: &completed.StartedAt},
		Releases:   Releases{Newest: []Release{{Source: "/data/a.csv", State: search.StateCompleted, WorkflowID: "ingest/a"}}},
	}
}

// ids gives the ids of findings, joined.
func ids(found []Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, f.ID)
	}
	return strings.Join(all, " ")
}

func TestRules(t *testing.T) {
	t.Parallel()
	disk := func(available int64) func(*Status) {
		return func(s *Status) { s.Elasticsearch.Nodes[0].Disks[0].Available = available }
	}
	lag := func(since time.Duration) func(*Status) {
		return func(s *Status) {
			s.Lag.Documents, s.Lag.Numbers = 7, 9
			at := before(since)
			s.Lag.Since = &at
		}
	}
	ingest := func(run Ingest) func(*Status) {
		run.WorkflowID, run.Source = "ingest/a", "/data/a.csv"
		return func(s *Status) { s.Ingests.Runs = []Ingest{run} }
	}
	release := func(state string) func(*Status) {
		return func(s *Status) { s.Releases.Newest[0].State = state }
	}
	all := func(changes ...func(*Status)) func(*Status) {
		return func(s *Status) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	for _, c := range []struct {
		name              string
		change            func(*Status)
		problems, notices string
		says              string // in one of them
	}{
		{"healthy", func(*Status) {}, "", "", ""},
		{"Elasticsearch down", func(s *Status) {
			s.Elasticsearch = Elasticsearch{Error: "refused", IndicesError: "x"}
			s.Releases, s.Quarantine.Error, s.Lag = Releases{Error: "x"}, "x", Lag{Error: "x"}
		}, "elasticsearch", "", "refused"},
		{"PostgreSQL down", func(s *Status) {
			s.PostgreSQL = PostgreSQL{Error: "refused"}
			s.ETL.TableError, s.Rejects.Error, s.Lag = "x", "x", Lag{Error: "x"}
		}, "postgresql", "", "refused"},
		{"no right to read", func(s *Status) {
			s.PostgreSQL = PostgreSQL{Error: "ask PostgreSQL: " + warehouse.ErrDenied.Error() + ": permission denied"}
			s.ETL.TableError, s.Rejects.Error, s.Lag = "x", "x", Lag{Error: "x"}
		}, "postgresql", "", "covid_reader"},
		{"Temporal down", func(s *Status) {
			s.Temporal.Error, s.Schedule, s.Workers = "refused", Schedule{Error: "x"}, Workers{Error: "x"}
			s.ETL, s.Ingests.Error = ETL{Error: "x"}, "x"
		}, "temporal", "", "refused"},
		{"no tables", func(s *Status) {
			s.PostgreSQL.Schema, s.ETL.TableError, s.Rejects.Error, s.Lag = 0, "x", "x", Lag{Error: "x"}
		}, "schema-old", "", "version 0, this program needs 2"},
		{"newer tables", func(s *Status) { s.PostgreSQL.Schema = 3 }, "", "schema-newer", ""},
		{"a proof that balanced", func(s *Status) { s.Proof = Proof{State: Balanced} }, "", "", ""},
		{"a proof that found differences", func(s *Status) { s.Proof = Proof{State: Unbalanced} }, "unbalanced", "", "not accounted for"},
		{"a proof that cannot be read", func(s *Status) { s.Proof = Proof{Error: "no"} }, "unread", "", "the newest proof"},
		{"days that count more than once", func(s *Status) {
			s.Repeats.Repeats = warehouse.Repeats{Places: 2, Days: 31, Example: "Autauga, Alabama, United States (FIPS 01001, none)"}
		}, "", "repeated-days", "31 days of 2 places stand more than once, with another FIPS or without one, and count more than once in every sum: first Autauga"},
		{"repeated days that cannot be read", func(s *Status) { s.Repeats.Error = "no" }, "unread", "", "the days that count more than once"},
		{"a dashboard provisioned", func(s *Status) { s.Dashboard = Dashboard{State: Completed} }, "", "", ""},
		{"a provisioning that somebody stopped", func(s *Status) { s.Dashboard = Dashboard{State: Terminated} }, "", "", ""},
		{"a provisioning that failed", func(s *Status) { s.Dashboard = Dashboard{State: Failed, Failure: "no such user"} }, "dashboard-failed", "", "no such user"},
		{"a provisioning that waits", func(s *Status) {
			s.Dashboard = Dashboard{State: Running, Retry: &Retry{Activity: "AwaitMetabase", Attempt: 6, Failure: "refused"}}
		}, "retrying", "", "refused"},
		{"a provisioning that cannot be read", func(s *Status) { s.Dashboard.Error = "no" }, "unread", "", "the provisioning of the dashboard"},
		{"a schedule without a next run", func(s *Status) { s.Schedule.NextRun = nil }, "schedule-differs", "", "starts no run"},
		{"a schedule that runs once a year", func(s *Status) { late := now.Add(37 * 24 * time.Hour); s.Schedule.NextRun = &late }, "schedule-differs", "", "starts no run"},
		{"search attributes missing", func(s *Status) { s.Temporal.Missing = []string{"CovidRows"} }, "attributes", "", "CovidRows"},
		{"a failing workflow task", ingest(Ingest{State: Running, Progress: &Progress{}, Stuck: &Stuck{Attempt: 5, Taken: true}}), "stuck", "", "attempt 5"},
		{"a workflow task nobody takes", func(s *Status) {
			s.ETL.Running = &Run{StartedAt: before(time.Hour), Stuck: &Stuck{Attempt: 1, Since: before(time.Hour)}}
		}, "stuck", "", "waits for a worker"},
		{"nobody takes it, since there is no worker", func(s *Status) {
			s.Workers.Workflow = nil
			s.ETL.Running = &Run{StartedAt: before(time.Hour), Stuck: &Stuck{Attempt: 1, Since: before(time.Hour)}}
		}, "no-worker", "", ""},
		{"lag behind a run that hangs", func(s *Status) {
			lag(3 * time.Hour)(s)
			s.ETL.Running = &Run{StartedAt: before(3 * time.Hour)}
		}, "lag", "", ""},
		{"a part that was slow", func(s *Status) { s.Schedule.Error = "Temporal" + noAnswer }, "", "slow", "the schedule"},
		{"disk below low", disk(15<<30 - 1), "", "disk-low", "15 GiB"},
		{"disk at low", disk(15 << 30), "", "", ""},
		{"disk below high", disk(10<<30 - 1), "disk-high", "", "10 GiB"},
		{"disk below flood", disk(5<<30 - 1), "disk-flood", "", "read-only"},
		{"watermarks not told", func(s *Status) { s.Elasticsearch.Nodes[0].Disks[0] = search.Disk{Total: 1, Available: 0} }, "", "", ""},
		{"full disk's block", func(s *Status) {
			s.Elasticsearch.Blocks = []search.Block{{Index: "cases", Reason: "flood", Disk: true}}
		}, "blocked", "", "cases is blocked: flood"},
		{"cluster block", func(s *Status) { s.Elasticsearch.Blocks = []search.Block{{Reason: "no master"}} }, "blocked", "", "the cluster is blocked"},
		{"red", func(s *Status) { s.Elasticsearch.Indices["cases-releases"] = "red" }, "index-red", "", "cases-releases"},
		{"yellow", func(s *Status) { s.Elasticsearch.Indices["cases"] = "yellow" }, "", "index-yellow", ""},
		{"nothing ingested", func(s *Status) { s.Elasticsearch.Indices, s.Lag.Loaded = nil, false }, "", "no-index", ""},
		{"index deleted", func(s *Status) { s.Elasticsearch.Indices = nil }, "index-gone", "", ""},
		{"no worker", func(s *Status) { s.Workers.Workflow, s.Workers.Activity = nil, nil }, "no-worker", "", "nothing goes on"},
		{"no activity worker", func(s *Status) { s.Workers.Activity = nil }, "no-worker", "", "takes activities"},
		{"no workflow worker", func(s *Status) { s.Workers.Workflow = nil }, "no-worker", "", "takes workflows"},
		{"worker gone", func(s *Status) { s.Workers.Workflow[0].LastSeen = before(130 * time.Second) }, "no-worker", "", "for 2 min"},
		{"no schedule", func(s *Status) { s.Schedule.Exists = false }, "no-schedule", "", ""},
		{"paused", func(s *Status) { s.Schedule.Paused, s.Schedule.Note = true, "the warehouse moves" }, "", "schedule-paused", "the warehouse moves"},
		{"ETL failed", func(s *Status) { s.ETL.Last, s.ETL.FailedSince = &Run{State: Failed, Failure: "totals differ"}, 2 },
			"etl-failed", "", "2 ETL runs failed since the last that completed, 30 min ago: totals differ"},
		{"ETL never completed", func(s *Status) { s.ETL = ETL{Last: &Run{State: TimedOut}, FailedSince: 1} }, "etl-failed", "", "1 ETL run failed"},
		{"ETL terminated", func(s *Status) { s.ETL.Last = &Run{State: Terminated} }, "", "etl-stopped", "terminated"},
		{"ETL lost", func(s *Status) { s.ETL.Last = &Run{State: Lost} }, "", "etl-stopped", "does not know it"},
		{"ETL retries", func(s *Status) {
			s.ETL.Running = &Run{Retry: &Retry{Activity: "Load", Attempt: 6, Failure: "disk full"}}
		}, "retrying", "", "disk full"},
		{"ETL retries a little", func(s *Status) { s.ETL.Running = &Run{Retry: &Retry{Attempt: 5}} }, "", "", ""},
		{"lag of an hour", lag(time.Hour), "", "", ""},
		{"lag of three hours", lag(3 * time.Hour), "lag", "", "7 documents wait"},
		{"lag while a run is on", all(lag(3*time.Hour), func(s *Status) { s.ETL.Running = &Run{StartedAt: before(time.Hour)} }), "", "", ""},
		{"lag and paused", all(lag(3*time.Hour), func(s *Status) { s.Schedule.Paused = true }), "lag", "schedule-paused", "the schedule is paused"},
		{"lag not visible yet", all(lag(3*time.Hour), func(s *Status) { s.Lag.Documents = 0 }), "lag", "", "up to 9 documents may wait"},
		{"no lag for long", func(s *Status) { old := before(5 * time.Hour); s.Lag.Since = &old }, "", "", ""},
		{"never loaded", func(s *Status) {
			ended := before(3 * time.Hour)
			s.Lag, s.ETL, s.Releases.Newest[0].FinishedAt = Lag{Numbers: 1, Documents: 1}, ETL{}, &ended
		}, "lag", "", "nothing has ever been loaded"},
		{"rescan due", func(s *Status) { s.Lag.Numbers, s.Lag.Rescan, s.Lag.Since = 5, true, nil }, "", "rescan", ""},
		{"ingest failed", all(ingest(Ingest{State: Failed, Failure: "no such column"}), release(search.StateFailed)), "ingest-failed", "", "a.csv failed: no such column"},
		{"ingest terminated", all(ingest(Ingest{State: Terminated}), release(search.StateRunning)), "ingest-stopped", "", "terminated"},
		{"ingest cancelled", all(ingest(Ingest{State: Cancelled}), release(search.StateCancelled)), "", "ingest-cancelled", ""},
		{"ingest starts or ends", release(search.StateRunning), "", "", ""},
		{"ingest lost", func(s *Status) { s.Releases.Newest[0].Stopped = true }, "ingest-stopped", "", "no ingest works on it"},
		{"release failed", release(search.StateFailed), "ingest-failed", "", ""},
		{"ingest runs", all(ingest(Ingest{State: Running, Progress: &Progress{Phase: "indexing"}}), release(search.StateRunning)), "", "", ""},
		{"ingest silent", ingest(Ingest{State: Running}), "", "ingest-silent", ""},
		{"ingest without a worker", all(ingest(Ingest{State: Running}), func(s *Status) { s.Workers.Workflow[0].LastSeen = before(time.Hour) }), "no-worker", "", ""},
		{"ingest paused", ingest(Ingest{State: Running, Progress: &Progress{Phase: "paused"}}), "", "ingest-paused", ""},
		{"ingest held", ingest(Ingest{State: Running, Source: "/a.csv", Progress: &Progress{Phase: "held", Held: "9 of 9 live keys"}}), "ingest-held", "", "a.csv is held: 9 of 9 live keys"},
		{"ingest held, and no worker", all(ingest(Ingest{State: Running}), release(search.StateRunning), func(s *Status) {
			s.Workers.Workflow[0].LastSeen = before(time.Hour)
			s.Releases.Newest[0].Held = "9 of 9 live keys"
		}), "no-worker ingest-held", "", ""},
		{"ingest retries", ingest(Ingest{State: Running, Progress: &Progress{}, Retry: &Retry{Activity: "PlanBatches", Attempt: 40, Failure: "not here"}}), "retrying", "", "attempt 40: not here"},
		{"part unread", func(s *Status) { s.Quarantine.Error = "privileges" }, "unread", "", "the quarantine cannot be read: privileges"},
		{"Temporal's part unread", func(s *Status) { s.Schedule = Schedule{Error: "privileges"} }, "unread", "", "the schedule"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := healthy()
			c.change(&s)
			problems, notices := s.Problems(), s.Notices()
			if ids(problems) != c.problems || ids(notices) != c.notices {
				t.Errorf("problems %+v, notices %+v; want %q and %q", problems, notices, c.problems, c.notices)
			}
			found := slices.Concat(problems, notices)
			if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Text+" "+f.Do, c.says) }) && c.says != "" {
				t.Errorf("%q is not said: %+v", c.says, found)
			}
			for _, f := range found {
				if f.Do == "" {
					t.Errorf("%s does not say what to do", f.ID)
				}
			}
		})
	}
}

func TestRunsOfBothSides(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	row := func(id string, state warehouse.RunState, minutes int, failure string) warehouse.Run {
		return warehouse.Run{WorkflowID: id, State: state, StartedAt: at(minutes), Error: failure}
	}
	listed := func(id, state string, minutes int) Run {
		return Run{WorkflowID: id, State: state, StartedAt: at(minutes)}
	}
	for _, c := range []struct {
		name                     string
		known                    bool
		listed                   []Run
		table                    []warehouse.Run
		running, last, completed string // "id state"
		failed                   int
	}{
		{name: "nothing", known: true},
		{name: "Temporal's end counts", known: true,
			listed: []Run{listed("b", Terminated, 2), listed("a", Completed, 1)},
			table:  []warehouse.Run{row("b", warehouse.RunRunning, 2, ""), row("a", warehouse.RunCompleted, 1, "")},
			last:   "b terminated", completed: "a completed"},
		{name: "a row that Temporal does not know", known: true,
			table: []warehouse.Run{row("b", warehouse.RunRunning, 2, ""), row("a", warehouse.RunCompleted, 1, "")},
			last:  "b lost", completed: "a completed"},
		{name: "the table alone", table: []warehouse.Run{row("b", warehouse.RunRunning, 2, ""), row("a", warehouse.RunFailed, 1, "x")},
			running: "b running", last: "a failed", failed: 1},
		{name: "failed before it had a row", known: true,
			listed:  []Run{listed("c", Running, 3), listed("b", Failed, 2), listed("a", Completed, 1)},
			table:   []warehouse.Run{row("a", warehouse.RunCompleted, 1, "")},
			running: "c running", last: "b failed", completed: "a completed", failed: 1},
		{name: "overtaken is known to the table", known: true,
			listed: []Run{listed("b", Completed, 2), listed("a", Completed, 1)}, table: []warehouse.Run{row("b", warehouse.RunOvertaken, 2, "")},
			last: "b overtaken", completed: "a completed"},
		{name: "old failures are over", known: true,
			listed: []Run{listed("b", Completed, 2), listed("a", Failed, 1)}, last: "b completed", completed: "b completed"},
	} {
		var e ETL
		e.combine(c.known, c.listed, c.table)
		name := func(r *Run) string {
			if r == nil {
				return ""
			}
			return r.WorkflowID + " " + r.State
		}
		if name(e.Running) != c.running || name(e.Last) != c.last || name(e.Completed) != c.completed || e.FailedSince != c.failed {
			t.Errorf("%s: running %q, last %q, completed %q, failed %d", c.name, name(e.Running), name(e.Last), name(e.Completed), e.FailedSince)
		}
	}
}

func TestARunBeganWithItsFirstContinuation(t *testing.T) {
	t.Parallel()
	var e ETL
	e.combine(true, []Run{{WorkflowID: "a", State: Completed, StartedAt: now}},
		[]warehouse.Run{{ID: 7, WorkflowID: "a", State: warehouse.RunCompleted, StartedAt: before(time.Hour)}})
	if e.Completed == nil || !e.Completed.StartedAt.Equal(before(time.Hour)) || e.Completed.Number != 7 || e.Completed.Counts == nil {
		t.Errorf("%+v", e.Completed)
	}
}

func TestSpanAndSize(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0 s": -time.Second, "119 s": 119 * time.Second, "2 min": 2 * time.Minute, "119 min": 119*time.Minute + 59*time.Second,
		"2 h": 2 * time.Hour, "47 h": 47 * time.Hour, "2 days": 48 * time.Hour,
	} {
		if got := Span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	for want, bytes := range map[string]int64{"0 MiB": 0, "500 MiB": 500 << 20, "1.5 GiB": 3 << 29, "2 TiB": 2 << 40} {
		if got := Size(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}
