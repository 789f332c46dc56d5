// Package csvfile cuts a CSV source into ranges of whole records and reads such
// a range back, both in memory that does not depend on the source.
//
// A record is what RFC 4180 says: fields may be quoted, a newline inside quotes
// is no end of the record, two quotes inside quotes are one quote. Lines end
// with LF or CRLF. An empty line is no record: its bytes belong to a range, but
// it has no row number.
//
// A file with a stray quote would be one single record from there on, so one
// rule brings reading back in step: a record of more than one line is accepted
// only if it is perfect, that is, its quoting is sound, it has exactly 13 fields
// and at most [MaxRecord] bytes. Otherwise the record is its first line alone
// and reading goes on at the next line. A stray quote costs one record, never
// the file. A line over MaxRecord is one record.
//
// # Why [Cut] and [Scanner] always agree
//
// Both find records with the same function, but the cutter looks ahead of a
// range's end and the scanner sees the range alone. A record the cutter accepted
// lies in its range as a whole. A record of several lines that the cutter
// refused is refused by the scanner too: either what is wrong with it lies in
// the range, or the range ends inside its quotes, because a range ends behind a
// newline that ended a record or at the very end of the input; and an end
// inside quotes is refused.
package csvfile

import "errors"

// MaxRecord is the highest number of bytes of a record, without its line end.
const MaxRecord = 1 << 20

// DefaultBytes is the size of a range when [Limits] names none.
const DefaultBytes = 8 << 20

var (
	// ErrHeader means that the first line does not hold the names of
	// covid.Columns in their order; its text names the column.
	ErrHeader = errors.New("the header is not that of a COVID-19 activity file")

	// ErrNoHeader means that the source ends before its first line does. A source
	// that still grows may complete it.
	ErrNoHeader = errors.New("the source has no complete header line")

	// ErrChanged means that a range no longer holds the bytes it was cut from.
	ErrChanged = errors.New("the source was changed after it was cut into ranges")
)

// Position is a place between two records of a source.
type Position struct {
	Offset int64 `json:"offset"` // bytes before it, the header's included
	Row    int64 `json:"row"`    // rows before it
}

// Range is a piece of a source that holds whole records.
type Range struct {
	Offset   int64  `json:"o"`
	Length   int64  `json:"l"` // bytes
	FirstRow int64  `json:"f"` // number of its first row, counted from 1
	Rows     int    `json:"n"` // 0 when it holds nothing but empty lines
	Digest   string `json:"d"` // first 128 bits of the SHA-256 of its bytes, in hex
}

// End is the position behind the range.
func (r Range) End() Position {
	return Position{Offset: r.Offset + r.Length, Row: r.FirstRow - 1 + int64(r.Rows)}
}
