package warehouse

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// oldestServer is the first PostgreSQL whose MERGE says what it did to each row,
// as server_version_num gives it.
const oldestServer = 170000

// Migrate brings the tables of the schema at the URL up to date and returns the
// names of the migrations it applied and the version it left. The schema must
// exist. Two at once are safe: the second waits for the first.
func Migrate(ctx context.Context, url string) (applied []string, version int64, err error) {
	return MigrateLogged(ctx, url, slog.New(slog.DiscardHandler))
}

// MigrateLogged migrates as Migrate does and logs for whom it waits.
func MigrateLogged(ctx context.Context, url string, log *slog.Logger) (applied []string, version int64, err error) {
	config, err := parse(url)
	if err != nil {
		return nil, 0, fmt.Errorf("migrate the warehouse: %w", err)
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	applied, version, err = migrate(ctx, db, log)
	if err != nil {
		return applied, version, fmt.Errorf("migrate the warehouse: %w", explain(err))
	}
	return applied, version, nil
}

func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) (applied []string, version int64, err error) {
	if err := checkServer(ctx, db); err != nil {
		return nil, 0, err
	}
	// Without the lock, which any session of the database could hold.
	if version, upToDate, err := schemaVersion(ctx, db); err != nil || upToDate {
		return nil, version, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(schemaLock{db, log}))
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

// schemaVersion returns the newest migration of the schema, 0 for none, and whether
// this program has no newer one.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, upToDate bool, err error) {
	newest, err := newestMigration()
	if err != nil {
		return 0, false, err
	}
	var migrated bool
	err = db.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&migrated)
	if err == nil && migrated {
		err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	}
	return version, version >= newest, err
}

// schemaLock lets one migration at a time into a schema. goose's own lock is one
// for all schemas of a database, and asks for it every five seconds.
type schemaLock struct {
	db  *sql.DB
	log *slog.Logger
}

const schemaLockKey = "hashtextextended('covidpipeline migrations of ' || current_schema(), 0)"

// SessionLock waits for the lock, and logs who holds it.
func (l schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+schemaLockKey+")").Scan(&locked); err != nil || locked {
		return err
	}
	waiting, stop := context.WithCancel(ctx)
	var logging sync.WaitGroup
	logging.Go(func() { l.logHolders(waiting) })
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock("+schemaLockKey+")")
	stop()
	logging.Wait()
	return err
}

// SessionUnlock releases the lock.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+schemaLockKey+")")
	return err
}

// logEvery is the time between two log lines of a migration that waits.
const logEvery = 30 * time.Second

// logHolders logs who holds the lock, at once and every while, until ctx ends.
func (l schemaLock) logHolders(ctx context.Context) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		// Classid and objid are the halves of the key.
		var holders sql.NullString
		err := l.db.QueryRowContext(ctx, `SELECT string_agg(format('process %s of user %s, application "%s", from %s, connected since %s', pid, usename,
				application_name, coalesce(host(client_addr), 'this host'), to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')), '; ')
			FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
			WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND (classid::bigint << 32 | objid::bigint) = `+schemaLockKey).Scan(&holders)
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("the migration of the warehouse waits for its lock, which another session holds", "holder", holders.String, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
