package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"covidpipeline/internal/proof"
	"covidpipeline/internal/sample"
	"covidpipeline/internal/search"
	"covidpipeline/workflows"
)

func TestTheSampleGoesThroughThePipeline(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	const rows = 20_000
	facts := sample.Describe(rows)
	var content bytes.Buffer
	if err := sample.Write(&content, rows); err != nil {
		t.Fatal(err)
	}
	path := p.file("sample.csv", content.String())

	in := p.ingest(path, workflows.IngestOptions{BatchRows: 1000})
	if in.Rows != int64(facts.Records) || in.Counts.Quarantined != int64(facts.Quarantined) {
		t.Errorf("ingest: %+v, facts %d records, %d quarantined", in, facts.Records, facts.Quarantined)
	}
	e := p.etl()
	if e.Finished.Rows != int64(facts.Rows) || e.Finished.Rejects != int64(facts.Rejected) || !e.Finished.Checked {
		t.Errorf("etl: %+v, facts %d rows, %d rejected", e.Finished, facts.Rows, facts.Rejected)
	}
	r := p.reconcile().Compared.Report
	if r.Source.Superseded != int64(facts.Superseded) || r.Source.Quarantined != int64(facts.Quarantined) || r.Source.Live != int64(facts.Documents) {
		t.Errorf("proof: %+v, facts %+v", r.Source, facts)
	}
	if got := p.value("SELECT sum(new_cases) FROM covid_cases"); got != facts.NewCases {
		t.Errorf("%v new cases, %d expected", got, facts.NewCases)
	}
	if got := p.value("SELECT sum(new_deaths) FROM covid_cases"); got != facts.NewDeaths {
		t.Errorf("%v new deaths, %d expected", got, facts.NewDeaths)
	}
	if got := p.value("SELECT count(*) FROM covid_cases WHERE new_deaths IS NULL"); got != int64(facts.BlankNewDeaths) {
		t.Errorf("%v blank deaths, %d expected", got, facts.BlankNewDeaths)
	}

	// The same once more: nothing to do anywhere.
	if again := p.ingest(path, workflows.IngestOptions{}); !again.Nothing || again.Release != in.Release {
		t.Errorf("a repeated ingest: %+v", again)
	}
	if again := p.etl(); again.Counts.Windows != 0 {
		t.Errorf("a repeated ETL loaded %+v", again.Counts)
	}
	// A new release of the same content is read, and changes nothing.
	if again := p.ingest(path, workflows.IngestOptions{NewRelease: true}); again.Release != in.Release+1 {
		t.Errorf("a new release: %+v", again)
	}
	if l := p.etl().Counts.Loaded; l.Inserted+l.Updated+l.Retired+l.MovedToRejects != 0 || l.Unchanged != int64(facts.Rows) {
		t.Errorf("a new release of the same content loaded %+v", l)
	}
	p.reconcile()
}

func TestReleasesReplaceEachOther(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	first := source(days("Coconino", 50), days("Pima", 50), line("Gila", "2020-03-01", "1"))
	second := source(days("Coconino", 50), line("Pima", "2020-02-08", "999"), days("Yuma", 10))
	path := p.file("cases.csv", first)
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.reconcile()

	p.file("cases.csv", second)
	if r := p.ingest(path, workflows.IngestOptions{}); r.Release != 2 || r.Retired != 50 {
		t.Errorf("second release: %+v", r)
	}
	if l := p.etl().Counts.Loaded; l.Inserted != 10 || l.Updated != 1 || l.Retired != 50 || l.Unchanged != 50 {
		t.Errorf("second release loaded %+v", l)
	}
	r := p.reconcile().Compared.Report
	if r.Raw.Retired != 50 || r.Warehouse.Rows != 61 {
		t.Errorf("second release: raw %+v, warehouse %+v", r.Raw, r.Warehouse)
	}

	// Back to the first content: a release of its own.
	p.file("cases.csv", first)
	if r := p.ingest(path, workflows.IngestOptions{}); r.Release != 3 || r.Retired != 10 {
		t.Errorf("back to the first content: %+v", r)
	}
	if l := p.etl().Counts.Loaded; l.Inserted != 50 || l.Updated != 1 || l.Retired != 10 || l.Unchanged != 50 {
		t.Errorf("back to the first content: loaded %+v", l)
	}
	p.reconcile()
}

