package proof

import (
	"bytes"
	"context"
	"fmt"

	"covidpipeline/internal/covid"
)

// Totals are what the caller counted itself while it read the sources compared.
type Totals struct {
	Records     int64 // all records, whatever became of them
	Quarantined int64 // those that the quarantine holds
}

// Compare compares what was added. It calls progress after each part, if not
// nil, and fails when a file cannot be read, when a record of the source was
// added twice, and when ctx ends.
func (b *Books) Compare(ctx context.Context, totals Totals, progress func(done, of int)) (*Report, error) {
	c := comparison{dates: dates{}, found: map[Kind][]Difference{}}
	c.report.Kinds = map[Kind]int64{}
	c.report.Source.Records, c.report.Source.Quarantined = totals.Records, totals.Quarantined
	b.mu.Lock()
	c.report.Source.Lost = b.gone
	c.report.Kinds.add(Lost, b.gone)
	for _, l := range b.lost {
		c.found[Lost] = append(c.found[Lost], Difference{Kind: Lost, Release: l.version.Release(), Row: l.version.Row(),
			Detail: "broken, and not in the quarantine: " + l.reason})
	}
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
	report Report
	dates  dates
	found  map[Kind][]Difference // the first maxExamples of each kind

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
	if document != nil {
		c.judgeOrigin(document)
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
			c.differ(Twice, d, "the raw index holds the key more than once")
		}
	}
	return &c.documents[newest]
}

// placeRecords finds where each record of the key went. The last one is what
// should be live, unless something still newer replaced it.
func (c *comparison) placeRecords(document *Entry) error {
	s := &c.report.Source
	for i := range c.records {
		r := &c.records[i]
		if i > 0 && c.records[i-1].Version == r.Version {
			return fmt.Errorf("release %d row %d was read twice from the source; run the comparison again",
				r.Version.Release(), r.Version.Row())
		}
		switch {
		case document == nil:
			s.Lost++
			c.differ(Lost, r, "the raw index has no document of this key")
		case document.Version < r.Version:
			s.Lost++
			c.differ(Lost, r, "the raw index "+holds(document))
		case document.Version > r.Version:
			s.Superseded++
		case document.Values != r.Values:
			s.Different++
			c.differ(DifferentFromSource, r, "the raw document has this version and other values")
		default:
			s.Live++
		}
	}
	n := len(c.records)
	switch {
	case n == 0 || (document != nil && document.Version > c.records[n-1].Version):
		return nil // nothing of the key should be live for the source's sake
	case document != nil && document.Version == c.records[n-1].Version && document.Values == c.records[n-1].Values:
		// Whether a date lies in the future was judged on the day the record came,
		// which the document knows.
		c.dates.add(sideSource, document)
	default:
		c.dates.add(sideSource, &c.records[n-1])
	}
	return nil
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
			c.differ(Extra, e, "the raw index has no document of this key")
		case *place != nil:
			c.report.Warehouse.Extra++
			c.differ(Extra, e, "the warehouse holds the key more than once")
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
			c.differ(NotInSource, d, "the source has no such record")
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
		c.differ(LeftOver, d, "the newest release of its source no longer has the key")
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
		c.differ(RetiredButKept, d, "the key is retired and still in the warehouse")
	case row != nil && reject != nil:
		raw.Misplaced++
		c.differ(InBoth, d, "the warehouse holds a row and a reject of this key")
	case row == nil && reject == nil:
		raw.Missing++
		c.differ(Missing, d, "neither a row nor a reject")
	case d.Rejected && row != nil:
		raw.Misplaced++
		c.differ(RejectedButLoaded, d, "the transform refuses the values, and the warehouse has a row")
	case !d.Rejected && reject != nil:
		raw.Misplaced++
		c.differ(SoundButRejected, d, "the transform accepts the values, and the warehouse has a reject")
	case row != nil && row.Row != d.Row:
		raw.Different++
		c.differ(Different, d, "the warehouse row has other values")
	case reject != nil && reject.Values != d.Values:
		raw.Different++
		c.differ(Different, d, "the reject keeps other values")
	case row != nil:
		raw.Warehouse++
	default:
		raw.Rejected++
	}
}
