package sample

import (
	"iter"
	"strconv"
	"strings"

	"covidpipeline/internal/covid"
)

const (
	firstDay = covid.Date(18283) // 2020-01-22, the real file's first
	lastDay  = covid.Date(19143) // 2022-05-31

	usualDays = 140
	fewDays   = 7
	// fewPlaces have every quirk at least once. A small sample has fewer days,
	// not fewer of them.
	fewPlaces = 80
)

// record is one record of a sample and what must become of it.
type record struct {
	values              [covid.NumFields]string
	raw                 string // in place of the values, when they cannot be written as CSV
	fate                fate
	place               *place
	date                covid.Date
	newCases, newDeaths int64   // as they count; 0 for blank deaths
	replaces            *record // the earlier record of the same key
}

type fate int

const (
	sound   fate = iota
	refused      // by the transform: a value cannot be read
	broken       // structurally
)

// line gives the record as it stands in the source, without the line end.
func (r *record) line() string {
	if r.raw != "" {
		return r.raw
	}
	quoted := r.values
	for i, v := range quoted {
		if strings.ContainsAny(v, ",\"\n") {
			quoted[i] = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		}
	}
	return strings.Join(quoted[:], ",")
}

// records gives the records of a sample in their order.
func records(rows int) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		all := places()
		days := max(fewDays, min(usualDays, rows/fewPlaces), (rows+len(all)-1)/len(all))
		left := rows
		for i := range all {
			for r := range seriesRecords(i, &all[i], days) {
				if left == 0 || !yield(r) {
					return
				}
				left--
			}
		}
	}
}

// seriesRecords gives one place's reports, oldest first, and behind them what
// went wrong with it.
func seriesRecords(index int, p *place, days int) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		s := newSeries(index, p)
		var last, corrected *record
		for date := lastDay - covid.Date(days) + 1; date <= lastDay; date++ {
			last = s.report(date)
			switch day := days - int(lastDay-date); {
			case day == 2 && isSpot(index, spotRefused):
				spoil(last, index)
			case day == 3 && isSpot(index, spotOddNumber):
				writeOddly(last, index)
			case day == 4 && isSpot(index, spotCorrected):
				corrected = last
			}
			if !yield(last) {
				return
			}
		}
		if corrected != nil && !yield(correct(corrected, index)) {
			return
		}
		if isSpot(index, spotBroken) {
			yield(breakUp(last, index))
		}
	}
}

// series makes up the numbers of one place. It counts in whole numbers only:
// floating point is not the same on every machine.
type series struct {
	place                   *place
	random                  uint64
	totalCases, totalDeaths int64
}

func newSeries(index int, p *place) *series {
	people := p.thousands * 1000
	return &series{
		place: p, random: mix(uint64(index)),
		totalCases: people / 6, totalDeaths: people / 400,
	}
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// below gives a random number from 0 to n-1.
func (s *series) below(n int64) int64 {
	s.random = mix(s.random)
	return int64(s.random % uint64(n))
}

// divide gives n/d rounded up or down at random, so that sums come out right
// however small the quotients.
func (s *series) divide(n, d int64) int64 { return (n + s.below(d)) / d }

// wave is the number of new cases a day in 100,000 people, by weeks before the
// last day: the end of the winter wave of 2022 and the spring wave behind it.
var wave = [...]int64{32, 33, 30, 26, 20, 15, 11, 9, 9, 10, 12, 15, 20, 35, 55, 90, 140, 190, 235, 240, 150, 60, 30}

func waveOn(date covid.Date) int64 {
	days := int(lastDay - date)
	week, day := days/7, int64(days%7)
	if week+1 >= len(wave) {
		return wave[len(wave)-1]
	}
	return (wave[week]*(7-day) + wave[week+1]*day) / 7
}

// weekdays are the percentages of a day's cases reported on it, from Sunday.
var weekdays = [...]int64{30, 170, 120, 105, 100, 105, 70}

func (s *series) report(date covid.Date) *record {
	noise := 60 + s.below(81) // percent
	weekday := weekdays[date.Time().Weekday()]
	newCases := s.divide(s.place.thousands*waveOn(date)*weekday*noise, 100*100*100)
	newDeaths := s.divide(s.place.thousands*waveOn(date-14)*weekday, 100*100*150)
	if s.place.thousands > 0 && s.below(150) == 0 {
		newCases = -1 - s.below(9)
	}
	if s.place.thousands > 0 && s.below(700) == 0 {
		newDeaths = -1
	}
	if s.place.deathsBlank {
		newDeaths = 0
	}
	s.totalCases += newCases
	s.totalDeaths += newDeaths
	r := &record{place: s.place, date: date, newCases: newCases, newDeaths: newDeaths}
	r.values = [covid.NumFields]string{
		covid.FieldTotalCases:  strconv.FormatInt(s.totalCases, 10),
		covid.FieldCounty:      s.place.county,
		covid.FieldState:       s.place.state,
		covid.FieldDate:        date.String(),
		covid.FieldContinent:   s.place.continent,
		covid.FieldDataSource:  s.place.dataSource,
		covid.FieldNewDeaths:   strconv.FormatInt(newDeaths, 10),
		covid.FieldFIPS:        s.place.fips,
		covid.FieldAlpha3:      s.place.alpha3,
		covid.FieldCountry:     s.place.country,
		covid.FieldAlpha2:      s.place.alpha2,
		covid.FieldNewCases:    strconv.FormatInt(newCases, 10),
		covid.FieldTotalDeaths: strconv.FormatInt(s.totalDeaths, 10),
	}
	if s.place.deathsBlank {
		r.values[covid.FieldNewDeaths], r.values[covid.FieldTotalDeaths] = "", ""
	}
	return r
}
