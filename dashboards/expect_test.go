package dashboards_test

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"covidpipeline/dashboards"
)

// world is the records as the filters leave them.
type world struct {
	all    []record
	shared map[string]bool // names of states that several countries have
	choice dashboards.Choice
}

// card gives what computes a card's rows from the records, or nil where they do
// not say it.
func (w world) card(name string) func() []string {
	return map[string]func() []string{
		"total_records":    func() []string { return []string{line(len(w.chosen()))} },
		"latest_record":    w.latest,
		"overview":         w.overview,
		"cases_by_county":  w.slices,
		"deaths_by_state":  func() []string { return w.byState(deaths) },
		"cases_by_state":   func() []string { return w.byState(cases) },
		"cases_by_day":     w.byDay,
		"quality_by_state": w.quality,
	}[name]
}

func cases(r record) *int32  { return r.newCases }
func deaths(r record) *int32 { return r.newDeaths }

func (w world) hasState(r record) bool {
	if r.state == "" {
		return w.choice.NoState || len(w.choice.States) == 0
	}
	return slices.Contains(w.choice.States, r.state) || len(w.choice.States) == 0 && !w.choice.NoState
}

func (w world) hasDay(d time.Time) bool {
	return !d.Before(w.choice.Since) && (w.choice.Till.IsZero() || !d.After(w.choice.Till))
}

func (w world) chosen() []record {
	return slices.DeleteFunc(slices.Clone(w.all), func(r record) bool { return !w.hasState(r) || !w.hasDay(r.date) })
}

func (w world) latest() []string {
	var newest any
	for _, r := range w.chosen() {
		if d := r.date.Format(time.DateOnly); newest == nil || d > newest.(string) {
			newest = d
		}
	}
	return []string{line(newest)}
}

func (w world) overview() []string {
	return w.newest(func(r record) string {
		return line(r.date.Format(time.DateOnly), known(w.shownState(r)), known(r.county), value(r.newCases), value(r.newDeaths))
	})
}

func (w world) overviewWithCountries() []string {
	return w.newest(func(r record) string {
		return line(r.date.Format(time.DateOnly), r.country, known(w.shownState(r)), known(r.county), value(r.newCases), value(r.newDeaths))
	})
}

// newest gives the lines of the newest 2,000 records.
func (w world) newest(text func(record) string) []string {
	sorted := w.chosen()
	slices.SortFunc(sorted, func(a, b record) int {
		return cmp.Or(b.date.Compare(a.date), emptyLast(a.state, b.state), emptyLast(a.county, b.county),
			cmp.Compare(a.country, b.country), emptyLast(a.fips, b.fips), slices.Compare(a.key[:], b.key[:]))
	})
	var lines []string
	for _, r := range sorted[:min(len(sorted), 2000)] {
		lines = append(lines, text(r))
	}
	return lines
}

// wholeColumns and whole are what a card is a part of: all records, or the sum of
// its measure over them.
func wholeColumns(c dashboards.Card) []dashboards.Column {
	if len(c.Measures) == 0 {
		return []dashboards.Column{{Name: "total_records"}}
	}
	return []dashboards.Column{{Name: c.Measures[0]}}
}

func (w world) whole(c dashboards.Card) (n int64) {
	for _, r := range w.chosen() {
		of := r.newCases
		switch {
		case len(c.Measures) == 0:
			n++
			continue
		case c.Measures[0] == "new_deaths":
			of = r.newDeaths
		}
		if of != nil {
			n += int64(*of)
		}
	}
	return n
}

// place is a county as it is shown, or with the county empty a state. Of two places
// that are shown alike each has another id.
type place struct{ county, state, id string }

// sharedStates are the names of states that several countries have.
func sharedStates(all []record) map[string]bool {
	first, shared := map[string]string{}, map[string]bool{}
	for _, r := range all {
		if _, ok := first[r.state]; !ok {
			first[r.state] = r.country
		}
		if r.state != "" && !strings.EqualFold(first[r.state], r.country) {
			shared[r.state] = true
		}
	}
	return shared
}

