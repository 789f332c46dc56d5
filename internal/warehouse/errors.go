package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

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
	// ErrDenied: PostgreSQL refused the login, has no such database, or the role
	// lacks a privilege.
	ErrDenied = errors.New("PostgreSQL refused access")
	// ErrUnavailable: no connection, or a failure that passes; try again.
	ErrUnavailable = errors.New("PostgreSQL is not available")
)

// Error marks an error that comes from PostgreSQL or from the connection to it, of
// whatever class. An error without the mark is another fault, such as one of the
// function that ScanRows calls.
type Error struct{ Err error }

// Error returns the text of the error itself.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *Error) Unwrap() error { return e.Err }

// explain gives an error of PostgreSQL its mark and the class that a caller acts
// on. pgx's own texts hold no password.
func explain(err error) error {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) { // also one of connect_timeout
		err = once{err}
	}
	if err == nil || errors.Is(err, context.Canceled) || connect == nil && errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		class := classOf(pg.Code)
		if connect != nil && noRole(connect, pg) { // the migrations make it
			class = ErrNotMigrated
		}
		if class == nil {
			return &Error{err}
		}
		return &Error{fmt.Errorf("%w: %s (SQLSTATE %s)", class, pg.Message, pg.Code)}
	}
	if connect != nil && strings.Contains(connect.Error(), "require_auth check failed") {
		return fmt.Errorf("%w: %w; have it log in by SCRAM, or name its way by require_auth in the URL", ErrDenied, err)
	}
	var network net.Error
	if connect != nil || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || pgconn.SafeToRetry(err) {
		return &Error{fmt.Errorf("%w: %w", ErrUnavailable, err)}
	}
	return err
}

// noRole tells whether the role that the session was to take does not exist. Other
// parameters with a wrong value have the same code.
func noRole(connect *pgconn.ConnectError, pg *pgconn.PgError) bool {
	role := connect.Config.RuntimeParams["role"]
	return pg.Code == "22023" && role != "" && strings.Contains(pg.Message, `"`+role+`"`)
}

// once is an error of connecting on one line that says each thing once: where the
// URL has no sslmode, pgx tries an address with TLS and without, and tells both.
type once struct{ error }

func (e once) Unwrap() error { return e.error }

func (e once) Error() string {
	var said []string
	for line := range strings.Lines(e.error.Error()) {
		line = strings.TrimSpace(line)
		if !slices.ContainsFunc(said, func(before string) bool { return strings.Contains(before, line) }) {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// classOf gives the class of an SQLSTATE, or nil. Table A.1 of PostgreSQL's
// manual lists the codes.
func classOf(code string) error {
	switch code {
	case "42P01", "42703", "3F000": // no such table, column, schema
		return ErrNotMigrated
	case "42501", "3D000": // privilege, no such database
		return ErrDenied
	case "55P03", "57014": // a lock was not to be had in time; stopped by a time limit of the server or an administrator
		return ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "28": // login
		return ErrDenied
	case "08", "40", "53", "58": // connection, deadlock and the like, resources (disk full too), system
		return ErrUnavailable
	}
	if strings.HasPrefix(code, "57P") { // shutdown, start, crash
		return ErrUnavailable
	}
	return nil
}
