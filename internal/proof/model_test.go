package proof

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"covidpipeline/internal/covid"

	"pgregory.net/rapid"
)

// model is the comparison again, in memory and without any order: each number
// is counted by its own definition over the whole world.
type model struct {
	world
	documents      map[covid.Key]Entry
	rows, rejects  map[covid.Key]Entry
	records        map[covid.Key][]Entry
	newestOfSource map[covid.Key]covid.Version
}

func newModel(w world) *model {
	m := &model{world: w, documents: map[covid.Key]Entry{}, rows: map[covid.Key]Entry{},
		rejects: map[covid.Key]Entry{}, records: map[covid.Key][]Entry{}, newestOfSource: map[covid.Key]covid.Version{}}
	for _, e := range w.raw {
		m.documents[e.Key] = e
	}
	for _, e := range w.warehouse {
		if e.Rejected {
			m.rejects[e.Key] = e
		} else {
			m.rows[e.Key] = e
		}
	}
	for _, e := range w.source {
		m.records[e.Key] = append(m.records[e.Key], e)
		m.newestOfSource[e.Key] = max(m.newestOfSource[e.Key], e.Version)
	}
	return m
}

func count(entries []Entry, is func(Entry) bool) int64 {
	var n int64
	for _, e := range entries {
		if is(e) {
			n++
		}
	}
	return n
}

func has(m map[covid.Key]Entry, e Entry) bool { _, ok := m[e.Key]; return ok }

func (m *model) same(e Entry) bool {
	d := m.documents[e.Key]
	return !d.Foreign && d.Version == e.Version && d.Source == e.Source && d.Values == e.Values
}

func (m *model) sameValues(e Entry) bool {
	d := m.documents[e.Key]
	return !d.Foreign && d.Version == e.Version && d.Values == e.Values
}

func (m *model) sourceCounts() Source {
	s := Source{Records: m.totals.Records, Quarantined: m.totals.Quarantined}
	s.Live = count(m.source, func(e Entry) bool { return has(m.documents, e) && m.same(e) })
	s.RetiredByOther = count(m.source, m.retiredByOther)
	s.Superseded = count(m.source, m.superseded)
	s.Lost = count(m.source, func(e Entry) bool {
		d := m.documents[e.Key]
		return !has(m.documents, e) || d.Foreign && m.newest(e) || !d.Foreign && d.Version < e.Version
	})
	s.Different = int64(len(m.source)) - s.Live - s.Superseded - s.Lost - s.RetiredByOther
	s.Unaccounted = m.totals.Records - m.totals.Quarantined - int64(len(m.source))
	return s
}

func (m *model) newest(e Entry) bool { return e.Version == m.newestOfSource[e.Key] }

func (m *model) retiredByOther(e Entry) bool {
	d := m.documents[e.Key]
	return has(m.documents, e) && d.Retired && d.Source != e.Source && d.Version > e.Version && m.newest(e)
}

func (m *model) superseded(e Entry) bool {
	d := m.documents[e.Key]
	if d.Foreign {
		return !m.newest(e)
	}
	return has(m.documents, e) && d.Version > e.Version && !m.retiredByOther(e)
}

// inPlace: the warehouse entry names its document's place, or a row an older one.
func (m *model) inPlace(d, e Entry) bool {
	if e.Version == d.Version && e.Source == d.Source {
		return true
	}
	older := !e.Rejected && e.Registered && e.Version < d.Version
	return older && (e.Origin != Current || slices.ContainsFunc(m.records[e.Key], func(r Entry) bool {
		return r.Version == e.Version && r.Source == e.Source
	}))
}

func (m *model) inSource(e Entry, atLeast bool) bool {
	for _, r := range m.records[e.Key] {
		if r.Version == e.Version || atLeast && r.Version > e.Version {
			return true
		}
	}
	return false
}

// right: the document is in the one place where it belongs, with its values.
func (m *model) right(e Entry) bool {
	row, isRow := m.rows[e.Key]
	reject, isReject := m.rejects[e.Key]
	switch {
	case e.Retired:
		return !isRow && !isReject
	case e.Rejected:
		return !isRow && isReject && reject.Values == e.Values && m.inPlace(e, reject)
	default:
		return isRow && !isReject && row.Row == e.Row && m.inPlace(e, row)
	}
}