func TestTwoSourcesShareAnIndex(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	a := p.file("a.csv", source(days("Coconino", 30), line("Pima", "2020-03-01", "1")))
	b := p.file("b.csv", source(days("Yuma", 30), line("Pima", "2020-03-01", "2")))
	p.ingest(a, workflows.IngestOptions{})
	p.ingest(b, workflows.IngestOptions{})
	p.etl()
	r := p.reconcile().Compared.Report
	if r.Source.Live != 61 || r.Source.Superseded != 1 {
		t.Errorf("%+v", r.Source)
	}
	// Without the shared key, b's next release retires it, though a still has it.
	p.file("b.csv", source(days("Yuma", 30)))
	if r := p.ingest(b, workflows.IngestOptions{}); r.Retired != 1 {
		t.Errorf("%+v", r)
	}
	p.etl()
	if r := p.proof(); r.OK() || r.Busy != "" || r.Compared.Report.Kinds[proof.RetiredByOther] != 1 || r.Compared.Report.Kinds.Total() != 1 {
		t.Errorf("a key that another source retired: %s %+v", r.Busy, r.Compared.Report.Kinds)
	} else if d := r.Compared.Report.Differences[0]; d.Release != 1 || d.Row != 31 || !strings.Contains(d.Detail, "starter ingest --new-release --source "+a+"`") {
		t.Errorf("%+v", d)
	}
	// a's next release brings it back.
	p.file("a.csv", source(days("Coconino", 30), line("Pima", "2020-03-01", "1"), line("Pima", "2020-03-02", "1")))
	if r := p.ingest(a, workflows.IngestOptions{NewRelease: true}); r.Retired != 0 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
	if got := p.value("SELECT new_cases FROM covid_cases WHERE county = 'Pima' AND date = '2020-03-01'"); got != int64(1) {
		t.Errorf("the shared key has %v new cases", got)
	}
}

func TestAnAppendedFileCostsWhatWasAppended(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 250)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.add(path, days("Pima", 30))
	r := p.ingest(path, workflows.IngestOptions{})
	if r.Release != 1 || r.Rows != 280 || r.Counts.Written != 280 || r.Batches != 1 {
		t.Errorf("%+v", r)
	}
	if e := p.etl(); e.Counts.Loaded.Extracted != 30 || e.Counts.Loaded.Inserted != 30 {
		t.Errorf("%+v", e.Counts)
	}
	p.reconcile()
}

func TestALastLineWithoutAnEnd(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	whole := line("Pima", "2020-03-01", "12")
	path := p.file("cases.csv", source(days("Coconino", 10))+whole[:len(whole)-2])
	if r := p.ingest(path, workflows.IngestOptions{}); r.Rows != 11 {
		t.Errorf("the last line is no row: %+v", r)
	}
	p.etl()
	p.reconcile()
	if got := p.value("SELECT total_deaths FROM covid_cases WHERE county = 'Pima'"); got != int64(5) {
		t.Errorf("%v total deaths", got)
	}
	// Completed, it is another content of the same row.
	p.add(path, "0\n")
	if r := p.ingest(path, workflows.IngestOptions{}); r.Rows != 11 || r.Release != 2 {
		t.Errorf("completed: %+v", r)
	}
	p.etl()
	p.reconcile()
	if got := p.value("SELECT total_deaths FROM covid_cases WHERE county = 'Pima'"); got != int64(50) {
		t.Errorf("%v total deaths", got)
	}
}

