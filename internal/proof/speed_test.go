package proof

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
)

// numbered is record i of many, with an evenly spread key.
func numbered(i int64) Entry {
	e := record(0, 1, i+1, uint64(i))
	binary.BigEndian.PutUint64(e.Key[:], uint64(i)*0x9e3779b97f4a7c15)
	e.Date -= covid.Date(i % 1000)
	e.Origin = Current
	return e
}

func addAll(t testing.TB, books *Books, n int64) {
	t.Helper()
	for i := range n {
		e := numbered(i)
		for _, add := range []func(*Entry) error{books.AddSource, books.AddRaw, books.AddWarehouse} {
			if err := add(&e); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The memory in use depends on the blocks that are being filled and on one
// part, not on the number of entries: 300,000 a side would be 63 MB.
func TestMemory(t *testing.T) {
	const entries, limit = 300_000, 24 << 20
	var w world
	books := w.books(t)
	addAll(t, books, entries)
	var most uint64
	r, err := books.Compare(context.Background(), Totals{Records: entries}, func(done, of int) {
		if done%64 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Balanced || r.Source.Live != entries || r.Dates.Compared != 1000 {
		t.Errorf("balanced %v, source %+v, dates %d", r.Balanced, r.Source, r.Dates.Compared)
	}
	if most > limit {
		t.Errorf("%d bytes in use, want at most %d", most, limit)
	}
}

// Shards are read side by side, and so are the stores.
func TestConcurrentAdds(t *testing.T) {
	t.Parallel()
	const readers, entries = 4, 2000
	var w world
	books := w.books(t)
	var wg sync.WaitGroup
	for r := range int64(readers) {
		for _, add := range []func(*Entry) error{books.AddSource, books.AddRaw, books.AddWarehouse} {
			wg.Go(func() {
				for i := range int64(entries) {
					e := numbered(r*entries + i)
					if err := add(&e); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() { books.AddLost(covid.NewVersion(9, r+1), "NUL") })
	}
	wg.Wait()
	r := compare(t, books, Totals{Records: readers*entries + readers})
	if r.Source.Live != readers*entries || r.Raw.Warehouse != readers*entries || r.Source.Lost != readers || r.Kinds.Total() != readers {
		t.Errorf("source %+v, raw %+v, kinds %v", r.Source, r.Raw, r.Kinds)
	}
}

// BenchmarkCompare adds and compares three equal sides; a record is one entry
// on each.
func BenchmarkCompare(b *testing.B) {
	var w world
	books := w.books(b)
	b.ReportAllocs()
	n := int64(b.N)
	addAll(b, books, n)
	if r := compare(b, books, Totals{Records: n}); !r.Balanced {
		b.Fatal("not balanced")
	}
}