// shownState is the state of a record as the cards show it.
func (w world) shownState(r record) string {
	if w.shared[r.state] {
		return r.state + " (" + r.country + ")"
	}
	return r.state
}

// slices are the nine largest counties and the sum of the others.
func (w world) slices() []string {
	var lines []string
	var other sum
	sums := w.countySums()
	for i, s := range sums {
		if i >= 9 {
			other.n, other.counted = other.n+s.n, other.counted || s.counted
			continue
		}
		label := s.county
		if s.state != "" {
			label += ", " + s.state
		}
		lines = append(lines, line(label, s.value()))
	}
	if len(sums) > 9 {
		lines = append(lines, line("Other", other.value()))
	}
	return lines
}

func (w world) byState(count func(record) *int32) []string {
	sums := sumsBy(w.chosen(), func(r record) (place, *int32) { return place{state: w.shownState(r)}, count(r) })
	var lines []string
	for _, s := range sums {
		if s.state != "" {
			lines = append(lines, line(s.state, s.value()))
		}
	}
	return lines
}

func (w world) byDay() []string {
	days := map[time.Time]*sum{}
	for _, r := range w.all {
		if !w.hasState(r) {
			continue
		}
		if days[r.date] == nil {
			days[r.date] = &sum{}
		}
		days[r.date].add(r.newCases)
	}
	var lines []string
	var first time.Time
	for d := day(2022, 1, 1); d.Year() == 2022; d = d.AddDate(0, 0, 1) {
		if days[d] != nil && first.IsZero() {
			first = d
		}
		if days[d] == nil || !w.hasDay(d) {
			continue
		}
		var total, n int64
		for back := range 7 {
			if s := days[d.AddDate(0, 0, -back)]; s != nil && s.counted {
				total, n = total+s.n, n+1
			}
		}
		var average any
		if n > 0 && !d.Before(first.AddDate(0, 0, 6)) {
			average = int64(math.Round(float64(total) / 7)) // halves away from zero, as PostgreSQL does
		}
		lines = append(lines, line(d.Format(time.DateOnly), days[d].value(), average))
	}
	return lines
}

func (w world) quality() []string {
	type quality struct {
		records, cases, deaths int
		first, last            string
	}
	states := map[string]*quality{}
	for _, r := range w.chosen() {
		d := r.date.Format(time.DateOnly)
		q := states[w.shownState(r)]
		if q == nil {
			q = &quality{first: d, last: d}
			states[w.shownState(r)] = q
		}
		q.records++
		q.first, q.last = min(q.first, d), max(q.last, d)
		if r.newCases == nil {
			q.cases++
		}
		if r.newDeaths == nil {
			q.deaths++
		}
	}
	var lines []string
	for _, name := range slices.SortedFunc(maps.Keys(states), emptyLast) {
		q := states[name]
		lines = append(lines, line(known(name), q.records, q.first, q.last, q.cases, q.deaths))
	}
	return lines
}

type sum struct {
	place
	n       int64
	counted bool
}

func (s *sum) add(n *int32) {
	if n != nil {
		s.n += int64(*n)
		s.counted = true
	}
}

func (s sum) value() any {
	if !s.counted {
		return nil
	}
	return s.n
}

// sumsBy adds up the known counts of each place, highest first.
func sumsBy(all []record, of func(record) (place, *int32)) []sum {
	totals := map[place]*sum{}
	for _, r := range all {
		p, n := of(r)
		if totals[p] == nil {
			totals[p] = &sum{place: p}
		}
		totals[p].add(n)
	}
	var sums []sum
	for _, s := range totals {
		sums = append(sums, *s)
	}
	slices.SortFunc(sums, func(a, b sum) int {
		if a.counted != b.counted {
			if a.counted {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.n, a.n), emptyLast(a.state, b.state), emptyLast(a.county, b.county))
	})
	return sums
}

func emptyLast(a, b string) int {
	if (a == "") != (b == "") {
		if a == "" {
			return 1
		}
		return -1
	}
	return cmp.Compare(a, b)
}

func known(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func value(n *int32) any {
	if n == nil {
		return nil
	}
	return *n
}
