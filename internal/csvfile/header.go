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

// ReadHeader reads the header and gives its length in bytes, line end included.
// The names are compared without regard to case and surrounding white space, and
// may be quoted; a byte order mark before them is allowed. ErrHeader names the
// column that is wrong, ErrNoHeader says that the source ends before the line.
// It reads past the header.
func ReadHeader(r io.Reader) (length int64, err error) {
	b := make([]byte, 0, maxHeader)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if line := bytes.IndexByte(b, '\n') + 1; line > 0 {
			return int64(line), checkHeader(content(b[:line]))
		}
		switch {
		case errors.Is(err, io.EOF):
			return 0, ErrNoHeader
		case err != nil:
			return 0, err
		case len(b) == cap(b):
			return 0, fmt.Errorf("%w: its first line is over %d bytes", ErrHeader, maxHeader)
		}
	}
}

func checkHeader(line []byte) error {
	names := strings.Split(string(bytes.TrimPrefix(line, []byte("\ufeff"))), ",")
	for i, want := range covid.Columns {
		if i >= len(names) {
			return fmt.Errorf("%w: column %d (%s) is missing, there are %d columns", ErrHeader, i+1, want, len(names))
		}
		if got := strings.Trim(strings.TrimSpace(names[i]), `"`); !strings.EqualFold(strings.TrimSpace(got), want) {
			return fmt.Errorf("%w: column %d is %.60q, %s is expected", ErrHeader, i+1, got, want)
		}
	}
	if len(names) > covid.NumFields {
		return fmt.Errorf("%w: column %d (%.60q) is one too many", ErrHeader, covid.NumFields+1, names[covid.NumFields])
	}
	return nil
}
