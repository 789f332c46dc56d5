package proof

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"covidpipeline/internal/covid"
)

// Totals are what the caller counted itself while it read the sources compared.
type Totals struct {
	Records     int64 // all records, whatever became of them
	Quarantined int64 // those that the quarantine holds
	// Sources are the names of the sources, that of Entry.Source n at n-1. They stand
	// in the advice only.
	Sources []string
}

// Compare compares what was added. It calls progress after each part, if not
// nil, and fails when a file cannot be read, when a record of the source was
// added twice, and when ctx ends.
func (b *Books) Compare(ctx context.Context, totals Totals, progress func(done, of int)) (*Report, error) {
	c := comparison{dates: dates{}, sources: totals.Sources}
	c.report.Source.Records, c.report.Source.Quarantined = totals.Records, totals.Quarantined
	b.mu.Lock()
	c.report.Source.Lost = b.lost
	c.report.Kinds, c.found = maps.Clone(b.faults), maps.Clone(b.found)
	b.mu.Unlock()
	for p := range parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.part(b, p); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(p+1, parts)
		}
	}
	return c.finish(), nil
}

// comparison is the state of one comparison. The slices are reused.
type comparison struct {
	report  Report
	dates   dates
	sources []string              // their names, for the advice
	found   map[Kind][]Difference // the first maxExamples of each kind

	source, raw, warehouse          part
	records, documents, destination []Entry // of the key at hand
}

// part compares the keys of one part, in their order.
func (c *comparison) part(b *Books, p int) error {
	if err := b.source.load(p, &c.source); err != nil {
		return err
	}
	if err := b.raw.load(p, &c.raw); err != nil {
		return err
	}
	if err := b.warehouse.load(p, &c.warehouse); err != nil {
		return err
	}
	for {
		key := lowest(lowest(c.source.key(), c.raw.key()), c.warehouse.key())
		if key == nil {
			return nil
		}
		c.records = c.source.take(key, c.records[:0])
		c.documents = c.raw.take(key, c.documents[:0])
		c.destination = c.warehouse.take(key, c.destination[:0])
		if err := c.key(); err != nil {
			return err
		}
	}
}

func lowest(a, b []byte) []byte {
	if a == nil || b != nil && bytes.Compare(b, a) < 0 {
		return b
	}
	return a
}

// key finds the place of all that the sides hold of one key.
func (c *comparison) key() error {
	document := c.document()
	if err := c.placeRecords(document); err != nil {
		return err
	}
	row, reject := c.destinations(document != nil)
	if document != nil && !document.Foreign {
		c.judgeOrigin(document)
	}
	if document != nil {
		c.placeDocument(document, row, reject)
	}
	return nil
}

// document gives the key's document, nil when there is none. An index cannot
// hold an id twice unless its shards disagree; the newest then counts.
func (c *comparison) document() *Entry {
	if len(c.documents) == 0 {
		return nil
	}
	newest := len(c.documents) - 1
	for i := range c.documents {
		d := &c.documents[i]
		c.report.Raw.Documents++
		if !d.Retired {
			c.dates.add(sideRaw, d)
			if d.Origin == Current || d.Origin == Older {
				c.dates.add(sideRawCompared, d)
			}
		}
		if i < newest {
			c.report.Raw.Misplaced++
			c.differ(Twice, d, "the raw index holds the key more than once: delete the index and ingest again")
		}
	}
	return &c.documents[newest]
}

// placeRecords finds where each record of the key went. The last one is what
// should be live, unless something still newer replaced it.
func (c *comparison) placeRecords(document *Entry) error {
	for i := range c.records {
		r := &c.records[i]
		if i > 0 && c.records[i-1].Version == r.Version {
			return fmt.Errorf("release %d row %d was read twice from the source; run the comparison again",
				r.Version.Release(), r.Version.Row())
		}
		c.placeRecord(document, r, i == len(c.records)-1)
	}
	n := len(c.records)
	switch sound := document != nil && !document.Foreign; {
	case n == 0 || (sound && document.Version > c.records[n-1].Version):
		return nil // nothing of the key should be live for the source's sake
	case sound && document.Version == c.records[n-1].Version && document.Values == c.records[n-1].Values:
		// Whether a date lies in the future was judged on the day the record came,
		// which the document knows.
		c.dates.add(sideSource, document)
	default:
		c.dates.add(sideSource, &c.records[n-1])
	}
	return nil
}

