package warehouse

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the tables of the schema at the URL up to date and gives the
// names of the migrations it applied and the version it left. Two at once are
// safe: an advisory lock makes the second wait.
func Migrate(ctx context.Context, url string) (applied []string, version int64, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, 0, fmt.Errorf("migrate the warehouse: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	applied, version, err = migrate(ctx, db)
	if err != nil {
		return applied, version, fmt.Errorf("migrate the warehouse: %w", explain(err))
	}
	return applied, version, nil
}

func migrate(ctx context.Context, db *sql.DB) (applied []string, version int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, 0, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, 0, err
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	if err != nil {
		return applied, 0, err
	}
	version, err = provider.GetDBVersion(ctx)
	return applied, version, err
}
