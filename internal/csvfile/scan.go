package csvfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"covidpipeline/internal/covid"
)

// The problems of a record that its bytes alone show. [covid.KeyProblem] adds
// those of its key.
const (
	problemOverlong = "over 1 MiB"
	problemUTF8     = "invalid UTF-8"
	problemNUL      = "NUL"
	problemQuoting  = "quoting"
)

// Scanner reads the records of a range. What it gives of a record is valid until
// the next.
type Scanner struct {
	in  *input
	rng Range
	own hash.Hash
	err error

	rows      int
	consumed  int64 // bytes of the range before the record
	size      int64 // bytes of the record
	raw       []byte
	truncated bool
	fields    covid.Fields
	unquoted  []byte // the fields that had quotes doubled inside
	problem   string
}

// NewScanner reads a range from r, which begins at the range's offset. It does
// not read past the range.
func NewScanner(r io.Reader, rng Range) *Scanner {
	own := sha256.New()
	return &Scanner{in: newInput(io.LimitReader(r, rng.Length), rng.Length, own), rng: rng, own: own}
}

// Next goes to the next record; false at the end of the range or on an error.
func (s *Scanner) Next() bool {
	for s.err == nil {
		s.consumed += s.size
		s.size, s.truncated = 0, false
		rec, ok, err := s.in.next()
		if err != nil || !ok {
			s.err = err
			return false
		}
		found := s.in.buf[s.in.pos : s.in.pos+rec.size]
		switch {
		case rec.overlong:
			s.overlong(found)
		default:
			s.raw = content(found)
			s.in.pos += rec.size
			s.size = int64(rec.size)
			if rec.empty {
				continue
			}
			s.problem = s.judge(rec.plain)
		}
		s.rows++
		return s.err == nil
	}
	return false
}

// overlong keeps the beginning of a line over MaxRecord and skips the rest.
func (s *Scanner) overlong(beginning []byte) {
	s.raw = append([]byte(nil), beginning[:MaxRecord]...)
	s.truncated, s.problem = true, problemOverlong
	s.size, _, s.err = s.in.skipLine()
}

// judge sets the fields and gives the record's problem.
func (s *Scanner) judge(plain bool) string {
	if !printable(s.raw) {
		if bytes.IndexByte(s.raw, 0) >= 0 {
			return problemNUL
		}
		if !utf8.Valid(s.raw) {
			return problemUTF8
		}
	}
	var n int
	if plain {
		n = s.splitPlain()
	} else if n = s.split(); n == 0 {
		return problemQuoting
	}
	if n != covid.NumFields {
		return fmt.Sprintf("%d fields, not %d", n, covid.NumFields)
	}
	problem := covid.KeyProblem(&s.fields)
	if problem == "" && len(s.raw) > covid.MaxField {
		problem = covid.SizeProblem(&s.fields)
	}
	return problem
}

// splitPlain sets the fields of a record without quotes and gives their number.
func (s *Scanner) splitPlain() int {
	n, begin := 0, 0
	for i, c := range s.raw {
		if c != ',' {
			continue
		}
		if n < covid.NumFields {
			s.fields[n] = s.raw[begin:i]
		}
		n++
		begin = i + 1
	}
	if n < covid.NumFields {
		s.fields[n] = s.raw[begin:]
	}
	return n + 1
}

// split sets the fields and gives their number, 0 when the quoting is wrong.
func (s *Scanner) split() int {
	n := 0
	s.unquoted = s.unquoted[:0]
	for rest, more := s.raw, true; more; n++ {
		var field []byte
		var sound bool
		if field, rest, more, sound = s.field(rest); !sound {
			return 0
		}
		if n < covid.NumFields {
			s.fields[n] = field
		}
	}
	return n
}

// printable tells that b is ASCII without NUL; eight bytes at a time.
func printable(b []byte) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if w := binary.LittleEndian.Uint64(b); (w|(w-low))&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c == 0 || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// field gives the first field of b, without its quotes, and what is behind its
// comma, if there is one (more).
func (s *Scanner) field(b []byte) (field, rest []byte, more, sound bool) {
	if len(b) == 0 || b[0] != '"' {
		field, rest, more = bytes.Cut(b, comma)
		return field, rest, more, bytes.IndexByte(field, '"') < 0
	}
	end, found := closing(b, 1)
	if !found {
		return nil, nil, false, false
	}
	field = b[1 : end-1]
	if bytes.IndexByte(field, '"') >= 0 {
		field = s.undouble(field)
	}
	switch {
	case end == len(b):
		return field, nil, false, true
	case b[end] == ',':
		return field, b[end+1:], true, true
	}
	return nil, nil, false, false
}

var comma = []byte(",")

// undouble makes two quotes one.
func (s *Scanner) undouble(field []byte) []byte {
	begin := len(s.unquoted)
	for {
		before, behind, found := bytes.Cut(field, []byte(`""`))
		s.unquoted = append(s.unquoted, before...)
		if !found {
			return s.unquoted[begin:]
		}
		s.unquoted = append(s.unquoted, '"')
		field = behind
	}
}

// Fields gives the record's values; only of a record without a problem.
func (s *Scanner) Fields() *covid.Fields { return &s.fields }

// Problem tells why the record is structurally unusable; empty when it is not.
func (s *Scanner) Problem() string { return s.problem }

// Raw gives the record's bytes without the line end, of one over MaxRecord the
// first MaxRecord of them.
func (s *Scanner) Raw() []byte { return s.raw }

// Truncated tells that Raw is not all of the record.
func (s *Scanner) Truncated() bool { return s.truncated }

// Row gives the record's row number.
func (s *Scanner) Row() int64 { return s.rng.FirstRow + int64(s.rows) - 1 }

// Offset gives where the record begins in the source.
func (s *Scanner) Offset() int64 { return s.rng.Offset + s.consumed }

// Rows gives how many records have been read.
func (s *Scanner) Rows() int { return s.rows }

// Err gives the error of reading that ended the scan.
func (s *Scanner) Err() error { return s.err }

// Check tells, after the last record, whether the range holds the bytes that it
// was cut from: ErrChanged when it does not.
func (s *Scanner) Check() error {
	if s.err != nil {
		return s.err
	}
	s.in.digest()
	switch {
	case s.consumed != s.rng.Length:
		return fmt.Errorf("%w: bytes %d to %d are %d bytes now", ErrChanged, s.rng.Offset, s.rng.Offset+s.rng.Length, s.consumed)
	case rangeDigest(s.own) != s.rng.Digest:
		return fmt.Errorf("%w: bytes %d to %d", ErrChanged, s.rng.Offset, s.rng.Offset+s.rng.Length)
	case s.rows != s.rng.Rows:
		return fmt.Errorf("%w: bytes %d to %d have %d rows now, not %d", ErrChanged, s.rng.Offset, s.rng.Offset+s.rng.Length, s.rows, s.rng.Rows)
	}
	return nil
}
