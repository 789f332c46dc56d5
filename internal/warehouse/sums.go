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
	if err != nil {
		return fmt.Errorf("sum for the dashboards: %w", explain(noneIsOvertaken(err)))
	}
	return nil
}
