package csvfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
)

// row is what a test looks at of a record.
type row struct {
	raw     string
	problem string
	number  int64
	offset  int64
	fields  string
}

// scan reads a range of a source.
func scan(t testing.TB, source []byte, rng Range) []row {
	t.Helper()
	s := NewScanner(bytes.NewReader(source[rng.Offset:]), rng)
	var rows []row
	for s.Next() {
		r := row{raw: string(s.Raw()), problem: s.Problem(), number: s.Row(), offset: s.Offset()}
		if r.problem == "" {
			r.fields = string(bytes.Join(s.Fields()[:], []byte("|")))
		}
		if r.number != rng.FirstRow+int64(len(rows)) {
			t.Fatalf("row %d comes as number %d", rng.FirstRow+int64(len(rows)), r.number)
		}
		if !bytes.HasPrefix(source[r.offset:], s.Raw()) {
			t.Fatalf("row %d does not lie at offset %d", r.number, r.offset)
		}
		rows = append(rows, r)
	}
	if err := s.Check(); err != nil {
		t.Fatalf("range %+v: %v", rng, err)
	}
	return rows
}

// scanAll reads the ranges of a plan and fails unless they lie one behind the
// other from the position on.
func scanAll(t testing.TB, source []byte, from Position, p Plan) []row {
	t.Helper()
	var rows []row
	at := from
	for _, rng := range p.Ranges {
		if rng.Offset != at.Offset || rng.FirstRow != at.Row+1 || rng.Length == 0 {
			t.Fatalf("range %+v does not begin at %+v", rng, at)
		}
		rows = append(rows, scan(t, source, rng)...)
		at = rng.End()
	}
	if at != p.End {
		t.Fatalf("the ranges end at %+v, the plan at %+v", at, p.End)
	}
	return rows
}

// cutAll cuts a source, plan after plan, and reads the ranges back. It gives
// where the last plan ended too.
func cutAll(t testing.TB, source []byte, from Position, lim Limits) ([]row, Plan) {
	t.Helper()
	running := sha256.New()
	begin := from.Offset
	var rows []row
	for {
		p, err := Cut(bytes.NewReader(source[from.Offset:]), from, running, lim)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, scanAll(t, source, from, p)...)
		from = p.End
		if !p.More {
			want := sha256.Sum256(source[begin:p.End.Offset])
			if !bytes.Equal(running.Sum(nil), want[:]) {
				t.Fatal("the running digest is not that of the bytes that were cut")
			}
			return rows, p
		}
	}
}

// record13 gives a record of 13 fields of which one is given.
func record13(field string) string {
	return "1,Pima,Arizona,2020-03-01,America," + field + ",1,04005,USA,United States,US,2,3"
}

