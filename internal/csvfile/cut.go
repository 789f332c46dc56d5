package csvfile

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"covidpipeline/internal/covid"
)

// Limits bound a plan. A limit of 0 is none, but for Bytes.
type Limits struct {
	Rows   int   // rows of a range
	Bytes  int64 // bytes of a range; DefaultBytes when 0. Only a single record is ever longer
	Ranges int   // ranges of the plan
	Final  bool  // the source is complete: its last line is a record even without a newline
}

// Plan is a piece of a source, cut into ranges without a gap.
type Plan struct {
	Ranges []Range  `json:"ranges"`
	End    Position `json:"end"` // behind the last range
	// AtRecordEnd tells that bytes appended later begin a new record and could
	// not have changed one of the plan's: neither its last line, if that has no
	// newline, nor an earlier one whose quotes were open at the source's end. A
	// plan that goes on behind one where it is false cannot make it true again.
	AtRecordEnd bool `json:"atRecordEnd"`
	More        bool `json:"more"` // Limits.Ranges ended the plan, the source goes on
	// Longest bounds the bytes that the values of one of the plan's sound records
	// take in a document: of a record over countFrom bytes, those of its values as
	// JSON; of a shorter one, its length.
	Longest int64 `json:"longest,omitempty"`
}

// countFrom is how long a record must be for its values to be counted one by one:
// a file has few of them. JSON makes at most six bytes of one, so that a shorter
// record takes at most 3 kB.
const countFrom = 512

// Cut reads a source from a position on and cuts it into ranges: r begins at
// from.Offset. Every byte from there to the plan's end is in exactly one range,
// and has been written to running, a hash of the standard library. Bytes behind
// the end of a plan are those that may yet become another record (not Final: a
// line without its newline, quotes that are open), or More.
func Cut(r io.Reader, from Position, running hash.Hash, lim Limits) (Plan, error) {
	if lim.Bytes == 0 {
		lim.Bytes = DefaultBytes
	}
	own := sha256.New()
	c := cutter{
		in: newInput(r, chunk, own, running), lim: lim, own: own, running: running,
		plan: Plan{End: from, AtRecordEnd: true},
		open: Range{Offset: from.Offset, FirstRow: from.Row + 1},
	}
	if err := c.cut(); err != nil {
		return Plan{}, err
	}
	return c.plan, nil
}

type cutter struct {
	in           *input
	lim          Limits
	own, running hash.Hash
	plan         Plan
	open         Range // the range that is being filled
	judge        Scanner
}

func (c *cutter) cut() error {
	for {
		rec, ok, err := c.in.next()
		if err != nil {
			return err
		}
		if !ok || (rec.open && !c.lim.Final) {
			c.close()
			return nil
		}
		if c.full(rec) {
			c.close()
		}
		if c.lim.Ranges > 0 && len(c.plan.Ranges) == c.lim.Ranges {
			c.plan.More = true
			return nil
		}
		if rec.overlong {
			if whole, err := c.overlong(); err != nil || !whole {
				return err
			}
			continue
		}
		if !rec.empty {
			c.open.Rows++
			c.measure(rec)
		}
		c.in.pos += rec.size
		c.open.Length += int64(rec.size)
		c.plan.AtRecordEnd = c.plan.AtRecordEnd && !rec.open
	}
}

// measure keeps the length of a record, which begins at c.in.pos, if it is the
// longest. One that a Scanner calls unusable becomes no document: a damaged file
// must not look like one of long records.
func (c *cutter) measure(rec record) {
	longest := int64(rec.size)
	if longest > countFrom {
		c.judge.raw = content(c.in.buf[c.in.pos : c.in.pos+rec.size])
		if c.judge.judge(rec.plain) != "" {
			return
		}
		longest = jsonLength(&c.judge.fields)
	}
	c.plan.Longest = max(c.plan.Longest, longest)
}

// jsonLength returns the bytes of the values of a record in a document.
func jsonLength(f *covid.Fields) (n int64) {
	for _, value := range f {
		n += int64(len(value))
		for _, b := range value {
			switch {
			case b < ' ':
				n += 5
			case b == '"' || b == '\\':
				n++
			}
		}
	}
	return n
}

// full tells whether the open range has no room for the record. Empty lines
// behind its last row stay in it.
func (c *cutter) full(rec record) bool {
	if c.open.Length == 0 {
		return false
	}
	return rec.overlong || c.open.Length+int64(rec.size) > c.lim.Bytes || (c.lim.Rows > 0 && c.open.Rows == c.lim.Rows && !rec.empty)
}

// close ends the open range, if there is anything in it.
func (c *cutter) close() {
	c.in.digest()
	if c.open.Length == 0 {
		return
	}
	c.open.Digest = rangeDigest(c.own)
	c.own.Reset()
	c.plan.Ranges = append(c.plan.Ranges, c.open)
	c.plan.End = c.open.End()
	c.open = Range{Offset: c.plan.End.Offset, FirstRow: c.plan.End.Row + 1}
}

// overlong makes a line over MaxRecord a range of its own. A line that has no
// end yet is left (not whole) unless the source is complete; that is known only
// at its end, so the digest is put back then.
func (c *cutter) overlong() (whole bool, err error) {
	c.in.digest()
	before, err := c.running.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return false, fmt.Errorf("keep the digest: %w", err)
	}
	length, ended, err := c.in.skipLine()
	if err != nil {
		return false, err
	}
	if !ended && !c.lim.Final {
		if err := c.running.(encoding.BinaryUnmarshaler).UnmarshalBinary(before); err != nil {
			return false, fmt.Errorf("put the digest back: %w", err)
		}
		return false, nil
	}
	c.open.Rows, c.open.Length = 1, length
	c.plan.AtRecordEnd = c.plan.AtRecordEnd && ended
	c.close()
	return true, nil
}

// rangeDigest gives the first 128 bits of a digest, in hex.
func rangeDigest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }
