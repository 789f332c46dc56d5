package metabase

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"covidpipeline/internal/metabasefake"
	"covidpipeline/internal/testenv"
)

var admin = metabasefake.User{Email: "admin@example.com", Password: "s3cret-enough"}

// What answers as a Metabase does not is told apart from one that is not there.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		want   Kind
	}{
		"a page":      {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, Malformed},
		"a redirect":  {func(w http.ResponseWriter) { w.Header().Set("Location", "/login"); w.WriteHeader(http.StatusFound) }, Malformed},
		"no user key": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") }, Malformed},
		"502":         {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, Unavailable},
		"cut off":     {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); _, _ = io.WriteString(w, "{") }, Unavailable},
		"refused":     {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) }, Refused},
		"forbidden":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, Denied},
		"gone":        {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, NotFound},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
		t.Cleanup(server.Close)
		_, err := New(Config{URL: server.URL}).Ready(t.Context())
		if KindOf(err) != tt.want {
			t.Errorf("%s: %v is of kind %s, want %s", name, err, KindOf(err), tt.want)
		}
	}
	_, err := New(Config{URL: "http://127.0.0.1:1"}).Ready(t.Context())
	if KindOf(err) != Unavailable || strings.Contains(err.Error(), "GET") {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Config{URL: "http://127.0.0.1:1"}).Ready(ctx); !errors.Is(err, context.Canceled) || KindOf(err) != 0 {
		t.Errorf("cancelled: %v", err)
	}
}

// Of several things with one name the oldest is taken, of marked ones before
// others; pages are read to their end.
func TestFinding(t *testing.T) {
	t.Parallel()
	fake := metabasefake.New(t, metabasefake.Options{Users: []metabasefake.User{admin}, PageLimit: 2})
	c := New(Config{URL: fake.URL + "/", Username: admin.Email, Password: admin.Password})
	if _, found, err := c.FindCollection(t.Context(), "collection", "Stats"); found || err != nil {
		t.Fatalf("found %t, %v", found, err)
	}
	var ids []int
	for _, key := range []string{"other", "collection", "collection"} {
		id, err := c.CreateCollection(t.Context(), key, "Stats", "Of states.")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for key, want := range map[string]int{"collection": ids[1], "another": ids[0]} {
		if got, found, err := c.FindCollection(t.Context(), key, "Stats"); err != nil || !found || got != want {
			t.Errorf("%s: %+v, %t, %v; want %d", key, got, found, err, want)
		}
	}
	var last Dashboard
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		var err error
		if last, err = c.CreateDashboard(t.Context(), ids[0], Dashboard{Name: "Page", Mark: Mark{Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, found, err := c.FindDashboard(t.Context(), ids[0], "e"); err != nil || !found || got.ID != last.ID {
		t.Errorf("%+v, %t, %v; want %d", got, found, err, last.ID)
	}
	if unmarked, err := c.UnmarkedDashboards(t.Context(), ids[0], "Page"); err != nil || len(unmarked) > 0 {
		t.Errorf("unmarked %v, %v", unmarked, err)
	}
}

// normalizing stands for a Metabase that stores settings in a form of its own:
// it answers each card with one setting changed and one added.
func normalizing(t *testing.T, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || !strings.HasPrefix(r.Request.URL.Path, "/api/card/") {
			return nil
		}
		var card map[string]any
		if err := json.NewDecoder(r.Body).Decode(&card); err != nil {
			return err
		}
		settings := maps.Clone(card["visualization_settings"].(map[string]any))
		settings["pie.dimension"], settings["pie.show_labels"] = []any{settings["pie.dimension"]}, false
		card["visualization_settings"] = settings
		body, err := json.Marshal(card)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Del("Content-Length")
		return err
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// A server that stores another form of what it was sent does not look like a
// person who edits, and a person who edits is still seen.
func TestCardStoredInAnotherForm(t *testing.T) {
	t.Parallel()
	fake := metabasefake.New(t, metabasefake.Options{Users: []metabasefake.User{admin}})
	c := New(Config{URL: normalizing(t, fake.URL), Username: admin.Email, Password: admin.Password})
	reader, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	var connection Connection
	if err := json.Unmarshal([]byte(reader.Port()), &connection.Port); err != nil {
		t.Fatal(err)
	}
	connection.Host, connection.Database, connection.User = reader.Hostname(), strings.TrimPrefix(reader.Path, "/"), reader.User.Username()
	database, err := c.CreateDatabase(t.Context(), "warehouse", connection)
	if err != nil {
		t.Fatal(err)
	}
	collection, err := c.CreateCollection(t.Context(), "collection", "Stats", "Of states.")
	if err != nil {
		t.Fatal(err)
	}
	want := Card{Name: "By state", Display: "pie", Query: Query{Database: database, SQL: "SELECT 'Ohio' AS state, 1 AS n"},
		Settings: map[string]any{"pie.dimension": "state", "pie.metric": "n"}, Mark: Mark{Key: "by_state"}}
	written, err := c.WriteCard(t.Context(), collection, want)
	if err != nil {
		t.Fatal(err)
	}
	judge := func() Verdict {
		t.Helper()
		now, found, err := c.FindCard(t.Context(), collection, "by_state")
		if err != nil || !found {
			t.Fatalf("found %t, %v", found, err)
		}
		return Judge(now.Content(), want.Content(), now.Mark)
	}
	if got := judge(); got != Unchanged {
		t.Errorf("after it was written: %d", got)
	}
	if lost := Lost(written.Content(), want.Content()); len(lost) != 1 || !lost[0].IsSetting() {
		t.Errorf("lost %v", lost)
	}
	want.Settings["pie.show_total"] = true
	if got := judge(); got != Outdated {
		t.Errorf("after the definition changed: %d", got)
	}
	if err := c.call(t.Context(), "edit", http.MethodPut, "/api/card/"+jsonText(written.ID), map[string]any{"name": "Mine"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := judge(); got != Edited {
		t.Errorf("after a person edited it: %d", got)
	}
	if wrong := fake.Violations(); len(wrong) > 0 {
		t.Errorf("violations: %q", wrong)
	}
}

func jsonText(v any) string {
	text, _ := json.Marshal(v) // a number
	return string(text)
}
