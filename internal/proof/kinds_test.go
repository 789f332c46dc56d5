package proof

import (
	"strings"
	"testing"

	"covidpipeline/internal/covid"
)

func TestBalanced(t *testing.T) {
	t.Parallel()
	w := sound()
	r := compare(t, w.books(t), w.totals)
	if !r.Balanced || len(r.Differences) != 0 || len(r.Dates.Differing) != 0 {
		t.Fatalf("not balanced: %+v", r)
	}
	if want := (Source{Records: 4, Live: 2, Superseded: 1, Quarantined: 1}); r.Source != want {
		t.Errorf("source %+v, want %+v", r.Source, want)
	}
	if want := (Raw{Documents: 4, Warehouse: 2, Rejected: 1, Retired: 1, OfOtherSources: 1}); r.Raw != want {
		t.Errorf("raw %+v, want %+v", r.Raw, want)
	}
	if want := (Warehouse{Rows: 2, Rejects: 1}); r.Warehouse != want {
		t.Errorf("warehouse %+v, want %+v", r.Warehouse, want)
	}
	if r.Dates.Compared != 2 {
		t.Errorf("%d dates compared, want the day and the records without one", r.Dates.Compared)
	}
	if want := "4 source records = 2 live in the raw index + 1 superseded + 1 quarantined"; r.Identities.Source != want {
		t.Errorf("identity %q, want %q", r.Identities.Source, want)
	}
	if want := "4 raw documents = 2 warehouse rows + 1 rejected + 1 retired"; r.Identities.Raw != want {
		t.Errorf("identity %q, want %q", r.Identities.Raw, want)
	}
}

