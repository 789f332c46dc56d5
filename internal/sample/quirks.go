package sample

import (
	"strconv"
	"strings"

	"covidpipeline/internal/covid"
)

// The quirks that single records have, each in other places than the others.
const (
	spotRefused = iota
	spotOddNumber
	spotCorrected
	spotBroken
	spotEvery // every so many places, one has the quirk
)

// isSpot tells whether a place has a quirk: often among the first places, so
// that a small sample has all kinds, and rarely behind them.
func isSpot(index, spot int) bool {
	return index%spotEvery == spot && (index < fewPlaces || index%(10*spotEvery) == spot)
}

// kind picks one of n kinds of a quirk, each in turn.
func kind(index, n int) int {
	if index < fewPlaces {
		return index / spotEvery % n
	}
	return index / (10 * spotEvery) % n
}

var unreadable = [...]struct {
	field int
	value string
}{
	{covid.FieldNewCases, "12a"},
	{covid.FieldNewDeaths, "3.7"},
	{covid.FieldTotalCases, "99999999999"},
	{covid.FieldDate, "2022-02-30"},
	{covid.FieldNewCases, "1e3"},
	{covid.FieldTotalDeaths, "n/a"},
	{covid.FieldDate, "2999-12-31"},
	{covid.FieldDate, "1922-05-31"},
}

// spoil gives the record a value that the transform refuses.
func spoil(r *record, index int) {
	bad := unreadable[kind(index, len(unreadable))]
	r.values[bad.field] = bad.value
	r.fate = refused
}

// writeOddly writes the total of cases in a way that is unusual and sound.
func writeOddly(r *record, index int) {
	value := &r.values[covid.FieldTotalCases]
	*value = [...]string{"00" + *value, "+" + *value, " " + *value + " "}[kind(index, 3)]
}

// correct gives a later record of the same key: seven more new cases and, for a
// county, another spelling of its name.
func correct(earlier *record, index int) *record {
	r := *earlier
	r.replaces = earlier
	r.newCases += 7
	r.values[covid.FieldNewCases] = strconv.FormatInt(r.newCases, 10)
	if county := &r.values[covid.FieldCounty]; *county != "" {
		*county = [...]string{
			*county,
			strings.ToUpper(*county),
			" " + strings.ReplaceAll(*county, " ", "  "),
			*county + "\n",
		}[kind(index, 4)]
	}
	return &r
}

// breakUp gives a record that cannot be read, next to the sound one it was made
// of. Every quote in it has a letter or a space behind it, so it cannot be taken
// for the end of a field that was opened in another record.
func breakUp(r *record, index int) *record {
	b := &record{values: r.values, fate: broken}
	switch kind(index, 8) {
	case 0: // cut short
		b.raw = strings.Join(r.values[:covid.FieldDataSource], ",")
	case 1: // a field too many
		b.raw = r.line() + ",0"
	case 2: // a quote that is never closed
		b.values[covid.FieldCounty] = `"Saint ` + r.values[covid.FieldCounty]
		b.raw = strings.Join(b.values[:], ",")
	case 3: // quotes in a field that is not quoted
		b.values[covid.FieldCounty] = `Saint "Old" ` + r.values[covid.FieldCounty]
		b.raw = strings.Join(b.values[:], ",")
	case 4: // Latin-1
		b.values[covid.FieldCounty] = "Do\xf1a Ana"
	case 5:
		b.values[covid.FieldCounty] += "\x00"
	case 6:
		b.values[covid.FieldDate] = " "
	case 7:
		b.values[covid.FieldCountry] = ""
	}
	return b
}
