package main

import (
	"fmt"
	"strings"
	"testing"

	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// many are the records of so many counties, 800 days each.
func many(counties int) string {
	var b strings.Builder
	for i := range counties {
		b.WriteString(days(fmt.Sprintf("County %c%c", 'A'+i%26, 'A'+i/26), 800))
	}
	return b.String()
}

func TestPostgresCrashesBetweenExtractAndLoad(t *testing.T) {
	t.Parallel()
	server := testenv.PrivatePostgres(t)
	p := startPipeline(t, testenv.Elasticsearch(t), testenv.Index(t), server.URL)
	p.ingest(p.file("cases.csv", source(many(60))), workflows.IngestOptions{BatchRows: 5000})
	run := p.startETL()
	// A window is staged: the crash empties the stage under the load.
	p.await("a staged window", func() bool {
		_, rows, err := p.db.Query(t.Context(), "SELECT count(*) FROM etl_stage")
		return err == nil && rows[0][0].(int64) > 0
	})
	server.Crash(t)
	server.Start(t)
	r := result[workflows.ETLResult](p, run)
	if l := r.Counts.Loaded; l.Extracted != 48_000 || l.Inserted != 48_000 || !r.Finished.Checked {
		t.Errorf("%+v", r)
	}
	p.reconcile()
}

func TestAnIndexThatIsReplacedByAnOlderCopyIsReadAgain(t *testing.T) {
	t.Parallel()
	server := testenv.PrivateElasticsearch(t)
	p := startPipeline(t, server.URL, "cases", testenv.Postgres(t))
	path := p.file("cases.csv", source(days("Coconino", 300)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	server.Stop(t)
	restore := server.Save(t)
	server.Start(t)
	p.add(path, days("Pima", 200))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.reconcile()

	// The copy has the same UUIDs. What is written after it takes the same
	// sequence numbers again, past the number that was loaded.
	server.Stop(t)
	restore()
	server.Start(t)
	other := p.file("other.csv", source(days("Yuma", 250)))
	p.ingest(other, workflows.IngestOptions{})
	r := p.etl()
	if r.Rescan == "" || r.Finished.Rows != 550 {
		t.Errorf("%+v", r)
	}
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	if r := p.reconcile().Compared.Report; r.Warehouse.Rows != 750 {
		t.Errorf("%+v", r.Warehouse)
	}
}