func TestFollowTakesLinesAsTheyCome(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	run := p.startIngest(path, workflows.IngestOptions{Follow: true})
	p.await("the first rows", func() bool { return p.progress(run).Rows == 20 })
	more := days("Pima", 40)
	for more != "" {
		piece := min(37+len(more)%101, len(more)) // they end anywhere
		p.add(path, more[:piece])
		more = more[piece:]
	}
	p.await("the appended rows", func() bool { return p.progress(run).Rows == 60 })
	// A growing source is proved up to its checkpoint.
	p.add(path, "1000,Gila,Arizona,2020-03-01,America,Test")
	p.etl()
	p.reconcile()
	p.update(run, workflows.UpdateFinish)
	r := result[workflows.IngestResult](p, run)
	if r.Rows != 61 || r.Counts.Quarantined != 1 {
		t.Errorf("finished: %+v", r)
	}
	p.keep("follow-finish", run)
	p.etl()
	p.reconcile()
}

func (p *pipeline) update(run interface{ GetID() string }, name string, args ...any) {
	p.Helper()
	if err := p.tell(run.GetID(), name, args...); err != nil {
		p.Fatal(err)
	}
}

func TestFollowNoticesTruncationAndReplacement(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	run := p.startIngest(path, workflows.IngestOptions{Follow: true, Accept: true})
	p.await("the first rows", func() bool { return p.progress(run).Rows == 20 })
	// Replaced by another file that is longer.
	other := p.file("other.csv", source(days("Yuma", 90)))
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	p.await("the next release", func() bool { q := p.progress(run); return q.Release == 2 && q.Rows == 90 })
	// Truncated in place.
	p.file("cases.csv", source(days("Gila", 5)))
	p.await("the third release", func() bool { q := p.progress(run); return q.Release == 3 && q.Rows == 5 })
	p.update(run, workflows.UpdateFinish)
	if r := result[workflows.IngestResult](p, run); r.Release != 3 || r.Retired != 110 {
		t.Errorf("%+v", r)
	}
	p.keep("follow-replaced", run)
	p.etl()
	p.reconcile()
}

func TestTheLaterRowOfAKeyWinsInWhateverOrderBatchesFinish(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	var lines []string
	for i := range 60 {
		lines = append(lines, line("Pima", "2020-03-01", string(rune('0'+i%10))))
	}
	lines = append(lines, line("Pima", "2020-03-01", "77"))
	path := p.file("cases.csv", source(lines...))
	if r := p.ingest(path, workflows.IngestOptions{BatchRows: 1, Concurrency: 16}); r.Rows != 61 {
		t.Errorf("%+v", r)
	}
	p.etl()
	if r := p.reconcile().Compared.Report; r.Source.Live != 1 || r.Source.Superseded != 60 {
		t.Errorf("%+v", r.Source)
	}
	if got := p.value("SELECT new_cases FROM covid_cases"); got != int64(77) {
		t.Errorf("%v new cases", got)
	}
}

func TestKeysThatDifferOnlyInCaseOrSpaces(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(
		line("Pima", "2020-03-01", "1"), line("PIMA", "2020-03-01", "2"), line("  Pi ma ", "2020-03-01", "3"), line("Pi  ma", "2020-03-01", "4")))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	if r := p.reconcile().Compared.Report; r.Source.Live != 2 || r.Source.Superseded != 2 {
		t.Errorf("%+v", r.Source)
	}
	if got := p.value("SELECT new_cases FROM covid_cases WHERE county = 'Pima'"); got != int64(2) {
		t.Errorf("Pima has %v new cases", got)
	}
	if got := p.value("SELECT new_cases FROM covid_cases WHERE county = 'Pi ma'"); got != int64(4) {
		t.Errorf("Pi ma has %v new cases", got)
	}
}

func TestAKeyTurnsBadAndGoodAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Yuma", 10), line("Pima", "2020-03-01", "5")))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	for i, bad := range []string{"12a", "3.7"} {
		p.file("cases.csv", source(days("Yuma", 10), line("Pima", "2020-03-01", bad)))
		p.ingest(path, workflows.IngestOptions{})
		l := p.etl().Counts.Loaded
		if moved := int64(1 - i); l.MovedToRejects != moved || l.Rejected != 1-moved {
			t.Errorf("%s: %+v", bad, l)
		}
		r := p.reconcile().Compared.Report
		if r.Warehouse.Rows != 10 || r.Warehouse.Rejects != 1 {
			t.Errorf("%s: %+v", bad, r.Warehouse)
		}
		if got := p.value("SELECT last_good->>'new_cases' FROM covid_rejects"); got != "5" {
			t.Errorf("%s: the last good value is %v", bad, got)
		}
	}
	p.file("cases.csv", source(days("Yuma", 10), line("Pima", "2020-03-01", "6")))
	p.ingest(path, workflows.IngestOptions{})
	if l := p.etl().Counts.Loaded; l.Inserted != 1 {
		t.Errorf("good again: %+v", l)
	}
	if r := p.reconcile().Compared.Report; r.Warehouse.Rows != 11 || r.Warehouse.Rejects != 0 {
		t.Errorf("good again: %+v", r.Warehouse)
	}
}

func TestAnIngestThatWasEndedGoesOnAtItsCheckpoint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *pipeline, id string) error{
		"cancelled":  func(p *pipeline, id string) error { return p.c.CancelWorkflow(p.Context(), id, "") },
		"terminated": func(p *pipeline, id string) error { return p.c.TerminateWorkflow(p.Context(), id, "", "test") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			path := p.file("cases.csv", source(days("Coconino", 600), days("Pima", 600)))
			run := p.startIngest(path, workflows.IngestOptions{BatchRows: 1, Concurrency: 2})
			p.await("some rows", func() bool { return p.progress(run).Rows > 210 })
			if err := end(p, run.GetID()); err != nil {
				t.Fatal(err)
			}
			if err := run.Get(t.Context(), nil); err == nil {
				t.Fatal("the ingest came to its end")
			}
			newest, err := p.es.Newest(t.Context(), p.index, path)
			if err != nil || newest == nil || newest.State == search.StateCompleted || newest.Checkpoint.Row == 0 {
				t.Fatalf("registry: %+v, %v", newest, err)
			}
			r := p.ingest(path, workflows.IngestOptions{})
			if r.Release != 1 || r.Rows != 1200 || r.Batches > 12 {
				t.Errorf("%+v", r)
			}
			p.etl()
			p.reconcile()
		})
	}
}

// The servers of the tests suggest ContinueAsNew after 300 events.
func TestALongIngestAndETLContinueAsNew(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 150)))
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 1, Concurrency: 4})
	if r := result[workflows.IngestResult](p, run); r.Rows != 150 || r.Counts.Rows != 150 || r.Batches != 150 {
		t.Errorf("%+v", r)
	}
	d, err := p.c.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
	if err != nil {
		t.Fatal(err)
	}
	if info := d.GetWorkflowExecutionInfo(); info.GetExecution().GetRunId() == info.GetFirstRunId() {
		t.Error("the ingest did not continue as new")
	}
	p.keep("ingest-long", run)
	etl := p.startETL()
	if r := result[workflows.ETLResult](p, etl); r.Counts.Loaded.Inserted != 150 {
		t.Errorf("%+v", r)
	}
	p.keep("etl-first", etl)
	p.reconcile()
	p.keep("reconcile-balanced", p.lastProof)
}

func TestPauseHoldsAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 600)))
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 4, Concurrency: 1})
	p.await("some rows", func() bool { return p.progress(run).Rows > 5 })
	p.update(run, workflows.UpdatePause)
	p.await("the pause", func() bool { q := p.progress(run); return q.Phase == "paused" })
	before := p.progress(run).Rows
	p.update(run, workflows.UpdateRate, int64(1_000_000))
	if now := p.progress(run).Rows; now > before+4 { // a batch was under way
		t.Errorf("%d rows at the pause, %d later", before, now)
	}
	p.update(run, workflows.UpdateResume)
	if r := result[workflows.IngestResult](p, run); r.Rows != 600 {
		t.Errorf("%+v", r)
	}
	p.keep("ingest-paused", run)
}

func TestAFileThatIsNoActivityFileIsRefused(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	run := p.startIngest(p.file("other.csv", "a,b,c\n1,2,3\n"), workflows.IngestOptions{})
	err := run.Get(t.Context(), nil)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("header")) {
		t.Fatalf("ended with %v", err)
	}
}
