package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"covidpipeline/activities"
	"covidpipeline/internal/covid"
	"covidpipeline/workflows"
)

// idOf returns the id of the document of a county's day.
func (p *pipeline) idOf(county, date string) string {
	p.Helper()
	p.elastic("POST", "/"+p.index+"/_refresh", "")
	query := fmt.Sprintf(`{"query": {"bool": {"filter": [{"term": {"COUNTY_NAME": %q}}, {"term": {"REPORT_DATE": %q}}]}}}`, county, date)
	var found struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.Unmarshal(p.elastic("POST", "/"+p.index+"/_search", query), &found); err != nil || len(found.Hits.Hits) != 1 {
		p.Fatalf("%d documents of %s on %s: %v", len(found.Hits.Hits), county, date, err)
	}
	return found.Hits.Hits[0].ID
}

// day is the n-th day of days.
func day(n int) string { return covid.Date(18300 + n).String() }

// rejects returns the warehouse's rejects by a part of their reason.
func (p *pipeline) rejects(reason string) string {
	p.Helper()
	return fmt.Sprint(p.value(fmt.Sprintf("SELECT count(*) || ' ' || count(last_good) FROM covid_rejects WHERE starts_with(reason, '%s') AND reason LIKE '%%%s%%'",
		activities.ReasonForeign, reason)))
}

// Documents that were changed past the pipeline, or are not of it, are set aside;
// they stop neither the ETL nor the next release, which replaces those of its keys.
func TestForeignDocumentsAreSetAside(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	content := source(days("Coconino", 20))
	path := p.file("cases.csv", content)
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	update := func(n int, doc string) {
		t.Helper()
		p.elastic("POST", "/"+p.index+"/_update/"+p.idOf("Coconino", day(n)), `{"doc": `+doc+`}`)
	}
	update(1, `{"PEOPLE_POSITIVE_NEW_CASES_COUNT": "777"}`)
	update(2, `{"retired": 1}`)
	update(3, `{"row": 5000000000, "release": -3}`)
	update(4, `{"REPORT_DATE": "2020-02-30\u0000"}`)
	update(5, `{"retired": null}`)
	uri := fmt.Sprint(p.value("SELECT DISTINCT source FROM covid_cases"))
	foreign := func(id, params, fields string) {
		t.Helper()
		p.elastic("PUT", "/"+p.index+"/_doc/"+url.PathEscape(id)+params, fields)
	}
	// Of the source, as a copy by another program would be; the last with the id of a
	// sound document, in the only shard that there is.
	foreign(`a "copy"`, "", fmt.Sprintf("{\n\"source\": %q,\n\"release\": 1, \"row\": 3, \"PEOPLE_DEATH_COUNT\": 5\n}", uri))
	foreign("routed", "?routing=x", fmt.Sprintf(`{"source": %q, "release": 1, "row": 4}`, uri))
	// Of nothing that is known.
	foreign("empty", "", `{}`)
	foreign("nul\u0000", "", `{"source": "a\u0000b", "REPORT_DATE": "\u0000\ud800", "release": -5, "row": -7}`)
	foreign("huge", "", `{"COUNTY_NAME": "`+strings.Repeat("x", 20<<20)+`"}`)
	foreign("pipeline's version", fmt.Sprint("?version_type=external&version=", covid.NewVersion(1, 1)), `{"release": 1, "row": 1, "source": "\u0000"}`)

	p.add(path, days("Pima", 5))
	p.ingest(path, workflows.IngestOptions{})
	r := p.etl()
	if l := r.Counts.Loaded; l.Inserted != 5 || l.MovedToRejects != 5 || l.Rejected != 6 || l.Extracted != 16 || !r.Finished.Checked ||
		r.Finished.Rows != 20 || r.Finished.Rejects != 11 {
		t.Errorf("%+v", r)
	}
	for reason, want := range map[string]string{
		"": "11 5", "changed past the pipeline": "2 2", "cannot have retired": "1 1", "no place of a record": "1 1", "wrong type": "1 1",
		"routed by": "1 0", "not a document id": "5 0",
	} {
		if got := p.rejects(reason); got != want {
			t.Errorf("rejects of %q: %s, want %s", reason, got, want)
		}
	}
	if again := p.etl(); again.Rescan != "" || again.Counts.Loaded.Extracted != 0 || !again.Finished.Checked {
		t.Errorf("%+v", again)
	}

	p.ingest(path, workflows.IngestOptions{NewRelease: true})
	if r := p.etl(); r.Finished.Rows != 25 || r.Rescan != "" || r.Counts.Loaded.Retired != 1 {
		t.Errorf("%+v", r)
	}
	if got := p.rejects(""); got != "5 0" {
		t.Errorf("rejects: %s", got)
	}
	for _, id := range []string{url.PathEscape(`a "copy"`), "routed?routing=x", "empty", url.PathEscape("nul\u0000"), "huge", url.PathEscape("pipeline's version")} {
		p.elastic("DELETE", "/"+p.index+"/_doc/"+id, "")
	}
	p.execute("UPDATE etl_state SET index_uuid = ''")
	if r := p.etl(); r.Finished.Rows != 25 || r.Finished.Rejects != 0 {
		t.Errorf("%+v", r)
	}
	p.reconcile()
}
