package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.temporal.io/sdk/client"

	"covidpipeline/internal/sample"
	"covidpipeline/workflows"
)

// sampleFile writes sample.csv and gives what is known of it.
func (o *operator) sampleFile(rows int) sample.Facts {
	o.Helper()
	var content bytes.Buffer
	err := sample.Write(&content, rows)
	if err == nil {
		err = os.WriteFile(filepath.Join(o.dir, "sample.csv"), content.Bytes(), 0o600)
	}
	if err != nil {
		o.Fatal(err)
	}
	return sample.Describe(rows)
}

// cards is the JSON of `starter cards`.
type cards struct {
	TotalRecords int    `json:"total_records"`
	LatestRecord string `json:"latest_record"`
	Overview     []struct {
		Date, State, County *string
		NewCases            *int64 `json:"new_cases"`
		NewDeaths           *int64 `json:"new_deaths"`
	}
	CasesByCounty []struct {
		County, State string
		NewCases      int64 `json:"new_cases"`
	} `json:"cases_by_county"`
	DeathsByState []struct {
		State     string
		NewDeaths *int64 `json:"new_deaths"`
	} `json:"deaths_by_state"`
}

func (o *operator) checkCards(facts sample.Facts) {
	o.Helper()
	c := answer[cards](o, "cards")
	if c.TotalRecords != facts.Rows || c.LatestRecord != facts.Latest.String() || len(c.Overview) != min(facts.Rows, 2000) {
		o.Errorf("%d records, latest %s, %d in the overview; want %d, %s", c.TotalRecords, c.LatestRecord, len(c.Overview), facts.Rows, facts.Latest)
	}
	var counties []sample.County
	for _, r := range c.CasesByCounty {
		counties = append(counties, sample.County{State: r.State, County: r.County, NewCases: r.NewCases})
	}
	if !slices.Equal(counties, facts.Counties) {
		o.Errorf("cases by county: %v\nwant %v", counties, facts.Counties)
	}
	deaths := map[string]int64{}
	for _, r := range c.DeathsByState {
		if r.NewDeaths != nil {
			deaths[r.State] = *r.NewDeaths
		}
	}
	for _, s := range facts.States {
		if deaths[s.State] != s.NewDeaths {
			o.Errorf("%s: %d deaths, want %d", s.State, deaths[s.State], s.NewDeaths)
		}
	}
}

func TestAnOperatorsDay(t *testing.T) {
	o := newScheduler(t)
	facts := o.sampleFile(5000)
	worker, log := o.start("worker")
	// A relative path, and plain lines since this is no terminal.
	_, lines, status := o.call("ingest", "--source", "sample.csv", "--batch-rows", "100")
	if status != 0 {
		t.Fatalf("ingest ended with %d: %s", status, lines)
	}
	o.contains(lines, "Batch ", " (rows ", " rows/s, ")
	o.contains(o.must("ingest", "--source", "sample.csv"), "Nothing to do")
	if _, text, status := o.call("etl"); status != 1 {
		t.Errorf("etl without a schedule ended with %d", status)
	} else {
		o.contains(text, "starter schedule apply")
	}
	if _, text, status := o.call("reconcile", "--wait", "1s"); status != 1 || strings.Contains(text, "difference") {
		t.Errorf("reconcile before the ETL ended with %d: %s", status, text)
	}
	o.contains(o.must("schedule", "apply"), "created")
	o.contains(o.must("schedule", "apply"), "nothing to change")
	o.must("etl")
	o.contains(o.must("etl"), "nothing new")
	o.contains(o.must("reconcile"), "Balanced")
	o.checkCards(facts)
	if status := o.end(worker, syscall.SIGTERM); status != 0 {
		t.Errorf("the worker ended with %d on SIGTERM:\n%s", status, log.String())
	}
}

