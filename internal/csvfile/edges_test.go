package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"covidpipeline/internal/covid"
)

// quirks is a short source with everything that cutting looks at.
var quirks = "\n" + record13("a") + "\r\n\r\n" + record13("\"b\r\nb\"") + "\n" + record13(`"c`) + "\n" +
	record13(`"d, ""d"""`) + "\n\n" + record13("é\r") + "\n" + record13(`e"`) + "\n1,2\n" + record13("\"\n\n\"") + "\n\n" + record13(`"f`) + "\n\"\n"

// A quote that was open at the source's end decided where an earlier record
// ended: it must not be forgotten for the sound line behind it.
func TestAQuoteOpenAtTheEndKeepsThePlanFromBeingFinished(t *testing.T) {
	source := []byte("\"a\n" + record13("x") + "\n")
	before, p := cutAll(t, source, Position{}, Limits{Final: true})
	if len(before) != 2 || p.AtRecordEnd {
		t.Errorf("%d records, at a record's end: %v", len(before), p.AtRecordEnd)
	}
	if after, _ := cutAll(t, append(source, "\",,,,,,,,,,,,\n"...), Position{}, Limits{Final: true}); len(after) != 1 {
		t.Errorf("%d records when more bytes close the quote", len(after))
	}
}

func TestAByteTooManyCostsOneRecord(t *testing.T) {
	var records []string
	for i := range 4 {
		records = append(records, record13(fmt.Sprint(i)), record13(fmt.Sprintf("\"q, %d\"", i)))
	}
	source := strings.Join(records, "\n") + "\n"
	for _, stray := range []string{`"`, "\x00", "\xff", "\r", "\ufeff", ","} {
		for at := range len(source) + 1 {
			broken := source[:at] + stray + source[at:]
			checkAgainstReference(t, []byte(broken), 1+at%3)
			rows, _ := cutAll(t, []byte(broken), Position{}, Limits{Rows: 1 + at%3, Final: true})
			var got []string
			for _, r := range rows {
				got = append(got, r.raw)
			}
			lost := 0
			for _, r := range records {
				if !slices.Contains(got, r) {
					lost++
				}
			}
			if lost > 1 {
				t.Fatalf("%q at %d costs %d records: %q", stray, at, lost, got)
			}
		}
	}
}

func TestAppendsCutAtEveryByte(t *testing.T) {
	source := []byte(quirks)
	want, _ := cutAll(t, source, Position{}, Limits{Rows: 2, Final: true})
	var each []row // what comes byte by byte
	var at Position
	for seen := range len(source) + 1 {
		first, p := cutAll(t, source[:seen], Position{}, Limits{Rows: 2})
		rest, _ := cutAll(t, source, p.End, Limits{Rows: 2, Final: true})
		if got := append(first, rest...); !slices.Equal(got, want) {
			t.Fatalf("cut at byte %d\ngot  %v\nwant %v", seen, got, want)
		}
		more, p := cutAll(t, source[:seen], at, Limits{Rows: 2})
		each, at = append(each, more...), p.End
	}
	last, _ := cutAll(t, source, at, Limits{Rows: 2, Final: true})
	if each = append(each, last...); !slices.Equal(each, want) {
		t.Fatalf("byte by byte\ngot  %v\nwant %v", each, want)
	}
}

// Records whose content is just below, at and above the limit, as one line and
// with a newline in quotes, whatever ends them, read at once and as they come.
func TestRecordsAroundTheLimit(t *testing.T) {
	good := record13("x") + "\n"
	for size := MaxRecord; size <= MaxRecord+2; size++ {
		for name, build := range map[string]func(fill string) string{
			"line":        func(fill string) string { return record13(fill) },
			"quoted line": func(fill string) string { return record13(`"` + fill + `"`) },
			"two lines":   func(fill string) string { return record13("\"a\n" + fill + `"`) },
			"quote last":  func(fill string) string { return strings.TrimSuffix(record13("\"a\n"+fill+`"`), "3") + `"3"` },
			"open":        func(fill string) string { return record13("\"a\n" + fill) },
		} {
			body := build(strings.Repeat("y", size-len(build(""))))
			for _, end := range []string{"\n", "\r\n", "", "\r"} {
				tail := ""
				if strings.HasSuffix(end, "\n") {
					tail = good
				}
				source := []byte(good + body + end + tail)
				want := expectedAround(name, body, size, tail != "")
				var got []string
				rows, p := cutAll(t, source, Position{}, Limits{Rows: 3, Final: true})
				for _, r := range rows {
					got = append(got, describe(r.raw, r.problem))
				}
				if !slices.Equal(got, want) || p.End.Offset != int64(len(source)) {
					t.Errorf("%s of %d bytes, ended by %q: %q, want %q", name, size, end, got, want)
				}
				for _, there := range []int{len(good) + len(body) - 1, len(good) + len(body), len(good) + len(body) + 1} {
					first, p := cutAll(t, source[:min(there, len(source))], Position{}, Limits{Rows: 3})
					rest, _ := cutAll(t, source, p.End, Limits{Rows: 3, Final: true})
					if !slices.Equal(append(first, rest...), rows) {
						t.Errorf("%s of %d bytes, ended by %q, differs when %d bytes come first", name, size, end, there)
					}
				}
			}
		}
	}
}

