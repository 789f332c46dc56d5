package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// nine are the records of three counties' three days.
func nine() []string {
	var lines []string
	for _, county := range []string{"Story", "Polk", "Linn"} {
		for line := range strings.Lines(days(county, 3)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// each changes every record of a source.
func each(lines []string, change func(string) string) string {
	var changed []string
	for _, l := range lines {
		changed = append(changed, change(l))
	}
	return source(changed...)
}

// isHeld waits until an ingest is held, and returns why.
func (p *pipeline) isHeld(run client.WorkflowRun) string {
	p.Helper()
	var held workflows.IngestProgress
	p.await("the ingest to be held", func() bool {
		held = p.progress(run)
		return held.Phase == "held"
	})
	return held.Held
}

// unchanged fails the test unless the index and the warehouse hold what they held, and
// the proof is exact.
func (p *pipeline) unchanged(rows int64) {
	p.Helper()
	live := false
	n, err := p.es.Count(p.Context(), p.index, search.CountQuery{Retired: &live})
	if err != nil || n != rows {
		p.Errorf("%d live documents, %v; want %d", n, err, rows)
	}
	if n, _, err := p.es.QuarantineReasons(p.Context(), p.index, 1); n != 0 || err != nil {
		p.Errorf("%d records in the quarantine, %v", n, err)
	}
	p.etl()
	if got := p.value("SELECT count(*) FROM covid_cases"); got != rows {
		p.Errorf("%v rows, want %d", got, rows)
	}
	p.reconcile()
}

func TestAReleaseThatTakesMuchAwayIsHeld(t *testing.T) {
	t.Parallel()
	lines := nine()
	for name, c := range map[string]struct {
		content               string
		why                   string
		rows, rejects, broken int64 // when it is accepted
	}{
		"header only":    {source(), "9 of 9 live keys would be retired", 0, 0, 0},
		"cut in half":    {source(lines[:4]...), "5 of 9 live keys would be retired", 4, 0, 0},
		"US dates":       {each(lines, func(l string) string { return strings.ReplaceAll(l, "2020-02-", "2/") }), "9: REPORT_DATE is not a date", 0, 9, 0},
		"floats":         {each(lines, func(l string) string { return strings.ReplaceAll(l, "1000,", "1000.0,") }), "9 of 9 records are bad", 0, 9, 0},
		"trailing comma": {each(lines, func(l string) string { return strings.TrimSuffix(l, "\n") + ",\n" }), "9: 14 fields, not 13", 0, 0, 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			path := p.file("cases.csv", source(lines...))
			p.ingest(path, workflows.IngestOptions{})
			p.etl()

			p.file("cases.csv", c.content)
			run := p.startIngest(path, workflows.IngestOptions{})
			if why := p.isHeld(run); !strings.Contains(why, c.why) {
				t.Errorf("held since %q, want %q", why, c.why)
			}
			p.unchanged(9)
			p.update(run, workflows.UpdateReject)
			if r := result[workflows.IngestResult](p, run); r.Rejected == "" || r.Release != 2 {
				t.Errorf("rejected: %+v", r)
			}
			p.unchanged(9)

			// The content that is in effect again: nothing to do.
			p.file("cases.csv", source(lines...))
			if r := p.ingest(path, workflows.IngestOptions{}); !r.Nothing || r.Release != 1 {
				t.Errorf("the content of before: %+v", r)
			}
			p.unchanged(9)

			// A rejection is not for ever, and an acceptance is obeyed.
			p.file("cases.csv", c.content)
			run = p.startIngest(path, workflows.IngestOptions{})
			p.isHeld(run)
			p.update(run, workflows.UpdateAccept)
			if r := result[workflows.IngestResult](p, run); r.Rejected != "" || r.Counts.Quarantined != c.broken {
				t.Errorf("accepted: %+v", r)
			}
			e := p.etl()
			if e.Finished.Rows != c.rows || e.Finished.Rejects != c.rejects {
				t.Errorf("%d rows and %d rejects, want %d and %d", e.Finished.Rows, e.Finished.Rejects, c.rows, c.rejects)
			}
			p.reconcile()
		})
	}
}

func TestAcceptInAdvanceHoldsNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(nine()...))
	p.ingest(path, workflows.IngestOptions{})
	p.file("cases.csv", source())
	if r := p.ingest(path, workflows.IngestOptions{Accept: true}); r.Retired != 9 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
}