// spoilings are the ways in which a world can be wrong, each with the one
// difference that it must show.
var spoilings = map[string]struct {
	spoil  func(*world)
	kind   Kind
	key    byte
	source bool // the source's side of the day differs from the index's
	load   bool // the index's side differs from the warehouse's
	detail string
}{
	"no document": {spoil: func(w *world) { w.raw, w.warehouse = without(w.raw, 1), without(w.warehouse, 0) },
		kind: Lost, key: 2, source: true, detail: "no document"},
	"an older document": {spoil: func(w *world) { w.raw[0], w.warehouse[1] = from(Current, w.source[0]), w.source[0] },
		kind: Lost, key: 1, source: true, detail: "release 2 row 1"},
	"retired although the source has it": {spoil: func(w *world) {
		w.raw[1], w.warehouse = retired(2, w.raw[1]), without(w.warehouse, 0)
	}, kind: Lost, key: 2, source: true, detail: "retired the key in release 2"},
	"other values in the index": {spoil: func(w *world) { w.raw[0].Values[0]++ }, kind: DifferentFromSource, key: 1},
	"a document nobody wrote": {spoil: func(w *world) {
		w.raw = append(w.raw, from(Current, record(9, 2, 9, 1)))
		w.warehouse = append(w.warehouse, record(9, 2, 9, 1))
	}, kind: NotInSource, key: 9, source: true},
	"a version nobody wrote": {spoil: func(w *world) {
		w.source = w.source[:2]
		w.totals.Records--
		w.raw[0].Version++
		w.warehouse[1].Version++
	},
		kind: NotInSource, key: 1, source: true},
	"not retired": {spoil: func(w *world) {
		w.raw[2] = from(Older, record(3, 1, 1, 30))
		w.warehouse = append(w.warehouse, record(3, 1, 1, 30))
	}, kind: LeftOver, key: 3, source: true},
	"a key twice": {spoil: func(w *world) { w.raw = append(w.raw, from(Current, record(1, 2, 1, 10))) },
		kind: Twice, key: 1, source: true, load: true},
	"not loaded": {spoil: func(w *world) { w.warehouse = without(w.warehouse, 1) },
		kind: Missing, key: 1, load: true},
	"reject not loaded": {spoil: func(w *world) { w.warehouse = without(w.warehouse, 0) },
		kind: Missing, key: 2, load: true},
	"loaded with other values": {spoil: func(w *world) { w.warehouse[1].Row[1]++ }, kind: Different, key: 1, load: true},
	"rejected with other values": {spoil: func(w *world) { w.warehouse[0].Values[1]++ },
		kind: Different, key: 2, load: true},
	"loaded in spite of the rules": {spoil: func(w *world) { w.warehouse[0] = record(2, 2, 2, 20) },
		kind: RejectedButLoaded, key: 2, load: true},
	"rejected in spite of the rules": {spoil: func(w *world) { w.warehouse[1] = rejected(w.warehouse[1]) },
		kind: SoundButRejected, key: 1, load: true},
	"retired, row kept": {spoil: func(w *world) { w.warehouse = append(w.warehouse, record(3, 1, 1, 30)) },
		kind: RetiredButKept, key: 3, load: true},
	"retired, reject kept": {spoil: func(w *world) { w.warehouse = append(w.warehouse, rejected(record(3, 1, 1, 30))) },
		kind: RetiredButKept, key: 3, load: true},
	"row and reject": {spoil: func(w *world) { w.warehouse = append(w.warehouse, rejected(record(1, 2, 3, 11))) },
		kind: InBoth, key: 1, load: true},
	"reject and row": {spoil: func(w *world) { w.warehouse = append(w.warehouse, record(2, 2, 2, 20)) },
		kind: InBoth, key: 2, load: true},
	"a row nobody wrote": {spoil: func(w *world) { w.warehouse = append(w.warehouse, record(9, 2, 9, 1)) },
		kind: Extra, key: 9, load: true, detail: "no document"},
	"a reject nobody wrote": {spoil: func(w *world) { w.warehouse = append(w.warehouse, rejected(record(9, 2, 9, 1))) },
		kind: Extra, key: 9, load: true, detail: "no document"},
	"a document of another source": {spoil: func(w *world) { w.raw[0].Source, w.warehouse[1].Source = 2, 2 },
		kind: DifferentFromSource, key: 1, detail: "names another source"},
	"a row of another source":    {spoil: func(w *world) { w.warehouse[1].Source = 2 }, kind: WrongPlace, key: 1, detail: "of /data/b.csv"},
	"a row of an unknown source": {spoil: func(w *world) { w.warehouse[1].Source = 0 }, kind: WrongPlace, key: 1},
	"a row of a newer place":     {spoil: func(w *world) { w.warehouse[1] = at(2, 4, false, w.warehouse[1]) }, kind: WrongPlace, key: 1},
	"a row of an unknown release": {spoil: func(w *world) {
		w.warehouse[1] = at(1, 7, false, w.warehouse[1])
		w.warehouse[1].Registered = false
	}, kind: WrongPlace, key: 1, detail: "release 1 row 7"},
	"a row of another record's place": {spoil: func(w *world) { w.warehouse[1] = at(2, 2, true, w.warehouse[1]) }, kind: WrongPlace, key: 1},
	"a reject of an older place":      {spoil: func(w *world) { w.warehouse[0] = at(1, 7, false, w.warehouse[0]) }, kind: WrongPlace, key: 2},
	"retired by another source": {spoil: func(w *world) {
		w.raw[0] = of(2, retired(3, w.raw[0]))
		w.warehouse = without(w.warehouse, 1)
	}, kind: RetiredByOther, key: 1, detail: "release 3 of /data/b.csv retired the key, which this source still has: run `starter ingest --new-release --source /data/a.csv`"},
	"a row twice": {spoil: func(w *world) { w.warehouse = append(w.warehouse, record(1, 2, 3, 11)) },
		kind: Extra, key: 1, load: true, detail: "more than once"},
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for name, test := range spoilings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := sound()
			test.spoil(&w)
			r := compare(t, w.books(t), w.totals)
			if r.Balanced {
				t.Fatal("balanced")
			}
			if r.Kinds.Total() != 1 || r.Kinds[test.kind] != 1 || len(r.Differences) != 1 {
				t.Fatalf("kinds %v and differences %+v, want one %s", r.Kinds, r.Differences, test.kind)
			}
			d := r.Differences[0]
			if d.Kind != test.kind || d.ID != (covid.Key{test.key, 1, 2}).ID() || !strings.Contains(d.Detail, test.detail) {
				t.Errorf("difference %+v, want %s of key %d with %q", d, test.kind, test.key, test.detail)
			}
			var source, load bool
			for _, d := range r.Dates.Differing {
				source = source || d.Source != d.RawCompared
				load = load || d.Raw != d.Warehouse
			}
			if source != test.source || load != test.load {
				t.Errorf("source differs from index %v, want %v; index from warehouse %v, want %v",
					source, test.source, load, test.load)
			}
		})
	}
}

