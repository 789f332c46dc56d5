package sample

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"covidpipeline/internal/covid"
)

func TestSampleStaysTheSame(t *testing.T) {
	t.Parallel()
	hash := sha256.New()
	if err := Write(hash, DefaultRows); err != nil {
		t.Fatal(err)
	}
	const want = "8ab4279d2db8fb2cda6eb50ffc556db158a058fec17b2778fba689d7e7f9e403"
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("the default sample's SHA-256 is %s, want %s", got, want)
	}
}

// TestFacts reads samples with what the pipeline reads them with, record by
// record, and counts what Describe tells without reading.
func TestFacts(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{0, 1, 60, 1000, 5000, 20_001, DefaultRows} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			t.Parallel()
			got, want := read(t, rows), Describe(rows)
			if !reflect.DeepEqual(got.States, want.States) || !reflect.DeepEqual(got.Counties, want.Counties) {
				t.Errorf("sums by county or state differ: %d and %d read, %d and %d described",
					len(got.Counties), len(got.States), len(want.Counties), len(want.States))
			}
			got.Counties, got.States, want.Counties, want.States = nil, nil, nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v, described %+v", got, want)
			}
			if want.Records != rows || want.Records != want.Documents+want.Superseded+want.Quarantined ||
				want.Documents != want.Rows+want.Rejected {
				t.Errorf("the facts contradict each other: %+v", want)
			}
		})
	}
}

// read makes the facts of a sample from its lines.
func read(t *testing.T, rows int) Facts {
	t.Helper()
	f := Facts{}
	documents := make(map[covid.Key]*covid.Document)
	for r := range records(rows) {
		f.Records++
		fields, problem := parse(r.line())
		if problem != "" {
			f.Quarantined++
			continue
		}
		var k covid.Keyer
		key := k.Key(fields)
		if documents[key] != nil {
			f.Superseded++
		}
		d := &covid.Document{Key: key, Registered: lastDay}
		for i, v := range fields {
			d.Values[i] = string(v)
		}
		documents[key] = d
	}
	f.Documents = len(documents)
	counties, states := make(map[County]int64), make(map[string]int64)
	for _, d := range documents {
		row, reason := covid.DefaultRules.Clean(d)
		if reason != "" {
			f.Rejected++
			continue
		}
		countRow(&f, &row)
		if row.County != "" {
			counties[County{State: row.State, County: row.County}] += int64(row.NewCases.N)
			states[row.State] += int64(row.NewDeaths.N)
		}
	}
	f.Counties, f.States = sortSums(counties, states)
	return f
}

func countRow(f *Facts, row *covid.Row) {
	f.Rows++
	f.NewCases += int64(row.NewCases.N)
	f.NewDeaths += int64(row.NewDeaths.N)
	if row.NewCases.N < 0 {
		f.NegativeNewCases++
	}
	if !row.NewDeaths.Known {
		f.BlankNewDeaths++
	}
	if f.First == 0 || row.Date < f.First {
		f.First = row.Date
	}
	f.Latest = max(f.Latest, row.Date)
}

// parse reads one record, with the CSV reader of the standard library where it
// takes more than cutting at the commas.
func parse(line string) (*covid.Fields, string) {
	if !utf8.ValidString(line) || strings.Contains(line, "\x00") {
		return nil, "not text"
	}
	values := strings.Split(line, ",")
	if strings.Contains(line, `"`) {
		records, err := csv.NewReader(strings.NewReader(line)).ReadAll()
		if err != nil || len(records) != 1 {
			return nil, "not one record"
		}
		values = records[0]
	}
	if len(values) != covid.NumFields {
		return nil, "not 13 fields"
	}
	fields := new(covid.Fields)
	for i, v := range values {
		fields[i] = []byte(v)
	}
	return fields, covid.KeyProblem(fields)
}

