package proof

import (
	"slices"
	"testing"

	"covidpipeline/internal/covid"

	"pgregory.net/rapid"
)

// pipeline is the whole pipeline in a few lines: releases of sources are
// indexed under external versions, retire what they no longer have, and are
// loaded.
type pipeline struct {
	index   map[covid.Key]Entry
	owner   map[covid.Key]int // source of the document
	release int64
	newest  [2]struct {
		release  int64
		finished bool
		entries  []Entry
		broken   int64
	}
}

func (p *pipeline) write(source int, e Entry) {
	e.Source = uint32(source) + 1
	if old, ok := p.index[e.Key]; ok && old.Version >= e.Version {
		return
	}
	p.index[e.Key] = e
	p.owner[e.Key] = source
}

// ingest writes a release of a source; an unfinished one retires nothing.
func (p *pipeline) ingest(t *rapid.T, source int, finished bool) {
	p.release++
	n := &p.newest[source]
	n.release, n.finished, n.entries, n.broken = p.release, finished, nil, 0
	for row := range rapid.Int64Range(0, 10).Draw(t, "rows") {
		if rapid.IntRange(0, 5).Draw(t, "broken") == 0 {
			n.broken++
			continue
		}
		e := record(rapid.ByteRange(0, 5).Draw(t, "key"), p.release, row+1, rapid.Uint64Range(0, 9).Draw(t, "value"))
		if e.Date += covid.Date(e.Key[0] % 3); e.Values[0]%4 == 0 {
			e = rejected(e)
		}
		n.entries = append(n.entries, of(uint32(source)+1, e))
	}
	order := rapid.Permutation(n.entries).Draw(t, "order")
	for _, e := range order {
		p.write(source, e)
	}
	if !finished {
		return
	}
	for key, e := range p.index {
		if p.owner[key] == source && e.Version.Release() < p.release && !e.Retired {
			p.write(source, retired(p.release, e))
		}
	}
}

// world gives what a comparison of these sources reads.
func (p *pipeline) world(compared []int) world {
	var w world
	for _, source := range compared {
		n := &p.newest[source]
		w.source = append(w.source, n.entries...)
		w.totals.Records += int64(len(n.entries)) + n.broken
		w.totals.Quarantined += n.broken
	}
	for key, e := range p.index {
		source := p.owner[key]
		n := &p.newest[source]
		switch {
		case !slices.Contains(compared, source):
			e.Origin = Other
		case e.Version.Release() == n.release:
			e.Origin = Current
		case n.finished:
			e.Origin = Older
		default:
			e.Origin = OlderUnfinished
		}
		w.raw = append(w.raw, e)
		if !e.Retired {
			w.warehouse = append(w.warehouse, e)
		}
	}
	slices.SortFunc(w.raw, func(a, b Entry) int { return int(a.Key[0]) - int(b.Key[0]) })
	slices.SortFunc(w.warehouse, func(a, b Entry) int { return int(a.Key[0]) - int(b.Key[0]) })
	return w
}

// What a correct pipeline leaves is balanced, but for records whose key another
// source retired, and nothing that happens to it stays unnoticed.
func TestPipeline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		p := pipeline{index: map[covid.Key]Entry{}, owner: map[covid.Key]int{}}
		for range rapid.IntRange(1, 5).Draw(rt, "releases") {
			p.ingest(rt, rapid.IntRange(0, 1).Draw(rt, "source"), rapid.IntRange(0, 3).Draw(rt, "finished") > 0)
		}
		compared := rapid.SampledFrom([][]int{{0}, {1}, {0, 1}}).Draw(rt, "compared")
		w := p.world(compared)
		r := w.judge(t, dir)
		if n := r.Kinds[RetiredByOther]; n > 0 && n == r.Kinds.Total() && r.Dates.Different == 0 {
			return
		}
		if !r.Balanced {
			rt.Fatalf("a correct pipeline is not balanced: %+v", r)
		}
		if fault := rapid.SampledFrom(faults).Draw(rt, "fault"); fault.happen(rt, &w) {
			if r := w.judge(t, dir); r.Balanced {
				rt.Fatalf("not noticed: %s", fault.name)
			}
		}
	})
}

// faults change a world; happen says whether there was anything to change.
var faults = []struct {
	name   string
	happen func(*rapid.T, *world) bool
}{
	{"a document lost", func(t *rapid.T, w *world) bool { return drop(t, &w.raw, func(e Entry) bool { return !e.Retired }) }},
	{"a row lost", func(t *rapid.T, w *world) bool { return drop(t, &w.warehouse, func(Entry) bool { return true }) }},
	{"a row doubled", func(t *rapid.T, w *world) bool {
		i := pick(t, w.warehouse, func(Entry) bool { return true })
		if i >= 0 {
			w.warehouse = append(w.warehouse, w.warehouse[i])
		}
		return i >= 0
	}},
	{"a row changed", func(t *rapid.T, w *world) bool {
		i := pick(t, w.warehouse, func(e Entry) bool { return !e.Rejected })
		if i >= 0 {
			w.warehouse[i].Row[0]++
		}
		return i >= 0
	}},
	{"a reject changed", func(t *rapid.T, w *world) bool {
		i := pick(t, w.warehouse, func(e Entry) bool { return e.Rejected })
		if i >= 0 {
			w.warehouse[i].Values[0]++
		}
		return i >= 0
	}},
	{"a document changed", func(t *rapid.T, w *world) bool {
		i := pick(t, w.raw, func(e Entry) bool { return e.Origin == Current && !e.Retired })
		if i >= 0 {
			w.raw[i].Values[0]++
		}
		return i >= 0
	}},
	{"a retirement undone", func(t *rapid.T, w *world) bool {
		i := pick(t, w.raw, func(e Entry) bool { return e.Retired })
		if i >= 0 {
			w.raw[i].Retired = false
		}
		return i >= 0
	}},
	{"a live key retired", func(t *rapid.T, w *world) bool {
		i := pick(t, w.raw, func(e Entry) bool { return e.Origin == Current && !e.Retired })
		if i >= 0 {
			w.raw[i] = retired(w.raw[i].Version.Release(), w.raw[i])
		}
		return i >= 0
	}},
	{"a record not read", func(t *rapid.T, w *world) bool { return drop(t, &w.source, func(Entry) bool { return true }) }},
}

func pick(t *rapid.T, entries []Entry, fits func(Entry) bool) int {
	var all []int
	for i, e := range entries {
		if fits(e) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return -1
	}
	return rapid.SampledFrom(all).Draw(t, "victim")
}

func drop(t *rapid.T, entries *[]Entry, fits func(Entry) bool) bool {
	i := pick(t, *entries, fits)
	if i < 0 {
		return false
	}
	*entries = without(*entries, i)
	return true
}
