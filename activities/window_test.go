package activities

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

func key() *rapid.Generator[covid.Key] {
	return rapid.Custom(func(t *rapid.T) (k covid.Key) {
		copy(k[:], rapid.SliceOfN(rapid.Byte(), len(k), len(k)).Draw(t, "key"))
		return k
	})
}

func count() *rapid.Generator[covid.Count] {
	return rapid.Custom(func(t *rapid.T) covid.Count {
		if !rapid.Bool().Draw(t, "known") {
			return covid.Count{}
		}
		return covid.Count{N: rapid.Int32().Draw(t, "n"), Known: true}
	})
}

func windows() *rapid.Generator[window] {
	row := rapid.Custom(func(t *rapid.T) (r covid.Row) {
		r.Key, r.Date = key().Draw(t, "key"), covid.Date(rapid.Int32().Draw(t, "date"))
		for _, s := range rowStrings(&r) {
			*s = rapid.String().Draw(t, "text")
		}
		for _, c := range rowCounts(&r) {
			*c = count().Draw(t, "count")
		}
		r.Release, r.Row = rapid.Int64().Draw(t, "release"), rapid.Int64().Draw(t, "row")
		return r
	})
	reject := rapid.Custom(func(t *rapid.T) warehouse.Reject {
		return warehouse.Reject{
			Key: key().Draw(t, "key"), Source: rapid.String().Draw(t, "source"), Release: rapid.Int64().Draw(t, "release"),
			Row: rapid.Int64().Draw(t, "row"), Date: rapid.String().Draw(t, "date"), Reason: rapid.String().Draw(t, "reason"),
			Document: []byte(rapid.String().Draw(t, "document")),
		}
	})
	return rapid.Custom(func(t *rapid.T) window {
		return window{
			rows:    rapid.SliceOfN(row, 0, 5).Draw(t, "rows"),
			rejects: rapid.SliceOfN(reject, 0, 5).Draw(t, "rejects"),
			retired: rapid.SliceOfN(key(), 0, 5).Draw(t, "retired"),
		}
	})
}

func TestAStagedWindowComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := windows().Draw(t, "window")
		got, err := decodeWindow(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestADamagedStageIsAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := windows().Draw(t, "window")
		b := whole.encode()
		if _, err := decodeWindow(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a stage that was cut off was read")
		}
		if _, err := decodeWindow(append(b, 0)); err == nil {
			t.Fatal("a stage with a byte too many was read")
		}
	})
}

func FuzzDecodeWindow(f *testing.F) {
	w := window{rows: make([]covid.Row, 2), rejects: make([]warehouse.Reject, 1), retired: make([]covid.Key, 1)}
	f.Add(w.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeWindow(b)
		if err == nil {
			if again, err := decodeWindow(w.encode()); err != nil || !reflect.DeepEqual(again, w) {
				t.Fatalf("read %+v, written and read again %+v (%v)", w, again, err)
			}
		}
	})
}
