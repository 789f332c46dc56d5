package warehouse

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// sweepBlocks is how many blocks of a table one transaction of a sweep covers: 16 MB
// are about 60,000 rows and half a second, for which the loads of others wait.
const sweepBlocks = 2048

// sweptTables are the tables that a sweep walks through, and how it counts what it
// removed from each.
var sweptTables = [...]struct{ remove, size, total string }{
	{
		"DELETE FROM covid_cases WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND generation < $3",
		"SELECT pg_relation_size('covid_cases') / current_setting('block_size')::bigint",
		"UPDATE etl_state SET rows = rows - $1",
	},
	{
		"DELETE FROM covid_rejects WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND generation < $3",
		"SELECT pg_relation_size('covid_rejects') / current_setting('block_size')::bigint",
		"UPDATE etl_state SET rejects = rejects - $1",
	},
}

// SweepProgress is how far a sweep has come. The zero value is its beginning.
type SweepProgress struct {
	Table   int   `json:"table"` // 0 covid_cases, 1 covid_rejects
	Block   int64 `json:"block"` // of that table, everything before is done
	Blocks  int64 `json:"blocks"`
	Rows    int64 `json:"rows"` // removed so far
	Rejects int64 `json:"rejects"`
}

// Sweep removes what older generations left.
type Sweep struct {
	RawIndex   string
	Generation int
	From       SweepProgress       // of an earlier attempt
	Blocks     int64               // that one transaction covers; 0 = 2,048
	Progress   func(SweepProgress) // called after each transaction; may be nil
}

// SweepGeneration removes the rows and rejects of older generations, after the
// last window of this one, and counts what is there anew. It does so chunk by chunk,
// each in a transaction of its own that keeps the totals right, so that it may be
// stopped at any time and loads run in between. When all that has been done before
// it costs one small read. It returns ErrOvertaken when the generation is no longer
// that one.
func (db *DB) SweepGeneration(ctx context.Context, in Sweep) (done SweepProgress, err error) {
	if in.Blocks == 0 {
		in.Blocks = sweepBlocks
	}
	s := sweeping{db: db, Sweep: in, at: in.From}
	if err := s.run(ctx); err != nil {
		return s.at, fmt.Errorf("remove the rows of older generations: %w", explain(noneIsOvertaken(err)))
	}
	return s.at, nil
}

// sweeping is one attempt of a sweep.
type sweeping struct {
	db *DB
	Sweep
	at SweepProgress
}

func (s *sweeping) run(ctx context.Context) error {
	var now state
	if err := now.scan(s.db.pool.QueryRow(ctx, selectState)); err != nil {
		return err
	}
	if err := now.belongs(s.RawIndex, s.Generation); err != nil || now.swept == s.Generation {
		return err
	}
	// Nothing is older than the first generation; its end counts it all the same.
	for walk := s.Generation > 1; ; walk = true {
		if walk {
			if err := s.walk(ctx); err != nil {
				return err
			}
		}
		if left, err := s.end(ctx); err != nil || left == 0 {
			return err
		}
		s.at.Table, s.at.Block = 0, 0 // a row was moved to where the walk had been, by hand or by VACUUM FULL
	}
}

// walk removes chunk after chunk. Loads add rows of this generation alone, so it
// need not follow a table that grows.
func (s *sweeping) walk(ctx context.Context) error {
	for ; s.at.Table < len(sweptTables); s.at.Table, s.at.Block = s.at.Table+1, 0 {
		table := sweptTables[s.at.Table]
		if err := s.db.pool.QueryRow(ctx, table.size).Scan(&s.at.Blocks); err != nil {
			return err
		}
		for s.at.Block < s.at.Blocks {
			removed, err := s.chunk(ctx)
			if err != nil {
				return err
			}
			if s.at.Table == 0 {
				s.at.Rows += removed
			} else {
				s.at.Rejects += removed
			}
			s.at.Block += s.Blocks
			if s.Progress != nil {
				s.Progress(s.at)
			}
		}
	}
	return nil
}

// chunk removes what is stale in the next blocks. Loads wait meanwhile: they lock
// rows in another order.
func (s *sweeping) chunk(ctx context.Context) (removed int64, err error) {
	table := sweptTables[s.at.Table]
	err = s.alone(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, table.remove, tid(s.at.Block), tid(s.at.Block+s.Blocks), s.Generation)
		if err != nil {
			return err
		}
		removed = tag.RowsAffected()
		if removed == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, table.total, removed)
		return err
	})
	return removed, err
}

func tid(block int64) string { return fmt.Sprintf("(%d,0)", block) }

// end marks the generation as swept and stores the totals as they are counted,
// unless something stale is left.
func (s *sweeping) end(ctx context.Context) (left int64, err error) {
	err = s.alone(ctx, func(tx pgx.Tx) error {
		var rows, rejects int64
		err := tx.QueryRow(ctx, `SELECT r.n, j.n, r.stale + j.stale FROM
			(SELECT count(*) AS n, count(*) FILTER (WHERE generation < $1) AS stale FROM covid_cases) r,
			(SELECT count(*) AS n, count(*) FILTER (WHERE generation < $1) AS stale FROM covid_rejects) j`, s.Generation).
			Scan(&rows, &rejects, &left)
		if err != nil || left > 0 {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE etl_state SET swept = $1, rows = $2, rejects = $3", s.Generation, rows, rejects)
		return err
	})
	return left, err
}

// alone does a transaction that no load and no other generation comes into, while
// the generation is still this one.
func (s *sweeping) alone(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, soleState); err != nil {
			return err
		}
		var now state
		if err := now.scan(tx.QueryRow(ctx, selectState)); err != nil {
			return err
		}
		if err := now.belongs(s.RawIndex, s.Generation); err != nil {
			return err
		}
		return do(tx)
	})
}
