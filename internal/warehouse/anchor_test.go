package warehouse_test

import (
	"slices"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

// anchored is a window of one number whose document is a key's.
func anchored(seq int64, n int) warehouse.LoadInput {
	in := window(seq-1, seq, row(n, int32(seq)))
	in.Last = warehouse.Anchor{ID: key(n).ID(), Version: seq, SeqNo: seq}
	return in
}

// anchorsAt returns the sequence numbers of the anchors of shard 0, newest first.
func anchorsAt(t *testing.T, db *warehouse.DB) (at []int64) {
	t.Helper()
	for _, a := range cursorOf(t, db).Shards[0].Anchors {
		at = append(at, a.SeqNo)
	}
	return at
}

func TestLoadDropsTheAnchorsThatItLoads(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*warehouse.LoadInput){
		"a row":     func(in *warehouse.LoadInput) { in.Rows = append(in.Rows, row(1, 9)) },
		"a reject":  func(in *warehouse.LoadInput) { in.Rejects = append(in.Rejects, reject(1, "bad")) },
		"a retired": func(in *warehouse.LoadInput) { in.Retired = append(in.Retired, key(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, _ := started(t, 2)
			for seq := range int64(4) {
				load(t, db, anchored(seq, int(seq)))
			}
			other := anchored(0, 10)
			other.Shard = 1
			load(t, db, other)
			in := anchored(4, 4)
			again(&in)
			load(t, db, in)
			if got := anchorsAt(t, db); !slices.Equal(got, []int64{4, 3, 2, 0}) {
				t.Errorf("anchors at %v, want all but 1", got)
			}
			load(t, db, in) // a late attempt
			none := window(4, 5, row(3, 9))
			none.Last = warehouse.Anchor{}
			load(t, db, none)
			if got := anchorsAt(t, db); !slices.Equal(got, []int64{4, 2, 0}) {
				t.Errorf("anchors at %v, want all but 1 and 3", got)
			}
			if got := cursorOf(t, db).Shards[1].Anchors; len(got) != 1 {
				t.Errorf("the other shard has the anchors %v", got)
			}
		})
	}
}

// An anchor that fell out of the newest 16 does not come back when newer ones are
// dropped: no load has looked at it meanwhile.
func TestDroppedAnchorsStayDropped(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	for seq := range int64(40) {
		load(t, db, anchored(seq, int(seq)))
	}
	in := window(39, 40)
	in.Last = warehouse.Anchor{}
	for n := 30; n < 40; n++ {
		in.Rows = append(in.Rows, row(n, 1))
	}
	load(t, db, in)
	if got := anchorsAt(t, db); !slices.Equal(got, []int64{29, 28, 27, 26, 25, 24}) {
		t.Errorf("anchors at %v, want 29 to 24", got)
	}
	// Versions before kept the anchors of all windows.
	execute(t, url, "UPDATE etl_window SET last_id = 'old' || from_seq WHERE from_seq < 20")
	load(t, db, anchored(41, 100))
	in = window(41, 42, row(100, 1), row(29, 1), row(28, 1))
	in.Last = warehouse.Anchor{}
	load(t, db, in)
	for _, a := range cursorOf(t, db).Shards[0].Anchors {
		if _, err := covid.ParseID(a.ID); err == nil && a.SeqNo >= 28 {
			t.Errorf("the anchor %+v is of a document that was loaded again", a)
		}
	}
	if n := value[int](t, url, "SELECT count(*) FROM etl_window WHERE last_id <> ''"); n > 16 {
		t.Errorf("%d anchors are left", n)
	}
}

func TestPutStamp(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	if c := cursorOf(t, db); c.Stamp != stampOf(1) {
		t.Fatalf("the first generation has the stamp %q", c.Stamp)
	}
	if err := db.PutStamp(t.Context(), index, 1, stampOf(1), "a"); err != nil {
		t.Fatal(err)
	}
	if c := cursorOf(t, db); c.Stamp != "a" {
		t.Errorf("the stamp is %q", c.Stamp)
	}
	late := beginning(index, "uuid", 1, cursors(1))
	_, beginErr := db.StartGeneration(t.Context(), late)
	for name, err := range map[string]error{
		"a late run's":         db.PutStamp(t.Context(), index, 1, stampOf(1), "b"),
		"another generation's": db.PutStamp(t.Context(), index, 2, "a", "b"), "another index's": db.PutStamp(t.Context(), "other", 1, "a", "b"),
		"a generation begun over another stamp": beginErr,
	} {
		if err == nil {
			t.Errorf("%s stamp was taken", name)
		}
	}
	if c := cursorOf(t, db); c.Stamp != "a" || c.Generation != 1 {
		t.Errorf("%+v", c)
	}
}