// TestQuirks: the small sample of a test has all that the big one has.
func TestQuirks(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{1000, DefaultRows} {
		var b bytes.Buffer
		if err := Write(&b, rows); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		for name, want := range map[string]string{
			"header":               "PEOPLE_POSITIVE_CASES_COUNT,COUNTY_NAME,PROVINCE_STATE_NAME,REPORT_DATE,CONTINENT_NAME,",
			"county Unknown":       ",Unknown,Alabama,",
			"blank FIPS":           ",New York Times,0,,USA,",
			"leading zero":         ",06001,",
			"quoted comma":         `,"Korea, North",KP,`,
			"alpha-2 code NA":      ",NAM,Namibia,NA,",
			"no codes":             ",,,MS Zaandam,,",
			"no codes either":      ",,,Diamond Princess,,",
			"country, no county":   ",,,2022-05-31,Africa,",
			"accents":              ",Añasco,Puerto Rico,",
			"blank deaths":         ",New York Times,,72011,USA,United States,US,",
			"negative":             ",-",
			"plus sign":            "\n+",
			"leading zeros":        "\n00",
			"spaces":               "\n ",
			"upper case":           ",UNKNOWN,",
			"quoted line break":    "\n\",",
			"not a number":         ",12a,",
			"fraction":             ",3.7,",
			"exponent":             ",1e3,",
			"too big":              "\n99999999999,",
			"impossible date":      ",2022-02-30,",
			"date of the future":   ",2999-12-31,",
			"date long past":       ",1922-05-31,",
			"open quote":           `,"Saint `,
			"quotes inside":        `,Saint "Old" `,
			"invalid UTF-8":        "Do\xf1a Ana",
			"NUL":                  "\x00",
			"blank date":           ", ,America,",
			"blank country":        ",USA,,US,",
			"a field too many":     ",0\n",
			"last day of a county": ",2022-05-31,America,",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%d rows: %s: no %q", rows, name, want)
			}
		}
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("%d rows: the last line has no end", rows)
		}
	}
}

// TestGroupedByCounty: each place's sound rows stand together, and so the rows
// are not in the order of their dates.
func TestGroupedByCounty(t *testing.T) {
	t.Parallel()
	seen := make(map[*place]bool)
	var current *place
	for r := range records(5000) {
		if r.fate == broken || r.place == current {
			continue
		}
		if seen[r.place] {
			t.Fatalf("%s, %s, %s comes back", r.place.county, r.place.state, r.place.country)
		}
		seen[r.place], current = true, r.place
	}
	if len(seen) < fewPlaces {
		t.Errorf("5000 rows are of %d places, want %d or more", len(seen), fewPlaces)
	}
}

func TestDaysOfHistory(t *testing.T) {
	t.Parallel()
	for rows, want := range map[int]int{100: 7, 1000: 12, 20_000: 140, DefaultRows: 140, 101_000: 141} {
		f := Describe(rows)
		if got := int(f.Latest-f.First) + 1; got != want || f.Latest.String() != "2022-05-31" {
			t.Errorf("%d rows have %d days up to %s, want %d", rows, got, f.Latest, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	names, numbers := make(map[string]bool), make(map[string]bool)
	fips := make(map[string]string)
	for _, p := range places() {
		name := p.county + "|" + p.state + "|" + p.country
		if names[name] || p.fips != "" && numbers[p.fips] {
			t.Errorf("%s (%s) is there twice", name, p.fips)
		}
		names[name], numbers[p.fips] = true, true
		fips[p.county+", "+p.state] = p.fips
		if p.fips != "" && len(p.fips) != 5 {
			t.Errorf("%s has the FIPS number %q", name, p.fips)
		}
	}
	// The first and last of states whose numbers do not simply count on.
	for name, want := range map[string]string{
		"Autauga, Alabama": "01001", "Los Angeles, California": "06037", "Cook, Illinois": "17031",
		"Doña Ana, New Mexico": "35013", "Los Alamos, New Mexico": "35028", "Valencia, New Mexico": "35061",
		"Añasco, Puerto Rico": "72011", "Aibonito, Puerto Rico": "72009", "Arecibo, Puerto Rico": "72013",
		"Florida, Puerto Rico": "72054", "Yauco, Puerto Rico": "72153", "O'Brien, Iowa": "19141",
		"Yakima, Washington": "53077", "New York, New York": "36061", "Windham, Connecticut": "09015",
		"Unknown, Alabama": "",
	} {
		if got, ok := fips[name]; !ok || got != want {
			t.Errorf("%s has the FIPS number %q, want %q", name, got, want)
		}
	}
}

func TestRefusedSizes(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{-1, 100_000_000} {
		if err := Write(io.Discard, rows); err == nil {
			t.Errorf("%d rows are taken", rows)
		}
	}
}

type brokenWriter struct{ room int }

var errFull = errors.New("disk full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteReportsErrors(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 100_000} {
		if err := Write(&brokenWriter{room: room}, 10_000); !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
}
