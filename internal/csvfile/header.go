package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"covidpipeline/internal/covid"
)

// maxHeader bounds the header line: the 13 names take 280 bytes.
const maxHeader = 64 << 10

// ReadHeader reads the header and returns its length in bytes, line end included.
// The names are compared without regard to case and surrounding white space, and
// may be quoted; a byte order mark before them is allowed. ErrHeader names the
// column that is wrong, or the format of a file that is no comma-separated text;
// ErrNoHeader means that the source ends before the line. No error repeats bytes
// of the source: the error may be shown to users who may not read the file. It
// reads past the header, at most maxHeader bytes.
func ReadHeader(r io.Reader) (length int64, err error) {
	b := make([]byte, 0, maxHeader)
	for err == nil && len(b) < cap(b) && bytes.IndexByte(b, '\n') < 0 {
		var n int
		n, err = r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
	}
	line, _, ended := bytes.Cut(b, []byte("\n"))
	var wrong error
	if ended {
		if wrong = checkHeader(content(line)); wrong == nil {
			return int64(len(line)) + 1, nil
		}
	}
	if what := foreign(b, line); what != "" {
		return 0, fmt.Errorf("%w: %s", ErrHeader, what)
	}
	switch {
	case ended:
		return 0, wrong
	case err == nil:
		return 0, fmt.Errorf("%w: its first line is over %d bytes", ErrHeader, maxHeader)
	case errors.Is(err, io.EOF):
		return 0, ErrNoHeader
	}
	return 0, err
}

func checkHeader(line []byte) error {
	names := strings.Split(string(bytes.TrimPrefix(line, []byte(utf8BOM))), ",")
	for i, want := range covid.Columns {
		if i >= len(names) {
			return fmt.Errorf("%w: column %d (%s) is missing, there are %d columns", ErrHeader, i+1, want, len(names))
		}
		if got := strings.Trim(strings.TrimSpace(names[i]), `"`); !strings.EqualFold(strings.TrimSpace(got), want) {
			return fmt.Errorf("%w: column %d is not %s", ErrHeader, i+1, want)
		}
	}
	if len(names) > covid.NumFields {
		return fmt.Errorf("%w: there are %d columns instead of %d", ErrHeader, len(names), covid.NumFields)
	}
	return nil
}
