package warehouse

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Sum makes the sums of the dashboards, and the index that they need beside them, at
// the end of the first load: until then there are none, from then on each load keeps
// them right in its own transaction. When that has been done it costs one small read.
// ErrOvertaken when the generation is no longer that one.
func (db *DB) Sum(ctx context.Context, rawIndex string, generation int) error {
	var done, summed bool
	err := db.pool.QueryRow(ctx, "SELECT summed, summed AND to_regclass('covid_cases_day') IS NOT NULL FROM etl_state").Scan(&summed, &done)
	if err == nil && !done {
		err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, soleState); err != nil {
				return err
			}
			var now state
			if err := now.scan(tx.QueryRow(ctx, selectState)); err != nil {
				return err
			}
			if err := now.belongs(rawIndex, generation); err != nil {
				return err
			}
			if !summed {
				if _, err := tx.Exec(ctx, "SELECT covid_sum()"); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "SELECT covid_index()")
			return err
		})
	}
	if err == nil {
		_, err = db.pool.Exec(ctx, "SELECT covid_find_repeats()")
	}
	if err != nil {
		return fmt.Errorf("sum for the dashboards: %w", explain(noneIsOvertaken(err)))
	}
	return nil
}

// Repeats are the places of which some day stands more than once in the warehouse,
// with another FIPS or without one: each such day is counted more than once.
type Repeats struct {
	Places  int64  `json:"places"`
	Days    int64  `json:"days"`              // of all of them
	Example string `json:"example,omitempty"` // the place with the most such days, and its FIPS
}

// Repeats returns what the end of the newest run found.
func (db *DB) Repeats(ctx context.Context) (Repeats, error) {
	var r Repeats
	err := db.pool.QueryRow(ctx, `SELECT count(*), coalesce(sum(days), 0)::bigint, coalesce((
			SELECT concat_ws(', ', county, state, country) || ' (FIPS ' || fips || ')' FROM covid_repeats
			ORDER BY days DESC, country COLLATE "C", state COLLATE "C", county COLLATE "C" LIMIT 1), '')
		FROM covid_repeats`).Scan(&r.Places, &r.Days, &r.Example)
	if err != nil {
		return Repeats{}, fmt.Errorf("read the places whose days stand more than once: %w", explain(err))
	}
	return r, nil
}
