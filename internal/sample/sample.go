// Package sample makes a source with the layout and the quirks of the real
// file, and tells what is in it. It is the same on every machine: the demo runs
// on it, and tests know from Describe what must come out.
//
// The quirks are: negative corrections, blank counts, the county "Unknown",
// blank FIPS numbers and FIPS numbers with leading zeros, quoted names with
// commas, the alpha-2 code NA, places without codes, countries without
// counties, names with accents, numbers written as +5 or 007, later rows that
// correct an earlier one under another spelling, quoted line breaks, values
// that cannot be read, and records that are structurally broken. Rows are
// grouped by county, not ordered by date.
package sample

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"covidpipeline/internal/covid"
)

// DefaultRows is the size of the demo's sample: some 715 places, 140 days each.
const DefaultRows = 100_000

// Facts are what is in a sample, known from how it was made. The pipeline's
// promise holds with them: Records = Documents + Superseded + Quarantined and
// Documents = Rows + Rejected.
type Facts struct {
	Records     int // records of the source, the header not counted
	Quarantined int // structurally broken
	Superseded  int // replaced by a later row of the same key
	Documents   int // distinct keys: documents of the raw index
	Rejected    int // documents with a value that the transform refuses
	Rows        int // rows of the warehouse

	// Of the warehouse's rows:
	NewCases, NewDeaths int64
	NegativeNewCases    int // rows whose new cases are a correction
	BlankNewDeaths      int // rows whose new deaths are unknown
	First, Latest       covid.Date
	Counties            []County // most new cases first, then by state and county
	States              []State  // by name
}

// County has the sum of a county's new cases. "Unknown" is a county.
type County struct {
	State, County string
	NewCases      int64
}

// State has the sum of a state's new deaths; blank counts add nothing.
type State struct {
	State     string
	NewDeaths int64
}

// Write writes a source of exactly so many records and its header. It refuses
// more than there are places and days.
func Write(w io.Writer, rows int) error {
	if err := check(rows); err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 1<<16)
	header := strings.Join(covid.Columns[:], ",") + "\n"
	if _, err := buffered.WriteString(header); err != nil {
		return fmt.Errorf("write sample: %w", err)
	}
	for r := range records(rows) {
		if _, err := buffered.WriteString(r.line() + "\n"); err != nil {
			return fmt.Errorf("write sample: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write sample: %w", err)
	}
	return nil
}

func check(rows int) error {
	if most := len(places()) * int(lastDay-firstDay+1); rows < 0 || rows > most {
		return fmt.Errorf("a sample has 0 to %d rows, not %d", most, rows)
	}
	return nil
}

// Describe gives the facts of the sample that Write makes of so many rows. It
// panics where Write gives an error.
func Describe(rows int) Facts {
	if err := check(rows); err != nil {
		panic(err)
	}
	var f Facts
	counties := make(map[County]int64)
	states := make(map[string]int64)
	add := func(r *record, sign int) {
		f.Rows += sign
		f.NewCases += int64(sign) * r.newCases
		f.NewDeaths += int64(sign) * r.newDeaths
		if r.newCases < 0 {
			f.NegativeNewCases += sign
		}
		if r.place.deathsBlank {
			f.BlankNewDeaths += sign
		}
		if r.place.county != "" {
			counties[County{State: r.place.state, County: r.place.county}] += int64(sign) * r.newCases
			states[r.place.state] += int64(sign) * r.newDeaths
		}
	}
	for r := range records(rows) {
		f.Records++
		switch r.fate {
		case broken:
			f.Quarantined++
			continue
		case refused:
			f.Rejected++
			continue
		}
		add(r, 1)
		if r.replaces != nil {
			add(r.replaces, -1)
			f.Superseded++
		}
		if f.First == 0 || r.date < f.First {
			f.First = r.date
		}
		f.Latest = max(f.Latest, r.date)
	}
	f.Documents = f.Rows + f.Rejected
	f.Counties, f.States = sortSums(counties, states)
	return f
}

func sortSums(counties map[County]int64, states map[string]int64) ([]County, []State) {
	var byCounty []County
	for c, newCases := range counties {
		c.NewCases = newCases
		byCounty = append(byCounty, c)
	}
	slices.SortFunc(byCounty, func(a, b County) int {
		return cmp.Or(cmp.Compare(b.NewCases, a.NewCases), cmp.Compare(a.State, b.State), cmp.Compare(a.County, b.County))
	})
	var byState []State
	for name, newDeaths := range states {
		byState = append(byState, State{State: name, NewDeaths: newDeaths})
	}
	slices.SortFunc(byState, func(a, b State) int { return cmp.Compare(a.State, b.State) })
	return byCounty, byState
}
