package main

import (
	"fmt"
	"testing"

	"covidpipeline/dashboards"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// placed is a record of a place's day in the United States.
func placed(county, state, date, fips, newCases string) string {
	return fmt.Sprintf("1000,%s,%s,%s,America,Test,1,%s,USA,United States,US,%s,50\n", county, state, date, fips, newCases)
}

// card returns the rows of a card, as text.
func (p *pipeline) card(name string) string {
	p.Helper()
	card, _ := dashboards.Find(name)
	sql, _ := card.Full()
	sql, args, err := dashboards.Compile(sql, dashboards.Choice{})
	if err != nil {
		p.Fatal(err)
	}
	_, rows, err := p.db.Query(p.Context(), sql, args...)
	if err != nil {
		p.Fatal(err)
	}
	return fmt.Sprint(rows)
}

// A second daily file repeats a day without the zero of a FIPS: it is the same
// county. A FIPS that was filled in makes another row of the day, which is named,
// until a release of the first file has the FIPS as well.
func TestDailyFiles(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	first := p.file("2021-01-05.csv", source(placed("Autauga", "Alabama", "2021-01-05", "01001", "10"), placed("Kusilvak", "Alaska", "2021-01-05", "", "4")))
	second := p.file("2021-01-06.csv", source(placed("Autauga", "Alabama", "2021-01-05", "1001", "11"), placed("Autauga", "Alabama", "2021-01-06", "1001", "12"),
		placed("Kusilvak", "Alaska", "2021-01-05", "02158", "4")))
	p.ingest(first, workflows.IngestOptions{})
	p.etl()
	p.ingest(second, workflows.IngestOptions{})
	p.etl()
	p.reconcile()
	if got := p.card("cases_by_county"); got != "[[Autauga Alabama 23] [Kusilvak Alaska 8]]" {
		t.Errorf("counties %s", got)
	}
	if got := p.value("SELECT string_agg(DISTINCT fips, ' ') FROM covid_cases WHERE state = 'Alabama'"); got != "01001" {
		t.Errorf("the warehouse has the FIPS %v", got)
	}
	repeats, err := p.db.Repeats(t.Context())
	if want := (warehouse.Repeats{Places: 1, Days: 1, Example: "Kusilvak, Alaska, United States (FIPS 02158, none)"}); err != nil || repeats != want {
		t.Errorf("repeats %+v, %v, want %+v", repeats, err, want)
	}

	p.file("2021-01-05.csv", source(placed("Autauga", "Alabama", "2021-01-05", "01001", "10"), placed("Kusilvak", "Alaska", "2021-01-05", "02158", "4")))
	p.ingest(first, workflows.IngestOptions{Accept: true}) // the one key that is still this source's goes
	p.etl()
	p.reconcile()
	if got := p.card("cases_by_county"); got != "[[Autauga Alabama 22] [Kusilvak Alaska 4]]" {
		t.Errorf("counties of the corrected file %s", got)
	}
	if repeats, err = p.db.Repeats(t.Context()); err != nil || repeats != (warehouse.Repeats{}) {
		t.Errorf("repeats of the corrected file %+v, %v", repeats, err)
	}
}

// Two spellings of a county are one, and one name of states in three countries is
// three states.
func TestPlacesOfTheCards(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	abroad := func(county, country, alpha2, alpha3, newCases string) string {
		return fmt.Sprintf("1000,%s,Amazonas,2021-01-05,America,Test,1,,%s,%s,%s,%s,50\n", county, alpha3, country, alpha2, newCases)
	}
	path := p.file("places.csv", source(placed("St. Louis city", "Missouri", "2021-06-17", "29510", "100"), placed("St. Louis City", "Missouri", "2021-06-20", "29510", "50"),
		abroad("", "Brazil", "BR", "BRA", "100"), abroad("", "Peru", "PE", "PER", "20"), abroad("Lima", "Colombia", "CO", "COL", "3"), abroad("Lima", "Peru", "PE", "PER", "4")))
	p.ingest(path, workflows.IngestOptions{})
	p.etl()
	p.reconcile()
	if got := p.card("cases_by_county"); got != "[[St. Louis City Missouri 150] [Lima Amazonas (Peru) 4] [Lima Amazonas (Colombia) 3]]" {
		t.Errorf("counties %s", got)
	}
	if got := p.card("cases_by_state"); got != "[[Missouri 150] [Amazonas (Brazil) 100] [Amazonas (Peru) 24] [Amazonas (Colombia) 3]]" {
		t.Errorf("states %s", got)
	}
}
