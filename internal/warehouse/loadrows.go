package warehouse

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// The columns of a row, in the order in which they are copied and read.
var (
	// valueColumns are what a record says.
	valueColumns = []string{"date", "state", "county", "new_cases", "new_deaths", "total_cases", "total_deaths",
		"country", "alpha2", "alpha3", "fips", "continent", "data_source"}
	// originColumns are where it stood. They are no values: a new release of the
	// same values writes nothing.
	originColumns = []string{"source", "release", "row"}

	rowColumns = append(append([]string{"key"}, valueColumns...), originColumns...)
	columnList = strings.Join(rowColumns, ", ")
)

// listed joins the columns, each written in a form where % stands for its name.
func listed(columns []string, form, separator string) string {
	parts := make([]string, len(columns))
	for i, name := range columns {
		parts[i] = strings.ReplaceAll(form, "%", name)
	}
	return strings.Join(parts, separator)
}

// A session keeps its temporary table: making one for each window costs a
// quarter of a millisecond and leaves dead rows in the system's catalogue.
var (
	createLoadRows = "CREATE TEMP TABLE IF NOT EXISTS load_rows ON COMMIT DELETE ROWS AS SELECT " + columnList + " FROM covid_cases WITH NO DATA"
	copyLoadRows   = "COPY load_rows FROM STDIN (FORMAT binary)"
)

const deleteRejectsOfRows = "DELETE FROM covid_rejects r USING load_rows n WHERE r.key = n.key"

// copyRows sends the rows of the window to the server and removes the rejects of
// their keys.
func (l *loading) copyRows(ctx context.Context) error {
	if len(l.in.Rows) == 0 {
		return nil
	}
	if _, err := l.tx.Exec(ctx, createLoadRows); err != nil {
		return err
	}
	data := encodeRows(l.in.Rows, l.order)
	if _, err := l.tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(data), copyLoadRows); err != nil {
		return err
	}
	good, err := l.tx.Exec(ctx, deleteRejectsOfRows)
	if err != nil {
		return err
	}
	l.rejects -= good.RowsAffected()
	return nil
}

// planByIndex makes the rest of the transaction find rows by their key. Left
// alone, the planner may read the whole table for a window, as it knows nothing
// of the temporary table's contents; and its plan outlives the table's growth.
func (l *loading) planByIndex(ctx context.Context) error {
	_, err := l.tx.Exec(ctx, `SELECT set_config(name, 'off', true)
		FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'jit']) name`)
	return err
}

// mergeRow writes what is new or differs. Unlike INSERT ... ON CONFLICT it leaves
// a row alone that is the same: that would lock it, which is a write too.
var mergeRow = `WITH written AS (
	MERGE INTO covid_cases c USING load_rows n ON c.key = n.key
	WHEN MATCHED AND (` + listed(valueColumns, "c.% IS DISTINCT FROM n.%", " OR ") + `) THEN
		UPDATE SET ` + listed(valueColumns, "% = n.%", ", ") + ", " + listed(originColumns, "% = n.%", ", ") + `, generation = $1, loaded_at = now()
	WHEN NOT MATCHED THEN
		INSERT (` + columnList + `, generation, loaded_at) VALUES (` + listed(rowColumns, "n.%", ", ") + `, $1, now())
	RETURNING merge_action() = 'INSERT' AS inserted
) SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written`

// keepRow takes the rows that are the same over into the generation.
var keepRow = `UPDATE covid_cases c SET generation = $1, ` + listed(originColumns, "% = n.%", ", ") + `
	FROM load_rows n WHERE c.key = n.key AND c.generation <> $1`

func (l *loading) mergeRows(ctx context.Context) error {
	if len(l.in.Rows) == 0 {
		return nil
	}
	if err := l.tx.QueryRow(ctx, mergeRow, l.in.Generation).Scan(&l.counts.Inserted, &l.counts.Updated); err != nil {
		return err
	}
	l.counts.Unchanged = int64(len(l.in.Rows)) - l.counts.Inserted - l.counts.Updated
	l.rows += l.counts.Inserted
	if !l.rescan {
		return nil
	}
	if _, err := l.tx.Exec(ctx, keepRow, l.in.Generation); err != nil {
		return fmt.Errorf("take rows over into the generation: %w", err)
	}
	return nil
}