func TestApplyKeepsWhatTheOperatorPaused(t *testing.T) {
	o := newScheduler(t)
	o.sampleFile(1000)
	o.start("worker")
	o.must("ingest", "--source", "sample.csv")
	o.must("schedule", "apply")
	schedule := o.c.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID)
	if err := schedule.Pause(t.Context(), client.SchedulePauseOptions{Note: "the warehouse moves"}); err != nil {
		t.Fatal(err)
	}
	err := schedule.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		in.Description.Schedule.Policy.CatchupWindow *= 2
		in.Description.Schedule.State.LimitedActions, in.Description.Schedule.State.RemainingActions = true, 1
		return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	// A schedule for an index that the warehouse does not belong to is refused.
	elsewhere := *o
	elsewhere.env = append(slices.Clone(o.env), "ELASTICSEARCH_INDEX=another")
	o.must("etl")
	if _, text, status := elsewhere.call("schedule", "apply"); status != 1 {
		t.Errorf("a schedule for another index ended with %d", status)
	} else {
		o.contains(text, "belongs to another raw index")
	}
	changes := []string{"runs at most", "- 1", "policies", `- {"catchupWindow":"7200s"`, `+ {"catchupWindow":"3600s"`}
	o.contains(o.must("schedule", "apply", "--dry-run"), append(changes, "would be updated")...)
	o.contains(o.must("schedule", "apply"), append(changes, ": updated")...)
	o.contains(o.must("schedule", "apply"), "nothing to change")
	d, err := schedule.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Schedule.Policy.CatchupWindow != workflows.ScheduleEvery || !d.Schedule.State.Paused || d.Schedule.State.Note != "the warehouse moves" || d.Schedule.State.LimitedActions {
		t.Errorf("policy %+v, state %+v", d.Schedule.Policy, d.Schedule.State)
	}
	// A run now works on a paused schedule too.
	o.contains(o.must("etl"), "nothing new")
}

