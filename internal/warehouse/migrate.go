package warehouse

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// oldestServer is the first PostgreSQL whose MERGE says what it did to each row,
// as server_version_num gives it.
const oldestServer = 170000

// Migrate brings the tables of the schema at the URL up to date and gives the
// names of the migrations it applied and the version it left. The schema must
// exist. Two at once are safe: the second waits for the first.
func Migrate(ctx context.Context, url string) (applied []string, version int64, err error) {
	config, err := parse(url)
	if err != nil {
		return nil, 0, fmt.Errorf("migrate the warehouse: %w", err)
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	applied, version, err = migrate(ctx, db)
	if err != nil {
		return applied, version, fmt.Errorf("migrate the warehouse: %w", explain(err))
	}
	return applied, version, nil
}

func migrate(ctx context.Context, db *sql.DB) (applied []string, version int64, err error) {
	if err := checkServer(ctx, db); err != nil {
		return nil, 0, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(schemaLock{}))
	if err != nil {
		return nil, 0, err
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	if err != nil {
		return applied, 0, err
	}
	version, err = provider.GetDBVersion(ctx)
	return applied, version, err
}

func checkServer(ctx context.Context, db *sql.DB) error {
	var schema sql.NullString
	var number int
	var version, path string
	err := db.QueryRowContext(ctx, `SELECT current_schema(), current_setting('server_version_num')::int,
		current_setting('server_version'), current_setting('search_path')`).Scan(&schema, &number, &version, &path)
	switch {
	case err != nil:
		return err
	case number < oldestServer:
		return fmt.Errorf("PostgreSQL %d or newer is needed, this is %s", oldestServer/10000, version)
	case !schema.Valid:
		return fmt.Errorf("no schema of the search_path %s exists: create it, or name another in the URL (search_path=...)", path)
	}
	return nil
}

// schemaLock lets one migration at a time into a schema. goose's own lock is one
// for all schemas of a database, and asks for it every five seconds.
type schemaLock struct{}

const schemaLockKey = "hashtextextended('covidpipeline migrations of ' || current_schema(), 0)"

func (schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock("+schemaLockKey+")")
	return err
}

func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+schemaLockKey+")")
	return err
}
