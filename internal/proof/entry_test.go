package proof

import (
	"math"
	"testing"

	"covidpipeline/internal/covid"

	"pgregory.net/rapid"
)

func TestEntryOnFile(t *testing.T) {
	t.Parallel()
	count := rapid.Custom(func(t *rapid.T) covid.Count {
		return covid.Count{N: rapid.Int32().Draw(t, "n"), Known: rapid.Bool().Draw(t, "known")}
	})
	sum := rapid.Custom(func(t *rapid.T) covid.Sum {
		return covid.Sum{rapid.Uint64().Draw(t, "high"), rapid.Uint64().Draw(t, "low")}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := Entry{
			Key:      covid.Key(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")),
			Version:  covid.Version(rapid.Int64Range(0, math.MaxInt64).Draw(t, "version")),
			Values:   sum.Draw(t, "values"),
			Row:      sum.Draw(t, "row"),
			Rejected: rapid.Bool().Draw(t, "rejected"),
			Retired:  rapid.Bool().Draw(t, "retired"),
			Origin:   Origin(rapid.Byte().Draw(t, "origin")),
			Source:   rapid.Uint32().Draw(t, "source"),
			Foreign:  rapid.Bool().Draw(t, "foreign"),
			Date:     covid.Date(rapid.Int32().Draw(t, "date")),

			Registered: rapid.Bool().Draw(t, "registered"),
			HasDate:    rapid.Bool().Draw(t, "has date"),
			NewCases:   count.Draw(t, "new cases"),
			NewDeaths:  count.Draw(t, "new deaths"),
		}
		b := want.append(nil)
		if len(b) != entrySize {
			t.Fatalf("%d bytes, want %d", len(b), entrySize)
		}
		got := Entry{Version: 1, Retired: true, HasDate: true} // what was in the slot before
		got.decode(b)
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func document() covid.Document {
	d := covid.Document{Key: covid.Key{1, 2, 3}, Version: covid.NewVersion(2, 7), Release: 2, Row: 7,
		Source: "/data/activity.csv", Registered: day + 1}
	for field, value := range map[int]string{
		covid.FieldDate: " 2022-04-29", covid.FieldCountry: "United States", covid.FieldState: "NEW YORK",
		covid.FieldCounty: "Kings", covid.FieldFIPS: "36047", covid.FieldNewCases: "-12", covid.FieldTotalCases: "900",
	} {
		d.Values[field] = value
	}
	return d
}

// A document and the row that is made of it are the same entry to the
// comparison, wherever it reads them.
func TestOfDocument(t *testing.T) {
	t.Parallel()
	d := document()
	row, reason := covid.DefaultRules.Clean(&d)
	if reason != "" {
		t.Fatal(reason)
	}
	got, stored := OfDocument(&d, covid.DefaultRules), OfRow(&row)
	want := Entry{Key: d.Key, Version: d.Version, Values: covid.HashValues(&d.Values), Row: covid.HashRow(&row),
		Date: day, HasDate: true, NewCases: covid.Count{N: -12, Known: true}}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	stored.Values = want.Values
	if stored != want {
		t.Errorf("the row gives %+v, want %+v", stored, want)
	}
	d.Retired = true
	if !OfDocument(&d, covid.DefaultRules).Retired {
		t.Error("a retired document is not a retired entry")
	}
}

func TestOfRejectedDocument(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		field   int
		value   string
		hasDate bool
	}{
		"bad count":      {covid.FieldNewCases, "3.7", true},
		"blank country":  {covid.FieldCountry, " ", true},
		"no such day":    {covid.FieldDate, "2022-02-30", false},
		"before the day": {covid.FieldDate, "2019-11-30", false},
		"too far ahead":  {covid.FieldDate, "2022-05-03", false},
	} {
		d := document()
		d.Values[test.field] = test.value
		want := Entry{Key: d.Key, Version: d.Version, Values: covid.HashValues(&d.Values), Rejected: true}
		if test.hasDate {
			want.Date, want.HasDate = day, true
		}
		if got := OfDocument(&d, covid.DefaultRules); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}
