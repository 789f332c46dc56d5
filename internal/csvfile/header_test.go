package csvfile

import (
	"errors"
	"strings"
	"testing"

	"covidpipeline/internal/covid"
)

func TestHeader(t *testing.T) {
	names := strings.Join(covid.Columns[:], ",")
	for name, c := range map[string]struct {
		header string
		want   error
	}{
		"plain":        {names + "\n", nil},
		"CRLF":         {names + "\r\n", nil},
		"BOM":          {"\ufeff" + names + "\n", nil},
		"other case":   {strings.ToLower(names) + "\n", nil},
		"quoted":       {`"` + strings.ReplaceAll(names, ",", `","`) + "\"\n", nil},
		"one missing":  {names[:strings.LastIndex(names, ",")] + "\n", ErrHeader},
		"one too many": {names + ",MORE\n", ErrHeader},
		"wrong order":  {strings.Join(append(covid.Columns[1:], covid.Columns[0]), ",") + "\n", ErrHeader},
		"empty":        {"", ErrNoHeader},
		"no end":       {names, ErrNoHeader},
		"endless":      {strings.Repeat("x", maxHeader+1), ErrHeader},
	} {
		length, err := ReadHeader(strings.NewReader(c.header + rest(c.want)))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && length != int64(len(c.header)) {
			t.Errorf("%s: %d bytes, want %d", name, length, len(c.header))
		}
	}
}

// rest is what follows a good header.
func rest(want error) string {
	if want == nil {
		return record13("x") + "\n"
	}
	return ""
}
