package csvfile

import (
	"bytes"
	"errors"
	"hash"
	"io"

	"covidpipeline/internal/covid"
)

// lookAhead is how many bytes decide where a record ends: the longest record,
// its line end and one byte more.
const lookAhead = MaxRecord + 3

// chunk is the buffer of an input to begin with: few enough bytes that finding
// records and digesting both find them in the processor's cache.
const chunk = 256 << 10

// input is a source read through one buffer, which grows to two lookAheads only
// if a decision needs that many bytes.
type input struct {
	r        io.Reader
	buf      []byte
	pos, end int // unread: buf[pos:end]
	quote    int // first quote in buf[pos:end], end if there is none; stale before pos
	eof      bool
	// The bytes before pos that have not been digested yet begin at digested.
	digested int
	digests  []hash.Hash
}

func newInput(r io.Reader, size int64, digests ...hash.Hash) *input {
	return &input{r: r, buf: make([]byte, max(1, min(size, chunk))), quote: -1, digests: digests}
}

// digest feeds what has been read to the digests.
func (in *input) digest() {
	for _, h := range in.digests {
		h.Write(in.buf[in.digested:in.pos]) // a hash never fails
	}
	in.digested = in.pos
}

// more reads on. It moves what is unread, so that slices of the buffer end with
// it. At the end of the source it sets eof.
func (in *input) more() error {
	in.digest()
	buf := in.buf
	if in.end-in.pos > len(buf)/2 {
		buf = make([]byte, min(2*len(buf), 2*lookAhead))
	}
	in.end = copy(buf, in.buf[in.pos:in.end])
	in.buf, in.pos, in.digested, in.quote = buf, 0, 0, -1
	for range 100 {
		n, err := in.r.Read(in.buf[in.end:])
		in.end += n
		if errors.Is(err, io.EOF) {
			in.eof = true
			return nil
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

// record is where the next record of an input lies, at its unread bytes.
type record struct {
	size int // bytes, line end included; of an overlong line only what is in the buffer
	// overlong: the line is over MaxRecord, and its end may not be in the buffer.
	overlong bool
	// open: more bytes could have made it another record, but there are none.
	open bool
	// plain: there is no quote in it. Not set for each such record.
	plain bool
	empty bool // an empty line
}

// next finds the next record. ok is false at the end of the source.
func (in *input) next() (rec record, ok bool, err error) {
	for {
		unread := in.buf[in.pos:in.end]
		line := bytes.IndexByte(unread, '\n') + 1
		known := 0 < line && line <= MaxRecord && in.nextQuote() >= in.pos+line
		rec = record{size: line, plain: true} // most records
		if !known {
			rec, known = find(unread, in.eof)
		}
		if known {
			rec.empty = rec.size <= 2 && len(content(unread[:rec.size])) == 0
			return rec, rec.size > 0, nil
		}
		if err := in.more(); err != nil {
			return record{}, false, err
		}
	}
}

// nextQuote gives where in the buffer the first unread quote is.
func (in *input) nextQuote() int {
	if in.quote < in.pos {
		in.quote = in.end
		if i := bytes.IndexByte(in.buf[in.pos:in.end], '"'); i >= 0 {
			in.quote = in.pos + i
		}
	}
	return in.quote
}

// find finds the record at the beginning of b. It is not known when bytes behind
// b could decide otherwise; eof tells that there are none.
func find(b []byte, eof bool) (rec record, known bool) {
	line := bytes.IndexByte(b, '\n') + 1
	switch {
	case line == 0 && len(b) >= lookAhead:
		return record{size: len(b), overlong: true}, true
	case line == 0 && !eof:
		return record{}, false
	case line == 0:
		line = len(b)
		rec.open = true
	}
	if len(content(b[:line])) > MaxRecord {
		return record{size: line, overlong: true, open: rec.open}, true
	}
	if bytes.IndexByte(b[:line], '"') < 0 {
		return record{size: line, open: rec.open}, true
	}
	size, fields, sound := quoted(b[:min(len(b), lookAhead)])
	ended := sound && b[size-1] == '\n'
	switch {
	case !sound && size < len(b), size == lookAhead:
		// The quoting is wrong, or too much lies between two quotes.
		return record{size: line, open: rec.open}, true
	case size == len(b) && !ended && !eof:
		return record{}, false // what comes decides
	case sound && (size <= line || (fields == covid.NumFields && len(content(b[:size])) <= MaxRecord)):
		return record{size: max(size, line), open: !ended}, true
	}
	return record{size: line, open: !ended}, true
}

// quoted walks over the record at the beginning of b. It gives the bytes walked
// over and the number of fields; sound is false when the quoting is wrong there
// or when b ends inside quotes, in which case size is len(b).
func quoted(b []byte) (size, fields int, sound bool) {
	for i := 0; ; {
		fields++
		if i < len(b) && b[i] == '"' {
			if i, sound = closing(b, i+1); !sound {
				return i, fields, false
			}
			if i < len(b) && b[i] == '\r' && (i+1 == len(b) || b[i+1] == '\n') {
				i++
			}
			if i < len(b) && b[i] != ',' && b[i] != '\n' {
				return i, fields, false
			}
		} else {
			plain := bytes.IndexAny(b[i:], ",\n\"")
			if plain < 0 {
				return len(b), fields, true
			}
			i += plain
			if b[i] == '"' {
				return i, fields, false
			}
		}
		switch {
		case i == len(b):
			return i, fields, true
		case b[i] == '\n':
			return i + 1, fields, true
		}
		i++ // the comma
	}
}

// closing gives the place behind the quote that ends a quoted field whose content
// begins at i; found is false when b ends before.
func closing(b []byte, i int) (behind int, found bool) {
	for {
		quote := bytes.IndexByte(b[i:], '"')
		if quote < 0 {
			return len(b), false
		}
		i += quote + 1
		if i == len(b) || b[i] != '"' {
			return i, true
		}
		i++
	}
}

// content is a record without its line end.
func content(rec []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(rec, []byte("\n")), []byte("\r"))
}

// skipLine reads to the end of an overlong line and gives its length; ended is
// false when the source ends before the line does.
func (in *input) skipLine() (length int64, ended bool, err error) {
	for {
		unread := in.buf[in.pos:in.end]
		if line := bytes.IndexByte(unread, '\n') + 1; line > 0 {
			in.pos += line
			in.digest()
			return length + int64(line), true, nil
		}
		length += int64(len(unread))
		in.pos = in.end
		in.digest()
		if in.eof {
			return length, false, nil
		}
		if err := in.more(); err != nil {
			return length, false, err
		}
	}
}