func (m *model) rawCounts() (Raw, Kinds) {
	in := func(e Entry) bool { return has(m.rows, e) || has(m.rejects, e) }
	both := func(e Entry) bool { return has(m.rows, e) && has(m.rejects, e) }
	live := func(is func(Entry) bool) int64 {
		return count(m.raw, func(e Entry) bool { return !e.Retired && is(e) })
	}
	k := Kinds{
		Missing:        live(func(e Entry) bool { return !in(e) }),
		InBoth:         live(both),
		RetiredButKept: count(m.raw, func(e Entry) bool { return e.Retired && in(e) }),
		RejectedButLoaded: live(func(e Entry) bool {
			return e.Rejected && has(m.rows, e) && !both(e)
		}),
		SoundButRejected: live(func(e Entry) bool {
			return !e.Rejected && has(m.rejects, e) && !both(e)
		}),
		WrongPlace: live(func(e Entry) bool {
			row, isRow := m.rows[e.Key]
			reject, isReject := m.rejects[e.Key]
			switch {
			case isRow == isReject || isRow == e.Rejected:
				return false
			case isRow:
				return row.Row == e.Row && !m.inPlace(e, row)
			}
			return reject.Values == e.Values && !m.inPlace(e, reject)
		}),
		NotInSource: live(func(e Entry) bool { return e.Origin == Current && !m.inSource(e, false) }),
		LeftOver:    live(func(e Entry) bool { return e.Origin == Older && !m.inSource(e, true) }),
	}
	r := Raw{
		Documents: int64(len(m.raw)),
		Warehouse: live(func(e Entry) bool { return !e.Rejected && m.right(e) }),
		Rejected:  live(func(e Entry) bool { return e.Rejected && m.right(e) }),
		Retired:   count(m.raw, func(e Entry) bool { return e.Retired && m.right(e) }),
		Missing:   k[Missing],
		Misplaced: k[InBoth] + k[RetiredButKept] + k[RejectedButLoaded] + k[SoundButRejected] + k[WrongPlace],

		NotInSource:           k[NotInSource],
		LeftFromOlderReleases: k[LeftOver],
		AwaitingRetirement: live(func(e Entry) bool {
			return e.Origin == OlderUnfinished && !m.inSource(e, true)
		}),
		OfOtherSources: count(m.raw, func(e Entry) bool { return e.Origin == Other && !e.Foreign }),
	}
	r.Different = r.Documents - r.Warehouse - r.Rejected - r.Retired - r.Missing - r.Misplaced
	k[Different] = r.Different
	return r, k
}

