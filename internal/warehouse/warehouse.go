// Package warehouse is the client of the PostgreSQL warehouse: its tables, the
// cursor of the ETL, the staging between its steps and the fenced load that
// commits a window together with its checkpoint.
package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a warehouse: a schema of one PostgreSQL database, the one that the
// URL's search_path names. It is safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
}

// Open connects to the warehouse at a postgres:// URL and checks that it answers.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	config.MinConns = 0
	config.MaxConnIdleTime = 5 * time.Minute
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", explain(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open warehouse: %w", explain(err))
	}
	return &DB{pool: pool}, nil
}

// Close ends the connections, after those in use.
func (db *DB) Close() { db.pool.Close() }

const applicationName = "covidpipeline"

// The errors that a caller acts on. They come wrapped: test with errors.Is.
var (
	// ErrOvertaken: another run has moved the checkpoint or begun a generation.
	// This run has nothing more to do.
	ErrOvertaken = errors.New("overtaken by another run")
	// ErrStageMissing: PostgreSQL crashed and emptied the stage, or the stage
	// was swept. Extract the window again.
	ErrStageMissing = errors.New("staged data is missing")
	// ErrOtherIndex: the warehouse belongs to another raw index.
	ErrOtherIndex = errors.New("the warehouse belongs to another raw index")
	// ErrNotMigrated: the tables are not there or not those of this version.
	ErrNotMigrated = errors.New("the warehouse is not migrated: run the migrations")
	// ErrDenied: PostgreSQL refused the login or the role lacks a privilege.
	ErrDenied = errors.New("PostgreSQL refused access")
	// ErrUnavailable: no connection, or a failure that passes; try again.
	ErrUnavailable = errors.New("PostgreSQL is not available")
)
