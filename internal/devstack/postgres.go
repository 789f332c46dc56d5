package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Database is the database of the warehouse.
const Database = "warehouse"

// superuser is PostgreSQL's own user.
const superuser = "postgres"

// StartPostgres starts PostgreSQL and waits until the database of the warehouse
// answers. A new server asks for the password; "" lets everybody in, for servers
// that live as long as a test. Settings such as "fsync=off" come on top of those
// below.
func (t Tools) StartPostgres(ctx context.Context, password string, settings []string, o Options) (*Server, error) {
	return onPort(ctx, "PostgreSQL", o, func(o Options) (*Server, error) { return t.postgresOn(ctx, password, settings, o) })
}

func (t Tools) postgresOn(ctx context.Context, password string, settings []string, o Options) (*Server, error) {
	if err := makeServerFolder(o.Dir); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	data := filepath.Join(o.Dir, "data")
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		if err := t.initPostgres(ctx, password, o.Dir, data); err != nil {
			return nil, err
		}
	}
	args := []string{"-D", data, "-h", "127.0.0.1", "-p", fmt.Sprint(o.Port), "-k", ""}
	for _, setting := range append([]string{
		"timezone=UTC", "log_timezone=UTC",
		"max_connections=200", // tests in parallel, each with pools of its own
		// A first load of millions of rows would otherwise be one checkpoint after the other.
		"shared_buffers=256MB", "max_wal_size=2GB",
	}, settings...) {
		args = append(args, "-c", setting)
	}
	p := program{
		path: filepath.Join(t.postgres, "bin", "postgres"),
		args: args,
		env:  plainEnvironment(o.Dir),
		dir:  o.Dir,
		user: serverUser(),
	}
	// SIGINT ends the connections and then the server; SIGTERM would wait for its clients.
	s := &Server{Name: "PostgreSQL", StopSignal: syscall.SIGINT, crashSignal: syscall.SIGQUIT}
	return run(ctx, p, s, o, func(ctx context.Context) error { return s.postgresAnswers(ctx, password) })
}

// initPostgres makes a new data folder. It moves to its place only when it is whole.
func (t Tools) initPostgres(ctx context.Context, password, dir, data string) error {
	const op = "create the PostgreSQL data folder"
	unfinished := data + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	// Encoding and locale are given: those of the shell fail it or make it ASCII.
	args := []string{
		"-D", unfinished, "-U", superuser, "-N",
		"--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
	}
	if password == "" {
		args = append(args, "-A", "trust")
	} else {
		file := filepath.Join(dir, "password")
		if err := replaceFile(file, password, 0o600); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		defer os.Remove(file)
		if err := giveToServer(file); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		args = append(args, "-A", "scram-sha-256", "--pwfile="+file)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(t.postgres, "bin", "initdb"), args...)
	cmd.Dir, cmd.Env = dir, plainEnvironment(dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", op, err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(unfinished, data); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// postgresAnswers asks whether the database of the warehouse can be used, and
// makes it when it is missing.
func (s *Server) postgresAnswers(ctx context.Context, password string) error {
	conn, err := pgx.Connect(ctx, PostgresURL(s.Addr(), password, superuser))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", Database).Scan(&there); err != nil {
		return err
	}
	if !there {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+Database)
	}
	return err
}

// PostgresURL gives the URL of a database of a server of ours.
func PostgresURL(addr, password, database string) string {
	user := superuser
	if password != "" {
		user += ":" + password
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, addr, database)
}
