package csvfile

import (
	"crypto/sha256"
	"strings"
	"testing"

	"covidpipeline/internal/covid"
)

// Longest is what a document's values take, of the sound records alone.
func TestLongestRecordOfAPlan(t *testing.T) {
	long := strings.Repeat("y", 2000)
	beside := int64(len(record13("")) - (covid.NumFields - 1)) // without the commas
	for name, c := range map[string]struct {
		source string
		want   int64
	}{
		"nothing":                 {"", 0},
		"short records":           {record13("x") + "\n" + record13("xyz") + "\n" + record13("x"), int64(len(record13("xyz\n")))},
		"a long one":              {record13("x") + "\n" + record13(long) + "\n" + record13("x"), beside + 2000},
		"what JSON escapes":       {record13(`"`+strings.Repeat("\x01\\\"\"\n", 500)+`"`) + "\n", beside + 500*(6+2+2+6)},
		"unusable":                {record13(long+"\x00") + "\n" + record13("x") + "\n", int64(len(record13("x\n")))},
		"too many fields":         {record13(long) + ",\n", 0},
		"a field over 64 kB":      {record13(strings.Repeat("y", covid.MaxField+1)) + "\n", 0},
		"over 1 MiB":              {record13(strings.Repeat("y", MaxRecord)) + "\n", 0},
		"a long one that is open": {record13("x") + "\n" + record13(long), int64(len(record13("x\n")))},
		"the longest comes first": {record13(long+"y") + "\n" + record13(long) + "\n", beside + 2001},
	} {
		p, err := Cut(strings.NewReader(c.source), Position{}, sha256.New(), Limits{Rows: 1, Final: name != "a long one that is open"})
		if err != nil || p.Longest != c.want {
			t.Errorf("%s: %d, want %d, %v", name, p.Longest, c.want, err)
		}
	}
}