func TestRecords(t *testing.T) {
	good := record13("x")
	long := strings.Repeat("y", MaxRecord)
	for name, c := range map[string]struct {
		source string
		want   []string // raw bytes of the records; a leading ! means that it has a problem
	}{
		"nothing":                      {"", nil},
		"lines":                        {good + "\n" + good + "\n", []string{good, good}},
		"CRLF":                         {good + "\r\n" + good + "\r\n", []string{good, good}},
		"no last newline":              {good + "\n" + good, []string{good, good}},
		"empty lines":                  {"\n\r\n" + good + "\n\n\r\n" + good + "\n\n", []string{good, good}},
		"a comma in quotes":            {record13(`"a,b"`) + "\n" + good, []string{record13(`"a,b"`), good}},
		"a newline in quotes":          {record13("\"a\nb\"") + "\n" + good, []string{record13("\"a\nb\""), good}},
		"a CRLF in quotes":             {record13("\"a\r\nb\"") + "\r\n" + good, []string{record13("\"a\r\nb\""), good}},
		"doubled quotes":               {record13(`"a ""b"" c"`) + "\n", []string{record13(`"a ""b"" c"`)}},
		"a stray quote at the front":   {record13(`"a`) + "\n" + good + "\n" + good + "\n", []string{"!" + record13(`"a`), good, good}},
		"a stray quote inside":         {record13(`a"b`) + "\n" + good + "\n", []string{"!" + record13(`a"b`), good}},
		"text behind a quote":          {record13(`"a"b`) + "\n" + good + "\n", []string{"!" + record13(`"a"b`), good}},
		"quotes that close by chance":  {record13(`"a`) + "\n" + `1,b",2` + "\n" + good + "\n", []string{"!" + record13(`"a`), `!1,b",2`, good}},
		"a broken line before a quote": {"1,2,\"3\n" + record13(`"a,b"`) + "\n", []string{"!1,2,\"3", record13(`"a,b"`)}},
		"too few fields":               {"1,2\n" + good, []string{"!1,2", good}},
		"too many fields":              {good + ",4\n" + good, []string{"!" + good + ",4", good}},
		"NUL":                          {record13("a\x00") + "\n" + good, []string{"!" + record13("a\x00"), good}},
		"invalid UTF-8":                {record13("\xff") + "\n" + good, []string{"!" + record13("\xff"), good}},
		"a lone CR":                    {record13("a\rb") + "\n" + good, []string{record13("a\rb"), good}},
		"an open quote at the end":     {good + "\n" + record13(`"a`), []string{good, "!" + record13(`"a`)}},
		"a quote as the last byte":     {good + "\n" + `1,2,"`, []string{good, `!1,2,"`}},
		"over 1 MiB":                   {good + "\n" + record13(long) + "\n" + good + "\n", []string{good, "!" + record13(long)[:MaxRecord], good}},
		"over 1 MiB at the end":        {good + "\n" + record13(long+long+long), []string{good, "!" + record13(long + long)[:MaxRecord]}},
		"just 1 MiB":                   {record13(long[:MaxRecord-len(record13(""))]) + "\r\n" + good, []string{"!" + record13(long[:MaxRecord-len(record13(""))]), good}},
		"a field of 64 kB":             {record13(long[:covid.MaxField]) + "\n" + good, []string{record13(long[:covid.MaxField]), good}},
		"a field over 64 kB":           {record13(long[:covid.MaxField+1]) + "\n" + good, []string{"!" + record13(long[:covid.MaxField+1]), good}},
		"64 kB in quotes":              {record13(`"`+long[:covid.MaxField-1]+`"""`) + "\n" + good, []string{record13(`"` + long[:covid.MaxField-1] + `"""`), good}},
		"quotes over 1 MiB":            {record13("\"a\n"+long+"\"") + "\n" + good, []string{"!" + record13("\"a\n")[:len(record13("\"a"))-len(",1,04005,USA,United States,US,2,3")], "!" + long, good}},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _ := cutAll(t, []byte(c.source), Position{}, Limits{Rows: 2, Final: true})
			var got []string
			for _, r := range rows {
				if r.problem != "" {
					r.raw = "!" + r.raw
				}
				got = append(got, r.raw)
			}
			if name == "quotes over 1 MiB" {
				// The tail of the line behind the 1 MiB is part of it.
				if len(got) != 3 || !strings.HasPrefix(got[1], "!yyy") || got[2] != good {
					t.Fatalf("%d records", len(got))
				}
				return
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("got %.200q\nwant %.200q", got, c.want)
			}
		})
	}
}

func TestFieldsAreThoseOfTheStandardReader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringMatching(`[a-zé ,"\n]{0,6}`)
		var want [][]string
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.UseCRLF = rapid.Bool().Draw(rt, "crlf")
		for range rapid.IntRange(1, 8).Draw(rt, "records") {
			fields := make([]string, covid.NumFields)
			for i := range fields {
				fields[i] = value.Draw(rt, "field")
			}
			fields[covid.FieldDate], fields[covid.FieldCountry] = "2020-03-01", "US"
			want = append(want, fields)
			if err := w.Write(fields); err != nil {
				rt.Fatal(err)
			}
		}
		w.Flush()
		source := b.Bytes()
		rows, p := cutAll(t, source, Position{}, Limits{Rows: 3, Final: true})
		if len(rows) != len(want) || p.End.Offset != int64(len(source)) || !p.AtRecordEnd {
			rt.Fatalf("%d records, want %d; plan %+v", len(rows), len(want), p)
		}
		for i, r := range rows {
			// The standard writer and reader turn newlines in fields into CRLF and back.
			got := strings.ReplaceAll(r.fields, "\r\n", "\n")
			if r.problem != "" || got != strings.Join(want[i], "|") {
				rt.Fatalf("record %d: %q (%s), want %q", i, got, r.problem, want[i])
			}
		}
	})
}

