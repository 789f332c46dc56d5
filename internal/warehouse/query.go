package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// queryTimeout bounds a dashboard's statement.
const queryTimeout = "30s"

// Query runs a dashboard's statement in a read-only transaction with a time
// limit of 30 s. Values are nil, bool, int64, float64, string or time.Time
// (dates at midnight UTC); a numeric is an int64 when it is whole and fits. A
// column of any other type is an error: the statement has to cast it.
func (db *DB) Query(ctx context.Context, sql string, args ...any) (columns []string, rows [][]any, err error) {
	results, err := db.Queries(ctx, Statement{sql, args})
	if err != nil {
		return nil, nil, err
	}
	return results[0].Columns, results[0].Rows, nil
}

// Statement is one of several statements.
type Statement struct {
	SQL  string
	Args []any
}

// Result is what a statement gave.
type Result struct {
	Columns []string
	Rows    [][]any
}

// Queries runs statements as Query does, all of them on one state of the warehouse:
// what a load commits meanwhile none of them sees.
func (db *DB) Queries(ctx context.Context, statements ...Statement) (results []Result, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '"+queryTimeout+"'"); err != nil {
			return err
		}
		for _, s := range statements {
			columns, rows, err := query(ctx, tx, s.SQL, s.Args)
			if err != nil {
				return err
			}
			results = append(results, Result{columns, rows})
		}
		return nil
	})
	var stopped *pgconn.PgError
	if errors.As(err, &stopped) && stopped.Code == "57014" {
		// The server is there: the same statement would be stopped again.
		return nil, fmt.Errorf("query the warehouse: a statement may take %s: %w", queryTimeout, err)
	}
	if err != nil {
		return nil, fmt.Errorf("query the warehouse: %w", explain(err))
	}
	return results, nil
}

func query(ctx context.Context, tx pgx.Tx, sql string, args []any) (columns []string, rows [][]any, err error) {
	result, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range result.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	rows, err = pgx.CollectRows(result, func(row pgx.CollectableRow) ([]any, error) {
		values, err := row.Values()
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			if values[i], err = plain(v); err != nil {
				return nil, fmt.Errorf("column %s %w: cast it in the statement", columns[i], err)
			}
		}
		return values, nil
	})
	return columns, rows, err
}

// plain narrows what pgx gives to the types that Query promises.
func plain(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int64, float64, string, time.Time:
		return v, nil
	case int16:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case float32:
		return float64(v), nil
	case pgtype.Numeric:
		if whole, err := v.Int64Value(); err == nil {
			return whole.Int64, nil
		}
		f, err := v.Float64Value()
		return f.Float64, err
	}
	return nil, fmt.Errorf("is a %T", value)
}