func TestLostBeforeTheIndex(t *testing.T) {
	t.Parallel()
	w := sound()
	books := w.books(t)
	books.AddLost(covid.NewVersion(2, 4), "12 fields")
	w.totals.Records++
	r := compare(t, books, w.totals)
	want := Difference{Kind: Lost, Release: 2, Row: 4, Detail: "broken, and not in the quarantine (12 fields): run `starter ingest --new-release` for its source"}
	if r.Balanced || r.Source.Lost != 1 || len(r.Differences) != 1 || r.Differences[0] != want {
		t.Fatalf("balanced %v, source %+v, differences %+v", r.Balanced, r.Source, r.Differences)
	}
	if want := "5 source records = 2 live in the raw index + 1 superseded + 1 quarantined + 1 lost"; r.Identities.Source != want {
		t.Errorf("identity %q, want %q", r.Identities.Source, want)
	}
}

// A total that the parts do not add up to is a difference, whichever way.
func TestUnaccounted(t *testing.T) {
	t.Parallel()
	for _, off := range []int64{-1, 1} {
		w := sound()
		r := compare(t, w.books(t), Totals{Records: w.totals.Records + off, Quarantined: w.totals.Quarantined})
		if r.Balanced || r.Source.Unaccounted != off {
			t.Errorf("balanced %v with %d unaccounted for, want false with %d", r.Balanced, r.Source.Unaccounted, off)
		}
		if !strings.HasSuffix(r.Identities.Source, map[int64]string{-1: " - 1 unaccounted for", 1: " + 1 unaccounted for"}[off]) {
			t.Errorf("identity %q does not say that it does not hold", r.Identities.Source)
		}
	}
}

// The sums of a date are added up apart from the hashes, and count by themselves.
func TestSumsDiffer(t *testing.T) {
	t.Parallel()
	w := sound()
	w.warehouse[1].NewCases.N++
	r := compare(t, w.books(t), w.totals)
	if r.Balanced || r.Kinds.Total() != 0 || len(r.Dates.Differing) != 1 || r.Dates.Different != 1 {
		t.Fatalf("balanced %v, kinds %v, dates %+v", r.Balanced, r.Kinds, r.Dates)
	}
	d := r.Dates.Differing[0]
	if d.Date != day.String() || d.Warehouse.NewCases != d.Raw.NewCases+1 || d.Warehouse.Digest != d.Raw.Digest {
		t.Errorf("got %+v, want one more new case on %s", d, day)
	}
}

// While a release is unfinished, what it has not yet rewritten or retired is
// named and is no difference.
func TestAwaitingRetirement(t *testing.T) {
	t.Parallel()
	w := sound()
	w.raw[2] = from(OlderUnfinished, record(3, 1, 1, 30))
	w.warehouse = append(w.warehouse, record(3, 1, 1, 30))
	r := compare(t, w.books(t), w.totals)
	if !r.Balanced || r.Raw.AwaitingRetirement != 1 || r.Raw.LeftFromOlderReleases != 0 {
		t.Fatalf("balanced %v, raw %+v", r.Balanced, r.Raw)
	}
	if len(r.Awaiting) != 1 || r.Awaiting[0].ID != (covid.Key{3, 1, 2}).ID() {
		t.Errorf("awaiting %+v, want key 3", r.Awaiting)
	}
}

