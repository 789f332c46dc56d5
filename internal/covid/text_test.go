package covid

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestProperName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want string }{
		// Spellings of the real file and of other sources: they stay.
		{"Los Angeles", "Los Angeles"}, {"District of Columbia", "District of Columbia"},
		{"Baltimore city", "Baltimore city"}, {"DeKalb", "DeKalb"}, {"LaSalle", "LaSalle"},
		{"Doña Ana", "Doña Ana"}, {"Out of NY", "Out of NY"}, {"McLEAN", "McLEAN"},
		{"", ""}, {"123", "123"}, {"東京", "東京"}, {"NY", "NY"}, {"ÅL", "ÅL"}, {"D", "D"},
		// All upper or all lower.
		{"LOS ANGELES", "Los Angeles"}, {"los angeles", "Los Angeles"},
		{"DISTRICT OF COLUMBIA", "District of Columbia"}, {"district of columbia", "District of Columbia"},
		{"DE WITT", "De Witt"}, {"de witt", "De Witt"}, {"THE DALLES", "The Dalles"},
		{"FOND DU LAC", "Fond du Lac"}, {"LAC QUI PARLE", "Lac qui Parle"}, {"ISLE OF WIGHT", "Isle of Wight"},
		{"LAKE OF THE WOODS", "Lake of the Woods"}, {"KING AND QUEEN", "King and Queen"},
		{"bristol bay plus lake and peninsula", "Bristol Bay plus Lake and Peninsula"},
		{"o'brien", "O'Brien"}, {"O’BRIEN", "O’Brien"}, {"d'iberville", "D'Iberville"},
		{"QUEEN ANNE'S", "Queen Anne's"}, {"prince george's", "Prince George's"}, {"ST. MARY'S", "St. Mary's"},
		{"MCLEAN", "McLean"}, {"mcdonough", "McDonough"}, {"MACON", "Macon"}, {"MACKINAC", "Mackinac"},
		{"MIAMI-DADE", "Miami-Dade"}, {"PRINCE OF WALES-HYDER", "Prince of Wales-Hyder"},
		{"DOÑA ANA", "Doña Ana"}, {"DON\u0303A ANA", "Don\u0303a Ana"}, {"añasco", "Añasco"}, {"ÅLAND", "Åland"},
		{"u.s. virgin islands", "U.S. Virgin Islands"}, {"1ST DISTRICT", "1st District"}, {"(UNKNOWN)", "(Unknown)"},
		{"ny", "Ny"}, {"ADA", "Ada"}, {"straße", "Straße"}, {"ǆ", "ǅ"},
	} {
		if got := properName(tt.name); got != tt.want {
			t.Errorf("properName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestProperNameIsIdempotent(t *testing.T) {
	t.Parallel()
	words := rapid.StringOfN(rapid.RuneFrom([]rune("aAbBcCmMoOñÑ'’-. 1\u0301ǆß")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		name, _ := tidy(rapid.OneOf(words, anyText).Draw(t, "name"))
		once := properName(name)
		if twice := properName(once); twice != once {
			t.Fatalf("%q becomes %q, then %q", name, once, twice)
		}
		if caseless(once) != caseless(name) {
			t.Fatalf("%q becomes %q: more than case has changed", name, once)
		}
	})
}

// caseless drops what letter by letter is case.
func caseless(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToUpper(unicode.ToLower(r)) }, s)
}

func TestTidyIsAsDefined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(anyText, rapid.StringOf(rapid.RuneFrom([]rune("a \t\x00é")))).Draw(t, "text")
		got, ok := tidy(text)
		if want := !strings.Contains(text, "\x00"); ok != want {
			t.Fatalf("tidy(%q) is %v, want %v", text, ok, want)
		}
		if want := strings.Join(strings.Fields(text), " "); ok && got != want {
			t.Fatalf("tidy(%q) = %q, want %q", text, got, want)
		}
	})
}

func FuzzTidy(f *testing.F) {
	f.Add(" New  Mexico\t")
	f.Add("a\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := tidy(s)
		if want := utf8.ValidString(s) && !strings.Contains(s, "\x00"); ok != want {
			t.Fatalf("tidy(%q) is %v, want %v", s, ok, want)
		}
		if want := strings.Join(strings.Fields(s), " "); ok && got != want {
			t.Fatalf("tidy(%q) = %q, want %q", s, got, want)
		}
	})
}
