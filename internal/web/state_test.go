package web_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/health"
	"covidpipeline/internal/web"
)

// Until the first load has ended the page says why its cards are empty.
func TestFirstLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world + "; UPDATE etl_state SET summed = false; UPDATE etl_run SET state = 'failed', finished_at = NULL")
	s.shows("/", http.StatusOK, "The first load has not ended", "Not loaded yet", "no run completed", "<b>failed</b>")
}

// Days that count more than once have a line, which leads to the card that names them.
func TestRepeatedDaysOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	const line = "Counted more than once"
	if body := s.shows("/", http.StatusOK); strings.Contains(body, line) {
		t.Error("the line is there without such a day")
	}
	s.execute(`INSERT INTO covid_repeats VALUES ('United States', 'Alaska', 'Kusilvak', '02158, none', 1234, '2021-01-05', '2021-01-06')`)
	s.shows("/", http.StatusOK, line, "<b>1\u202f234</b>", `href="/?tab=Quality#repeated_days"`)
	s.shows("/?tab=Quality", http.StatusOK, `id="repeated_days"`, "Kusilvak", "02158, none", "2021-01-06")
}

// A pipeline that is paused, or whose warehouse does not answer, is not called sound.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	end := s.serve(func(ctx context.Context) health.Status {
		found := healthy(ctx)
		found.Schedule = health.Schedule{Exists: true, Paused: true, Note: "moving <house>"}
		found.Lag = health.Lag{Documents: 14, Numbers: 14, Loaded: true, Since: &found.CheckedAt}
		return found
	})
	s.untilLooked()
	s.shows("/", http.StatusOK, "The hourly job is paused", "moving &lt;house&gt;", "<b>paused</b> <span>completed 12 min ago", "until the schedule is resumed")
	s.execute("DROP TABLE covid_daily")
	body := s.shows("/?tab=Trends&state=Ohio", http.StatusServiceUnavailable, "The warehouse is not ready", `href="/?tab=Trends&amp;state=Ohio">Try again`,
		`verdict bad`, "<b>not read</b>", "<b>balanced</b>")
	if strings.Contains(body, "Everything runs") {
		t.Error("the page is sure of what it could not read")
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// untilLooked waits until the page shows what a look at the servers found.
func (s *site) untilLooked() {
	s.Helper()
	for deadline := time.Now().Add(within); !strings.Contains(s.shows("/", http.StatusOK), "servers looked at"); {
		if time.Now().After(deadline) {
			s.Fatal("the page never shows what the look found")
		}
	}
}

// While it serves, the page shows what the last look at the servers found; the end
// of its context ends it.
func TestServe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	look := func(context.Context) health.Status {
		return health.Status{CheckedAt: time.Now(), Lag: health.Lag{Documents: 1234},
			Ingests:    health.Ingests{Runs: []health.Ingest{{State: "running", Progress: &health.Progress{Percent: 61.6, Rows: 98765, RowsPerSecond: 4321, Phase: "indexing"}}}},
			Quarantine: health.Refused{Count: 17}, Rejects: health.Refused{Error: "silent"}, Proof: health.Proof{State: health.Unbalanced, EndedAt: new(time.Time), Records: 5760}}
	}
	end := s.serve(look)
	parts := []string{"1\u202f234", "62 %", "98\u202f765 rows, 4\u202f321 a second; indexing", "<b>17</b>", "<b>unbalanced</b>",
		"records that are not accounted for", "problems need somebody", "servers looked at "}
	s.untilLooked()
	s.shows("/", http.StatusOK, parts...)
	if err := end(); err != nil {
		t.Error(err)
	}
}

// serve has the page served, with what a look at the servers finds, until end is
// called.
func (s *site) serve(look func(context.Context) health.Status) (end func() error) {
	s.Helper()
	l, err := (&net.ListenConfig{}).Listen(s.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&web.Server{DB: s.db, Log: slog.New(slog.DiscardHandler), Look: look}).Serve(ctx, l) }()
	s.url = "http://" + l.Addr().String()
	return func() error { cancel(); return <-ended }
}

// healthy is a look that finds nothing wrong.
func healthy(context.Context) health.Status {
	now := time.Now()
	next, proved := now.Add(48*time.Minute), now.Add(-11*time.Minute)
	polls := []health.Poller{{Identity: "worker", LastSeen: now}}
	return health.Status{
		CheckedAt: now, Index: "cases", Elasticsearch: health.Elasticsearch{Indices: map[string]string{"cases": "green"}},
		Workers: health.Workers{Workflow: polls, Activity: polls}, Schedule: health.Schedule{Exists: true, NextRun: &next},
		Quarantine: health.Refused{Count: 4}, Proof: health.Proof{State: health.Balanced, Records: 5407, EndedAt: &proved},
	}
}

// Runs that never complete are not good news, whatever the newest does.
func TestNothingCompletes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(`INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 1, 0, 1, true);
		INSERT INTO etl_run (workflow_id, run_id, state, started_at) VALUES ('w', '1', 'cancelled', now() - interval '30 hours'), ('w', '2', 'running', now() - interval '5 hours')`)
	defer s.serve(healthy)() //nolint:errcheck // not what this tests
	s.untilLooked()
	s.shows("/", http.StatusOK, "Look at what is marked", "no run completed")
}