// Without a worker a run that was started stays under way.
func TestTheVerbsOfTheSchedule(t *testing.T) {
	o := newScheduler(t)
	o.sampleFile(1000)
	for _, verb := range []string{"show", "pause", "resume", "trigger", "delete"} {
		if _, text, status := o.call("schedule", verb); status != 1 || !strings.Contains(text, "starter schedule apply") {
			t.Errorf("%s without a schedule ended with %d: %s", verb, status, text)
		}
	}
	o.contains(o.must("schedule", "apply", "--dry-run"), "would be created")
	o.contains(o.must("schedule", "apply"), "created")
	o.contains(o.must("schedule", "pause", "--reason", "the warehouse moves"), "paused")
	if v := answer[shown](o, "schedule", "show"); !v.Paused || v.Note != "the warehouse moves" || v.Next != nil {
		t.Errorf("paused: %+v", v)
	}
	o.contains(o.must("schedule", "resume", "--reason", "it has moved"), "active")
	if v := answer[shown](o, "schedule", "show"); v.Paused || v.Note != "it has moved" || v.Next == nil {
		t.Errorf("resumed: %+v", v)
	}
	worker, _ := o.start("worker")
	o.must("ingest", "--source", "sample.csv")
	o.end(worker, syscall.SIGTERM)
	o.contains(o.must("schedule", "trigger"), "started etl-")
	o.contains(o.must("schedule", "trigger"), "when the one under way has ended")
	o.contains(o.must("schedule", "backfill", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T05:30:00Z"), "6 hours: runs started 0, skipped since one was under way 6")
	o.start("worker")
	o.await("the end of both runs, and the server's notice of it", func() bool {
		v := answer[shown](o, "schedule", "show")
		ended := 0
		for _, r := range v.Recent {
			if r.Status == "Completed" {
				ended++
			}
		}
		return v.Runs == 2 && len(v.Running) == 0 && ended == 2
	})
	o.contains(o.must("schedule", "backfill", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T05:00:00Z"), "6 hours: runs started 1, skipped since one was under way 5")
	o.contains(o.must("schedule", "show"), "active, note: it has moved", "Next run: ", "skipped since one was under way: 11")
	o.contains(o.must("schedule", "delete"), "deleted")
	o.contains(o.must("schedule", "apply"), "created")
}

func TestAKilledWorkerLosesNothing(t *testing.T) {
	o := newScheduler(t)
	facts := o.sampleFile(60_000)
	first, _ := o.start("worker")
	o.must("schedule", "apply")
	ingest, seen := o.start("starter", "ingest", "--source", "sample.csv", "--batch-rows", "500")
	o.await("some batches", func() bool { return strings.Contains(seen.String(), "Batch ") })
	o.end(first, syscall.SIGKILL)
	second, _ := o.start("worker")
	if err := ingest.Wait(); err != nil {
		t.Fatalf("the ingest: %v\n%s", err, seen.String())
	}
	etl, said := o.start("starter", "etl")
	o.await("the ETL", func() bool { return strings.Contains(said.String(), "runs as workflow") })
	o.end(second, syscall.SIGKILL)
	o.start("worker")
	if err := etl.Wait(); err != nil {
		t.Fatalf("the ETL: %v\n%s", err, said.String())
	}
	o.contains(o.must("reconcile"), "Balanced")
	o.checkCards(facts)
}

func TestAnInterruptLeavesTheIngestRunning(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(2000)
	o.start("worker")
	slow := []string{"ingest", "--source", "sample.csv", "--batch-rows", "10", "--rate", "50"}
	watching, seen := o.start("starter", slow...)
	o.await("some batches", func() bool { return strings.Contains(seen.String(), "Batch ") })
	if status := o.end(watching, syscall.SIGINT); status != 1 {
		t.Errorf("ended with %d", status)
	}
	o.contains(seen.String(), "goes on without this command")
	// Other options are refused, the same attach, and a call without any too.
	if _, text, status := o.call("ingest", "--source", "sample.csv", "--batch-rows", "20"); status != 2 {
		t.Errorf("other options ended with %d", status)
	} else {
		o.contains(text, "--batch-rows is 10 there and 20 here")
	}
	o.contains(o.must("ingest", "--source", "sample.csv", "--detach"), "runs as workflow")
	o.contains(o.must("ingest", "pause", "--source", "sample.csv"), "paused")
	o.contains(o.must("ingest", "resume", "--source", "sample.csv"), "goes on")
	o.contains(o.must("ingest", "rate", "--source", "sample.csv", "--rows", "0"), "rate")
	if r := answer[workflows.IngestResult](o, slow...); r.Release != 1 || r.Rows != 2000 {
		t.Errorf("%+v", r)
	}
	if _, text, status := o.call("ingest", "pause", "--source", "sample.csv"); status != 1 {
		t.Errorf("pausing what has ended: %d", status)
	} else {
		o.contains(text, "no ingest of")
	}
}

func TestWithoutAWorkerTheStarterSaysSo(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(100)
	o.must("ingest", "--source", "sample.csv", "--detach")
	_, text, status := o.call("ingest", "pause", "--source", "sample.csv")
	if status != 1 {
		t.Errorf("ended with %d", status)
	}
	o.contains(text, "no worker answered")
}

func TestMistakesAreStatus2AndNamedTogether(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	for _, call := range [][]string{
		{"ingest"}, {"ingest", "--source", "s3://bucket/x.csv"}, {"ingest", "--source", "x.csv", "--batch-rows", "0"},
		{"ingest", "--source", "x.csv", "--max-bad", "0"}, {"ingest", "--source", "x.csv", "--max-retired", "101"}, {"ingest", "reject"},
		{"ingest", "--source", "x.csv", "--concurrency", "100"}, {"ingest", "--source", "x.csv", "--rate", "-1"},
		{"ingest", "rate", "--source", "x.csv"}, {"ingest", "--source", "a.csv", "--source", "b.csv", "--wait", "--detach"}, {"ingest", "pause", "--source", "a.csv", "--source", "a.csv"},
		{"ingest", "rate", "--source", "a.csv", "--rows", "1", "--source", "b.csv"}, {"ingest", "cancel"}, {"ingest", "cancel", "--source", "a.csv", "--source", "b.csv"}, {"cards", "more"}, {"nonsense"}, {"etl", "--nonsense"}, {"schedule"}, {"schedule", "nonsense"}, {"dashboard"}, {"dashboard", "nonsense"}, {"dashboard", "apply", "more"},
		{"schedule", "pause", "--reason", ""}, {"schedule", "backfill"}, {"schedule", "backfill", "--from", "2026-01-01T00:10:00Z", "--to", "2026-01-01T00:20:00Z"},
		{"schedule", "backfill", "--from", "2016-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"},
	} {
		if out, text, status := o.call(call...); status != 2 || text == "" || out != "" {
			t.Errorf("starter %v ended with %d: %s%s", call, status, out, text)
		}
	}
	o.env = append(o.env, "ELASTICSEARCH_INDEX=Not Lower", "ELASTICSEARCH_SHARDS=many", "DATABASE_URL=postgres://user:secret-word@host:notaport/db", "METABASE_URL=metabase:3000",
		"METABASE_DATABASE_URL=postgres://user:secret-word@host")
	_, text, status := o.call("cards")
	if status != 2 {
		t.Errorf("ended with %d", status)
	}
	o.contains(text, "ELASTICSEARCH_INDEX", "Shards", "DATABASE_URL", "METABASE_URL")
	if strings.Contains(text, "secret-word") {
		t.Errorf("a password is shown: %s", text)
	}
	worker, said := o.start("worker")
	_ = worker.Wait() // the status tells
	if status := worker.ProcessState.ExitCode(); status != 2 {
		t.Errorf("the worker ended with %d", status)
	}
	o.contains(said.String(), "ELASTICSEARCH_INDEX", "DATABASE_URL", "METABASE_DATABASE_URL")
}
