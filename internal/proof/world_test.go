package proof

import (
	"context"
	"testing"

	"covidpipeline/internal/covid"
)

// world is what the three sides hold.
type world struct {
	source, raw, warehouse []Entry
	totals                 Totals
}

func (w *world) books(t testing.TB) *Books {
	t.Helper()
	books, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := books.Close(); err != nil {
			t.Error(err)
		}
	})
	w.fill(t, books)
	return books
}

func (w *world) fill(t testing.TB, books *Books) {
	t.Helper()
	for _, side := range []struct {
		add     func(*Entry) error
		entries []Entry
	}{{books.AddSource, w.source}, {books.AddRaw, w.raw}, {books.AddWarehouse, w.warehouse}} {
		for i := range side.entries {
			if err := side.add(&side.entries[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// judge compares the world with files that are closed before it returns.
func (w *world) judge(t testing.TB, dir string) *Report {
	t.Helper()
	books, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	w.fill(t, books)
	return compare(t, books, w.totals)
}

func compare(t testing.TB, books *Books, totals Totals) *Report {
	t.Helper()
	report, err := books.Compare(context.Background(), totals, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

var day = func() covid.Date {
	d, err := covid.ParseDate("2022-04-29")
	if err != nil {
		panic(err)
	}
	return d
}()

// record is a sound record of key n with the given value.
func record(n byte, release, row int64, value uint64) Entry {
	return Entry{Key: covid.Key{n, 1, 2}, Version: covid.NewVersion(release, row), Source: 1, Values: covid.Sum{value, 1},
		Row: covid.Sum{value, 2}, Date: day, HasDate: true,
		NewCases: covid.Count{N: int32(value), Known: true}, NewDeaths: covid.Count{N: -1, Known: value > 5}}
}

func rejected(e Entry) Entry {
	e.Rejected, e.Row, e.HasDate, e.Date = true, covid.Sum{}, false, 0
	e.NewCases, e.NewDeaths = covid.Count{}, covid.Count{}
	return e
}

func from(o Origin, e Entry) Entry { e.Origin = o; return e }

func of(source uint32, e Entry) Entry { e.Source = source; return e }

func foreign(e Entry) Entry {
	e = rejected(e)
	e.Foreign, e.Origin = true, Other
	return e
}

// at is a warehouse entry at the place of another record; read reports that the
// record there was read.
func at(release, row int64, read bool, e Entry) Entry {
	e.Version, e.Registered, e.Origin = covid.NewVersion(release, row), true, Other
	if read {
		e.Origin = Current
	}
	return e
}

func retired(release int64, e Entry) Entry {
	e.Retired, e.Version = true, covid.NewVersion(release, 0)
	return e
}

// sound is a world without a difference: a row, a reject, a superseded record, a
// retired key and a document of another source.
func sound() world {
	return world{
		totals: Totals{Records: 4, Quarantined: 1, Sources: []string{"/data/a.csv", "/data/b.csv"}},
		source: []Entry{record(1, 2, 1, 10), rejected(record(2, 2, 2, 20)), record(1, 2, 3, 11)},
		raw: []Entry{
			from(Current, record(1, 2, 3, 11)), from(Current, rejected(record(2, 2, 2, 20))),
			from(Older, retired(2, record(3, 1, 1, 30))), record(4, 1, 4, 40),
		},
		warehouse: []Entry{rejected(record(2, 2, 2, 20)), record(1, 2, 3, 11), record(4, 1, 4, 40)},
	}
}

func without(entries []Entry, i int) []Entry {
	return append(append([]Entry(nil), entries[:i]...), entries[i+1:]...)
}
