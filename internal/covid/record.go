// Package covid knows what one record of COVID-19 activity is: its fields, its
// key, its version and how its values are judged. Everything in it is pure.
package covid

import (
	"fmt"
	"time"
)

// NumFields is the number of columns of a source.
const NumFields = 13

// The fields of a record, in the order of the source's columns.
const (
	FieldTotalCases = iota
	FieldCounty
	FieldState
	FieldDate
	FieldContinent
	FieldDataSource
	FieldNewDeaths
	FieldFIPS
	FieldAlpha3
	FieldCountry
	FieldAlpha2
	FieldNewCases
	FieldTotalDeaths
)

// Columns are the names of a source's columns, in their order. The same names
// are the fields of a raw document.
var Columns = [NumFields]string{
	FieldTotalCases:  "PEOPLE_POSITIVE_CASES_COUNT",
	FieldCounty:      "COUNTY_NAME",
	FieldState:       "PROVINCE_STATE_NAME",
	FieldDate:        "REPORT_DATE",
	FieldContinent:   "CONTINENT_NAME",
	FieldDataSource:  "DATA_SOURCE_NAME",
	FieldNewDeaths:   "PEOPLE_DEATH_NEW_COUNT",
	FieldFIPS:        "COUNTY_FIPS_NUMBER",
	FieldAlpha3:      "COUNTRY_ALPHA_3_CODE",
	FieldCountry:     "COUNTRY_SHORT_NAME",
	FieldAlpha2:      "COUNTRY_ALPHA_2_CODE",
	FieldNewCases:    "PEOPLE_POSITIVE_NEW_CASES_COUNT",
	FieldTotalDeaths: "PEOPLE_DEATH_COUNT",
}

// Fields are the values of one record as they stood in the source, without the
// quoting of CSV. The bytes belong to whoever made them and may be overwritten
// by the next record.
type Fields [NumFields][]byte

// Document is one raw document as the ETL reads it: the newest version of its
// key, or, when Retired is set, the last version before the key left its source.
type Document struct {
	Key     Key
	Version Version // the document's version; of a retired one, that of the retirement
	Release int64   // release that wrote the values
	Row     int64   // row of that release, from 1
	Source  string  // URI of the source
	// Registered is the day on which the record came into the raw index.
	Registered Date
	Retired    bool
	RetiredBy  int64 // release that retired it; 0 while it is live
	Values     [NumFields]string
	// Problem says why it is no document of this pipeline, or is empty. Of a
	// document with a problem the other fields hold what could be read.
	Problem string
}

// VersionProblem says how the version of a document contradicts its fields, or
// returns "". The pipeline writes a live document with exactly the version of its
// release and row, and retires one with that of the retiring release and row 0:
// any other version is that of a change made past the pipeline, since
// Elasticsearch raises the version with each.
func (d *Document) VersionProblem() string {
	want := NewVersion(d.Release, d.Row)
	if d.Retired {
		want = NewVersion(d.RetiredBy, 0)
	}
	switch {
	case d.Release < 1 || d.Release > MaxRelease || d.Row < 1 || d.Row > MaxRow:
		return fmt.Sprintf("release %d row %d is no place of a record", d.Release, d.Row)
	case d.Retired && (d.RetiredBy <= d.Release || d.RetiredBy > MaxRelease):
		return fmt.Sprintf("release %d cannot have retired a document of release %d", d.RetiredBy, d.Release)
	case d.Version != want:
		return fmt.Sprintf("its version %d is not %d, that of release %d row %d: it was changed past the pipeline",
			d.Version, want, want.Release(), want.Row())
	}
	return ""
}

// RetiredByPipeline reports whether the document has exactly the version with which
// the pipeline retires one: whatever else is in it, no record stands behind it.
func (d *Document) RetiredByPipeline() bool {
	return d.Retired && 0 < d.RetiredBy && d.Release < d.RetiredBy && d.RetiredBy <= MaxRelease && d.Version == NewVersion(d.RetiredBy, 0)
}

// Date is a calendar day, in days since 1970-01-01.
type Date int32

const secondsPerDay = 24 * 60 * 60

// DateOf gives the calendar day of t in UTC.
func DateOf(t time.Time) Date {
	seconds := t.Unix()
	days := seconds / secondsPerDay
	if seconds%secondsPerDay < 0 { // division truncates; days before 1970 count down
		days--
	}
	return Date(days)
}

// Time gives midnight UTC of the day.
func (d Date) Time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String gives the day as YYYY-MM-DD.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// ParseDate reads a day as YYYY-MM-DD and refuses days that do not exist.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("not a date (YYYY-MM-DD): %q", s)
	}
	return DateOf(t), nil
}

// Count is a number of people that may be unknown. Negative counts are
// corrections and are data.
type Count struct {
	N     int32
	Known bool
}

// Row is a record whose values passed: what the warehouse holds. An empty
// string is an unknown value.
type Row struct {
	Key                                                                 Key
	Date                                                                Date
	State, County, FIPS, Country, Alpha2, Alpha3, Continent, DataSource string
	NewCases, NewDeaths, TotalCases, TotalDeaths                        Count
	Source                                                              string
	Release, Row                                                        int64
}
