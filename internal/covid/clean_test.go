package covid

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// document is a sound document of 2020-03-15, registered a day later, with one
// value replaced.
func document(field int, value string) *Document {
	d := &Document{
		Key: Key{1, 2, 3}, Version: NewVersion(4, 5), Release: 4, Row: 5, Source: "/data/a.csv",
		Registered: 18337, Values: sampleValues,
	}
	d.Values[field] = value
	return d
}

func clean(t *testing.T, field int, value string) Row {
	t.Helper()
	row, reason := DefaultRules.Clean(document(field, value))
	if reason != "" {
		t.Errorf("%s %q is rejected: %s", Columns[field], value, reason)
	}
	return row
}

func TestCleanKeepsEveryValue(t *testing.T) {
	t.Parallel()
	got := clean(t, FieldTotalCases, "30")
	want := Row{
		Key: Key{1, 2, 3}, Date: 18336, State: "New Mexico", County: "Harding", FIPS: "35021",
		Country: "United States", Alpha2: "US", Alpha3: "USA", Continent: "America", DataSource: "New York Times",
		NewCases: Count{0, true}, NewDeaths: Count{0, true}, TotalCases: Count{30, true}, TotalDeaths: Count{0, true},
		Source: "/data/a.csv", Release: 4, Row: 5,
	}
	if got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
	for field, of := range map[int]func(Row) Count{
		FieldNewCases:    func(r Row) Count { return r.NewCases },
		FieldNewDeaths:   func(r Row) Count { return r.NewDeaths },
		FieldTotalCases:  func(r Row) Count { return r.TotalCases },
		FieldTotalDeaths: func(r Row) Count { return r.TotalDeaths },
	} {
		if got := of(clean(t, field, "77")); got != (Count{77, true}) {
			t.Errorf("%s is %+v", Columns[field], got)
		}
	}
}

func TestCleanCounts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Count{
		"":                          {},
		"  \t":                      {},
		"0":                         {0, true},
		"-0":                        {0, true},
		"007":                       {7, true},
		"+5":                        {5, true},
		" -12\u00a0":                {-12, true},
		"2147483647":                {2147483647, true},
		"-2147483648":               {-2147483648, true},
		"0000000000000000000000042": {42, true},
	} {
		if got := clean(t, FieldNewCases, value).NewCases; got != want {
			t.Errorf("%q is %+v, want %+v", value, got, want)
		}
	}
}

func TestCleanTexts(t *testing.T) {
	t.Parallel()
	if got := clean(t, FieldCounty, " \tDOÑA\u00a0 ANA\n").County; got != "Doña Ana" {
		t.Errorf("county %q", got)
	}
	if got := clean(t, FieldState, "new  mexico").State; got != "New Mexico" {
		t.Errorf("state %q", got)
	}
	if got := clean(t, FieldCountry, "  KOREA,  NORTH ").Country; got != "KOREA, NORTH" {
		t.Errorf("country %q: its case is the source's", got)
	}
	if got := clean(t, FieldFIPS, " 01001 ").FIPS; got != "01001" {
		t.Errorf("FIPS %q", got)
	}
	if got := clean(t, FieldAlpha2, "NA").Alpha2; got != "NA" {
		t.Errorf("alpha-2 %q", got)
	}
	for _, field := range []int{FieldCounty, FieldState, FieldFIPS, FieldAlpha2, FieldAlpha3, FieldContinent, FieldDataSource} {
		clean(t, field, " ")
	}
}

