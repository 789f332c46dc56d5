package warehouse_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

const (
	staleRows    = 600
	staleRejects = 300
)

// stale returns a warehouse of which a second generation saw every tenth row and
// reject, and what is to be left of it.
func stale(t *testing.T) (db *warehouse.DB, url string, rows []covid.Row, rejects []warehouse.Reject) {
	t.Helper()
	db, url = started(t, 1)
	first, second := window(-1, 0), window(-1, 0)
	second.Generation = 2
	for n := range staleRows {
		first.Rows = append(first.Rows, row(n, 1))
		if n%10 == 0 {
			rows = append(rows, row(n, 1))
		}
	}
	for n := staleRows; n < staleRows+staleRejects; n++ {
		first.Rejects = append(first.Rejects, reject(n, "bad"))
		if n%10 == 0 {
			rejects = append(rejects, reject(n, "bad"))
		}
	}
	load(t, db, first)
	sum(t, db, 1)
	begin(t, db, 1, 1)
	second.Rows, second.Rejects = rows, rejects
	load(t, db, second)
	return db, url, rows, rejects
}

// swept checks contents, totals and sums after a sweep.
func swept(t *testing.T, db *warehouse.DB, url string, rows []covid.Row, rejects []warehouse.Reject) {
	t.Helper()
	holds(t, db, rows, rejects)
	if n := value[int64](t, url, differences); n != 0 {
		t.Errorf("%d sums differ from the rows", n)
	}
	if !cursorOf(t, db).Swept {
		t.Error("the generation is not swept")
	}
}

// A sweep is cut after each chunk and taken up where its progress says, or from the
// beginning; loads run in between, and the totals are right at every moment.
func TestSweepIsTakenUpBetweenChunks(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]bool{"from its progress": true, "from the beginning": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, url, rows, rejects := stale(t)
			var at, removed warehouse.SweepProgress
			chunks := 0
			for next := int64(0); ; next++ {
				ctx, cut := context.WithCancel(t.Context())
				in := warehouse.Sweep{RawIndex: index, Generation: 2, Blocks: 1, Progress: func(p warehouse.SweepProgress) {
					removed.Rows, removed.Rejects = removed.Rows+p.Rows-at.Rows, removed.Rejects+p.Rejects-at.Rejects
					at = p
					if chunks++; removed.Rows+removed.Rejects > next*100 {
						cut()
					}
				}}
				if resume {
					in.From = at
				} else {
					at = warehouse.SweepProgress{}
				}
				_, err := db.SweepGeneration(ctx, in)
				cut()
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				// A stale row that was ingested again is loaded, and a row of this generation.
				between := window(next, next+1, row(int(next)*10+1, 5), row(int(next)*10, 6))
				between.Generation = 2
				load(t, db, between)
				c := read(t, db)
				if cursor := cursorOf(t, db); cursor.Rows != int64(len(c.rows)) || cursor.Rejects != int64(len(c.rejects)) || cursor.Swept {
					t.Fatalf("between two chunks: %+v, there are %d rows and %d rejects", cursor, len(c.rows), len(c.rejects))
				}
				rows = append(rows, between.Rows...)
			}
			swept(t, db, url, rows, rejects)
			if chunks < 10 || removed.Rejects != staleRejects*9/10 || removed.Rows > staleRows*9/10 {
				t.Errorf("%d chunks removed %+v", chunks, removed)
			}
		})
	}
}

func TestSweepThatIsOvertakenBetweenChunks(t *testing.T) {
	t.Parallel()
	db, url, _, _ := stale(t)
	chunks := 0
	_, err := db.SweepGeneration(t.Context(), warehouse.Sweep{RawIndex: index, Generation: 2, Blocks: 1, Progress: func(warehouse.SweepProgress) {
		if chunks++; chunks == 2 {
			begin(t, db, 2, 1)
		}
	}})
	if !errors.Is(err, warehouse.ErrOvertaken) || chunks != 2 {
		t.Errorf("after %d chunks: %v", chunks, err)
	}
	compare(t, db, read(t, db))
	in := window(-1, 0, row(5, 5))
	in.Generation = 3
	load(t, db, in)
	if _, _, err := sweep(t.Context(), db, index, 3); err != nil {
		t.Fatal(err)
	}
	swept(t, db, url, []covid.Row{row(5, 5)}, nil)
}

// Something that was moved to blocks that the sweep has passed is found at its end.
func TestSweepFindsWhatMovedBehindIt(t *testing.T) {
	t.Parallel()
	db, url, rows, rejects := stale(t)
	done, err := db.SweepGeneration(t.Context(), warehouse.Sweep{
		RawIndex: index, Generation: 2, From: warehouse.SweepProgress{Table: 1, Block: 1 << 20, Rows: 7},
	})
	if err != nil || done.Rows != 7+staleRows*9/10 || done.Rejects != staleRejects*9/10 {
		t.Errorf("%+v, %v", done, err)
	}
	swept(t, db, url, rows, rejects)
}

// A chunk reads its blocks alone, not the table.
func TestSweepReadsRangesOfBlocks(t *testing.T) {
	t.Parallel()
	_, url, _, _ := stale(t)
	var plan strings.Builder
	at(t, url, func(conn *pgx.Conn) error {
		rows, err := conn.Query(t.Context(), "EXPLAIN DELETE FROM covid_cases WHERE ctid >= '(0,0)'::text::tid AND ctid < '(2,0)'::text::tid AND generation < 2")
		if err != nil {
			return err
		}
		var line string
		_, err = pgx.ForEachRow(rows, []any{&line}, func() error { plan.WriteString(line + "\n"); return nil })
		return err
	})
	if !strings.Contains(plan.String(), "Tid Range Scan") {
		t.Error(plan.String())
	}
}