func TestTheFirstReleaseIsHeldForItsQuality(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", each(nine(), func(l string) string { return strings.ReplaceAll(l, ",2020-", ",20-") }))
	run := p.startIngest(path, workflows.IngestOptions{})
	p.isHeld(run)
	p.unchanged(0)
	p.update(run, workflows.UpdateReject)
	result[workflows.IngestResult](p, run)
	p.unchanged(0)
}

// What may go of a file of some thousands: 100 records, or 1 %.
func TestTheLimitsOfALargeFile(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	county := func(i int) string { return fmt.Sprintf("County %d", i) }
	var lines []string // 2,000
	for i := range 4 {
		for l := range strings.Lines(days(county(i), 500)) {
			lines = append(lines, l)
		}
	}
	bad := func(n int) string {
		var changed []string
		for i, l := range lines {
			if i < n {
				l = strings.Replace(l, "1000,", "x,", 1)
			}
			changed = append(changed, l)
		}
		return source(changed...)
	}
	path := p.file("cases.csv", source(lines...))
	p.ingest(path, workflows.IngestOptions{BatchRows: 1000})
	judge := func(content string, limits activities.Limits) activities.Judgement {
		p.file("cases.csv", content)
		run, err := p.c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.CheckID(p.index, path), TaskQueue: temporalclient.TaskQueue},
			workflows.CheckWorkflow, workflows.CheckInput{Index: p.index, Source: path, Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		return result[activities.Judgement](p, run)
	}
	for _, c := range []struct {
		content string
		limits  activities.Limits
		held    string
	}{
		{bad(100), activities.Limits{}, ""},
		{bad(101), activities.Limits{}, "101 of 2000 records are bad"},
		{bad(101), activities.Limits{MaxBad: 6}, ""},
		{bad(121), activities.Limits{MaxBad: 6}, "121 of 2000 records are bad"},
		{source(lines[100:]...), activities.Limits{}, ""},
		{source(lines[101:]...), activities.Limits{}, "101 of 2000 live keys would be retired"},
		{source(lines[101:]...), activities.Limits{MaxRetired: 6}, ""},
		{source(), activities.Limits{MaxBad: 100, MaxRetired: 100}, ""},
	} {
		if j := judge(c.content, c.limits); !strings.HasPrefix(j.Held, c.held) || (j.Held == "") != (c.held == "") {
			t.Errorf("held %q, want %q: %+v", j.Held, c.held, j)
		}
	}
	// Small corrections pass, and nothing of all that was written.
	p.file("cases.csv", bad(100))
	if r := p.ingest(path, workflows.IngestOptions{BatchRows: 1000}); r.Release != 2 || r.Retired != 0 {
		t.Errorf("%+v", r)
	}
	p.etl()
	if r := p.reconcile().Compared.Report; r.Warehouse.Rejects != 100 {
		t.Errorf("%+v", r)
	}
}

// An acceptance is for the content that was judged.
func TestAnAcceptedSourceThatChangedIsJudgedAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	lines := nine()
	path := p.file("cases.csv", source(lines...))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.file("cases.csv", source(lines[:4]...))
	run := p.startIngest(path, workflows.IngestOptions{})
	p.isHeld(run)
	p.file("cases.csv", source(lines[:1]...))
	p.update(run, workflows.UpdateAccept)
	p.await("the judgement of the new content", func() bool { return strings.HasPrefix(p.progress(run).Held, "8 of 9") })
	p.unchanged(9)
	// Touched, and the same.
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	p.update(run, workflows.UpdateAccept)
	if r := result[workflows.IngestResult](p, run); r.Retired != 8 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
}

func TestAHeldSourceThatIsMendedPasses(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	lines := nine()
	path := p.file("cases.csv", source(lines...))
	p.ingest(path, workflows.IngestOptions{})
	p.file("cases.csv", source())
	run := p.startIngest(path, workflows.IngestOptions{})
	p.isHeld(run)
	p.file("cases.csv", source(append(lines, line("Gila", "2020-03-01", "1"))...))
	p.update(run, workflows.UpdateAccept)
	if r := result[workflows.IngestResult](p, run); r.Rows != 10 || r.Retired != 0 {
		t.Errorf("%+v", r)
	}
	p.unchanged(10)
}

func TestAHeldIngestThatIsCancelledIsJudgedAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(nine()...))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.file("cases.csv", source())
	run := p.startIngest(path, workflows.IngestOptions{})
	p.isHeld(run)
	if err := p.c.CancelWorkflow(t.Context(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); err == nil {
		t.Fatal("the ingest came to its end")
	}
	p.unchanged(9)
	run = p.startIngest(path, workflows.IngestOptions{})
	p.isHeld(run)
	if q := p.progress(run); q.Release != 2 {
		t.Errorf("%+v", q)
	}
	// An operator's messages make the history long.
	for range 80 {
		p.update(run, workflows.UpdateRate, int64(0))
	}
	d, err := p.c.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
	if err != nil {
		t.Fatal(err)
	}
	if info := d.GetWorkflowExecutionInfo(); info.GetExecution().GetRunId() == run.GetRunID() {
		t.Error("the held ingest did not continue as new")
	}
	p.isHeld(run)
	p.update(run, workflows.UpdateAccept)
	if r := result[workflows.IngestResult](p, run); r.Retired != 9 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
}

// Of a followed source what it retires is judged at its end.
func TestAFollowedSourceIsHeldAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{workflows.UpdateAccept, workflows.UpdateReject} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			lines := nine()
			path := p.file("cases.csv", source(lines...))
			p.ingest(path, workflows.IngestOptions{})
			p.etl()
			p.file("cases.csv", source(lines[:2]...))
			run := p.startIngest(path, workflows.IngestOptions{Follow: true})
			p.await("the first rows", func() bool { return p.progress(run).Rows == 2 })
			p.add(path, lines[2])
			p.await("the appended row", func() bool { return p.progress(run).Rows == 3 })
			p.update(run, workflows.UpdateFinish)
			if why := p.isHeld(run); !strings.HasPrefix(why, "6 of 9 live keys") {
				t.Errorf("held since %q", why)
			}
			p.unchanged(9)
			p.update(run, decision)
			r := result[workflows.IngestResult](p, run)
			if decision == workflows.UpdateReject {
				if r.Rejected == "" || r.Retired != 0 {
					t.Errorf("%+v", r)
				}
				if n := p.number(2); n.State != search.StateFailed {
					t.Errorf("the release: %+v", n)
				}
				return
			}
			if r.Rejected != "" || r.Retired != 6 || r.Rows != 3 {
				t.Errorf("%+v", r)
			}
			p.etl()
			p.reconcile()
		})
	}
}

func TestAcceptIsRefusedWhenNothingIsHeld(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(nine()...))
	run := p.startIngest(path, workflows.IngestOptions{Follow: true})
	p.await("the rows", func() bool { return p.progress(run).Rows == 9 })
	if err := p.tell(run.GetID(), workflows.UpdateAccept); err == nil || !strings.Contains(err.Error(), "not held") {
		t.Errorf("ended with %v", err)
	}
	p.update(run, workflows.UpdateFinish)
	result[workflows.IngestResult](p, run)
}

// The file is exchanged between its judgement and the end of the release.
func TestContentThatWasNotJudgedIsNotCompleted(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	lines := nine()
	path := p.file("cases.csv", source(lines...))
	i := p.ingesting(path, false)
	finish := i.finish()
	finish.JudgedLength, finish.JudgedDigest = finish.End.Offset, strings.Repeat("0", 64)
	_, err := i.env.ExecuteActivity(i.a.FinishRelease, finish)
	if err == nil || !strings.Contains(err.Error(), activities.ErrTypeSourceChanged) {
		t.Errorf("ended with %v", err)
	}
	finish.JudgedLength, finish.JudgedDigest = finish.End.Offset, finish.Digest
	do[activities.Finished](i.steps, i.a.FinishRelease, finish)
}