func TestCleanDates(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"2019-12-01": "2019-12-01", " 2020-02-29\t": "2020-02-29", "2020-03-18": "2020-03-18",
	} {
		if got := clean(t, FieldDate, value).Date.String(); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

func TestCleanRejects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 61)
	for _, tt := range []struct {
		field         int
		value, reason string
	}{
		{FieldNewCases, "3.7", `PEOPLE_POSITIVE_NEW_CASES_COUNT is not a whole number: "3.7"`},
		{FieldNewCases, "1e3", `PEOPLE_POSITIVE_NEW_CASES_COUNT is not a whole number: "1e3"`},
		{FieldNewDeaths, "12a", `PEOPLE_DEATH_NEW_COUNT is not a whole number: "12a"`},
		{FieldNewDeaths, "99999999999", `PEOPLE_DEATH_NEW_COUNT is beyond what a 32-bit number holds: "99999999999"`},
		{FieldTotalCases, "2147483648", `PEOPLE_POSITIVE_CASES_COUNT is beyond what a 32-bit number holds: "2147483648"`},
		{FieldTotalCases, "-2147483649", `PEOPLE_POSITIVE_CASES_COUNT is beyond what a 32-bit number holds: "-2147483649"`},
		{FieldTotalDeaths, "99999999999999999999x", `PEOPLE_DEATH_COUNT is not a whole number: "99999999999999999999x"`},
		{FieldTotalDeaths, "1 2", `PEOPLE_DEATH_COUNT is not a whole number: "1 2"`},
		{FieldTotalDeaths, "-", `PEOPLE_DEATH_COUNT is not a whole number: "-"`},
		{FieldTotalDeaths, "--5", `PEOPLE_DEATH_COUNT is not a whole number: "--5"`},
		{FieldTotalDeaths, "1_000", `PEOPLE_DEATH_COUNT is not a whole number: "1_000"`},
		{FieldTotalDeaths, "1,000", `PEOPLE_DEATH_COUNT is not a whole number: "1,000"`},
		{FieldTotalDeaths, "٣", `PEOPLE_DEATH_COUNT is not a whole number: "٣"`},
		{FieldTotalDeaths, "\u22125", `PEOPLE_DEATH_COUNT is not a whole number: "` + "\u2212" + `5"`},
		{FieldTotalDeaths, "NaN", `PEOPLE_DEATH_COUNT is not a whole number: "NaN"`},
		{FieldTotalDeaths, long, `PEOPLE_DEATH_COUNT is not a whole number: "` + long[:2*60] + `"...`},
		{FieldTotalDeaths, long[2:], `PEOPLE_DEATH_COUNT is not a whole number: "` + long[2:] + `"`},
		{FieldDate, "2022-02-30", `REPORT_DATE is not a date (YYYY-MM-DD): "2022-02-30"`},
		{FieldDate, "", `REPORT_DATE is not a date (YYYY-MM-DD): ""`},
		{FieldDate, "3/15/2020", `REPORT_DATE is not a date (YYYY-MM-DD): "3/15/2020"`},
		{FieldDate, "2019-11-30", `REPORT_DATE lies before 2019-12-01: "2019-11-30"`},
		{FieldDate, "2020-03-19", `REPORT_DATE lies more than 2 days after the day it was ingested (2020-03-16): "2020-03-19"`},
		{FieldCountry, " ", `COUNTRY_SHORT_NAME is blank`},
		{FieldCounty, "a\x00b", `COUNTY_NAME holds a NUL or is not UTF-8: "a\x00b"`},
		{FieldCounty, strings.Repeat("Ⱥ", 400), `COUNTY_NAME is over 1 kB as a name: "Ⱥ` + strings.Repeat("ⱥ", 59) + `"...`}, // 800 bytes become 1,199
		{FieldState, strings.Repeat("Ⱥ", 400), `PROVINCE_STATE_NAME is over 1 kB as a name: "Ⱥ` + strings.Repeat("ⱥ", 59) + `"...`},
		{FieldDataSource, "a\xff", `DATA_SOURCE_NAME holds a NUL or is not UTF-8: "a\xff"`},
	} {
		row, reason := DefaultRules.Clean(document(tt.field, tt.value))
		if reason != tt.reason {
			t.Errorf("%s %q: reason %s, want %s", Columns[tt.field], tt.value, reason, tt.reason)
		}
		if row != (Row{}) {
			t.Errorf("%s %q: rejected with the row %+v", Columns[tt.field], tt.value, row)
		}
	}
}

func TestRulesAreInputs(t *testing.T) {
	t.Parallel()
	rules := Rules{Earliest: 18336, DaysAhead: 0}
	for value, sound := range map[string]bool{
		"2020-03-14": false, "2020-03-15": true, "2020-03-16": true, "2020-03-17": false,
	} {
		if _, reason := rules.Clean(document(FieldDate, value)); (reason == "") != sound {
			t.Errorf("%s: %q", value, reason)
		}
	}
}

var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+$`)

// TestParseCountIsAsDefined holds parseCount against math/big.
func TestParseCountIsAsDefined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[+-]?0{0,3}[0-9]{0,12}|[+-]?21474836[0-9]{2}|[-+0-9.eE_ x]{1,8}`).Draw(t, "count")
		checkCount(t, s)
	})
}

func FuzzParseCount(f *testing.F) {
	for _, s := range []string{"0", "-2147483648", "2147483648", "1e3", "+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkCount(t, s) })
}

func checkCount(t rapid.TB, s string) {
	if s == "" {
		return
	}
	got, err := parseCount(s)
	if !wholeNumber.MatchString(s) {
		if !errors.Is(err, errNotWhole) {
			t.Fatalf("parseCount(%q) = %d, %v", s, got, err)
		}
		return
	}
	want, _ := new(big.Int).SetString(s, 10)
	if inRange := want.IsInt64() && want.Int64() == int64(int32(want.Int64())); !inRange {
		if !errors.Is(err, errOutOfRange) {
			t.Fatalf("parseCount(%q) = %d, %v", s, got, err)
		}
		return
	}
	if err != nil || int64(got) != want.Int64() {
		t.Fatalf("parseCount(%q) = %d, %v; want %s", s, got, err, want)
	}
}

// FuzzClean: whatever a document holds, it gives either a row that the
// warehouse can hold or a reason that is one line of text.
func FuzzClean(f *testing.F) {
	f.Add("2020-03-15", "Harding", "United States", "12")
	f.Add("2020-03-15", "a\x00", "\xff", "1e3")
	f.Fuzz(func(t *testing.T, date, county, country, count string) {
		d := document(FieldDate, date)
		d.Values[FieldCounty], d.Values[FieldCountry], d.Values[FieldNewDeaths] = county, country, count
		row, reason := DefaultRules.Clean(d)
		if reason != "" {
			if !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
				t.Fatalf("reason %q is not one line of text", reason)
			}
			return
		}
		if row.Country == "" || row.Date < DefaultRules.Earliest || row.Date > d.Registered+2 {
			t.Fatalf("row %+v", row)
		}
		for _, text := range []string{row.County, row.Country} {
			if again, ok := tidy(text); !ok || again != text {
				t.Fatalf("row has the text %q", text)
			}
		}
	})
}

func TestCleanDoesNotAllocate(t *testing.T) {
	d := document(FieldTotalCases, "30")
	if n := testing.AllocsPerRun(100, func() { DefaultRules.Clean(d) }); n != 0 {
		t.Errorf("%v allocations a document", n)
	}
}

func BenchmarkClean(b *testing.B) {
	for name, county := range map[string]string{
		"ordinary": "Los Angeles", "accents": "Doña Ana", "spaces": " Los  Angeles", "upper": "LOS ANGELES",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			d := document(FieldCounty, county)
			for b.Loop() {
				DefaultRules.Clean(d)
			}
		})
	}
}