// An older document whose newer record was lost is one difference, not two.
func TestLostIsNotLeftOver(t *testing.T) {
	t.Parallel()
	w := sound()
	w.source = append(w.source, record(3, 2, 4, 31))
	w.totals.Records++
	w.raw[2] = from(Older, record(3, 1, 1, 30))
	w.warehouse = append(w.warehouse, record(3, 1, 1, 30))
	r := compare(t, w.books(t), w.totals)
	if r.Kinds.Total() != 1 || r.Kinds[Lost] != 1 {
		t.Errorf("kinds %v, want one lost", r.Kinds)
	}
}

// A newer record of another source supersedes.
func TestSupersededByAnotherSource(t *testing.T) {
	t.Parallel()
	w := sound()
	w.raw[0] = of(2, record(1, 3, 1, 12))
	w.warehouse = []Entry{of(2, record(1, 3, 1, 12)), rejected(record(2, 2, 2, 20)), record(4, 1, 4, 40)}
	r := compare(t, w.books(t), w.totals)
	if !r.Balanced || r.Source.Superseded != 2 || r.Raw.OfOtherSources != 2 {
		t.Errorf("balanced %v, source %+v, raw %+v", r.Balanced, r.Source, r.Raw)
	}
}

// A load writes nothing where no value differs, so a row may name an older record
// of its values, of a release that is there and, where it was read, has the record.
func TestARowMayKeepAnOlderPlace(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]Entry{
		"an older release":                          at(1, 7, false, record(1, 2, 3, 11)),
		"an older release of another source":        of(2, at(1, 7, false, record(1, 2, 3, 11))),
		"an earlier row of a release that was read": at(2, 1, true, record(1, 2, 3, 11)),
	} {
		w := sound()
		w.warehouse[1] = row
		if r := w.judge(t, t.TempDir()); !r.Balanced {
			t.Errorf("%s: %+v", name, r.Differences)
		}
	}
}

// A document that was changed past the pipeline is a reject in the warehouse, and
// its source's record is lost.
func TestForeignDocument(t *testing.T) {
	t.Parallel()
	w := sound()
	w.raw[0] = foreign(w.raw[0])
	w.warehouse[1] = foreign(w.warehouse[1])
	books := w.books(t)
	books.AddFault(Foreign, &w.raw[0], "its version is wrong")
	r := compare(t, books, w.totals)
	if r.Balanced || r.Kinds.Total() != 2 || r.Kinds[Foreign] != 1 || r.Kinds[Lost] != 1 || r.Source.Superseded != 1 || r.Raw.Rejected != 2 {
		t.Errorf("kinds %v, source %+v, raw %+v", r.Kinds, r.Source, r.Raw)
	}
	w.warehouse[1].Values[0]++
	if r := w.judge(t, t.TempDir()); r.Kinds[Different] != 1 {
		t.Errorf("kinds %v of a reject that keeps another text", r.Kinds)
	}
	w.warehouse[1] = record(1, 2, 3, 11)
	if r := w.judge(t, t.TempDir()); r.Kinds[RejectedButLoaded] != 1 {
		t.Errorf("kinds %v of a row", r.Kinds)
	}
}

func TestWrongSum(t *testing.T) {
	t.Parallel()
	w := sound()
	books := w.books(t)
	books.AddWrongSum(day, "covid_daily, "+strings.Repeat("x", 2*maxDetail))
	r := compare(t, books, w.totals)
	if r.Balanced || r.Kinds[WrongSum] != 1 || len(r.Differences) != 1 || r.Differences[0].Date != day.String() || len(r.Differences[0].Detail) > maxDetail+3 {
		t.Errorf("balanced %v, %+v", r.Balanced, r.Differences)
	}
}

// A date that lay in the future on the day the record came is rejected, whatever
// the day of the comparison.
func TestTheDocumentKnowsHowItsDateWasJudged(t *testing.T) {
	w := sound()
	w.raw[0], w.warehouse[1] = from(Current, rejected(w.raw[0])), rejected(w.warehouse[1])
	w.raw[0].Values, w.warehouse[1].Values = w.source[2].Values, w.source[2].Values
	if r := w.judge(t, t.TempDir()); !r.Balanced {
		t.Errorf("%+v", r)
	}
}
