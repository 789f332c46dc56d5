package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

func TestStateOfAnEmptyWarehouse(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	if cursor, found, err := db.State(t.Context(), index); found || err != nil || cursor.Generation != 0 {
		t.Errorf("%+v, %v, %v", cursor, found, err)
	}
}

func TestStateGivesTheNewestAnchors(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 2)
	for i := range 20 {
		in := window(int64(i)-1, int64(i))
		if i == 18 {
			in.Last = warehouse.Anchor{}
		}
		load(t, db, in)
	}
	cursor := cursorOf(t, db)
	if cursor.IndexUUID != "uuid" || cursor.Generation != 1 || len(cursor.Shards) != 2 {
		t.Fatalf("cursor %+v", cursor)
	}
	var want []warehouse.Anchor
	for seq := int64(19); len(want) < 16; seq-- {
		if seq != 18 {
			want = append(want, warehouse.Anchor{ID: fmt.Sprint("doc", seq), Version: seq, SeqNo: seq})
		}
	}
	first, second := cursor.Shards[0], cursor.Shards[1]
	if first.Shard != 0 || first.LastSeq != 19 || first.HistoryUUID != "history0" || first.PrimaryTerm != 1 || !slices.Equal(first.Anchors, want) {
		t.Errorf("shard 0: %+v", first)
	}
	if second.Shard != 1 || second.LastSeq != -1 || len(second.Anchors) != 0 {
		t.Errorf("shard 1: %+v", second)
	}
	begin(t, db, 1, 2)
	if anchors := cursorOf(t, db).Shards[0].Anchors; len(anchors) != 0 {
		t.Errorf("a new generation has the anchors %+v", anchors)
	}
}

func TestSecondIndexIsRefused(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	load(t, db, window(-1, 0, row(1, 1)))
	_, _, stateErr := db.State(t.Context(), "other")
	_, firstErr := db.StartGeneration(t.Context(), beginning("other", "uuid2", 0, cursors(1)))
	_, nextErr := db.StartGeneration(t.Context(), beginning("other", "uuid2", 1, cursors(1)))
	_, _, sweepErr := sweep(t.Context(), db, "other", 1)
	for name, err := range map[string]error{
		"state": stateErr, "first generation": firstErr, "next generation": nextErr, "sweep": sweepErr,
		"history": db.FollowHistory(t.Context(), "other", 1, cursors(1)),
	} {
		if !errors.Is(err, warehouse.ErrOtherIndex) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if cursor := cursorOf(t, db); cursor.Generation != 1 || cursor.IndexUUID != "uuid" {
		t.Errorf("cursor %+v", cursor)
	}
	// Two that begin at once meet the same wall in the database.
	at(t, url, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(t.Context(), "INSERT INTO etl_state (raw_index, index_uuid, generation) VALUES ('other', 'u', 1)"); err == nil {
			t.Error("the table has room for a second index")
		}
		return nil
	})
}

func TestTwoIndicesBeginAtOnce(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = db.StartGeneration(t.Context(), beginning(fmt.Sprint("index", i%2), "uuid", 0, cursors(1)))
		})
	}
	wg.Wait()
	var winner [2]int
	for i, err := range errs {
		switch {
		case err == nil:
			winner[i%2]++
		case !errors.Is(err, warehouse.ErrOtherIndex):
			t.Error(err)
		}
	}
	if winner != [2]int{4, 0} && winner != [2]int{0, 4} {
		t.Errorf("the indices began %v times", winner)
	}
}

func TestStartGenerationRepeated(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 2)
	begin(t, db, 0, 2) // the answer was lost
	load(t, db, window(-1, 0, row(1, 1)))
	for name, start := range map[string]func() (int, error){
		"something is loaded since": func() (int, error) { return db.StartGeneration(t.Context(), beginning(index, "uuid", 0, cursors(2))) },
		"from before":               func() (int, error) { return db.StartGeneration(t.Context(), beginning(index, "uuid", -1, cursors(2))) },
		"from the future":           func() (int, error) { return db.StartGeneration(t.Context(), beginning(index, "uuid", 2, cursors(2))) },
	} {
		if generation, err := start(); !errors.Is(err, warehouse.ErrOvertaken) {
			t.Errorf("%s: %d, %v", name, generation, err)
		}
	}
	begin(t, db, 1, 3)
	other := cursors(3)
	other[1].HistoryUUID = "another"
	for name, shards := range map[string][]warehouse.ShardCursor{"fewer shards": cursors(2), "another history": other} {
		if generation, err := db.StartGeneration(t.Context(), beginning(index, "uuid", 1, shards)); !errors.Is(err, warehouse.ErrOvertaken) {
			t.Errorf("begun by another run, %s: %d, %v", name, generation, err)
		}
	}
	if _, err := db.StartGeneration(t.Context(), beginning(index, "another uuid", 1, cursors(3))); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("begun by another run, of another index: %v", err)
	}
	if cursor := cursorOf(t, db); cursor.Generation != 2 || len(cursor.Shards) != 3 || cursor.Shards[0].LastSeq != -1 {
		t.Errorf("cursor %+v", cursor)
	}
}

