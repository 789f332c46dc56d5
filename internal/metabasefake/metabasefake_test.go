package metabasefake

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"covidpipeline/internal/testenv"

	"github.com/jackc/pgx/v5"
)

// admin is the user of the tests.
var admin = User{Email: "admin@example.com", Password: "s3cret-enough"}

// caller sends requests as a user does.
type caller struct {
	t       *testing.T
	server  *Server
	session string
}

// newCaller gives a fake of a version with a user, who is logged in.
func newCaller(t *testing.T, options Options) *caller {
	t.Helper()
	options.Users = []User{admin}
	c := &caller{t: t, server: New(t, options)}
	c.session = c.want(http.StatusOK, "POST /api/session", object{"username": admin.Email, "password": admin.Password}).text("id")
	return c
}

// answered is what came back.
type answered struct {
	t      *testing.T
	status int
	body   string
}

// send sends a request such as "GET /api/card"; a nil body is none.
func (c *caller) send(call string, body any) answered {
	c.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(text(body))
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.session != "" {
		req.Header.Set("X-Metabase-Session", c.session)
	}
	// A client that repeats lost requests by itself would hide faults.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return answered{t: c.t, body: err.Error()}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answered{t: c.t, status: resp.StatusCode, body: string(answer)}
}

// want sends a request that is answered with a status.
func (c *caller) want(status int, call string, body any) answered {
	c.t.Helper()
	a := c.send(call, body)
	if a.status != status {
		c.t.Fatalf("%s %s: %d %s, want %d", call, text(body), a.status, a.body, status)
	}
	return a
}

// at gives what lies below keys and indices such as "data.rows.0.1".
func (a answered) at(path string) any {
	a.t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
	return below(a.t, value, path)
}

func (a answered) text(path string) string {
	a.t.Helper()
	value, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("%s of %s is no text", path, a.body)
	}
	return value
}

func (a answered) id() int {
	a.t.Helper()
	id, ok := a.at("id").(float64)
	if !ok {
		a.t.Fatalf("%s has no id", a.body)
	}
	return int(id)
}

// clean fails if the fake noted a violation.
func (c *caller) clean() {
	c.t.Helper()
	if all := c.server.Violations(); len(all) > 0 {
		c.t.Errorf("violations: %q", all)
	}
}

// violated fails unless the last violation has these words, and tells how many
// there are.
func (c *caller) violated(words string) int {
	c.t.Helper()
	all := c.server.Violations()
	if len(all) == 0 || !strings.Contains(all[len(all)-1], words) {
		c.t.Errorf("violations: %q, the last should say %q", all, words)
	}
	return len(all)
}

// warehouse makes a schema of few rows and gives the details that reach it and
// its name.
func warehouse(t *testing.T) (details object, schema string) {
	t.Helper()
	database := testenv.Postgres(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `
		CREATE TABLE person (state text, born date, seen timestamptz, n integer, big bigint, share numeric, alive boolean);
		INSERT INTO person VALUES
			('CA', '2024-01-01', '2024-01-01T12:00:00Z', 1, 10, 0.5, true),
			('CA', '2024-06-30', '2024-06-30T12:00:00Z', 2, 20, 1.25, false),
			('TX', '2024-12-31', '2024-12-31T23:00:00Z', 3, 30, NULL, true),
			('O''X', NULL, NULL, NULL, NULL, NULL, NULL)`); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	return object{
		"host": config.Host, "port": config.Port, "dbname": config.Database,
		"user": config.User, "password": "not asked for", "ssl": false,
	}, u.Query().Get("search_path")
}

// world is a fake with a synced database.
type world struct {
	*caller
	details  object
	database int
	fields   map[string]int // of the table person
}

func newWorld(t *testing.T, options Options) *world {
	t.Helper()
	details, schema := warehouse(t)
	options.SearchPath = schema
	w := &world{caller: newCaller(t, options), details: details, fields: map[string]int{}}
	w.database = w.want(http.StatusOK, "POST /api/database", object{"name": "Warehouse", "engine": "postgres", "details": details}).id()
	path := "GET /api/database/" + itoa(w.database) + "/metadata"
	w.want(http.StatusOK, path, nil)
	metadata := w.want(http.StatusOK, path, nil)
	for _, f := range metadata.at("tables.0.fields").([]any) {
		field := f.(object)
		w.fields[field["name"].(string)] = int(field["id"].(float64))
	}
	return w
}

// card gives the body of a card that counts by state, changed by pairs of path
// and value.
func (w *world) card(changes ...any) object {
	return with(w.t, object{
		"name": "By state", "display": "pie", "visualization_settings": object{"pie.dimension": "state", "pie.metric": "n"},
		"dataset_query": object{"type": "native", "database": w.database, "native": object{
			"query": "SELECT state, count(*) AS n FROM person WHERE true [[AND {{state}}]] [[AND born >= {{since}}]] GROUP BY 1 ORDER BY 1",
			"template-tags": object{
				"state": object{"id": newID(true), "name": "state", "display-name": "State", "type": "dimension",
					"dimension": []any{"field", w.fields["state"], nil}, "widget-type": "string/="},
				"since": object{"id": newID(true), "name": "since", "display-name": "Since", "type": "date"},
			},
		}},
	}, changes...)
}

func (w *world) createCard(changes ...any) int {
	w.t.Helper()
	return w.want(http.StatusOK, "POST /api/card", w.card(changes...)).id()
}
