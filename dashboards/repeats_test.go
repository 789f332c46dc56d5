package dashboards_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"covidpipeline/dashboards"

	"github.com/jackc/pgx/v5"
)

// repeat is a place of which days stand more than once.
type repeat struct {
	county, state, country string
	days, fips             map[string]bool
}

// repeats finds the places of which days stand more than once with another FIPS.
func repeats(all []record) []string {
	type at struct{ day, country, state, county string }
	stands := map[at][]record{}
	for _, r := range all {
		a := at{r.date.Format(time.DateOnly), strings.ToLower(r.country), r.state, strings.ToLower(r.county)}
		stands[a] = append(stands[a], r)
	}
	places := map[at]*repeat{}
	for a, found := range stands {
		fips := map[string]bool{}
		for _, r := range found {
			fips[cmp.Or(r.fips, "none")] = true
		}
		if len(fips) < 2 {
			continue
		}
		place := at{"", a.country, a.state, a.county}
		if places[place] == nil {
			places[place] = &repeat{state: a.state, days: map[string]bool{}, fips: map[string]bool{}}
		}
		p := places[place]
		p.days[a.day] = true
		maps.Copy(p.fips, fips)
		for _, r := range found {
			p.county, p.country = max(p.county, r.county), max(p.country, r.country)
		}
	}
	sorted := slices.SortedFunc(maps.Values(places), func(a, b *repeat) int {
		return cmp.Or(len(b.days)-len(a.days), cmp.Compare(a.country, b.country), emptyLast(a.state, b.state), emptyLast(a.county, b.county))
	})
	var lines []string
	for _, p := range sorted {
		days := slices.Sorted(maps.Keys(p.days))
		lines = append(lines, line(known(p.county), known(p.state), p.country, strings.Join(slices.Sorted(maps.Keys(p.fips)), ", "),
			len(days), days[0], days[len(days)-1]))
	}
	return lines
}

// The card names each place of which a day stands more than once, one without a
// county or without a state as well, and is found anew each time.
func TestRepeatedDays(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	all := records()
	for i, place := range []record{{country: "Guinea"}, {country: "GUINEA", fips: "1"}, {country: "Guinea", state: "Kindia", fips: "2"}, {country: "Guinea", state: "Kindia"}} {
		place.key, place.date = [16]byte{1, byte(i)}, day(2022, 4, 5)
		all = append(all, place)
	}
	insert(t, url, all)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	card, _ := dashboards.Find("repeated_days")
	find := func() []string {
		if _, err := conn.Exec(t.Context(), "SELECT covid_find_repeats()"); err != nil {
			t.Fatal(err)
		}
		return run(t, db, card.SQL, card.Columns, dashboards.Choice{})
	}
	want := repeats(all)
	if len(want) < 5 {
		t.Fatalf("the records repeat days of %q alone", want)
	}
	same(t, card.Title, find(), want)
	same(t, card.Title+", again", find(), want)
	if _, err := conn.Exec(t.Context(), "DELETE FROM covid_cases WHERE fips IS NULL"); err != nil {
		t.Fatal(err)
	}
	same(t, card.Title+", of records with a FIPS", find(), repeats(slices.DeleteFunc(all, func(r record) bool { return r.fips == "" })))
	if _, err := conn.Exec(t.Context(), "TRUNCATE covid_cases"); err != nil {
		t.Fatal(err)
	}
	same(t, card.Title+", of an emptied table", run(t, db, card.SQL, card.Columns, dashboards.Choice{}), nil)
}

// A county has the name of its newest record, and a name without a FIPS joins the
// only one that it has.
func TestNewestSpelling(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	var all []record
	n := int32(0)
	add := func(d time.Time, country, state, county, fips string) {
		n++
		cases := n
		all = append(all, record{key: [16]byte{byte(n)}, date: d, country: country, state: state, county: county, fips: fips, newCases: &cases})
	}
	const us = "United States"
	add(day(2022, 4, 17), us, "Missouri", "St. Louis city", "29510")
	add(day(2022, 4, 20), us, "Missouri", "St. Louis City", "29510")
	add(day(2022, 4, 20), us, "Missouri", "St. Louis", "29189")
	add(day(2022, 4, 20), us, "New Mexico", "Dona Ana", "35013")
	add(day(2022, 4, 17), us, "New Mexico", "Doña Ana", "35013")
	add(day(2022, 3, 1), us, "New Mexico", "Doña Ana", "")
	add(day(2022, 3, 30), us, "Alaska", "Kusilvak", "")
	add(day(2022, 4, 1), us, "Alaska", "kusilvak Census Area", "02158")
	add(day(2022, 2, 1), us, "Alaska", "Kusilvak", "02158")
	add(day(2022, 4, 1), us, "Alaska", "Unknown", "02999")
	add(day(2022, 4, 2), us, "Alaska", "unknown", "")
	add(day(2022, 4, 1), "", "", "Adrift", "")
	add(day(2022, 2, 10), us, "Alaska", "Bristol Bay plus Lake and Peninsula", "02997")
	add(day(2022, 3, 10), us, "Alaska", "Bristol Bay plus Lake and Peninsula", "02997")
	add(day(2022, 3, 20), us, "Alaska", "Bristol Bay plus Lake and Peninsula", "02164")
	add(day(2022, 1, 1), us, "Alaska", "Lake and Peninsula Borough", "02164")
	add(day(2022, 2, 10), us, "Virginia", "Richmond", "51159")
	add(day(2022, 3, 10), us, "Virginia", "Richmond", "51159")
	add(day(2022, 2, 10), us, "Virginia", "Richmond", "51760")
	add(day(2022, 3, 10), us, "Virginia", "Richmond", "")
	insert(t, url, all)
	card, _ := dashboards.Find("cases_by_county")
	same(t, "all", run(t, db, card.List, card.ListColumns, dashboards.Choice{}), []string{
		line("Bristol Bay plus Lake and Peninsula", "Alaska", 13+14+15+16), line("Richmond", "Virginia", 17+18),
		line("kusilvak Census Area", "Alaska", 7+8+9), line("unknown", "Alaska", 10+11),
		line("Richmond", "Virginia", 20), line("Richmond", "Virginia", 19), line("Dona Ana", "New Mexico", 4+5+6), line("Adrift", nil, 12), line("St. Louis", "Missouri", 3), line("St. Louis City", "Missouri", 1+2)})
	april := dashboards.Choice{Since: day(2022, 4, 17), Till: day(2022, 4, 18)}
	same(t, "two days", run(t, db, card.List, card.ListColumns, april), []string{
		line("Dona Ana", "New Mexico", 5), line("St. Louis City", "Missouri", 1)})
}
