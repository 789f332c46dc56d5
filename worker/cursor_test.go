package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"covidpipeline/activities"
	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// corrected are the records of a county's first n days, with other values than days.
func corrected(county string, n, by int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(county, covid.Date(18300+i).String(), fmt.Sprint(i+by)))
	}
	return b.String()
}

// cursor returns where the warehouse stands; the registry has to hold its stamp.
func (p *pipeline) cursor() warehouse.IndexCursor {
	p.Helper()
	cursor, _, err := p.db.State(p.Context(), p.index)
	if err != nil {
		p.Fatal(err)
	}
	held, err := p.es.HasStamp(p.Context(), p.index, cursor.Stamp)
	if err != nil || !held || cursor.Stamp == "" {
		p.Errorf("the registry holds the stamp %q: %v, %v", cursor.Stamp, held, err)
	}
	return cursor
}

// nothingNew runs the ETL, which must find nothing to do.
func (p *pipeline) nothingNew() {
	p.Helper()
	before := p.cursor()
	if r := p.etl(); r.Rescan != "" || r.Counts.Planned != 0 {
		p.Errorf("a run with nothing new planned %d documents, rescan %q", r.Counts.Planned, r.Rescan)
	}
	if after := p.cursor(); after.Stamp != before.Stamp {
		p.Errorf("a run with nothing new stamped: %s, before %s", after.Stamp, before.Stamp)
	}
}

// Each corrected release rewrites the documents that the anchors of the one before
// name: in one window, and in several.
func TestACorrectedReleaseIsNoOlderCopy(t *testing.T) {
	t.Parallel()
	for name, counties := range map[string]int{"one window": 1, "three windows": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			content := source(many(counties))
			for i := range 3 {
				path := p.file("cases.csv", strings.Replace(content, "US,7,50", fmt.Sprintf("US,%d,50", 1000+i), 1))
				p.ingest(path, workflows.IngestOptions{BatchRows: 5000})
				if r := p.etl(); i > 0 && (r.Rescan != "" || r.Counts.Loaded.Updated != 1) {
					t.Errorf("corrected once more: rescan %q, %+v", r.Rescan, r.Counts.Loaded)
				}
				p.nothingNew()
			}
			p.reconcile()
		})
	}
}

// Rows are loaded, the data folder is copied, more rows are loaded, the copy is put
// back, and a release with other values of all of them is ingested: its documents
// take the sequence numbers that were loaded before, and go past them.
func TestAnOlderCopyThatAReleaseGrewPastIsReadAgain(t *testing.T) {
	t.Parallel()
	server := testenv.PrivateElasticsearch(t)
	p := startPipeline(t, server.URL, "cases", testenv.Postgres(t))
	path := p.file("cases.csv", source(days("Coconino", 1000)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	server.Stop(t)
	restore := server.Save(t)
	server.Start(t)
	p.nothingNew()
	p.add(path, days("Pima", 100))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()

	server.Stop(t)
	restore()
	server.Start(t)
	p.file("cases.csv", source(corrected("Coconino", 1000, 5), corrected("Pima", 100, 5), corrected("Yuma", 200, 5)))
	p.ingest(path, workflows.IngestOptions{})
	if r := p.etl(); !strings.Contains(r.Rescan, "older copy") || r.Finished.Rows != 1300 {
		t.Errorf("rescan %q, %+v", r.Rescan, r.Finished)
	}
	if n := p.value("SELECT count(*) FROM covid_cases WHERE new_cases <> date - DATE '2020-02-08' + 5"); n != int64(0) {
		t.Errorf("%v rows are stale", n)
	}
	p.nothingNew()
	p.reconcile()
}

// A planned run is suspended before it stamps; others load meanwhile.
func TestALateRunStampsNothingOld(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.add(path, days("Pima", 20))
	p.ingest(path, workflows.IngestOptions{})
	isStamp := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/_doc/etl-")
	}
	es := p.through(isStamp, func() {
		for _, county := range []string{"Yuma", "Gila"} {
			p.etl()
			p.add(path, days(county, 20))
			p.ingest(path, workflows.IngestOptions{})
		}
	})
	late := &activities.ETL{Search: es, Warehouse: p.db, Rules: covid.DefaultRules}
	plan := do[activities.ExtractPlan](p.steps(late), late.PlanExtract, activities.PlanExtractInput{Index: p.index})
	if plan.Rescan != "" || plan.Planned != 20 {
		t.Errorf("the late run planned %d documents, rescan %q", plan.Planned, plan.Rescan)
	}
	p.cursor()
	if r := p.etl(); r.Rescan != "" || r.Finished.Rows != 80 {
		t.Errorf("the next run: rescan %q, %+v", r.Rescan, r.Finished)
	}
	p.nothingNew()
	p.reconcile()
}

// Runs that die between the registry's stamp and the warehouse's are no reason for a
// rescan, and the stamps that the warehouse no longer has go.
func TestStampsOfDeadRunsAreNoReasonForARescan(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	first := p.cursor()
	if err := p.es.PutStamp(t.Context(), p.index, "dead"); err != nil {
		t.Fatal(err)
	}
	p.nothingNew()
	p.add(path, days("Pima", 20))
	p.ingest(path, workflows.IngestOptions{})
	if r := p.etl(); r.Rescan != "" || r.Finished.Rows != 40 {
		t.Errorf("rescan %q, %+v", r.Rescan, r.Finished)
	}
	if held, err := p.es.HasStamp(t.Context(), p.index, first.Stamp); held || err != nil || p.cursor().Stamp == first.Stamp {
		t.Errorf("the stamp before is held: %v, %v", held, err)
	}
	p.reconcile()
}

// Without its registry the index cannot be told from an older copy: one rescan makes
// both sides equal again, and the registry's other readers do not see the stamps.
func TestADeletedRegistryIsStampedAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, testenv.Elasticsearch(t)+"/"+p.index+"-releases", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if r := p.etl(); !strings.Contains(r.Rescan, "registry") || r.Finished.Rows != 20 {
		t.Errorf("rescan %q, %+v", r.Rescan, r.Finished)
	}
	p.nothingNew()
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.nothingNew()
	// The rows keep the place of a release that the registry has lost: a rescan gives them
	// their documents'.
	p.execute("UPDATE etl_state SET index_uuid = ''")
	p.etl()
	p.reconcile()
	if releases, err := p.es.All(t.Context(), p.index); err != nil || len(releases) != 1 {
		t.Errorf("%d releases, %v", len(releases), err)
	}
}