// placeRecord finds where one record went; newest reports that no other record of
// the key has a higher version.
func (c *comparison) placeRecord(document, r *Entry, newest bool) {
	s := &c.report.Source
	switch {
	case document == nil:
		s.Lost++
		c.differ(Lost, r, "the raw index has no document of this key: "+c.ingestAgain(r))
	case document.Foreign && newest:
		s.Lost++
		c.differ(Lost, r, "the document of this key was changed past the pipeline: "+c.ingestAgain(r))
	case document.Foreign:
		s.Superseded++
	case document.Version < r.Version:
		s.Lost++
		c.differ(Lost, r, "the raw index "+holds(document)+": "+c.ingestAgain(r))
	case document.Version > r.Version && document.Retired && newest && document.Source != r.Source:
		s.RetiredByOther++
		c.differ(RetiredByOther, r, fmt.Sprintf("release %d%s retired the key, which this source still has: %s",
			document.Version.Release(), c.of(document), c.ingestAgain(r)))
	case document.Version > r.Version:
		s.Superseded++
	case document.Source != r.Source:
		s.Different++
		c.differ(DifferentFromSource, r, "the raw document has this version and names another source: "+c.ingestAgain(r))
	case document.Values != r.Values:
		s.Different++
		c.differ(DifferentFromSource, r, "the raw document has this version and other values: "+c.ingestAgain(r))
	default:
		s.Live++
	}
}

func holds(document *Entry) string {
	if document.Retired {
		return fmt.Sprintf("retired the key in release %d", document.Version.Release())
	}
	return fmt.Sprintf("holds release %d row %d of this key", document.Version.Release(), document.Version.Row())
}

// destinations gives the key's row and its reject in the warehouse.
func (c *comparison) destinations(wanted bool) (row, reject *Entry) {
	for i := range c.destination {
		e := &c.destination[i]
		c.dates.add(sideWarehouse, e)
		place := &row
		if e.Rejected {
			place = &reject
			c.report.Warehouse.Rejects++
		} else {
			c.report.Warehouse.Rows++
		}
		switch {
		case !wanted:
			c.report.Warehouse.Extra++
			c.differ(Extra, e, "the raw index has no document of this key: "+rescan)
		case *place != nil:
			c.report.Warehouse.Extra++
			c.differ(Extra, e, "the warehouse holds the key more than once: "+rescan)
		default:
			*place = e
		}
	}
	return row, reject
}

// judgeOrigin asks whether the source still has the document.
func (c *comparison) judgeOrigin(d *Entry) {
	raw := &c.report.Raw
	if d.Origin == Other {
		raw.OfOtherSources++
	}
	if d.Retired {
		return
	}
	switch d.Origin {
	case Current:
		if !c.hasRecord(func(v covid.Version) bool { return v == d.Version }) {
			raw.NotInSource++
			c.differ(NotInSource, d, "its source has no such record: "+c.ingestAgain(d))
		}
	case Older, OlderUnfinished:
		// A newer record is lost, and named as that, where the document is older.
		if c.hasRecord(func(v covid.Version) bool { return v >= d.Version }) {
			return
		}
		if d.Origin == OlderUnfinished {
			raw.AwaitingRetirement++
			c.await(d)
			return
		}
		raw.LeftFromOlderReleases++
		c.differ(LeftOver, d, "the newest release of its source no longer has the key: "+c.ingestAgain(d))
	}
}

func (c *comparison) hasRecord(wanted func(covid.Version) bool) bool {
	for i := range c.records {
		if wanted(c.records[i].Version) {
			return true
		}
	}
	return false
}

// placeDocument finds where the document went.
func (c *comparison) placeDocument(d, row, reject *Entry) {
	raw := &c.report.Raw
	switch {
	case d.Retired && row == nil && reject == nil:
		raw.Retired++
	case d.Retired:
		raw.Misplaced++
		c.differ(RetiredButKept, d, "the key is retired and still in the warehouse: "+rescan)
	case row != nil && reject != nil:
		raw.Misplaced++
		c.differ(InBoth, d, "the warehouse holds a row and a reject of this key: "+rescan)
	case row == nil && reject == nil:
		raw.Missing++
		c.differ(Missing, d, "neither a row nor a reject: "+rescan)
	case d.Rejected && row != nil:
		raw.Misplaced++
		c.differ(RejectedButLoaded, d, "the transform refuses the values, and the warehouse has a row: "+rescan)
	case !d.Rejected && reject != nil:
		raw.Misplaced++
		c.differ(SoundButRejected, d, "the transform accepts the values, and the warehouse has a reject: "+rescan)
	case row != nil && row.Row != d.Row:
		raw.Different++
		c.differ(Different, d, "the warehouse row has other values: "+rescan)
	case reject != nil && reject.Values != d.Values:
		raw.Different++
		c.differ(Different, d, "the reject keeps other values: "+rescan)
	case row != nil && !c.mayKeepPlace(d, row), reject != nil && !atPlace(d, reject):
		raw.Misplaced++
		c.differ(WrongPlace, d, c.placed(row, reject)+": "+rescan)
	case row != nil:
		raw.Warehouse++
	default:
		raw.Rejected++
	}
}