// describe makes a record short.
func describe(raw, problem string) string {
	return fmt.Sprintf("%d %s", len(raw), problem)
}

// problemLongField is that of a whole record of MaxRecord bytes.
const problemLongField = "DATA_SOURCE_NAME is over 64 kB"

func expectedAround(name, body string, size int, followed bool) []string {
	good := describe(record13("x"), "")
	want := []string{good}
	first, second, multi := strings.Cut(body, "\n")
	switch {
	case multi && (name == "open" || size > MaxRecord):
		want = append(want, describe(first, problemQuoting))
		problem := problemQuoting
		if name == "open" {
			problem = "8 fields, not 13"
		}
		want = append(want, describe(second, problem))
	case size > MaxRecord:
		want = append(want, fmt.Sprintf("%d %s", MaxRecord, problemOverlong))
	default:
		want = append(want, describe(body, problemLongField))
	}
	if followed {
		want = append(want, good)
	}
	return want
}

// What is open waits for its end, but not for more than a record can hold.
func TestWaitingForAQuoteIsBounded(t *testing.T) {
	open := record13(`"a`) + "\n"
	line := record13("x") + "\n"
	for _, c := range []struct{ lines, want int }{{1, 0}, {MaxRecord/len(line) - 2, 0}, {MaxRecord/len(line) + 2, MaxRecord/len(line) + 3}} {
		rows, p := cutAll(t, []byte(open+strings.Repeat(line, c.lines)), Position{}, Limits{Rows: 5000})
		if len(rows) != c.want || (c.want == 0 && p.End.Offset != 0) {
			t.Errorf("%d lines behind an open quote: %d records, want %d", c.lines, len(rows), c.want)
		}
	}
}

func TestALineLongerThanARange(t *testing.T) {
	good := record13("x") + "\n"
	for name, long := range map[string]string{"plain": strings.Repeat("y", 9<<20), "quotes": strings.Repeat(`"y",`, 9<<18), "open": `"` + strings.Repeat(`y""`, 3<<20)} {
		source := []byte(good + long + "\n\n" + good)
		rows, p := cutAll(t, source, Position{}, Limits{Final: true})
		if len(rows) != 3 || rows[1].problem != problemOverlong || len(rows[1].raw) != MaxRecord || rows[2].problem != "" || p.Ranges[1].Rows != 1 {
			t.Errorf("%s: %d records in %d ranges", name, len(rows), len(p.Ranges))
		}
		s := NewScanner(bytes.NewReader(source), Range{Length: int64(len(source)), FirstRow: 1})
		for s.Next() {
			if s.Truncated() != (s.Row() == 2) {
				t.Errorf("%s: row %d, truncated: %v", name, s.Row(), s.Truncated())
			}
		}
	}
}

// Any byte at any place of a record: what is refused, and the values of what is
// not.
func TestEveryByteAtEveryPlace(t *testing.T) {
	for c := range 256 {
		if strings.ContainsRune("\",\n", rune(c)) {
			continue
		}
		for at := range 17 {
			text := []byte(strings.Repeat("x", 16))
			text = slices.Insert(text, at, byte(c))
			fields := strings.Split(record13("a"), ",")
			fields[covid.NumFields-1] = string(text)
			if c == '\r' && at == 16 {
				continue // a line end
			}
			source := []byte(strings.Join(fields, ",") + "\r\n")
			got := scan(t, source, wholeRange(t, source))[0]
			switch want := strings.Join(fields, "|"); {
			case c == 0 && got.problem != problemNUL, c >= 0x80 && got.problem != problemUTF8:
				t.Errorf("byte %#x at %d: problem %q", c, at, got.problem)
			case 0 < c && c < 0x80 && (got.problem != "" || got.fields != want):
				t.Errorf("byte %#x at %d: %q (%s), want %q", c, at, got.fields, got.problem, want)
			}
		}
	}
}

