package covid

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// keyed are the fields of a record whose key fields are given in the order in
// which they are hashed; all other fields are blank.
func keyed(date, country, alpha3, state, county, fips string) *Fields {
	return &Fields{
		FieldDate: []byte(date), FieldCountry: []byte(country), FieldAlpha3: []byte(alpha3),
		FieldState: []byte(state), FieldCounty: []byte(county), FieldFIPS: []byte(fips),
	}
}

// TestKeyStaysTheSame pins the ids of stored documents. The values were made by
// another implementation (Python's casefold, unicodedata and hashlib).
func TestKeyStaysTheSame(t *testing.T) {
	t.Parallel()
	var k Keyer
	for _, tt := range []struct {
		fields *Fields
		want   string
	}{
		{keyed("2022-04-29", "United States", "USA", "California", "Los Angeles", "06037"), "fSWF1ZMrxAJbZDRhOdlefQ"},
		{keyed("2022-04-29", "United States", "USA", "New Mexico", "Doña Ana", "35013"), "kJjpKsbH0GSB_6aYzkJPvg"},
		{keyed("2022-04-29", "Korea, North", "PRK", "", "", ""), "83iwo-CBWlLFtMG0t3eC7w"},
		{keyed("2022-04-29", "Deutschland", "DEU", "Straße  ΆΣ", "", ""), "DAJhkLdsqlxkX59lf6Pqng"},
	} {
		if got := k.Key(tt.fields).ID(); got != tt.want {
			t.Errorf("Key(%s) = %s, want %s", bytes.Join(tt.fields[:], []byte("|")), got, tt.want)
		}
	}
}

func TestKeyIgnoresSpelling(t *testing.T) {
	t.Parallel()
	var k Keyer
	want := k.Key(keyed("2022-04-29", "United States", "USA", "New Mexico", "Doña Ana", "35013"))
	for name, fields := range map[string]*Fields{
		"white space":        keyed(" 2022-04-29", "United\tStates\n", "USA ", "New  Mexico", " Doña\r\nAna", "35013"),
		"no-break space":     keyed("2022-04-29", "United\u00a0States", "USA", "New\u2003Mexico", "Doña\u0085Ana", "35013"),
		"upper case":         keyed("2022-04-29", "UNITED STATES", "USA", "NEW MEXICO", "DOÑA ANA", "35013"),
		"lower case":         keyed("2022-04-29", "united states", "usa", "new mexico", "doña ana", "35013"),
		"decomposed":         keyed("2022-04-29", "United States", "USA", "New Mexico", "Don\u0303a Ana", "35013"),
		"upper, decomposed":  keyed("2022-04-29", "United States", "USA", "New Mexico", "DON\u0303A ANA", "35013"),
		"with other fields":  with(keyed("2022-04-29", "United States", "USA", "New Mexico", "Doña Ana", "35013"), FieldNewCases, "7"),
		"another continent":  with(keyed("2022-04-29", "United States", "USA", "New Mexico", "Doña Ana", "35013"), FieldContinent, "America"),
		"another short code": with(keyed("2022-04-29", "United States", "USA", "New Mexico", "Doña Ana", "35013"), FieldAlpha2, "US"),
	} {
		if got := k.Key(fields); got != want {
			t.Errorf("%s: key %s, want %s", name, got.ID(), want.ID())
		}
	}
}

func with(f *Fields, field int, value string) *Fields {
	f[field] = []byte(value)
	return f
}

func TestKeyTellsRecordsApart(t *testing.T) {
	t.Parallel()
	var k Keyer
	seen := make(map[Key]string)
	for _, shown := range []string{
		"2022-04-29|United States|USA|New Mexico|Dona Ana|35013",
		"2022-04-29|United States|USA|New Mexico|Doña Ana|35013",
		"2022-04-29|United States|USA|New Mexico|Doña Ana|",
		"2022-04-29|United States|USA|New Mexico|DoñaAna|35013",
		"2022-04-28|United States|USA|New Mexico|Doña Ana|35013",
		"2022-04-29|Diamond Princess||||",
		"2022-04-29|MS Zaandam||||",
		"2022-04-29|||MS Zaandam||",
		"2022-04-29||||MS Zaandam|",
		"2022-04-29|A|BC|||",
		"2022-04-29|AB|C|||",
		"2022-04-29|A||||35013",
		"2022-04-29|A||||5013",
	} {
		f := strings.Split(shown, "|")
		key := k.Key(keyed(f[0], f[1], f[2], f[3], f[4], f[5]))
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the same key", shown, other)
		}
		seen[key] = shown
	}
}

// anyText is text that is rich in what makes canonical forms hard: white space
// of all kinds, letters that fold to several, marks that compose and reorder.
var anyText = rapid.OneOf(
	rapid.StringN(0, 20, -1),
	rapid.StringOfN(rapid.RuneFrom([]rune(" \t\u00a0\u2003aAzZ09.'-")), 0, 20, -1),
	rapid.StringOfN(rapid.RuneFrom([]rune(" aAnNñÑßẞſİıΣσςΐŉǰᾳKÅﬃ\u0301\u0303\u0307\u0323\u0345ͅ한\u1100\u1161")), 0, 20, -1),
	rapid.StringOfN(rapid.RuneFrom(nil, unicode.Lu, unicode.Lt, unicode.Mn, unicode.White_Space), 0, 80, -1),
	rapid.StringOfN(rapid.RuneFrom([]rune("a\u0301\u0323\u0345")), 0, 120, -1),
)

// reference is the definition of the canonical form, without a fast path.
func reference(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	folded := cases.Fold().String(norm.NFD.String(s))
	return norm.NFC.String(strings.Map(foldCherokee, folded))
}

