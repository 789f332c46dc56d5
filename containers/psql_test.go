package containers

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// secrets runs containers/secrets.sh in a folder of its own and gives what it
// made, by name.
func secrets(t *testing.T) map[string]string {
	t.Helper()
	return readSecrets(t, makeSecrets(t, t.TempDir()))
}

// makeSecrets runs containers/secrets.sh as if a folder were the project's, and
// gives the folder of the secrets.
func makeSecrets(t *testing.T, project string) string {
	t.Helper()
	if out, err := secretsScript(t, project); err != nil {
		t.Fatalf("containers/secrets.sh: %v: %s", err, out)
	}
	return filepath.Join(project, "secrets")
}

func secretsScript(t *testing.T, project string) (output string, err error) {
	t.Helper()
	script := filepath.Join(project, "containers", "secrets.sh")
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(file(t, "containers/secrets.sh")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", script).CombinedOutput()
	return string(out), err
}

func readSecrets(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

var (
	getenv = regexp.MustCompile(`^\\getenv (\w+) (\w+)$`)
	quoted = regexp.MustCompile(`:'(\w+)'`)
)

// psql carries out containers/databases.sql as psql would, which is not where the
// tests run: of psql's own language the file uses \getenv, :'variable' and \gexec.
func psql(t *testing.T, database string, environment map[string]string) {
	t.Helper()
	conn := connect(t, database)
	variables := map[string]string{}
	var statement strings.Builder
	for line := range strings.Lines(file(t, "containers/databases.sql")) {
		line = strings.TrimRight(line, "\n")
		switch m := getenv.FindStringSubmatch(line); {
		case m != nil:
			value, ok := environment[m[2]]
			if !ok {
				t.Fatalf("databases.sql wants the variable %s, which docker-compose.yml does not set", m[2])
			}
			variables[m[1]] = value
		case line == `\gexec`:
			rows, err := conn.Query(t.Context(), statement.String())
			if err != nil {
				t.Fatalf("%s: %v", statement.String(), err)
			}
			made, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatalf("%s: %v", statement.String(), err)
			}
			for _, s := range made {
				run(t, conn, s)
			}
			statement.Reset()
		case strings.HasPrefix(line, `\`):
			t.Fatalf("databases.sql: %s is not known here", line)
		default:
			statement.WriteString(quoted.ReplaceAllStringFunc(line, func(s string) string {
				return "'" + variables[quoted.FindStringSubmatch(s)[1]] + "'"
			}) + "\n")
			if strings.HasSuffix(line, ";") {
				run(t, conn, statement.String())
				statement.Reset()
			}
		}
	}
}

func connect(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// as gives the URL of a database for a user.
func as(t *testing.T, server, user, password, database string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword(user, password), "/"+database
	return u.String()
}

// databases starts a PostgreSQL as docker-compose.yml does and makes its users and
// databases twice, since that is done each time the stack comes up.
func databases(t *testing.T, secret map[string]string) (server string) {
	t.Helper()
	server = testenv.GuardedPostgres(t, secret["postgres_password"]).URL
	run(t, connect(t, server), "DROP DATABASE warehouse") // the tests' servers come with it
	environment := map[string]string{}
	for name, secretName := range fromSecrets(project(t).Services["databases"]) {
		environment[name] = secret[secretName]
	}
	psql(t, server, environment)
	psql(t, server, environment)
	return server
}

func TestEachUserReachesItsOwnDatabaseAlone(t *testing.T) {
	t.Parallel()
	secret := secrets(t)
	server := databases(t, secret)
	own := map[string]struct {
		password string
		reaches  string
	}{
		"covid_worker":    {secret["worker_password"], "warehouse"},
		"covid_dashboard": {secret["dashboard_password"], "warehouse"},
		"temporal":        {secret["temporal_password"], "temporal temporal_visibility"},
		"metabase":        {secret["metabase_password"], "metabase"},
	}
	for user, want := range own {
		for _, database := range []string{"warehouse", "temporal", "temporal_visibility", "metabase", "postgres"} {
			conn, err := pgx.Connect(t.Context(), as(t, server, user, want.password, database))
			if err == nil {
				conn.Close(t.Context())
			}
			if reached := err == nil; reached != strings.Contains(" "+want.reaches+" ", " "+database+" ") {
				t.Errorf("%s reaches %s: %v (%v)", user, database, reached, err)
			}
		}
		if _, err := pgx.Connect(t.Context(), as(t, server, user, "guessed", strings.Fields(want.reaches)[0])); err == nil {
			t.Errorf("%s logs in with another password", user)
		}
	}
}

func TestTheWorkersUserMigratesAndTheDashboardsUserReads(t *testing.T) {
	t.Parallel()
	secret := secrets(t)
	server := databases(t, secret)
	// The URL that the worker gets, with the address of this server.
	given, err := url.Parse(secret["database_url"])
	if err != nil {
		t.Fatal(err)
	}
	here, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	given.Host = here.Host
	for range 2 {
		if _, _, err := warehouse.Migrate(t.Context(), given.String()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := warehouse.Open(t.Context(), given.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	reader := connect(t, as(t, server, "covid_dashboard", secret["dashboard_password"], "warehouse"))
	run(t, reader, "SELECT count(*) FROM covid_cases")
	run(t, reader, "SET default_transaction_read_only = off")
	for _, statement := range []string{"DELETE FROM covid_cases", "CREATE TABLE mine (n int)", "SELECT * FROM etl_stage", "CREATE TEMPORARY TABLE mine (n int)"} {
		if _, err := reader.Exec(t.Context(), statement); err == nil {
			t.Errorf("the dashboards' user may: %s", statement)
		}
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := readSecrets(t, makeSecrets(t, folder))
	again := readSecrets(t, makeSecrets(t, folder))
	seen := map[string]string{}
	for name, value := range first {
		if again[name] != value {
			t.Errorf("the second run changed %s", name)
		}
		if other, ok := seen[value]; ok {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[value] = name
		if len(value) < 32 {
			t.Errorf("%s is short: %d characters", name, len(value))
		}
		info, err := os.Stat(filepath.Join(folder, "secrets", name))
		if err != nil || info.Mode().Perm() != 0o444 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: mode %v, %v", info.Mode(), err)
	}
	// One of two that belong together was removed.
	if err := os.Remove(filepath.Join(folder, "secrets", "worker_password")); err != nil {
		t.Fatal(err)
	}
	if out, err := secretsScript(t, folder); err == nil || !strings.Contains(out, "remove secrets/database_url") {
		t.Errorf("an old database_url: %v: %s", err, out)
	}
}
