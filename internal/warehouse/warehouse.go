// Package warehouse is the client of the PostgreSQL warehouse: its tables, the
// cursor of the ETL, the staging between its steps and the fenced load that
// commits a window together with its checkpoint.
package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// applicationName is what pg_stat_activity shows, unless the URL says otherwise.
const applicationName = "covidpipeline"

// DB is a warehouse: a schema of one PostgreSQL database, the one that the
// URL's search_path names. It is safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
}

// Open connects to the warehouse at a postgres:// URL and checks that it answers.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	return open(ctx, config)
}

// readerRole is the group role that may read what the dashboards show, and
// nothing else.
const readerRole = "covid_reader"

// OpenReader opens the warehouse for reading alone: its sessions take the role
// covid_reader, of which the URL's user has to be a member, and their
// transactions are read-only.
func OpenReader(ctx context.Context, url string) (*DB, error) {
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	config.ConnConfig.RuntimeParams["role"] = readerRole
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	config.ConnConfig.RuntimeParams["jit"] = "off" // compiling takes longer than any card's statement
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = max(config.MaxConns, readerConnections)
	}
	return open(ctx, config)
}

// readerConnections is how many connections a reader has at most, unless the URL says
// otherwise: several long downloads leave enough of them to pages.
const readerConnections = 12

func open(ctx context.Context, config *pgxpool.Config) (*DB, error) {
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

func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	// Otherwise a server, or who poses as it, could ask for the password itself. A Unix
	// socket reaches this machine's server alone, which often knows the user without one.
	if c := config.ConnConfig; c.Password != "" && c.RequireAuth == "" && !strings.HasPrefix(c.Host, "/") {
		c.RequireAuth = "scram-sha-256"
	}
	return config, nil
}
