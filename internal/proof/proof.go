// Package proof compares what the source, the raw index and the warehouse hold
// and proves that every record is in exactly one known place:
//
//	source records = live in the raw index + superseded + quarantined
//	raw documents  = warehouse rows + rejected + retired
//
// and that for each report date the live rows of the sides agree in number, sums
// and content. What is not so is counted, and the first examples are named.
// docs/proof.md says what it proves and what it does not.
//
// The three sides may come in any order and be of any size: their entries are
// divided by key into temporary files and compared part by part, so that memory
// stays flat (a 256th of each side, 20 MB or so, at 3.6 million records). Only a
// key that one side holds very many times needs room for all its entries.
package proof

import (
	"errors"
	"fmt"
	"sync"

	"covidpipeline/internal/covid"
)

// Books collects the entries of the three sides. All methods that add may be
// called by several goroutines at once.
type Books struct {
	source, raw, warehouse *side

	mu     sync.Mutex
	lost   int64                 // broken records that no quarantine holds
	faults Kinds                 // those and what else was added as a fault
	found  map[Kind][]Difference // the first maxExamples of each kind
}

// New begins a comparison whose temporary files lie in dir (empty: the
// system's folder for such files): about 75 bytes a record and side. The files
// have no names, so that a killed process leaves nothing behind.
func New(dir string) (*Books, error) {
	b := &Books{faults: Kinds{}, found: map[Kind][]Difference{}}
	for _, s := range []struct {
		side **side
		name string
	}{{&b.source, "source"}, {&b.raw, "raw"}, {&b.warehouse, "warehouse"}} {
		var err error
		if *s.side, err = newSide(dir, s.name); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// Close gives the temporary files back.
func (b *Books) Close() error {
	var errs []error
	for _, s := range []*side{b.source, b.raw, b.warehouse} {
		if s == nil {
			continue
		}
		if err := s.file.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the %s side of the comparison: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// AddSource adds a record of a source compared that is sound and not in the
// quarantine.
func (b *Books) AddSource(e *Entry) error { return b.source.add(e) }

// AddRaw adds a document of the raw index. All are needed, also the retired
// ones and those of sources that are not compared.
func (b *Books) AddRaw(e *Entry) error { return b.raw.add(e) }

// AddWarehouse adds a row of the warehouse, or, with Rejected set, a reject.
func (b *Books) AddWarehouse(e *Entry) error { return b.warehouse.add(e) }

// AddLost counts a record of a source that cannot be a document (reason) and
// that the quarantine does not hold either.
func (b *Books) AddLost(v covid.Version, reason string) {
	b.mu.Lock()
	b.lost++
	b.mu.Unlock()
	b.addDifference(Difference{Kind: Lost, Release: v.Release(), Row: v.Row(),
		Detail: "broken, and not in the quarantine (" + reason + "): run `starter ingest --new-release` for its source"})
}

// AddFault counts a difference that an entry of the raw index shows by itself. The
// entry is added besides.
func (b *Books) AddFault(kind Kind, e *Entry, detail string) {
	b.addDifference(example(kind, e, detail))
}

// AddWrongSum counts a sum of the dashboards that is not that of the warehouse's
// rows. The date is the first day of what it sums up.
func (b *Books) AddWrongSum(date covid.Date, detail string) {
	b.addDifference(Difference{Kind: WrongSum, Date: date.String(), Detail: shorten(detail)})
}

func (b *Books) addDifference(d Difference) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults.add(d.Kind, 1)
	if len(b.found[d.Kind]) < maxExamples {
		b.found[d.Kind] = append(b.found[d.Kind], d)
	}
}
