package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// scratchMark begins the name of every scratch schema: no other is ever dropped.
const scratchMark = "selftest_"

// Scratch creates an empty warehouse in a schema of its own beside db's. The schema's
// name is selftest_ with the given name behind it; DropScratch drops it.
func (db *DB) Scratch(ctx context.Context, name string) (*DB, error) {
	schema := scratchMark + name
	if _, err := db.pool.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
		return nil, fmt.Errorf("create the scratch schema %s: %w", schema, explain(err))
	}
	config := db.pool.Config()
	config.ConnConfig.RuntimeParams["search_path"] = schema
	tables := stdlib.OpenDB(*config.ConnConfig)
	_, _, err := migrate(ctx, tables, slog.New(slog.DiscardHandler))
	if err = errors.Join(err, tables.Close()); err != nil {
		return nil, fmt.Errorf("migrate the scratch schema %s: %w", schema, explain(err))
	}
	return open(ctx, config)
}

// DropScratch drops a schema that Scratch created, if it is there.
func (db *DB) DropScratch(ctx context.Context, name string) error {
	schema := scratchMark + name
	if _, err := db.pool.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
		return fmt.Errorf("drop the scratch schema %s: %w", schema, explain(err))
	}
	return nil
}

// Tamper changes a scratch warehouse past the pipeline, for tests of the proof. It
// fails unless the statement changes exactly one row.
func (db *DB) Tamper(ctx context.Context, sql string, args ...any) error {
	if !strings.HasPrefix(db.pool.Config().ConnConfig.RuntimeParams["search_path"], scratchMark) {
		return errors.New("only a scratch warehouse may be tampered with")
	}
	tag, err := db.pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("%d rows are affected", tag.RowsAffected())
	}
	if err != nil {
		return fmt.Errorf("tamper with the warehouse: %w", explain(err))
	}
	return nil
}
