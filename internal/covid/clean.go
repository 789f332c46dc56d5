package covid

import (
	"fmt"
	"strconv"
	"strings"
)

// Rules are the limits within which a record's date must lie.
type Rules struct {
	Earliest  Date // first day that can be reported
	DaysAhead int  // how far a date may lie after the day the record was ingested
}

// DefaultRules are the pipeline's rules: nothing before December 2019, when the
// first cases were found, and room for clocks and time zones at the other end.
var DefaultRules = Rules{Earliest: 18231, DaysAhead: 2} // 2019-12-01

// Clean makes the row of a raw document. A FIPS of the United States that has lost
// its leading zero gets it back, as in the key. A document that the warehouse cannot
// take gives a reject reason in place of the row, one sentence that names the
// first column at fault and its value; the reason is "" for a row.
func (r Rules) Clean(d *Document) (Row, string) {
	row := Row{Key: d.Key, Source: d.Source, Release: d.Release, Row: d.Row}
	var reason string
	if row.Date, reason = r.cleanDate(d); reason != "" {
		return Row{}, reason
	}
	for _, text := range [...]struct {
		field int
		to    *string
	}{
		{FieldState, &row.State},
		{FieldCounty, &row.County},
		{FieldFIPS, &row.FIPS},
		{FieldCountry, &row.Country},
		{FieldAlpha2, &row.Alpha2},
		{FieldAlpha3, &row.Alpha3},
		{FieldContinent, &row.Continent},
		{FieldDataSource, &row.DataSource},
	} {
		if *text.to, reason = cleanText(d, text.field); reason != "" {
			return Row{}, reason
		}
	}
	if row.Country == "" {
		return Row{}, Columns[FieldCountry] + " is blank"
	}
	if shortFIPS(row.FIPS) && inUnitedStates([]byte(row.Alpha3), []byte(row.Alpha2), []byte(row.Country)) {
		row.FIPS = "0" + row.FIPS
	}
	if row.State, reason = cleanName(row.State, FieldState); reason != "" {
		return Row{}, reason
	}
	if row.County, reason = cleanName(row.County, FieldCounty); reason != "" {
		return Row{}, reason
	}
	for _, count := range [...]struct {
		field int
		to    *Count
	}{
		{FieldNewCases, &row.NewCases},
		{FieldNewDeaths, &row.NewDeaths},
		{FieldTotalCases, &row.TotalCases},
		{FieldTotalDeaths, &row.TotalDeaths},
	} {
		if *count.to, reason = cleanCount(d, count.field); reason != "" {
			return Row{}, reason
		}
	}
	return row, ""
}

func (r Rules) cleanDate(d *Document) (Date, string) {
	value := d.Values[FieldDate]
	date, err := ParseDate(strings.TrimSpace(value))
	switch {
	case err != nil:
		return 0, Columns[FieldDate] + " is not a date (YYYY-MM-DD): " + quote(value)
	case date < r.Earliest:
		return 0, fmt.Sprintf("%s lies before %s: %s", Columns[FieldDate], r.Earliest, quote(value))
	case date > d.Registered+Date(r.DaysAhead):
		return 0, fmt.Sprintf("%s lies more than %d days after the day it was ingested (%s): %s",
			Columns[FieldDate], r.DaysAhead, d.Registered, quote(value))
	}
	return date, ""
}

func cleanText(d *Document, field int) (string, string) {
	text, ok := tidy(d.Values[field])
	if !ok {
		return "", Columns[field] + " holds a NUL or is not UTF-8: " + quote(d.Values[field])
	}
	return text, ""
}

// cleanName gives a name its case, by which some letters grow; the warehouse has an
// index of names.
func cleanName(text string, field int) (string, string) {
	name := properName(text)
	if len(name) > MaxKeyField {
		return "", Columns[field] + " is over 1 kB as a name: " + quote(name)
	}
	return name, ""
}

func cleanCount(d *Document, field int) (Count, string) {
	value := d.Values[field]
	digits := strings.TrimSpace(value)
	if digits == "" {
		return Count{}, ""
	}
	n, err := parseCount(digits)
	if err != nil {
		return Count{}, Columns[field] + " is " + err.Error() + ": " + quote(value)
	}
	return Count{N: n, Known: true}, ""
}

// maxQuoted is how much of a value a reject reason shows, in characters.
const maxQuoted = 60

// quote shows a value in a reason: in quotes, with escapes for what cannot be
// printed, so that it is text for any store.
func quote(value string) string {
	shown := 0
	for i := range value {
		if shown == maxQuoted {
			return strconv.Quote(value[:i]) + "..."
		}
		shown++
	}
	return strconv.Quote(value)
}
