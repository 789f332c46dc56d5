package csvfile

import (
	"bytes"
	"covidpipeline/internal/covid"
)

// status of the search for a record at the beginning of a buffer.
type status int

const (
	whole    status = iota // a record of n bytes, line end included
	needMore               // cannot be told without more bytes
	overlong               // a line over MaxRecord
)

// record finds the record at the beginning of b. eof tells that nothing comes
// behind b.
func record(b []byte, eof bool) (n int, st status) {
	line := bytes.IndexByte(b, '\n')
	if line < 0 {
		if len(b) > MaxRecord+1 {
			return 0, overlong
		}
		if !eof {
			return 0, needMore
		}
		return len(b), whole
	}
	if line > MaxRecord+1 {
		return 0, overlong
	}
	first := line + 1
	if bytes.IndexByte(b[:first], '"') < 0 {
		return first, whole
	}
	n, fields, st := quoted(b, eof)
	switch {
	case st == needMore:
		return 0, needMore
	case st == whole && (n <= first || (fields == covid.NumFields && n <= MaxRecord)):
		return max(n, first), whole
	}
	return first, whole
}

// quoted walks over a record with quotes. bad quoting gives st != whole.
func quoted(b []byte, eof bool) (n, fields int, st status) {
	i := 0
	fields = 1
	for {
		if i < len(b) && b[i] == '"' {
			i++
			for {
				if i > MaxRecord+2 {
					return 0, 0, overlong
				}
				q := bytes.IndexByte(b[i:], '"')
				if q < 0 {
					if eof || len(b) > MaxRecord+2 {
						return 0, 0, overlong
					}
					return 0, 0, needMore
				}
				i += q + 1
				if i < len(b) && b[i] == '"' {
					i++
					continue
				}
				break
			}
			if i == len(b) {
				if eof {
					return i, fields, whole
				}
				return 0, 0, needMore
			}
			switch {
			case b[i] == ',':
				i++
				fields++
				continue
			case b[i] == '\n':
				return i + 1, fields, whole
			case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
				return i + 2, fields, whole
			case b[i] == '\r' && i+1 == len(b) && !eof:
				return 0, 0, needMore
			}
			return 0, 0, overlong
		}
		e := bytes.IndexAny(b[i:], ",\n\"")
		if e < 0 {
			if eof {
				return len(b), fields, whole
			}
			return 0, 0, needMore
		}
		i += e
		switch b[i] {
		case ',':
			i++
			fields++
		case '\n':
			return i + 1, fields, whole
		default:
			return 0, 0, overlong
		}
	}
}
