package dashboards_test

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// said is what a record says of its place.
type said struct{ country, state, county, fips string }

var fiveDigits = regexp.MustCompile(`^\d{5}$`)

// code is the FIPS by which a county is known, or "".
func (s said) code() string {
	if fiveDigits.MatchString(s.fips) && !strings.EqualFold(s.county, "unknown") {
		return s.fips
	}
	return ""
}

// folded is the place without what is no difference.
func (s said) folded() said {
	return said{strings.ToLower(s.country), s.state, strings.ToLower(s.county), ""}
}

// months are those of the records of a FIPS.
type months struct{ code, first, last string }

// soleCodes are the FIPS of the folded names whose FIPS follow each other.
func (w world) soleCodes() map[said]string {
	spans := map[said]map[string]months{}
	for _, r := range w.all {
		s, month := said{r.country, r.state, r.county, r.fips}, r.date.Format("2006-01")
		if s.code() == "" {
			continue
		}
		if spans[s.folded()] == nil {
			spans[s.folded()] = map[string]months{}
		}
		m, ok := spans[s.folded()][s.fips]
		if !ok {
			m = months{s.fips, month, month}
		}
		spans[s.folded()][s.fips] = months{s.fips, min(m.first, month), max(m.last, month)}
	}
	sole := map[said]string{}
	for name, codes := range spans {
		inOrder := slices.SortedFunc(maps.Values(codes), func(a, b months) int { return cmp.Compare(a.first, b.first) })
		follow := true
		for i, m := range inOrder {
			for _, earlier := range inOrder[:i] {
				follow = follow && m.first >= earlier.last && m.first > earlier.first
			}
		}
		if follow {
			sole[name] = inOrder[len(inOrder)-1].code
		}
	}
	return sole
}

// countyOf returns the county of each of the things that records say of a place.
func (w world) countyOf() map[said]place {
	type newest struct {
		day  time.Time
		name string
	}
	seen := map[said]record{}
	for _, r := range w.all {
		s := said{r.country, r.state, r.county, r.fips}
		if last, ok := seen[s]; !ok || r.date.After(last.date) {
			seen[s] = r
		}
	}
	sole := w.soleCodes()
	ids, names := map[said]string{}, map[string]newest{}
	for s, r := range seen {
		id := s.folded()
		if code := cmp.Or(sole[id], s.code()); code != "" {
			id.county, id.fips = "", code
		}
		ids[s] = fmt.Sprintf("%q", id)
		if n, ok := names[ids[s]]; !ok || r.date.After(n.day) || r.date.Equal(n.day) && s.county < n.name {
			names[ids[s]] = newest{r.date, s.county}
		}
	}
	places := map[said]place{}
	for s, id := range ids {
		places[s] = place{names[id].name, w.shownState(seen[s]), id}
	}
	return places
}

func (w world) countySums() []sum {
	places := w.countyOf()
	named := slices.DeleteFunc(w.chosen(), func(r record) bool { return r.county == "" })
	return sumsBy(named, func(r record) (place, *int32) {
		return places[said{r.country, r.state, r.county, r.fips}], r.newCases
	})
}

func (w world) counties() []string {
	var lines []string
	for _, s := range w.countySums() {
		lines = append(lines, line(s.county, known(s.state), s.value()))
	}
	return lines
}