// tally adds up the entries of a date with numbers of any size.
func tallyOf(date string, entries []Entry, is func(Entry) bool) Tally {
	var t Tally
	digest := new(big.Int)
	for _, e := range entries {
		d := NoDate
		if e.HasDate {
			d = e.Date.String()
		}
		if d != date || !is(e) {
			continue
		}
		t.Count++
		if e.NewCases.Known {
			t.NewCases += int64(e.NewCases.N)
		}
		if e.NewDeaths.Known {
			t.NewDeaths += int64(e.NewDeaths.N)
		}
		content := e.Row
		if e.Rejected {
			content = e.Values
		}
		n, ok := new(big.Int).SetString(content.String(), 16)
		if !ok {
			panic("a sum is not hexadecimal")
		}
		digest.Add(digest, n)
	}
	digest.And(digest, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	t.Digest = fmt.Sprintf("%032x", digest)
	return t
}

// shouldBeLive are the newest records of the source that nothing newer replaced,
// as their documents judge them where these have the same values.
func (m *model) shouldBeLive() []Entry {
	var live []Entry
	for _, e := range m.source {
		switch {
		case !m.newest(e), has(m.documents, e) && !m.documents[e.Key].Foreign && m.documents[e.Key].Version > e.Version:
		case has(m.documents, e) && m.sameValues(e):
			live = append(live, m.documents[e.Key])
		default:
			live = append(live, e)
		}
	}
	return live
}

func (m *model) dates() Dates {
	var r Dates
	days := []string{NoDate}
	for d := day + 3; d >= day; d-- {
		days = append([]string{d.String()}, days...)
	}
	for _, date := range days {
		d := DateDifference{
			Date:   date,
			Source: tallyOf(date, m.shouldBeLive(), func(Entry) bool { return true }),
			RawCompared: tallyOf(date, m.raw, func(e Entry) bool {
				return !e.Retired && (e.Origin == Current || e.Origin == Older)
			}),
			Raw:       tallyOf(date, m.raw, func(e Entry) bool { return !e.Retired }),
			Warehouse: tallyOf(date, m.warehouse, func(Entry) bool { return true }),
		}
		if d.Source.Count+d.Raw.Count+d.RawCompared.Count+d.Warehouse.Count > 0 {
			r.Compared++
		}
		if d.Source != d.RawCompared || d.Raw != d.Warehouse {
			r.Different++
			r.Differing = append(r.Differing, d)
		}
	}
	return r
}

func drawEntry(t *rapid.T) Entry {
	e := Entry{
		// First bytes of several parts, and keys that differ only at their end.
		Key: covid.Key{rapid.SampledFrom([]byte{0, 7, 255}).Draw(t, "part"),
			15: rapid.ByteRange(0, 2).Draw(t, "key")},
		Version:  covid.NewVersion(rapid.Int64Range(1, 3).Draw(t, "release"), rapid.Int64Range(1, 3).Draw(t, "row")),
		Values:   covid.Sum{rapid.Uint64Range(0, 1).Draw(t, "values"), 1 << 63},
		Source:   rapid.Uint32Range(1, 2).Draw(t, "of"),
		Rejected: rapid.Bool().Draw(t, "rejected"),
		HasDate:  true,
		Date:     day + covid.Date(rapid.Int32Range(0, 3).Draw(t, "date")),
	}
	if e.Rejected {
		e.HasDate = rapid.Bool().Draw(t, "dated")
		return e
	}
	e.Row = covid.Sum{1<<63 + e.Values[0], rapid.Uint64Range(1<<63, 1<<63+1).Draw(t, "row hash")}
	e.NewCases = covid.Count{N: rapid.Int32Range(-2, 2).Draw(t, "cases"), Known: rapid.Bool().Draw(t, "known")}
	e.NewDeaths = covid.Count{N: rapid.Int32Range(-2, 2).Draw(t, "deaths"), Known: rapid.Bool().Draw(t, "known")}
	return e
}

func drawWorld(t *rapid.T) world {
	some := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 12)
	var w world
	type version struct {
		key     covid.Key
		version covid.Version
	}
	versions := map[version]bool{}
	for _, e := range some.Draw(t, "source") {
		if v := (version{e.Key, e.Version}); !versions[v] {
			versions[v] = true
			w.source = append(w.source, e)
		}
	}
	// Documents and rows are mostly of records, or all would only be missing.
	ofSource := func() Entry {
		if len(w.source) > 0 && rapid.IntRange(0, 3).Draw(t, "of source") > 0 {
			return rapid.SampledFrom(w.source).Draw(t, "record")
		}
		return drawEntry(t)
	}
	keys := map[covid.Key]bool{}
	for range rapid.IntRange(0, 9).Draw(t, "documents") {
		e := ofSource()
		if keys[e.Key] {
			continue
		}
		keys[e.Key] = true
		e.Origin = Origin(rapid.IntRange(0, 3).Draw(t, "origin"))
		if e.Retired = rapid.IntRange(0, 4).Draw(t, "retired") == 0; e.Retired {
			e.Version = covid.NewVersion(e.Version.Release(), 0)
		} else if rapid.IntRange(0, 5).Draw(t, "foreign") == 0 {
			e = foreign(e)
		}
		w.raw = append(w.raw, e)
		if rapid.IntRange(0, 3).Draw(t, "loaded") > 0 {
			e.Retired, e.Origin = false, Other
			if rapid.IntRange(0, 3).Draw(t, "older place") == 0 {
				e = at(e.Version.Release(), rapid.Int64Range(1, 3).Draw(t, "kept row"), rapid.Bool().Draw(t, "read"), e)
				e.Registered = rapid.IntRange(0, 3).Draw(t, "registered") > 0
			}
			w.warehouse = append(w.warehouse, e)
		}
	}
	places := map[covid.Key]int{}
	for _, e := range w.warehouse {
		places[e.Key] |= place(e)
	}
	for range rapid.IntRange(0, 3).Draw(t, "more rows") {
		if e := ofSource(); places[e.Key]&place(e) == 0 && keys[e.Key] {
			places[e.Key] |= place(e)
			w.warehouse = append(w.warehouse, e)
		}
	}
	w.totals = Totals{Quarantined: 2, Records: int64(len(w.source)) + rapid.Int64Range(1, 3).Draw(t, "broken")}
	return w
}

func place(e Entry) int {
	if e.Rejected {
		return 2
	}
	return 1
}

// The comparison by parts gives the numbers that the definitions give.
func TestEqualsModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		r := w.judge(t, dir)
		m := newModel(w)
		raw, kinds := m.rawCounts()
		source, dates := m.sourceCounts(), m.dates()
		kinds[Lost], kinds[DifferentFromSource], kinds[RetiredByOther] = source.Lost, source.Different, source.RetiredByOther
		for kind, n := range kinds {
			if n == 0 {
				delete(kinds, kind)
			}
		}
		equal(rt, "source", r.Source, source)
		equal(rt, "raw", r.Raw, raw)
		equal(rt, "kinds", r.Kinds, kinds)
		equal(rt, "dates", r.Dates, dates)
		equal(rt, "warehouse", r.Warehouse, Warehouse{Rows: int64(len(m.rows)), Rejects: int64(len(m.rejects))})
		equal(rt, "named", int64(len(r.Differences)), r.Kinds.Total())
		equal(rt, "balanced", r.Balanced, len(kinds) == 0 && dates.Different == 0 && source.Unaccounted == 0)
	})
}

func equal(t *rapid.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}
