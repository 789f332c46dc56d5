package main

import (
	"net/http"
	"strings"
	"testing"

	"covidpipeline/activities"
	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

func TestTwoRunsAtOnceLoadEverythingOnce(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.ingest(p.file("cases.csv", source(many(40))), workflows.IngestOptions{BatchRows: 5000})
	a, b := p.startETL(), p.startETL()
	one, two := result[workflows.ETLResult](p, a), result[workflows.ETLResult](p, b)
	if one.Overtaken && two.Overtaken {
		t.Error("both runs were overtaken")
	}
	p.etl()
	if r := p.reconcile().Compared.Report; r.Warehouse.Rows != 32_000 {
		t.Errorf("%+v", r.Warehouse)
	}
}

func TestALoadWhoseAnswerIsLostIsNotLoadedTwice(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.ingest(p.file("cases.csv", source(days("Coconino", 100))), workflows.IngestOptions{})
	etl := &activities.ETL{Search: p.es, Warehouse: p.db, Rules: covid.DefaultRules}
	s := p.steps(etl)
	plan := do[activities.ExtractPlan](s, etl.PlanExtract, activities.PlanExtractInput{Index: p.index})
	in := activities.WindowInput{Index: p.index, Run: plan.Run, From: -1, UpTo: plan.Shards[0].UpTo}
	window := do[activities.Extracted](s, etl.Extract, in)
	again := do[activities.Extracted](s, etl.Extract, in)
	if window != again || window.Docs != 100 {
		t.Errorf("extracted %+v, again %+v", window, again)
	}
	do[activities.Transformed](s, etl.Transform, activities.TransformInput{Run: plan.Run, From: -1})
	load := activities.LoadInput{Index: p.index, Run: plan.Run, Generation: plan.Generation, From: -1, Window: window}
	first := do[activities.LoadCounts](s, etl.Load, load)
	second := do[activities.LoadCounts](s, etl.Load, load)
	if first != second || first.Inserted != 100 {
		t.Errorf("loaded %+v, again %+v", first, second)
	}
	if got := p.value("SELECT count(*) FROM covid_cases"); got != int64(100) {
		t.Errorf("%v rows", got)
	}
	p.etl()
	p.reconcile()
}

func TestAnIndexThatWasDeletedIsIngestedAndReadAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 100), days("Pima", 100)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, testenv.Elasticsearch(t)+"/"+p.index, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	p.file("cases.csv", source(days("Coconino", 100), days("Yuma", 5)))
	if r := p.ingest(path, workflows.IngestOptions{}); r.Release != 2 {
		t.Errorf("%+v", r)
	}
	r := p.etl()
	if !strings.Contains(r.Rescan, "made anew") || r.Finished.Swept != 100 || r.Finished.Rows != 105 {
		t.Errorf("%+v", r)
	}
	p.reconcile()
}

func TestReconcileNamesWhatSomebodyElseChanged(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.ingest(p.file("cases.csv", source(days("Coconino", 100))), workflows.IngestOptions{})
	p.etl()
	p.reconcile()
	p.execute("UPDATE covid_cases SET new_cases = new_cases + 1 WHERE new_cases = 7")
	p.execute("DELETE FROM covid_cases WHERE new_cases = 50")
	r := p.proof()
	if r.OK() || r.Compared.Report.Kinds.Total() != 2 || len(r.Compared.Problems) != 1 {
		t.Errorf("kinds %v, problems %v", r.Compared.Report.Kinds, r.Compared.Problems)
	}
}
