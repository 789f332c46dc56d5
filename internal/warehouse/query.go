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
// limit of 30 s. Values are nil, bool, int64, float64, string, []byte or time.Time
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
	err = db.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for _, s := range statements {
			var r Result
			var err error
			r.Columns, _, err = query(ctx, tx, func(row []any) error { r.Rows = append(r.Rows, row); return nil }, s.SQL, s.Args...)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Scan runs statements as Queries does and calls each with the number of a statement
// and a row, as they come: a result of any size costs the memory of a row. An error
// of each ends the scan.
func (db *DB) Scan(ctx context.Context, each func(statement int, row []any) error, statements ...Statement) error {
	return db.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for i, s := range statements {
			if _, _, err := query(ctx, tx, func(row []any) error { return each(i, row) }, s.SQL, s.Args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// partRows is how many rows Stream asks for at once.
const partRows = 200

// Stream runs a statement as Query does and calls each with every row. It asks for a
// part of the rows after the other, so the time limit is that of a part: each may
// pass its row on to a slow reader. An error of each ends it.
func (db *DB) Stream(ctx context.Context, s Statement, each func(row []any) error) error {
	return db.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// All rows are wanted: a plan for the first of them would cost more.
		if _, err := tx.Exec(ctx, "SET LOCAL cursor_tuple_fraction = 1"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DECLARE stream NO SCROLL CURSOR FOR "+s.SQL, s.Args...); err != nil {
			return err
		}
		fetch := fmt.Sprintf("FETCH %d FROM stream", partRows)
		for {
			// Not one of the statements that pgx remembers: its columns are those of any cursor.
			_, n, err := query(ctx, tx, each, fetch, pgx.QueryExecModeDescribeExec)
			if err != nil || n < partRows {
				return err
			}
		}
	})
}

// reading calls f with a read-only transaction on one state of the warehouse, whose
// statements have a time limit.
func (db *DB) reading(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '"+queryTimeout+"'"); err != nil {
			return err
		}
		return f(ctx, tx)
	})
	var stopped *pgconn.PgError
	if errors.As(err, &stopped) && stopped.Code == "57014" {
		// The server is there: the same statement would be stopped again.
		return fmt.Errorf("query the warehouse: a statement may take %s: %w", queryTimeout, err)
	}
	if err != nil {
		return fmt.Errorf("query the warehouse: %w", explain(err))
	}
	return nil
}

// query calls each with the rows of a statement and returns its columns and the number
// of rows.
func query(ctx context.Context, tx pgx.Tx, each func(row []any) error, sql string, args ...any) (columns []string, rows int, err error) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	result, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, 0, err
	}
	defer result.Close()
	for _, f := range result.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	for ; result.Next(); rows++ {
		values, err := result.Values()
		if err != nil {
			return nil, rows, err
		}
		for i, v := range values {
			if values[i], err = plain(v); err != nil {
				return nil, rows, fmt.Errorf("column %s %w: cast it in the statement", columns[i], err)
			}
		}
		if err := each(values); err != nil {
			cut() // the connection: pgx would read the rest of the result first
			return nil, rows, err
		}
	}
	return columns, rows, result.Err()
}

// plain narrows what pgx gives to the types that Query promises.
func plain(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int64, float64, string, []byte, time.Time:
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