func TestCanonicalFormIsAsDefined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText.Draw(t, "text")
		got := string(appendCanonical([]byte("before"), []byte(text)))
		if want := "before" + reference(text); got != want {
			t.Fatalf("canonical form %q, want %q", got, want)
		}
	})
}

func TestCanonicalFormIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := appendCanonical(nil, []byte(anyText.Draw(t, "text")))
		if twice := appendCanonical(nil, once); !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q", once, twice)
		}
	})
}

func TestCanonicalFormOfEveryLetter(t *testing.T) {
	t.Parallel()
	const lastCased = 0x1FFFF // no letter behind the second plane has a case
	for r := rune(0); r <= lastCased; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		text := "a" + string(r) + "b"
		once := string(appendCanonical(nil, []byte(text)))
		if want := reference(text); once != want {
			t.Fatalf("%U: %q, want %q", r, once, want)
		}
		if twice := string(appendCanonical(nil, []byte(once))); twice != once {
			t.Fatalf("%U: %q becomes %q", r, once, twice)
		}
	}
}

// TestKeyIsInjective holds two records against each other: their keys are equal
// exactly when all six canonical fields are.
func TestKeyIsInjective(t *testing.T) {
	t.Parallel()
	// Few letters, so that fields often run together to the same bytes.
	short := rapid.StringOfN(rapid.RuneFrom([]rune("aAb \x00")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		var a, b Fields
		same := true
		for _, i := range keyFields {
			a[i] = []byte(short.Draw(t, "a"))
			b[i] = a[i]
			if rapid.Bool().Draw(t, "other") {
				b[i] = []byte(short.Draw(t, "b"))
			}
			same = same && reference(string(a[i])) == reference(string(b[i]))
		}
		var k Keyer
		if got := k.Key(&a) == k.Key(&b); got != same {
			t.Fatalf("equal keys: %v, equal fields: %v", got, same)
		}
	})
}

func TestKeyerKeepsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var used Keyer
		for range 3 {
			f := keyed(anyText.Draw(t, "date"), anyText.Draw(t, "country"), "", anyText.Draw(t, "state"), "", "")
			var fresh Keyer
			if used.Key(f) != fresh.Key(f) {
				t.Fatal("the key depends on the record before")
			}
		}
	})
}

func TestKeyDoesNotAllocate(t *testing.T) {
	var k Keyer
	f := keyed("2022-04-29", "United States", "USA", "California", "Los Angeles", "06037")
	k.Key(f)
	if n := testing.AllocsPerRun(100, func() { k.Key(f) }); n != 0 {
		t.Errorf("%v allocations a key", n)
	}
}

func TestKeyProblem(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", MaxKeyField)
	for _, tt := range []struct {
		name   string
		fields *Fields
		want   string
	}{
		{"sound", keyed("2022-04-29", "Namibia", "NAM", "", "", ""), ""},
		{"at the limit", keyed("2022-04-29", "Namibia", "", full, full, full), ""},
		{"not a date", keyed("yesterday", "Namibia", "", "", "", ""), ""},
		{"blank date", keyed("", "Namibia", "", "", "", ""), "REPORT_DATE is blank"},
		{"date of spaces", keyed(" \t\u00a0", "Namibia", "", "", "", ""), "REPORT_DATE is blank"},
		{"blank country", keyed("2022-04-29", "  ", "NAM", "", "", ""), "COUNTRY_SHORT_NAME is blank"},
		{"long county", keyed("2022-04-29", "Namibia", "", "", full+"x", ""), "COUNTY_NAME is over 1 kB"},
		{"long FIPS", keyed("2022-04-29", "Namibia", "", "", "", full+"x"), "COUNTY_FIPS_NUMBER is over 1 kB"},
		{"long date", keyed(full+"x", "Namibia", "", "", "", ""), "REPORT_DATE is over 1 kB"},
		{"long continent", with(keyed("2022-04-29", "Namibia", "", "", "", ""), FieldContinent, full+"x"), ""},
	} {
		if got := KeyProblem(tt.fields); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSizeProblem(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", MaxField)
	sound := func() *Fields { return keyed("2022-04-29", "Namibia", "", "", "", "") }
	for _, tt := range []struct {
		fields *Fields
		want   string
	}{
		{sound(), ""},
		{with(sound(), FieldContinent, full), ""},
		{with(sound(), FieldContinent, full+"x"), "CONTINENT_NAME is over 64 kB"},
		{with(sound(), FieldTotalDeaths, full+"x"), "PEOPLE_DEATH_COUNT is over 64 kB"},
	} {
		if got := SizeProblem(tt.fields); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("2022-04-29", "United States", "New Mexico", "Doña Ana")
	f.Add(" 2022-04-29", "KOREA,  NORTH", "", "\xff\xfe")
	f.Fuzz(func(t *testing.T, date, country, state, county string) {
		var k Keyer
		fields := keyed(date, country, "", state, county, "")
		key := k.Key(fields)
		id, err := ParseID(key.ID())
		if err != nil || id != key {
			t.Fatalf("ParseID(%q) = %v, %v", key.ID(), id, err)
		}
		canonical := keyed(reference(date), reference(country), "", reference(state), reference(county), "")
		if k.Key(canonical) != key {
			t.Fatalf("the canonical record has another key: %q", canonical)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	for name, county := range map[string]string{"ascii": "Los Angeles", "accents": "Doña Ana"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var k Keyer
			f := keyed("2022-04-29", "United States", "USA", "California", county, "06037")
			for b.Loop() {
				k.Key(f)
			}
		})
	}
}
