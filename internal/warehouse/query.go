package warehouse

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Query runs a dashboard's statement in a read-only transaction with a time
// limit of 30 s. Values are nil, bool, int64, float64, string or time.Time
// (dates at midnight UTC).
func (db *DB) Query(ctx context.Context, sql string, args ...any) (columns []string, rows [][]any, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '30s'"); err != nil {
			return err
		}
		result, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		for _, f := range result.FieldDescriptions() {
			columns = append(columns, f.Name)
		}
		rows, err = pgx.CollectRows(result, func(row pgx.CollectableRow) ([]any, error) {
			values, err := row.Values()
			for i, v := range values {
				if values[i], err = plain(v, err); err != nil {
					return nil, err
				}
			}
			return values, err
		})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("query the warehouse: %w", explain(err))
	}
	return columns, rows, nil
}

// plain narrows what pgx gives to the types that Query promises.
func plain(v any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	switch n := v.(type) {
	case int16:
		return int64(n), nil
	case int32:
		return int64(n), nil
	case float32:
		return float64(n), nil
	case pgtype.Numeric:
		f, err := n.Float64Value()
		return f.Float64, err
	}
	return v, nil
}
