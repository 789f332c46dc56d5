package metabasefake

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestDatabase(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{V063, Newest} {
		w := newWorld(t, Options{Version: version})
		path := " /api/database/" + itoa(w.database)
		a := w.want(http.StatusOK, "GET"+path, nil)
		if a.text("details.password") != hiddenPassword || strings.Contains(a.body, "not asked for") {
			t.Errorf("the password reads back: %s", a.body)
		}
		// Names are not unique.
		w.want(http.StatusOK, "POST /api/database", object{"name": "Warehouse", "engine": "postgres", "details": w.details})
		if n := w.want(http.StatusOK, "GET /api/database", nil).at("total"); n != 3.0 {
			t.Errorf("there are %v databases, want 3", n)
		}
		// What is sent back as it was read keeps the password.
		w.want(http.StatusOK, "PUT"+path, object{"details": a.at("details")})
		if got := w.server.state.Databases[1].Details["password"]; got != "not asked for" {
			t.Errorf("after an update the password is %v", got)
		}
		w.clean()
		status := map[Version]int{V063: http.StatusBadRequest, Newest: http.StatusOK}[version]
		w.want(status, "PUT"+path, object{"details": object{"password": "other"}})
	}
}

func TestDatabaseUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	b := object{"name": "Other", "engine": "postgres", "details": with(t, w.details, "port", 1)}
	a := w.want(http.StatusBadRequest, "POST /api/database", b)
	if a.text("errors.host") == "" || a.text("message") == "" {
		t.Errorf("unreachable: %s", a.body)
	}
	w.want(http.StatusBadRequest, "PUT /api/database/"+itoa(w.database), object{"details": b["details"]})
	for valid, details := range map[bool]any{true: w.details, false: b["details"]} {
		check := object{"details": object{"engine": "postgres", "details": details}}
		if a := w.want(http.StatusOK, "POST /api/database/validate", check); a.at("valid") != valid {
			t.Errorf("validate says %s", a.body)
		}
	}
	w.clean()
	if n := w.want(http.StatusOK, "GET /api/database", nil).at("total"); n != 2.0 {
		t.Errorf("there are %v databases, want 2", n)
	}
}

func TestDatabaseRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	b := object{"name": "Other", "engine": "postgres", "details": w.details}
	for _, change := range [][]any{
		{"details", gone{}}, {"name", gone{}}, {"engine", gone{}}, {"name", " "}, {"engine", "mysql"},
		{"details/host", gone{}}, {"details/ssl", gone{}}, {"details/db", "x"}, {"details/port", "5432"},
		{"details/password", hiddenPassword}, {"auto_run", true}, {"details/tunnel-enabled", true},
	} {
		w.refuses("POST /api/database", with(t, b, change...), change)
	}
	w.refuses("PUT /api/database/"+itoa(w.database), object{"Name": "x"}, "Name")
}

// refuses sends what is answered with 400 and noted.
func (c *caller) refuses(call string, body, what any) {
	c.t.Helper()
	before := len(c.server.Violations())
	if a := c.send(call, body); a.status != http.StatusBadRequest {
		c.t.Errorf("%s with %v: %d %s, want 400", call, what, a.status, a.body)
		return
	}
	if len(c.server.Violations()) != before+1 {
		c.t.Errorf("%s with %v is no violation", call, what)
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	details, schema := warehouse(t)
	c := newCaller(t, Options{SearchPath: schema, SyncPolls: 3})
	id := c.want(http.StatusOK, "POST /api/database", object{"name": "W", "engine": "postgres", "details": details}).id()
	path := "/api/database/" + itoa(id)
	tables := func() (all []any, status string) {
		a := c.want(http.StatusOK, "GET "+path+"/metadata", nil)
		return a.at("tables").([]any), a.text("initial_sync_status")
	}
	if all, status := tables(); len(all) != 0 || status != "incomplete" {
		t.Errorf("at once there are %d tables, %s", len(all), status)
	}
	c.want(http.StatusOK, "GET "+path, nil)
	first, status := tables()
	if len(first) != 1 || status != "complete" {
		t.Fatalf("after the sync there are %d tables, %s", len(first), status)
	}
	if got := below(t, first, "0.fields.1.base_type"); got != "type/Date" || below(t, first, "0.schema") != schema {
		t.Errorf("the table is %v", first[0])
	}
	execute(t, details, "CREATE TABLE "+schema+".later (x integer); ALTER TABLE "+schema+".person ADD more text")
	for range 4 {
		if all, _ := tables(); len(all) != 1 {
			t.Error("a new table is there without a sync")
		}
	}
	c.want(http.StatusOK, "POST "+path+"/sync_schema", nil)
	tables()
	if all, status := tables(); len(all) != 1 || status != "complete" {
		t.Errorf("while it syncs again there are %d tables, %s", len(all), status)
	}
	second, _ := tables()
	if len(second) != 2 || below(t, second, "1.fields.7.name") != "more" {
		t.Fatalf("after the second sync there is %v", second)
	}
	if below(t, first, "0.fields.0.id") != below(t, second, "1.fields.0.id") {
		t.Error("a field's id changed")
	}
	c.clean()
}

// execute runs statements where details lead.
func execute(t *testing.T, details object, statements string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // at the end of a test too
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%v@%v:%v/%v?sslmode=disable",
		details["user"], details["host"], details["port"], details["dbname"]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements); err != nil {
		t.Fatal(err)
	}
}

func TestSyncSeesWhatTheRoleMayRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	role := w.server.options.SearchPath[:40] + "_reader"
	schema := w.server.options.SearchPath
	execute(t, w.details, "CREATE ROLE "+role+" LOGIN; GRANT USAGE ON SCHEMA "+schema+" TO "+role+
		"; CREATE TABLE "+schema+".secret (x integer); GRANT SELECT ON "+schema+".person TO "+role)
	t.Cleanup(func() { execute(t, w.details, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	path := "/api/database/" + itoa(w.database)
	w.want(http.StatusOK, "PUT "+path, object{"details": with(t, w.details, "user", role)})
	w.want(http.StatusOK, "POST "+path+"/sync_schema", nil)
	w.want(http.StatusOK, "GET "+path+"/metadata", nil)
	if all := w.want(http.StatusOK, "GET "+path+"/metadata", nil).at("tables").([]any); len(all) != 1 {
		t.Errorf("the reader sees %d tables, want 1", len(all))
	}
	for sql, status := range map[string]string{
		"SELECT 1 FROM secret": "failed", "SELECT 1 FROM person": "completed", "INSERT INTO person DEFAULT VALUES": "failed",
	} {
		if got := w.dataset(sql).text("status"); got != status {
			t.Errorf("%s: %s, want %s", sql, got, status)
		}
	}
	w.clean()
}

// dataset runs SQL that is not stored.
func (w *world) dataset(sql string) answered {
	w.t.Helper()
	return w.want(http.StatusAccepted, "POST /api/dataset", object{"type": "native", "database": w.database, "native": object{"query": sql}})
}

func TestQueriesOnlyRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	if a := w.dataset("DELETE FROM person"); a.text("status") != "failed" || !strings.Contains(a.text("error"), "read-only") {
		t.Errorf("a DELETE is answered with %s", a.body)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	a := w.dataset("SELECT * FROM person ORDER BY born NULLS LAST")
	want := `[["CA","2024-01-01T00:00:00Z","2024-01-01T12:00:00Z",1,10,0.5,true],["CA","2024-06-30T00:00:00Z","2024-06-30T12:00:00Z",2,20,1.25,false],` +
		`["TX","2024-12-31T00:00:00Z","2024-12-31T23:00:00Z",3,30,null,true],["O'X",null,null,null,null,null,null]]`
	if got := string(text(a.at("data.rows"))); got != want {
		t.Errorf("rows: %s\nwant: %s", got, want)
	}
	var types []string
	for _, col := range a.at("data.cols").([]any) {
		types = append(types, col.(object)["base_type"].(string))
	}
	if got := strings.Join(types, " "); got != "type/Text type/Date type/DateTimeWithLocalTZ type/Integer type/BigInteger type/Decimal type/Boolean" {
		t.Errorf("types: %s", got)
	}
	if a.at("row_count") != 4.0 {
		t.Errorf("row_count: %v", a.at("row_count"))
	}
}
