package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"covidpipeline/internal/config"
	"covidpipeline/internal/covid"
	"covidpipeline/internal/search"
	files "covidpipeline/internal/source"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// pipeline is a worker with an index, a schema and a namespace of its own.
type pipeline struct {
	*testing.T
	index     string
	database  string
	namespace string
	c         client.Client
	es        *search.Client
	db        *warehouse.DB
	dir       string
	stop      func()      // ends the worker
	sources   files.Roots // of dir

	lastProof client.WorkflowRun
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	return startPipeline(t, testenv.Elasticsearch(t), testenv.Index(t), testenv.Postgres(t))
}

func startPipeline(t *testing.T, elasticsearch, index, database string) *pipeline {
	t.Helper()
	return startPipelineWith(t, elasticsearch, index, database, config.Worker{})
}

func startPipelineWith(t *testing.T, elasticsearch, index, database string, cfg config.Worker) *pipeline {
	t.Helper()
	p := &pipeline{T: t, index: index, database: database, dir: t.TempDir()}
	address, namespace := testenv.Temporal(t)
	p.namespace = namespace
	var err error
	logger := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if p.c, err = client.Dial(client.Options{HostPort: address, Namespace: namespace, Identity: "worker", Logger: log.NewStructuredLogger(logger)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.c.Close)
	if p.es, err = search.New(search.Config{URL: elasticsearch}); err != nil {
		t.Fatal(err)
	}
	if _, _, err = warehouse.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	if p.db, err = warehouse.Open(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.db.Close)
	if p.sources, err = files.NewRoots(p.dir); err != nil {
		t.Fatal(err)
	}
	p.work(cfg)
	return p
}

// work starts the pipeline's worker.
func (p *pipeline) work(cfg config.Worker) {
	p.Helper()
	cfg.Shards = 1
	w, waits := newWorker(p.c, cfg, p.es, p.db, p.sources), newWaiter(p.c, p.sources)
	if err := errors.Join(waits.Start(), w.Start()); err != nil {
		p.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() { w.Stop(); waits.Stop() })
	p.Cleanup(p.stop)
}

// testWriter writes a program's log to the test's.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(b)))
	return len(b), nil
}

// file writes a source and gives its path.
func (p *pipeline) file(name, content string) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

// add appends to a source.
func (p *pipeline) add(path, content string) {
	p.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(content)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pipeline) startIngest(path string, opt workflows.IngestOptions) client.WorkflowRun {
	p.Helper()
	if opt.BatchRows == 0 {
		opt.BatchRows = 100
	}
	if opt.Concurrency == 0 {
		opt.Concurrency = 3
	}
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: workflows.IngestID(p.index, path), TaskQueue: temporalclient.TaskQueue,
	}, workflows.IngestWorkflow, workflows.IngestInput{Index: p.index, Source: path, Options: opt})
	if err != nil {
		p.Fatal(err)
	}
	return run
}

func (p *pipeline) ingest(path string, opt workflows.IngestOptions) workflows.IngestResult {
	p.Helper()
	return result[workflows.IngestResult](p, p.startIngest(path, opt))
}

func (p *pipeline) startETL() client.WorkflowRun {
	p.Helper()
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: "etl-" + uuid.NewString(), TaskQueue: temporalclient.TaskQueue,
	}, workflows.ETLWorkflow, workflows.ETLInput{Index: p.index})
	if err != nil {
		p.Fatal(err)
	}
	return run
}

func (p *pipeline) etl() workflows.ETLResult {
	p.Helper()
	return result[workflows.ETLResult](p, p.startETL())
}

// reconcile fails the test unless every record is accounted for.
func (p *pipeline) reconcile() workflows.ReconcileResult {
	p.Helper()
	r := p.proof()
	if !r.OK() {
		var text strings.Builder
		_ = r.Compared.Report.WriteText(&text)
		p.Fatalf("not proved: %s %v\n%s", r.Busy, r.Compared.Problems, text.String())
	}
	return r
}

func (p *pipeline) proof() workflows.ReconcileResult {
	p.Helper()
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: workflows.ReconcileID(p.index), TaskQueue: temporalclient.TaskQueue,
	}, workflows.ReconcileWorkflow, workflows.ReconcileInput{Index: p.index, Wait: time.Second})
	if err != nil {
		p.Fatal(err)
	}
	p.lastProof = run
	return result[workflows.ReconcileResult](p, run)
}

// resultWithin bounds the wait for a workflow: a fault must fail the test, not
// hang it.
const resultWithin = 2 * time.Minute

func result[R any](p *pipeline, run client.WorkflowRun) R {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), resultWithin)
	defer cancel()
	var r R
	if err := run.Get(ctx, &r); err != nil {
		p.Fatalf("workflow %s: %v", run.GetID(), err)
	}
	return r
}

// await waits until a condition holds.
func (p *pipeline) await(what string, holds func() bool) {
	p.Helper()
	deadline := time.Now().Add(resultWithin)
	for !holds() {
		if time.Now().After(deadline) {
			p.Fatalf("waited %s for %s", resultWithin, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// progress asks an ingest until it answers: a busy server may let a query time
// out.
func (p *pipeline) progress(run client.WorkflowRun) (answer workflows.IngestProgress) {
	p.Helper()
	p.await("an answer of the ingest", func() bool {
		value, err := p.c.QueryWorkflow(p.Context(), run.GetID(), "", workflows.QueryProgress)
		return err == nil && value.Get(&answer) == nil
	})
	return answer
}

// value gives the one value of a query of the warehouse.
func (p *pipeline) value(sql string) any {
	p.Helper()
	_, rows, err := p.db.Query(p.Context(), sql)
	if err != nil {
		p.Fatal(err)
	}
	if len(rows) != 1 {
		p.Fatalf("%s: %d rows", sql, len(rows))
	}
	return rows[0][0]
}

// execute changes the warehouse behind the pipeline's back.
func (p *pipeline) execute(sql string) {
	p.Helper()
	conn, err := pgx.Connect(p.Context(), p.database)
	if err != nil {
		p.Fatal(err)
	}
	defer conn.Close(p.Context())
	if _, err := conn.Exec(p.Context(), sql); err != nil {
		p.Fatal(err)
	}
}

// source is a header and the given lines.
func source(lines ...string) string {
	return strings.Join(covid.Columns[:], ",") + "\n" + strings.Join(lines, "")
}

// line is a record of a county's day.
func line(county, date, newCases string) string {
	return fmt.Sprintf("1000,%s,Arizona,%s,America,Test,1,04005,USA,United States,US,%s,50\n", county, date, newCases)
}

// days are the records of a county's first n days.
func days(county string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(county, covid.Date(18300+i).String(), fmt.Sprint(i)))
	}
	return b.String()
}

// tell sends an update to a workflow and waits for its answer.
func (p *pipeline) tell(id, update string, args ...any) error {
	ctx, cancel := context.WithTimeout(p.Context(), resultWithin)
	defer cancel()
	handle, err := p.c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: update, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, nil)
}
