package testenv

import (
	"net/url"
	"testing"
)

// Reader makes a user who may do in a migrated schema what dashboards may, given
// the URL that Postgres gave, and gives the URL of that user: with a password and
// without a search_path, which the user has by itself. It goes with the test.
func Reader(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatalf("the URL of the test database: %v", err)
	}
	schema, name := u.Query().Get("search_path"), unique(t)
	execute(t, database, "CREATE ROLE "+name+" LOGIN PASSWORD 'reads-only-1' IN ROLE covid_reader")
	t.Cleanup(func() { execute(t, database, "DROP ROLE "+name) })
	execute(t, database, "ALTER ROLE "+name+" SET search_path = "+schema)
	u.User, u.RawQuery = url.UserPassword(name, "reads-only-1"), "sslmode=disable"
	return u.String()
}
