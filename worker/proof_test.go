package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/workflows"
)

// proofOf compares one source.
func (p *pipeline) proofOf(path string) workflows.ReconcileResult {
	p.Helper()
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: workflows.ReconcileID(p.index), TaskQueue: temporalclient.TaskQueue,
	}, workflows.ReconcileWorkflow, workflows.ReconcileInput{Index: p.index, Source: path, Wait: time.Second})
	if err != nil {
		p.Fatal(err)
	}
	return result[workflows.ReconcileResult](p, run)
}

// keyOf is the document id of a record of line.
func keyOf(county, date string) string {
	var fields covid.Fields
	for i, v := range strings.Split(strings.TrimSpace(line(county, date, "1")), ",") {
		fields[i] = []byte(v)
	}
	var keyer covid.Keyer
	return keyer.Key(&fields).ID()
}

// The proof names what was changed past the pipeline, also of a source that is not
// compared, and the advice of docs/proof.md puts everything right.
func TestDocumentsThatDoNotBelongAreNamedAndRemoved(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	a := p.file("a.csv", source(days("Coconino", 20), line("Pima", "2020-03-01", "1"), line("Pima", "2020-03-02", "2")))
	b := p.file("b.csv", source(days("Yuma", 20)))
	p.ingest(a, workflows.IngestOptions{})
	p.ingest(b, workflows.IngestOptions{})
	p.etl()
	p.reconcile()
	retired := keyOf("Pima", "2020-03-01")
	p.elastic("POST", "/"+p.index+"/_update/"+retired, `{"doc":{"retired":1}}`)
	p.elastic("PUT", "/"+p.index+"/_doc/not-a-key", `{"release":1,"source":"elsewhere"}`)
	p.etl() // sets both aside
	for _, compared := range []string{"", b} {
		r := p.proofOf(compared)
		named := map[string]string{}
		for _, d := range r.Compared.Report.Differences {
			if d.Kind == proof.Foreign {
				named[d.ID] = d.Detail
			}
		}
		if r.OK() || r.Busy != "" || len(named) != 2 || named[retired] == "" || !strings.Contains(named[covid.ForeignKey("not-a-key").ID()], "not-a-key") {
			t.Errorf("comparing %q: %s %+v", compared, r.Busy, r.Compared.Report.Differences)
		}
	}
	p.elastic("DELETE", "/"+p.index+"/_doc/not-a-key", "")
	p.ingest(a, workflows.IngestOptions{NewRelease: true})
	p.execute("UPDATE etl_state SET index_uuid = ''")
	p.etl()
	p.reconcile()
}

// A followed source is proved up to its checkpoint only while its ingest runs.
func TestAFollowedSourceWithoutItsIngestIsNoProof(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 500)))
	run := p.startIngest(path, workflows.IngestOptions{Follow: true})
	p.await("the first rows", func() bool { return p.progress(run).Rows == 500 })
	p.etl()
	p.reconcile()
	if err := p.c.TerminateWorkflow(t.Context(), run.GetID(), "", "test"); err != nil {
		t.Fatal(err)
	}
	r := p.proof()
	if r.OK() || len(r.Compared.Problems) != 1 || !strings.Contains(r.Compared.Problems[0], "run `starter ingest --follow --source "+path+"`") {
		t.Errorf("problems %q, %+v", r.Compared.Problems, r.Compared.Report.Source)
	}
	run = p.startIngest(path, workflows.IngestOptions{Follow: true})
	p.await("the rows again", func() bool { return p.progress(run).Rows == 500 })
	p.update(run, workflows.UpdateFinish)
	result[workflows.IngestResult](p, run)
	p.etl()
	p.reconcile()
}

// A result holds no list that grows with the registry: a payload has 2 MB.
func TestAResultStaysSmallWithManySources(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	const sources = 9000
	if _, err := p.es.EnsureIndices(t.Context(), p.index, 1, 0); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(p.dir, strings.Repeat("long-", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var bulk strings.Builder
	for n := 1; n <= sources; n++ {
		path := filepath.Join(dir, fmt.Sprintf("%d.csv", n))
		if err := os.WriteFile(path, []byte(source()), 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(search.Release{Number: int64(n), Source: path, State: search.StateCancelled, Registered: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", n, text)
	}
	p.elastic("POST", "/"+search.ReleasesIndex(p.index)+"/_bulk", bulk.String())
	r := p.proof()
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(encoded) > 50_000 {
		t.Errorf("the result has %d bytes", len(encoded))
	}
	problems := r.Compared.Problems
	if r.OK() || r.Busy != "" || r.Snapshot.SourceCount != sources || r.Compared.SourceCount != sources || len(problems) != 21 ||
		!strings.Contains(problems[len(problems)-1], "8980 more") {
		t.Errorf("%s, %d sources, %d problems", r.Busy, r.Compared.SourceCount, len(problems))
	}
}
