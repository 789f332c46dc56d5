// Package testenv gives tests the real servers they run against, each test a
// place of its own on them: an Elasticsearch index, a PostgreSQL schema, a
// Temporal namespace. `make test` starts the servers and says where they are in
// TEST_ELASTICSEARCH_URL, TEST_DATABASE_URL and TEST_TEMPORAL_ADDRESS, and where
// Temporal's command-line tools are in TEST_TEMPORAL_CLI and TEST_TCTL; without
// them a test fails, it is never skipped.
package testenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// timeout bounds one call that prepares or tidies a test's place.
const timeout = 30 * time.Second

// server gives the value of a variable that `make test` sets.
func server(t testing.TB, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: this test needs real servers, run `make test`", variable)
	}
	return value
}

// TemporalCLI gives the path of the pinned command-line tool temporal.
func TemporalCLI(t testing.TB) string {
	t.Helper()
	return program(t, "TEST_TEMPORAL_CLI")
}

// Tctl gives the path of the pinned command-line tool tctl.
func Tctl(t testing.TB) string {
	t.Helper()
	return program(t, "TEST_TCTL")
}

// program gives the path of a program that `make test` builds.
func program(t testing.TB, variable string) string {
	t.Helper()
	path := server(t, variable)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v: `make cli` puts it there", variable, err)
	}
	return path
}

// Chromium gives the path of a browser that tests can drive.
func Chromium(t testing.TB) string {
	t.Helper()
	return server(t, "TEST_CHROMIUM")
}

// Environ is the environment for a program that a test starts.
func Environ() []string { return os.Environ() }

// Elasticsearch gives the URL of the Elasticsearch that all tests share.
func Elasticsearch(t testing.TB) string {
	t.Helper()
	return strings.TrimSuffix(server(t, "TEST_ELASTICSEARCH_URL"), "/")
}

// Index gives the name of an index that no other test uses. At the end of the
// test the index goes, with its -quarantine and -releases and their templates.
func Index(t testing.TB) string {
	t.Helper()
	base := Elasticsearch(t)
	name := unique(t)
	t.Cleanup(func() {
		for _, index := range []string{name, name + "-quarantine", name + "-releases"} {
			remove(t, base+"/"+index)
			remove(t, base+"/_index_template/"+index)
		}
	})
	return name
}

// remove deletes what is at an address of Elasticsearch, if it is there.
func remove(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Errorf("tidy Elasticsearch: %v", err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		t.Errorf("tidy Elasticsearch: DELETE %s: %s: %s", address, resp.Status, body)
	}
}

// Postgres gives the URL of a new, empty schema of the PostgreSQL that all tests
// share: its search_path names the schema. The schema goes at the end of the test.
func Postgres(t testing.TB) string {
	t.Helper()
	database, name := server(t, "TEST_DATABASE_URL"), unique(t)
	execute(t, database, "CREATE SCHEMA "+name)
	t.Cleanup(func() { execute(t, database, "DROP SCHEMA "+name+" CASCADE") })
	return withSchema(t, database, name)
}

// withSchema gives the URL of a database with a schema as its search_path.
func withSchema(t testing.TB, database, name string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatalf("the URL of the test database: %v", err)
	}
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}

// execute runs one statement in a connection of its own.
func execute(t testing.TB, database, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

// notName matches what may not stand in the name of an index, a schema and a
// namespace alike.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// unique gives a name that says which test it is of: lower-case letters, digits
// and underscores, at most 53 characters, so that a suffix still fits into the 63
// of PostgreSQL.
func unique(t testing.TB) string {
	t.Helper()
	var random [5]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(t.Name()), "_"), "_")
	return fmt.Sprintf("%.42s_%s", name, hex.EncodeToString(random[:]))
}