// messy gives sources with everything that cutting looks at.
func messy() *rapid.Generator[[]byte] {
	piece := rapid.SampledFrom([]string{
		"\n", "\r\n", "\r", "\"", "\"\"", ",", ",,,,,,,,,,,,", "a", "\xff", "\x00", record13("b") + "\n", record13("\"c\nd\"") + "\n", record13(`"e`) + "\n",
	})
	return rapid.Custom(func(rt *rapid.T) []byte {
		return []byte(strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(rt, "pieces"), ""))
	})
}

// reference finds the records of a whole source in the plainest way: from each
// line on it tries the longest well-formed record.
func reference(source string) []string {
	var records []string
	for source != "" {
		line, _, _ := strings.Cut(source, "\n")
		size := min(len(line)+1, len(source))
		if n := perfect(source); n > size {
			size = n
		}
		if rec := string(content([]byte(source[:size]))); rec != "" {
			records = append(records, rec)
		}
		source = source[size:]
	}
	return records
}

// perfect gives the length of the record of 13 sound fields at the beginning of
// a source, or 0.
func perfect(source string) int {
	fields, quoted, begin := 1, false, true
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case quoted && c == '"' && strings.HasPrefix(source[i:], `""`):
			i++
		case quoted && c == '"':
			quoted = false
			rest := source[i+1:]
			if rest != "" && rest != "\r" && rest[0] != ',' && rest[0] != '\n' && !strings.HasPrefix(rest, "\r\n") {
				return 0
			}
		case quoted:
		case c == '"' && begin:
			quoted = true
		case c == '"':
			return 0
		case c == ',':
			fields++
			begin = true
			continue
		case c == '\n':
			if fields != covid.NumFields {
				return 0
			}
			return i + 1
		}
		begin = false
	}
	if quoted || fields != covid.NumFields {
		return 0
	}
	return len(source)
}

func checkAgainstReference(t testing.TB, source []byte, rows int) {
	t.Helper()
	got, p := cutAll(t, source, Position{}, Limits{Rows: rows, Ranges: 3, Final: true})
	var raw []string
	for _, r := range got {
		raw = append(raw, r.raw)
	}
	if want := reference(string(source)); !slices.Equal(raw, want) {
		t.Fatalf("records of %q in ranges of %d rows:\ngot  %q\nwant %q", source, rows, raw, want)
	}
	if p.End.Offset != int64(len(source)) {
		t.Fatalf("%d of %d bytes were cut", p.End.Offset, len(source))
	}
	// One range over all gives the same rows as many.
	whole := Range{Length: int64(len(source)), FirstRow: 1}
	s := NewScanner(bytes.NewReader(source), whole)
	var again []string
	for s.Next() {
		again = append(again, string(s.Raw()))
	}
	if s.Err() != nil || !slices.Equal(again, raw) {
		t.Fatalf("one range over all: %q, %v", again, s.Err())
	}
}

func TestCutterAndScannerAgreeWithTheReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		checkAgainstReference(t, messy().Draw(rt, "source"), rapid.IntRange(1, 4).Draw(rt, "rows"))
	})
}

func FuzzCut(f *testing.F) {
	for _, seed := range []string{"", "a\n", record13(`"a`) + "\n" + record13("\"b\nc\"") + "\r\n", "\"\n\"\"\n,\"\r", "\xff\x00\n\n\""} {
		f.Add([]byte(seed), 2)
	}
	f.Fuzz(func(t *testing.T, source []byte, rows int) {
		checkAgainstReference(t, source, max(rows%8, 1))
	})
}

func TestLinesThatComeInPiecesAreTheSameRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		source := messy().Draw(rt, "source")
		want, _ := cutAll(t, source, Position{}, Limits{Rows: 2, Final: true})
		var got []row
		at := Position{}
		for seen := 0; seen < len(source); {
			seen = rapid.IntRange(seen+1, len(source)).Draw(rt, "there")
			rows, p := cutAll(t, source[:seen], at, Limits{Rows: 2})
			got, at = append(got, rows...), p.End
			if !p.AtRecordEnd {
				rt.Fatalf("a plan that leaves what is open ends inside a record: %+v", p)
			}
		}
		rows, _ := cutAll(t, source, at, Limits{Rows: 2, Final: true})
		if got = append(got, rows...); !slices.Equal(got, want) {
			rt.Fatalf("in pieces %v\nat once %v", got, want)
		}
	})
}

