package testenv

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func query(t *testing.T, url, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPrivatePostgresCrash(t *testing.T) {
	t.Parallel()
	p := PrivatePostgres(t)
	url := p.URL
	execute(t, url, "CREATE TABLE kept AS SELECT 1 AS n")
	execute(t, url, "CREATE UNLOGGED TABLE lost AS SELECT 1 AS n")
	p.Stop(t)
	p.Start(t)
	if n := query(t, url, "SELECT count(*) FROM lost"); n != 1 {
		t.Errorf("after a clean stop the unlogged table holds %d rows, want 1", n)
	}
	p.Crash(t)
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("the crashed server answers")
	}
	p.Start(t)
	if p.URL != url {
		t.Errorf("after the crash the server is at %s, want %s", p.URL, url)
	}
	if n := query(t, url, "SELECT count(*) FROM kept"); n != 1 {
		t.Errorf("after the crash the table holds %d rows, want 1", n)
	}
	if n := query(t, url, "SELECT count(*) FROM lost"); n != 0 {
		t.Errorf("after the crash the unlogged table holds %d rows: it was no crash", n)
	}
}

func TestPrivateElasticsearchCrash(t *testing.T) {
	t.Parallel()
	p := PrivateElasticsearch(t)
	const doc = "/kept/_doc/1"
	send(t, http.MethodPut, p.URL+doc, `{"a":1}`)
	p.Crash(t)
	if _, err := http.Get(p.URL + doc); err == nil {
		t.Error("the crashed server answers")
	}
	p.Start(t)
	if status := get(t, p.URL+doc); status != http.StatusOK {
		t.Errorf("after the crash the document answers %d, want 200", status)
	}
}

// send sends JSON to Elasticsearch, which has to take it.
func send(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
