package testenv

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"covidpipeline/internal/devstack"
)

// Private is a server that one test has to itself: it may crash, stop and start
// it again on the same data. It ends with the test, and with the test's process
// however that ends (Linux).
type Private struct {
	// URL leads to the server: http://127.0.0.1:PORT, or postgres:// with a schema
	// of its own in the search_path. It stays the same when the server starts again.
	URL string

	server *devstack.Server
	port   int
	start  func(ctx context.Context, o devstack.Options) (*devstack.Server, error)
	dir    string
}

// PrivateElasticsearch starts an Elasticsearch for one test.
func PrivateElasticsearch(t testing.TB) *Private {
	t.Helper()
	p := private(t, func(ctx context.Context, o devstack.Options) (*devstack.Server, error) {
		return tools(t).StartElasticsearch(ctx, "512m", o)
	})
	p.URL = "http://" + p.server.Addr()
	return p
}

// PrivatePostgres starts a PostgreSQL for one test.
func PrivatePostgres(t testing.TB) *Private {
	t.Helper()
	p := private(t, func(ctx context.Context, o devstack.Options) (*devstack.Server, error) {
		return tools(t).StartPostgres(ctx, "", nil, o)
	})
	database := devstack.PostgresURL(p.server.Addr(), "", devstack.Database)
	name := unique(t)
	execute(t, database, "CREATE SCHEMA "+name)
	p.URL = withSchema(t, database, name)
	return p
}

// GuardedPostgres starts a PostgreSQL for one test that asks everybody for a
// password. The URL leads its superuser to its database postgres.
func GuardedPostgres(t testing.TB, password string) *Private {
	t.Helper()
	p := private(t, func(ctx context.Context, o devstack.Options) (*devstack.Server, error) {
		return tools(t).StartPostgres(ctx, password, nil, o)
	})
	p.URL = devstack.PostgresURL(p.server.Addr(), password, "postgres")
	return p
}

// Crash ends the server as a crash does: nothing is flushed, it recovers when it
// starts again.
func (p *Private) Crash(t testing.TB) {
	t.Helper()
	if err := p.server.Crash(); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server cleanly.
func (p *Private) Stop(t testing.TB) {
	t.Helper()
	if err := p.server.Stop(); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server again on its data and its port, and waits until it answers.
func (p *Private) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*timeout)
	defer cancel()
	server, err := p.start(ctx, devstack.Options{Dir: p.dir, Port: p.port, Owned: true})
	if err != nil {
		t.Fatal(err)
	}
	p.server, p.port = server, server.Port
}

// Save keeps a copy of the stopped server's data, and gives what puts the copy
// in the place of the data, while the server is stopped again.
func (p *Private) Save(t testing.TB) (restore func()) {
	t.Helper()
	saved := p.dir + "-saved"
	copyFolder(t, p.dir, saved)
	return func() {
		if err := os.RemoveAll(p.dir); err != nil {
			t.Fatal(err)
		}
		copyFolder(t, saved, p.dir)
	}
}

// copyFolder copies a folder with its owners and times, as an operator would.
func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

func private(t testing.TB, start func(context.Context, devstack.Options) (*devstack.Server, error)) *Private {
	t.Helper()
	dir, err := os.MkdirTemp("", "covidpipeline-test-") //nolint:usetesting // the user that the servers run as may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &Private{dir: filepath.Join(dir, "server"), start: start}
	t.Cleanup(func() {
		if p.server != nil {
			if err := p.server.Kill(); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p.Start(t)
	return p
}

// installed are the programs of the servers; `make test` has installed them.
var installed = sync.OnceValues(func() (devstack.Tools, error) {
	root, err := devstack.FindRoot()
	if err != nil {
		return devstack.Tools{}, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, errors.New("the servers are not installed: run `make tools`"))
	defer cancel()
	return devstack.Install(ctx, root, func(string, ...any) {})
})

func tools(t testing.TB) devstack.Tools {
	t.Helper()
	all, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