func TestAFinalPlanTellsWhetherMoreBytesCouldHaveChangedIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		source := messy().Draw(rt, "source")
		more := messy().Draw(rt, "more")
		before, p := cutAll(t, source, Position{}, Limits{Rows: 2, Final: true})
		if !p.AtRecordEnd {
			return
		}
		after, _ := cutAll(t, append(slices.Clone(source), more...), Position{}, Limits{Rows: 2, Final: true})
		if len(after) < len(before) || !slices.Equal(after[:len(before)], before) {
			rt.Fatalf("%q changes the records of %q, which said that it ends at a record's end", more, source)
		}
	})
}

func TestALineOverTheLimitWithoutItsEndIsLeft(t *testing.T) {
	head := record13("x") + "\n"
	source := []byte(head + strings.Repeat("y", 3*MaxRecord))
	rows, p := cutAll(t, source, Position{}, Limits{Rows: 10})
	if len(rows) != 1 || p.End.Offset != int64(len(head)) || !p.AtRecordEnd {
		t.Fatalf("%d rows, %+v", len(rows), p)
	}
	source = append(source, '\n')
	rows, p = cutAll(t, source, p.End, Limits{Rows: 10})
	if len(rows) != 1 || rows[0].problem != problemOverlong || p.End.Offset != int64(len(source)) {
		t.Fatalf("%d rows, %+v", len(rows), p)
	}
}

func TestRangesKeepTheirLimits(t *testing.T) {
	source := []byte(strings.Repeat(record13("x")+"\n", 1000))
	one := int64(len(record13("x")) + 1)
	_, p := cutAll(t, source, Position{}, Limits{Rows: 100, Bytes: 10*one + 1, Final: true})
	if len(p.Ranges) != 100 || p.Ranges[0].Rows != 10 {
		t.Errorf("%d ranges of %d rows", len(p.Ranges), p.Ranges[0].Rows)
	}
	plan, err := Cut(bytes.NewReader(source), Position{}, sha256.New(), Limits{Rows: 100, Ranges: 3, Final: true})
	if err != nil || len(plan.Ranges) != 3 || !plan.More || plan.End.Row != 300 {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestAChangedRangeIsNoticed(t *testing.T) {
	source := []byte(strings.Repeat(record13("x")+"\n", 10))
	plan, err := Cut(bytes.NewReader(source), Position{}, sha256.New(), Limits{Rows: 5, Final: true})
	if err != nil {
		t.Fatal(err)
	}
	rng := plan.Ranges[1]
	for name, changed := range map[string][]byte{
		"a byte":    append(bytes.Repeat([]byte("z"), 1), source[rng.Offset+1:]...),
		"truncated": source[rng.Offset : rng.Offset+rng.Length-1],
		"gone":      nil,
	} {
		s := NewScanner(bytes.NewReader(changed), rng)
		for s.Next() {
		}
		if err := s.Check(); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfReadingAreNotTheEnd(t *testing.T) {
	broken := errors.New("the disk is gone")
	source := func() io.Reader {
		return io.MultiReader(strings.NewReader(record13("x")+"\n"), iotest.ErrReader(broken))
	}
	if _, err := Cut(source(), Position{}, sha256.New(), Limits{Rows: 1, Final: true}); !errors.Is(err, broken) {
		t.Errorf("cut: %v", err)
	}
	s := NewScanner(source(), Range{Length: 1000, FirstRow: 1})
	for s.Next() {
	}
	if !errors.Is(s.Err(), broken) || !errors.Is(s.Check(), broken) {
		t.Errorf("scan: %v", s.Err())
	}
	if _, err := ReadHeader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("header: %v", err)
	}
}

func TestSmallReadsGiveTheSame(t *testing.T) {
	source := []byte(record13("\"a\nb\"") + "\r\n" + record13(`"c`) + "\n" + record13("d") + "\n")
	p, err := Cut(iotest.OneByteReader(bytes.NewReader(source)), Position{}, sha256.New(), Limits{Rows: 1, Final: true})
	if err != nil || len(p.Ranges) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	scanAll(t, source, Position{}, p)
}
