package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"42P01": ErrNotMigrated, "42703": ErrNotMigrated, "3F000": ErrNotMigrated,
		"42501": ErrDenied, "28P01": ErrDenied, "28000": ErrDenied,
		"08006": ErrUnavailable, "53100": ErrUnavailable, "53300": ErrUnavailable, "57P01": ErrUnavailable, "57P03": ErrUnavailable,
		"58030": ErrUnavailable, "40001": ErrUnavailable, "40P01": ErrUnavailable, "55P03": ErrUnavailable, "57014": ErrUnavailable,
		"23505": nil, "22P02": nil, "25006": nil, "": nil,
	} {
		err := explain(fmt.Errorf("load: %w", &pgconn.PgError{Code: code, Message: "what happened"}))
		for _, class := range []error{ErrNotMigrated, ErrDenied, ErrUnavailable} {
			if errors.Is(err, class) != (class == want) { //nolint:errorlint // the very same error is meant
				t.Errorf("%s: %v", code, err)
			}
		}
		var marked *Error
		if !errors.As(err, &marked) {
			t.Errorf("%s: %v is not marked as an error of PostgreSQL", code, err)
		}
	}
	for _, err := range []error{io.ErrUnexpectedEOF, io.EOF} {
		if err := explain(fmt.Errorf("receive: %w", err)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a connection that ends: %v", err)
		}
	}
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, ErrOvertaken, errors.New("another's")} {
		if got := explain(err); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
	}
}
