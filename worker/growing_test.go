package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/config"
	"covidpipeline/internal/search"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// More followed sources wait than a worker has places for work. Each wait lasts a
// minute, so what is done within half of that was not held up by them.
func TestWaitsOfFollowedSourcesLeaveRoomForWork(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	var runs []client.WorkflowRun
	var paths []string
	for i := range activitiesAtOnce + 8 {
		county := fmt.Sprintf("County %d", i)
		paths = append(paths, p.file(county+".csv", source(days(county, 3))))
		runs = append(runs, p.startIngest(paths[i], workflows.IngestOptions{Follow: true}))
	}
	for _, run := range runs {
		p.await("all of them to wait", func() bool { return p.progress(run).Phase == "waiting for new lines" })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var loaded workflows.ETLResult
	if err := p.startETL().Get(ctx, &loaded); err != nil {
		t.Fatalf("the ETL while all wait: %v", err)
	}
	if want := int64(3 * len(runs)); loaded.Finished.Rows != want {
		t.Errorf("%d rows, want %d", loaded.Finished.Rows, want)
	}
	last := len(runs) - 1
	p.add(paths[last], days("Pima", 2))
	for p.progress(runs[last]).Rows != 5 {
		if ctx.Err() != nil {
			t.Fatal("lines that were appended while all wait are not indexed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, run := range runs {
		if err := p.c.TerminateWorkflow(t.Context(), run.GetID(), "", "the test ends"); err != nil {
			t.Error(err)
		}
	}
}

// A wait can be ended by the operator, and an ingest that is terminated while it
// waits has its checkpoint in the registry.
func TestAWaitKeepsTheCheckpointAndEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	run := p.startIngest(path, workflows.IngestOptions{Follow: true})
	waits := func() bool { return p.progress(run).Phase == "waiting for new lines" }
	p.await("the first wait", waits)
	p.add(path, days("Pima", 5))
	p.await("the next wait", func() bool { return p.progress(run).Rows == 25 && waits() })
	r, err := p.es.Newest(t.Context(), p.index, path)
	if err != nil || r.Checkpoint.Row != 25 {
		t.Errorf("the registry has %+v, %v", r, err)
	}
	if err := p.c.TerminateWorkflow(t.Context(), run.GetID(), "", "as an operator does"); err != nil {
		t.Fatal(err)
	}
	run = p.startIngest(path, workflows.IngestOptions{Follow: true})
	p.await("the wait of the second ingest", waits)
	p.update(run, workflows.UpdateFinish)
	if r := result[workflows.IngestResult](p, run); r.Rows != 25 || r.NewRows != 0 || r.Seconds > 30 {
		t.Errorf("%+v", r)
	}
	p.etl()
	p.reconcile()
}

// rewrite truncates a file and writes it again piece by piece, as a slow copy does.
func (p *pipeline) rewrite(path, content string, pieces int, pause time.Duration) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		p.Error(err)
		return
	}
	defer f.Close()
	for i := range pieces {
		if _, err := f.WriteString(content[i*len(content)/pieces : (i+1)*len(content)/pieces]); err != nil {
			p.Error(err)
		}
		time.Sleep(pause)
	}
}

func TestASlowWriterLosesNoRows(t *testing.T) {
	t.Parallel()
	p := startPipelineWith(t, testenv.Elasticsearch(t), testenv.Index(t), testenv.Postgres(t),
		config.Worker{Source: config.Source{Quiet: 3 * time.Second}})
	content := source(days("Coconino", 150), days("Pima", 150))
	path := p.file("cases.csv", content)
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	written := make(chan struct{})
	go func() {
		defer close(written)
		p.rewrite(path, content[:len(content)-2]+"9\n", 3, 1500*time.Millisecond)
	}()
	p.await("the first piece", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0 && info.Size() < int64(len(content))/2
	})
	if r := p.ingest(path, workflows.IngestOptions{}); r.Rows != 300 || r.Retired != 0 || r.Counts.Quarantined != 0 {
		t.Errorf("%+v", r)
	}
	<-written
	p.etl()
	if r := p.reconcile().Compared.Report; r.Warehouse.Rows != 300 || r.Raw.Retired != 0 {
		t.Errorf("%+v", r)
	}
}

// The end of a source was planned, and then more is there.
func TestAReleaseIsNotCompletedBeforeItsSourceEnds(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	content := source(days("Coconino", 30))
	path := p.file("cases.csv", content)
	p.ingest(path, workflows.IngestOptions{})
	p.file("cases.csv", content[:len(content)*2/3]+"x")
	ingest := &activities.Ingest{Sources: p.sources, Search: p.es, Shards: 1}
	s := p.steps(ingest)
	reg := do[activities.Registered](s, ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path})
	plan := do[activities.Planned](s, ingest.PlanBatches, activities.PlanInput{
		Release: reg.Release, From: reg.From, Hash: reg.Hash, Identity: reg.Identity, BatchRows: 100, Checkpoint: reg.From,
	})
	finish := activities.FinishInput{Release: reg.Release, End: plan.End, Digest: plan.Digest, CanPlanOn: true}
	p.add(path, "y\n")
	_, err := s.env.ExecuteActivity(ingest.FinishRelease, finish)
	if err == nil || !strings.Contains(err.Error(), activities.ErrTypeSourceChanged) {
		t.Errorf("the last line went on, and the release ended with %v", err)
	}
	// Of a release whose last line had an end, more lines are planned.
	p.file("cases.csv", content[:len(content)*2/3]+"\n")
	reg = do[activities.Registered](s, ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path})
	plan = do[activities.Planned](s, ingest.PlanBatches, activities.PlanInput{
		Release: reg.Release, From: reg.From, Hash: reg.Hash, Identity: reg.Identity, BatchRows: 100, Checkpoint: reg.From,
	})
	p.add(path, days("Pima", 3))
	finish = activities.FinishInput{Release: reg.Release, End: plan.End, Digest: plan.Digest, CanPlanOn: true}
	if f := do[activities.Finished](s, ingest.FinishRelease, finish); !f.More {
		t.Errorf("%+v", f)
	}
	retired := true
	if n, err := p.es.Count(t.Context(), p.index, search.CountQuery{Retired: &retired}); n != 0 || err != nil {
		t.Errorf("%d documents are retired, %v", n, err)
	}
}

// An unfinished line is a record only when nothing has written to its source for a
// while.
func TestAPlanBelievesAnEndThatRests(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 10))+"1000,Pima")
	ingest := &activities.Ingest{Sources: p.sources, Search: p.es, Shards: 1, Quiet: time.Hour}
	s := p.steps(ingest)
	reg := do[activities.Registered](s, ingest.RegisterRelease, activities.RegisterInput{Index: p.index, Source: path})
	in := activities.PlanInput{Release: reg.Release, From: reg.From, Hash: reg.Hash, Identity: reg.Identity, BatchRows: 100, Checkpoint: reg.From}
	if plan := do[activities.Planned](s, ingest.PlanBatches, in); plan.End.Row != 10 || plan.EndOfSource {
		t.Errorf("of a source that is being written: %+v", plan)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if plan := do[activities.Planned](s, ingest.PlanBatches, in); plan.End.Row != 11 || !plan.EndOfSource {
		t.Errorf("of a source that rests: %+v", plan)
	}
}
