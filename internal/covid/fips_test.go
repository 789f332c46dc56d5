package covid

import (
	"testing"

	"pgregory.net/rapid"
)

// county is a record of Autauga, Alabama, in one of the ways in which a country is
// named.
func county(country, alpha2, alpha3, fips string) *Fields {
	return with(keyed("2021-01-05", country, alpha3, "Alabama", "Autauga", fips), FieldAlpha2, alpha2)
}

func cleanCounty(t *testing.T, f *Fields) Row {
	t.Helper()
	d := document(FieldDate, "2020-03-15")
	for _, i := range [...]int{FieldCountry, FieldAlpha2, FieldAlpha3, FieldState, FieldCounty, FieldFIPS} {
		d.Values[i] = string(f[i])
	}
	row, reason := DefaultRules.Clean(d)
	if reason != "" {
		t.Fatalf("%s is rejected: %s", f, reason)
	}
	return row
}

func TestShortFIPSOfTheUnitedStates(t *testing.T) {
	t.Parallel()
	var k Keyer
	for _, tt := range []struct {
		country, alpha2, alpha3, fips, want string
	}{
		{"United States", "US", "USA", "1001", "01001"},
		{"United States", "US", "USA", " 1001\t", "01001"},
		{"US", "us", "", "1001", "01001"},
		{"America", "", " Usa", "1001", "01001"},
		{" UNITED  states", "", "", "1001", "01001"},
		{"United States", "US", "USA", "01001", "01001"},
		{"United States", "US", "USA", "101", "101"},
		{"United States", "US", "USA", "1 01", "1 01"},
		{"United States", "US", "USA", "100A", "100A"},
		{"United States", "US", "USA", "１001", "１001"},
		{"United States", "US", "USA", "", ""},
		{"Peru", "PE", "PER", "1001", "1001"},
		{"United States Minor Outlying Islands", "UM", "UMI", "1001", "1001"},
	} {
		written, complete := county(tt.country, tt.alpha2, tt.alpha3, tt.fips), county(tt.country, tt.alpha2, tt.alpha3, tt.want)
		if k.Key(written) != k.Key(complete) {
			t.Errorf("%+v: another key than with the FIPS %q", tt, tt.want)
		}
		if got := cleanCounty(t, written).FIPS; got != tt.want {
			t.Errorf("%+v: FIPS %q", tt, got)
		}
	}
	if k.Key(county("Peru", "PE", "PER", "1001")) == k.Key(county("Peru", "PE", "PER", "01001")) {
		t.Error("1001 and 01001 of another country have one key")
	}
}

// The key and the row complete the same FIPS: otherwise two rows of one county and
// day stand in the warehouse, or one row under two FIPS.
func TestKeyAndRowCompleteTheSameFIPS(t *testing.T) {
	t.Parallel()
	name := rapid.SampledFrom([]string{"", "us", "US ", "usa", "\u00a0USA", "United\u2003States", "united states", "UNITED STATEſ", "Peru", "U S"})
	fips := rapid.StringMatching(`[0-9 ]{3,6}|[0-9]{3}[0-9a٣]`)
	rapid.Check(t, func(rt *rapid.T) {
		country := name.Draw(rt, "country")
		if country == "" {
			country = "Peru"
		}
		f := county(country, name.Draw(rt, "alpha2"), name.Draw(rt, "alpha3"), fips.Draw(rt, "FIPS"))
		row := cleanCounty(t, f)
		var k Keyer
		key := k.Key(f)
		f[FieldFIPS] = []byte(row.FIPS)
		if k.Key(f) != key {
			rt.Fatalf("%q: the key is not that of the row's FIPS %q", *f, row.FIPS)
		}
	})
}

func BenchmarkShortFIPS(b *testing.B) {
	f := county("United States", "US", "USA", "1001")
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		var k Keyer
		for b.Loop() {
			k.Key(f)
		}
	})
	b.Run("clean", func(b *testing.B) {
		b.ReportAllocs()
		d := document(FieldFIPS, "1001")
		for b.Loop() {
			DefaultRules.Clean(d)
		}
	})
}
