package proof

import (
	"slices"

	"covidpipeline/internal/covid"
)

// The sides of a report date, in the order of the report.
const (
	sideSource = iota
	sideRawCompared
	sideRaw
	sideWarehouse
	sides
)

// bucket is a report date, or with known unset all records without one.
type bucket struct {
	known bool
	date  covid.Date
}

type tally struct {
	count, newCases, newDeaths int64
	digest                     covid.Sum
}

// dates are the tallies of each report date. Valid dates are few (the rules
// bound them), so this stays small at any number of records.
type dates map[bucket]*[sides]tally

func (d dates) add(side int, e *Entry) {
	b := bucket{known: e.HasDate}
	if e.HasDate {
		b.date = e.Date
	}
	tallies := d[b]
	if tallies == nil {
		tallies = new([sides]tally)
		d[b] = tallies
	}
	t := &tallies[side]
	t.count++
	if e.NewCases.Known {
		t.newCases += int64(e.NewCases.N)
	}
	if e.NewDeaths.Known {
		t.newDeaths += int64(e.NewDeaths.N)
	}
	t.digest.Add(e.content())
}

// report lists the dates that differ, oldest first; the records without a date
// come last.
func (d dates) report() Dates {
	r := Dates{Compared: int64(len(d))}
	var differing []bucket
	for b, t := range d {
		if t[sideSource] != t[sideRawCompared] || t[sideRaw] != t[sideWarehouse] {
			differing = append(differing, b)
		}
	}
	r.Different = int64(len(differing))
	slices.SortFunc(differing, func(a, b bucket) int {
		if a.known != b.known {
			if a.known {
				return -1
			}
			return 1
		}
		return int(a.date - b.date)
	})
	for _, b := range differing[:min(len(differing), maxExamples)] {
		t := d[b]
		diff := DateDifference{
			Date:        NoDate,
			Source:      t[sideSource].report(),
			RawCompared: t[sideRawCompared].report(),
			Raw:         t[sideRaw].report(),
			Warehouse:   t[sideWarehouse].report(),
		}
		if b.known {
			diff.Date = b.date.String()
		}
		r.Differing = append(r.Differing, diff)
	}
	return r
}

func (t tally) report() Tally {
	return Tally{Count: t.count, NewCases: t.newCases, NewDeaths: t.newDeaths, Digest: t.digest.String()}
}
