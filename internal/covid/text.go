package covid

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tidy trims white space and makes one space of each run of it. It is false for
// text that PostgreSQL cannot hold. Text that is tidy already is not copied.
func tidy(s string) (string, bool) {
	previous := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= utf8.RuneSelf || c == ' ' && previous == ' ' {
			return tidyAny(s)
		}
		previous = c
	}
	if s != "" && previous == ' ' {
		return s[:len(s)-1], true
	}
	return s, true
}

func tidyAny(s string) (string, bool) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", false
	}
	return strings.Join(strings.Fields(s), " "), true
}

// properName gives a name in title case when it is in upper or in lower case
// throughout; any other spelling is the source's and stays. Two capitals, as in
// NY, are a code, not a name.
func properName(name string) string {
	upper, lower := false, false
	for _, r := range name {
		upper = upper || unicode.IsUpper(r)
		lower = lower || unicode.IsLower(r)
		if upper && lower {
			return name
		}
	}
	if !upper && !lower || upper && utf8.RuneCountInString(name) <= 2 {
		return name
	}
	return titleCase(name)
}

// smallWords are the words that names of counties and states write small when
// they do not stand first: Isle of Wight, Fond du Lac, Lac qui Parle.
var smallWords = map[string]bool{
	"and": true, "de": true, "du": true, "of": true, "plus": true, "qui": true, "the": true,
}

func titleCase(name string) string {
	words := strings.Split(strings.ToLower(name), " ")
	for i, word := range words {
		if i == 0 || !smallWords[word] {
			words[i] = capitalize(word)
		}
	}
	return strings.Join(words, " ")
}

// capitalize makes capitals of the first letters of a lower-case word and of
// its parts: Miami-Dade, St.Louis, O'Brien (but Queen Anne's), McLean.
func capitalize(word string) string {
	var b strings.Builder
	b.Grow(len(word))
	length := 0 // letters and digits of the part so far
	for i, r := range word {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if length == 0 || length == 2 && word[i-2:i] == "mc" {
				r = unicode.ToTitle(r)
			}
			length++
		case unicode.IsMark(r): // belongs to the letter before it
		case r == '\'' || r == '’':
			if length == 1 {
				length = 0
			}
		default:
			length = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}