// Two warehouses of one raw index do not take each other's stamps for their own.
func TestTwoWarehousesOfOneIndex(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	other := startPipeline(t, testenv.Elasticsearch(t), p.index, testenv.Postgres(t))
	path := p.file("cases.csv", source(days("Coconino", 20)))
	for i, county := range []string{"Pima", "Yuma", "Gila"} {
		p.ingest(path, workflows.IngestOptions{})
		for _, one := range []*pipeline{p, other} {
			if r := one.etl(); (r.Rescan != "") != (i == 0) {
				t.Errorf("ingest %d: rescan %q", i, r.Rescan)
			}
		}
		p.add(path, days(county, 20))
	}
}

// An attempt of a sweep was cut when its walk was done: the next one takes it up
// there, also when the index has moved on, and finds what was left.
func TestASweepIsTakenUpFromItsHeartbeat(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("cases.csv", source(days("Coconino", 20), days("Pima", 30)))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.execute("UPDATE covid_cases SET generation = 0 WHERE county = 'Pima'") // rows that the index no longer has
	p.execute("UPDATE etl_state SET generation = 2, swept = 1")
	p.execute("UPDATE etl_checkpoint SET generation = 2")
	p.execute("UPDATE covid_cases SET generation = 2 WHERE county = 'Coconino'")
	etl := &activities.ETL{Search: p.es, Warehouse: p.db, Rules: covid.DefaultRules}
	s := p.steps(etl)
	plan := do[activities.ExtractPlan](s, etl.PlanExtract, activities.PlanExtractInput{Index: p.index})
	p.ingest(path, workflows.IngestOptions{NewRelease: true})
	in := activities.SweepInput{Index: p.index, Plan: plan}
	if swept := do[activities.Swept](s, etl.SweepGeneration, in); swept.Removed != 0 || p.value("SELECT count(*) FROM covid_cases") != int64(50) {
		t.Errorf("over an index that moved on, %d rows were removed", swept.Removed)
	}
	s.env.SetHeartbeatDetails(warehouse.SweepProgress{Table: 1, Block: 1, Rows: 5})
	if swept := do[activities.Swept](s, etl.SweepGeneration, in); swept.Removed != 35 || p.value("SELECT rows FROM etl_state") != int64(20) {
		t.Errorf("%d rows were removed, %v are left", swept.Removed, p.value("SELECT rows FROM etl_state"))
	}
}