// wholeRange gives the only range of a source.
func wholeRange(t *testing.T, source []byte) Range {
	t.Helper()
	_, p := cutAll(t, source, Position{}, Limits{Final: true})
	if len(p.Ranges) != 1 {
		t.Fatalf("%d ranges", len(p.Ranges))
	}
	return p.Ranges[0]
}

func TestEmptyLinesBehindTheLastRowStayInItsRange(t *testing.T) {
	good := record13("x") + "\n"
	_, p := cutAll(t, []byte(good+good+"\n\r\n"+good+"\n"), Position{}, Limits{Rows: 2, Final: true})
	if len(p.Ranges) != 2 || p.Ranges[0].Length != int64(2*len(good)+3) || p.Ranges[1].Length != int64(len(good)+1) {
		t.Errorf("%+v", p.Ranges)
	}
	_, p = cutAll(t, []byte("\n\n"), Position{}, Limits{Rows: 2})
	if len(p.Ranges) != 1 || p.Ranges[0].Rows != 0 || p.End != (Position{Offset: 2}) {
		t.Errorf("nothing but empty lines: %+v", p)
	}
}

func TestAPlanThatEndsInsideALineSaysSo(t *testing.T) {
	for _, source := range []string{record13("x"), record13("x") + "\n\r", strings.Repeat("y", 3*MaxRecord)} {
		if _, p := cutAll(t, []byte(source), Position{}, Limits{Final: true}); p.AtRecordEnd {
			t.Errorf("%.100q is said to end at a record's end", source)
		}
	}
}

func TestARangeWithOtherRowsIsNoticed(t *testing.T) {
	source := []byte(record13("x") + "\n" + record13("y") + "\n")
	rng := wholeRange(t, source)
	rng.Rows++
	s := NewScanner(bytes.NewReader(source), rng)
	for s.Next() {
	}
	if err := s.Check(); !errors.Is(err, ErrChanged) {
		t.Errorf("one row less than in the range: %v", err)
	}
}

func TestScanningAllocatesNothingPerRecord(t *testing.T) {
	allocs := func(records int) float64 {
		source := []byte(strings.Repeat(record13("é")+"\n"+record13(`"a ""b"""`)+"\r\n", records/2))
		rng := Range{Length: int64(len(source)), FirstRow: 1}
		return testing.AllocsPerRun(5, func() {
			s := NewScanner(bytes.NewReader(source), rng)
			for s.Next() {
				if s.Problem() != "" {
					t.Fatal(s.Problem())
				}
			}
		})
	}
	if few, many := allocs(10), allocs(20_000); many > few+2 {
		t.Errorf("%v allocations for 10 records, %v for 20,000", few, many)
	}
}

func FuzzAppends(f *testing.F) {
	f.Add([]byte(quirks), 100, 130)
	f.Add([]byte("\"a\n"+record13("x")+"\n\",,,,,,,,,,,,\n"), 3, 90)
	f.Fuzz(func(t *testing.T, source []byte, a, b int) {
		a, b = int(uint(a)%uint(len(source)+1)), int(uint(b)%uint(len(source)+1))
		want, _ := cutAll(t, source, Position{}, Limits{Rows: 2, Ranges: 2, Final: true})
		var got []row
		var at Position
		for _, seen := range []int{min(a, b), max(a, b)} {
			rows, p := cutAll(t, source[:seen], at, Limits{Rows: 2, Ranges: 2})
			got, at = append(got, rows...), p.End
		}
		rows, _ := cutAll(t, source, at, Limits{Rows: 2, Ranges: 2, Final: true})
		if got = append(got, rows...); !slices.Equal(got, want) {
			t.Fatalf("%q in pieces %v\nat once %v", source, got, want)
		}
		// A finished source, unless it says otherwise, may grow.
		before, p := cutAll(t, source[:min(a, b)], Position{}, Limits{Final: true})
		if p.AtRecordEnd && !slices.Equal(before, want[:min(len(want), len(before))]) {
			t.Fatalf("%q ends at a record's end, but what follows in %q changes its records", source[:min(a, b)], source)
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	names := strings.Join(covid.Columns[:], ",")
	for _, seed := range []string{"", "\n", names, names + "\r\n1", "\ufeff" + names + "\n", strings.ToLower(names) + ",x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		length, err := ReadHeader(bytes.NewReader(source))
		line := int64(bytes.IndexByte(source, '\n') + 1)
		switch {
		case err == nil && (length != line || line == 0):
			t.Fatalf("%d bytes of %q", length, source)
		case err != nil && !errors.Is(err, ErrHeader) && !errors.Is(err, ErrNoHeader):
			t.Fatal(err)
		case errors.Is(err, ErrNoHeader) && line > 0:
			t.Fatalf("%q has a line", source)
		}
	})
}