func TestGenerationAfterTheWarehouseWasEmptied(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	execute(t, url, "DELETE FROM etl_state")
	_, startErr := db.StartGeneration(t.Context(), beginning(index, "uuid", 1, cursors(1)))
	_, _, sweepErr := sweep(t.Context(), db, index, 1)
	for name, err := range map[string]error{"start": startErr, "sweep": sweepErr, "history": db.FollowHistory(t.Context(), index, 1, cursors(1))} {
		if !errors.Is(err, warehouse.ErrOvertaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFollowHistory(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 2)
	shards := cursors(2)
	shards[1].PrimaryTerm = 5
	for range 2 {
		if err := db.FollowHistory(t.Context(), index, 1, shards); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.FollowHistory(t.Context(), index, 1, cursors(2)); err != nil { // a late attempt
		t.Fatal(err)
	}
	if got := cursorOf(t, db).Shards; got[0].PrimaryTerm != 1 || got[1].PrimaryTerm != 5 {
		t.Errorf("shards %+v", got)
	}
	if err := db.FollowHistory(t.Context(), index, 2, shards); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("another generation: %v", err)
	}
}

func TestRescan(t *testing.T) {
	t.Parallel()
	db, url := started(t, 2)
	in := window(-1, 9, row(1, 1), row(2, 2), row(3, 3), row(4, 4))
	in.Rejects = []warehouse.Reject{reject(5, "stays bad"), reject(6, "gets good"), reject(7, "goes")}
	load(t, db, in)
	written := value[string](t, url, "SELECT string_agg(loaded_at::text, ',' ORDER BY loaded_at) FROM covid_cases")
	begin(t, db, 1, 1)

	same := row(1, 1)
	same.Release, same.Row = 2, 90
	in = window(-1, 9, same, row(2, 22), row(6, 6), row(8, 8))
	in.Generation = 2
	in.Rejects = []warehouse.Reject{reject(3, "gets bad"), reject(5, "stays bad")}
	if got, want := load(t, db, in), (warehouse.LoadCounts{Extracted: 6, Unchanged: 1, Updated: 1, Inserted: 2, MovedToRejects: 1, Rejected: 1}); got != want {
		t.Errorf("counts %s, want %s", asJSON(got), asJSON(want))
	}
	// Until the sweep the rows of the older generation are still there.
	holds(t, db, []covid.Row{same, row(2, 22), row(4, 4), row(6, 6), row(8, 8)},
		[]warehouse.Reject{reject(3, "gets bad"), reject(5, "stays bad"), reject(7, "goes")})
	if n := value[int](t, url, "SELECT count(*) FROM covid_cases WHERE loaded_at::text = ANY(string_to_array($1, ','))", written); n != 2 {
		t.Errorf("%d rows kept the time of their load, want 2: the same values, and the one not read again", n)
	}

	for _, want := range [][2]int64{{1, 1}, {0, 0}} {
		rows, rejects, err := sweep(t.Context(), db, index, 2)
		if err != nil || [2]int64{rows, rejects} != want {
			t.Errorf("swept %d, %d, %v; want %v", rows, rejects, err, want)
		}
	}
	holds(t, db, []covid.Row{same, row(2, 22), row(6, 6), row(8, 8)}, []warehouse.Reject{reject(3, "gets bad"), reject(5, "stays bad")})
	if _, _, err := sweep(t.Context(), db, index, 1); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("a sweep for the older generation: %v", err)
	}
	in = window(9, 12, row(9, 9))
	if _, err := db.Load(t.Context(), in); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("a load of the older generation: %v", err)
	}
}

// A sweep finds totals that somebody spoiled, and sets them right.
func TestSweepCountsAnew(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	load(t, db, window(-1, 0, row(1, 1), row(2, 2)))
	execute(t, url, "UPDATE etl_state SET rows = 7, rejects = 3")
	if _, _, err := sweep(t.Context(), db, index, 1); err != nil {
		t.Fatal(err)
	}
	holds(t, db, []covid.Row{row(1, 1), row(2, 2)}, nil)
}

// A run with nothing to sweep does not wait for the loads of another.
func TestSweptGenerationIsNotLocked(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	if _, _, err := sweep(t.Context(), db, index, 1); err != nil {
		t.Fatal(err)
	}
	at(t, url, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE etl_state IN ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, _, err := sweep(ctx, db, index, 1)
		return err
	})
}

// Loads of the old generation run while the next begins and is swept: nobody
// deadlocks, and the totals stay those of the tables.
func TestGenerationsAndLoadsAtOnce(t *testing.T) {
	t.Parallel()
	const shards, generations, docs = 3, 4, 60
	db, _ := started(t, shards)
	for generation := 1; generation <= generations; generation++ {
		var wg sync.WaitGroup
		for shard := range shards {
			wg.Go(func() {
				for at := int64(-1); ; {
					in := window(at, at+docs)
					in.Shard, in.Generation = shard, generation
					for i := range docs {
						in.Rows = append(in.Rows, row(shard*1000+i, int32(generation)))
					}
					_, err := db.Load(t.Context(), in)
					if errors.Is(err, warehouse.ErrOvertaken) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					at += docs
				}
			})
		}
		for range 3 {
			if _, _, err := sweep(t.Context(), db, index, generation); err != nil {
				t.Error(err)
			}
			if err := db.FollowHistory(t.Context(), index, generation, cursors(shards)); err != nil {
				t.Error(err)
			}
		}
		begin(t, db, generation, shards)
		wg.Wait()
		compare(t, db, read(t, db))
	}
}
