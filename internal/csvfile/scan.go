package csvfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"covidpipeline/internal/covid"
)

type Scanner struct {
	in      *bufio.Reader
	rng     Range
	h       hash.Hash
	fields  covid.Fields
	raw     []byte
	problem string
	rows    int
	read    int64
	off     int64
	err     error
	last    int
	scratch []byte
}

func NewScanner(r io.Reader, rng Range) *Scanner {
	return &Scanner{in: bufio.NewReaderSize(r, 4<<20), rng: rng, h: sha256.New()}
}

func (s *Scanner) Next() bool {
	for {
		s.in.Discard(s.last)
		s.last = 0
		b, err := s.in.Peek(2048)
		if err != nil && err != io.EOF {
			s.err = err
			return false
		}
		if len(b) == 0 {
			return false
		}
		n, st := record(b, err == io.EOF)
		if st == needMore {
			b, err = s.in.Peek(3 << 20)
			if err != nil && err != io.EOF {
				s.err = err
				return false
			}
			n, st = record(b, err == io.EOF)
		}
		s.h.Write(b[:n])
		s.off = s.rng.Offset + s.read
		s.read += int64(n)
		s.last = n
		s.raw = trimEnd(b[:n])
		if len(s.raw) == 0 {
			continue
		}
		s.rows++
		s.problem = s.split()
		if s.problem == "" {
			s.problem = covid.KeyProblem(&s.fields)
		}
		return true
	}
}

func (s *Scanner) split() string {
	if !utf8.Valid(s.raw) {
		return "invalid UTF-8"
	}
	if bytes.IndexByte(s.raw, 0) >= 0 {
		return "NUL"
	}
	b := s.raw
	n := 0
	s.scratch = s.scratch[:0]
	for {
		var f []byte
		if len(b) > 0 && b[0] == '"' {
			i := 1
			start := len(s.scratch)
			for {
				q := bytes.IndexByte(b[i:], '"')
				if q < 0 {
					return "quoting"
				}
				s.scratch = append(s.scratch, b[i:i+q]...)
				i += q + 1
				if i < len(b) && b[i] == '"' {
					s.scratch = append(s.scratch, '"')
					i++
					continue
				}
				break
			}
			f = s.scratch[start:]
			b = b[i:]
			if len(b) > 0 && b[0] != ',' {
				return "quoting"
			}
		} else {
			e := bytes.IndexByte(b, ',')
			if e < 0 {
				e = len(b)
			}
			f = b[:e]
			if bytes.IndexByte(f, '"') >= 0 {
				return "quoting"
			}
			b = b[e:]
		}
		if n < covid.NumFields {
			s.fields[n] = f
		}
		n++
		if len(b) == 0 {
			break
		}
		b = b[1:]
	}
	if n != covid.NumFields {
		return fmt.Sprintf("%d fields", n)
	}
	return ""
}

func (s *Scanner) Fields() *covid.Fields { return &s.fields }
func (s *Scanner) Problem() string       { return s.problem }
func (s *Scanner) Raw() []byte           { return s.raw }
func (s *Scanner) Truncated() bool       { return false }
func (s *Scanner) Row() int64            { return s.rng.FirstRow + int64(s.rows) - 1 }
func (s *Scanner) Offset() int64         { return s.off }
func (s *Scanner) Err() error            { return s.err }
func (s *Scanner) Rows() int             { return s.rows }
func (s *Scanner) Check() error {
	if s.err != nil {
		return s.err
	}
	if s.read != s.rng.Length || s.rows != s.rng.Rows || hex.EncodeToString(s.h.Sum(nil)[:16]) != s.rng.Digest {
		return ErrChanged
	}
	return nil
}
