package devstack

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func installedTools(t *testing.T) (root string, tools Tools) {
	t.Helper()
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the servers are not installed: run `make tools`"))
	defer cancel()
	if tools, err = Install(ctx, root, t.Logf); err != nil {
		t.Fatal(err)
	}
	return root, tools
}

// serverFolder gives a folder that the servers' user may enter.
func serverFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "covidpipeline-devstack-") //nolint:usetesting // nobody may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "server")
}

// starts are the ways to start each server.
func starts(t *testing.T) map[string]func(Options) (*Server, error) {
	_, tools := installedTools(t)
	return map[string]func(Options) (*Server, error){
		"Elasticsearch": func(o Options) (*Server, error) { return tools.StartElasticsearch(t.Context(), "256m", o) },
		"PostgreSQL":    func(o Options) (*Server, error) { return tools.StartPostgres(t.Context(), "", nil, o) },
		"Temporal":      func(o Options) (*Server, error) { return tools.StartTemporal(t.Context(), 0, nil, o) },
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for name, start := range starts(t) {
		_, err := start(Options{Dir: serverFolder(t), Port: port, Owned: true})
		var taken *PortError
		if !errors.As(err, &taken) || taken.Port != port || taken.Server != name {
			t.Errorf("%s on a port in use: %v", name, err)
		}
	}
	_, tools := installedTools(t)
	_, err = tools.StartTemporal(t.Context(), port, nil, Options{Dir: serverFolder(t), Owned: true})
	var taken *PortError
	if !errors.As(err, &taken) || taken.Server != "the Temporal Web UI" {
		t.Errorf("the Web UI on a port in use: %v", err)
	}
}

// A server that cannot start says why: the error has the end of its log.
func TestServersThatDieAtStart(t *testing.T) {
	t.Parallel()
	_, tools := installedTools(t)
	// dies checks the error of a start that has to fail.
	dies := func(t *testing.T, dir, why string, s *Server, err error) {
		t.Helper()
		if err == nil {
			t.Fatal(errors.Join(errors.New("it started"), s.Kill()))
		}
		for _, part := range []string{"ended while it was starting", filepath.Join(dir, "server.log"), why} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error lacks %q: %v", part, err)
			}
		}
	}
	t.Run("Elasticsearch", func(t *testing.T) {
		t.Parallel()
		dir := serverFolder(t)
		s, err := tools.StartElasticsearch(t.Context(), "1k", Options{Dir: dir, Owned: true})
		dies(t, dir, "Too small", s, err)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dir := serverFolder(t)
		s, err := tools.StartPostgres(t.Context(), "", []string{"shared_buffers=nonsense"}, Options{Dir: dir, Owned: true})
		dies(t, dir, `invalid value for parameter "shared_buffers"`, s, err)
	})
	t.Run("Temporal", func(t *testing.T) {
		t.Parallel()
		dir := serverFolder(t)
		write(t, filepath.Join(dir, "temporal.db"), strings.Repeat("no database\n", 100))
		s, err := tools.StartTemporal(t.Context(), 0, nil, Options{Dir: dir, Owned: true})
		dies(t, dir, "file is not a database", s, err)
	})
}

// An interrupt while a server starts leaves none behind.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	_, tools := installedTools(t)
	ctx, cancel := context.WithCancel(t.Context())
	var started *Server
	_, err := tools.StartElasticsearch(ctx, "256m", Options{Dir: serverFolder(t), Owned: true, Started: func(s *Server) error {
		started = s
		cancel()
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if started == nil || started.Alive() {
		t.Errorf("the server is still there: %v", started)
	}
}

func TestPostgresAsksForItsPassword(t *testing.T) {
	t.Parallel()
	_, tools := installedTools(t)
	s, err := tools.StartPostgres(t.Context(), "secret", nil, Options{Dir: serverFolder(t), Owned: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	}()
	for password, lets := range map[string]bool{"secret": true, "wrong": false, "": false} {
		conn, err := pgx.Connect(t.Context(), PostgresURL(s.Addr(), password, Database))
		if (err == nil) != lets {
			t.Errorf("password %q: %v", password, err)
		}
		if err == nil {
			conn.Close(t.Context())
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.Log), "password*")); len(left) > 0 {
		t.Errorf("the password was left in %v", left)
	}
}
