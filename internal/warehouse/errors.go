package warehouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain gives an error of PostgreSQL the class that a caller acts on. pgx's
// own texts hold no password.
func explain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "42P01" || pg.Code == "42703" || pg.Code == "3F000": // no such table, column, schema
			return fmt.Errorf("%w: %s", ErrNotMigrated, pg.Message)
		case pg.Code == "42501" || strings.HasPrefix(pg.Code, "28"): // privilege, login
			return fmt.Errorf("%w: %s", ErrDenied, pg.Message)
		case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57P"),
			strings.HasPrefix(pg.Code, "58"): // connection, resources (disk full too), shutdown, system
			return fmt.Errorf("%w: %s (SQLSTATE %s)", ErrUnavailable, pg.Message, pg.Code)
		}
		return err
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
