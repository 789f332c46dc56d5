package warehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// New gives the warehouse at a postgres:// URL without connecting to it: whether
// it answers shows at the first request, and an outage passes.
func New(url string) (*DB, error) {
	config, err := parse(url)
	if err != nil {
		// pgx's own error would repeat the address and so could show a password.
		return nil, errors.New("the address of the warehouse must look like postgres://user:password@host:5432/warehouse")
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", explain(err))
	}
	return &DB{pool: pool}, nil
}

// Address gives host and port, for messages.
func (db *DB) Address() string {
	c := db.pool.Config().ConnConfig
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
}

// Server is what an operator wants to know of the PostgreSQL server and of the
// version of the tables.
type Server struct {
	Version       string `json:"version"`
	DatabaseBytes int64  `json:"databaseBytes"`
	Schema        int64  `json:"schema"`       // newest migration that was applied; 0 = none
	SchemaWanted  int64  `json:"schemaWanted"` // newest migration of this program
}

// Server asks the server. It changes nothing: missing tables are schema 0.
func (db *DB) Server(ctx context.Context) (Server, error) {
	var s Server
	var migrated bool
	err := db.pool.QueryRow(ctx, `SELECT current_setting('server_version'), pg_database_size(current_database()),
		to_regclass('goose_db_version') IS NOT NULL`).Scan(&s.Version, &s.DatabaseBytes, &migrated)
	if err == nil && migrated {
		err = db.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&s.Schema)
	}
	if err == nil {
		s.SchemaWanted, err = newestMigration()
	}
	if err != nil {
		return s, fmt.Errorf("ask PostgreSQL: %w", explain(err))
	}
	return s, nil
}

// newestMigration gives the number of the newest migration of this program.
func newestMigration() (newest int64, err error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		n, err := goose.NumericComponent(path.Base(f.Name()))
		if err != nil {
			return 0, err
		}
		newest = max(newest, n)
	}
	return newest, nil
}

// ReasonCount is a reason and how often it stands.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// RejectReasons counts the rejects and gives the most frequent reasons, at most n.
func (db *DB) RejectReasons(ctx context.Context, n int) (total int64, reasons []ReasonCount, err error) {
	rows, err := db.pool.Query(ctx, `SELECT reason, count(*), (sum(count(*)) OVER ())::bigint FROM covid_rejects
		GROUP BY reason ORDER BY 2 DESC, reason LIMIT $1`, n)
	if err == nil {
		reasons, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r ReasonCount, err error) {
			err = row.Scan(&r.Reason, &r.Count, &total)
			return r, err
		})
	}
	if err != nil {
		return 0, nil, fmt.Errorf("count the rejects: %w", explain(err))
	}
	return total, reasons, nil
}
