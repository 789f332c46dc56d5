package search

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
)

func TestEnsureIndices(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := testenv.Index(t)
	var uuids sync.Map
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			uuid, err := c.EnsureIndices(t.Context(), index, 3, 0)
			if err != nil || uuid == "" {
				t.Errorf("at once: %q %v", uuid, err)
			}
			uuids.Store(uuid, true)
		})
	}
	all.Wait()
	n := 0
	uuids.Range(func(any, any) bool { n++; return true })
	check(t, "UUIDs", n, 1)

	settings := raw(t, "GET", "/"+index+"/_settings", "")
	if !strings.Contains(settings, `"number_of_shards":"3"`) || !strings.Contains(settings, `"refresh_interval":"30s"`) {
		t.Error(settings)
	}
	raw(t, "PUT", "/"+index+"/_settings", `{"index.refresh_interval":"7s"}`)
	send(t, c, index, "/a", 1, 0, 3)
	before := raw(t, "GET", "/"+index+"/_settings", "")
	if _, err := c.EnsureIndices(t.Context(), index, 1, 1); err != nil {
		t.Error(err)
	}
	check(t, "settings", raw(t, "GET", "/"+index+"/_settings", ""), before)

	// Deleted, it stays deleted until it is made again, and is another one then.
	old, err := c.IndexUUID(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	raw(t, "DELETE", "/"+index, "")
	for i := range 3 {
		if _, err := c.SendBulk(t.Context(), index, bodyOf(3)); KindOf(err) != IndexGone {
			t.Errorf("write %d to a deleted index: %v", i, err)
		}
	}
	uuid, err := c.EnsureIndices(t.Context(), index, 1, 0)
	if err != nil || uuid == old {
		t.Errorf("made again: %s, was %s: %v", uuid, old, err)
	}
}

func TestEnsureIndicesRefuses(t *testing.T) {
	t.Parallel()
	c := connect(t)
	for _, name := range []string{"", "Upper", "a,b", "*", "_all", "-x", "a/b", "a b", "a?x=1", "..", strings.Repeat("x", 300)} {
		if _, err := c.EnsureIndices(t.Context(), name, 1, 0); !errors.Is(err, ErrIndexName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	index := testenv.Index(t)
	for _, name := range []string{QuarantineIndex(index), ReleasesIndex(index)} {
		if _, err := c.EnsureIndices(t.Context(), name, 1, 0); !errors.Is(err, ErrIndexName) {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := c.IndexUUID(t.Context(), name); KindOf(err) != IndexGone {
			t.Errorf("%q was made: %v", name, err)
		}
	}
	raw(t, "PUT", "/"+index, `{"mappings":{"properties":{"source":{"type":"text"}}}}`)
	if _, err := c.EnsureIndices(t.Context(), index, 1, 0); KindOf(err) != Refused ||
		!strings.Contains(err.Error(), "another mapping") || !strings.Contains(err.Error(), "COUNTY_NAME") {
		t.Errorf("another mapping: %v", err)
	}
	index = testenv.Index(t)
	if _, err := c.EnsureIndices(t.Context(), index, 5000, 0); KindOf(err) != Refused || !strings.Contains(err.Error(), "number_of_shards") {
		t.Errorf("too many shards: %v", err)
	}
	other := newIndex(t, c, 1)
	raw(t, "PUT", "/"+other+"/_alias/"+index, "")
	if _, err := c.EnsureIndices(t.Context(), index, 1, 0); KindOf(err) != Refused {
		t.Errorf("an alias: %v", err)
	}
	raw(t, "DELETE", "/"+other+"/_alias/"+index, "")
}

func TestCounts(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	send(t, c, index, "/a", 1, 0, 100)
	send(t, c, index, "/b", 2, 90, 30)
	if _, err := c.Retire(t.Context(), index, "/a", 3, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if err := c.Refresh(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	count := func(q CountQuery) int64 {
		t.Helper()
		n, err := c.Count(t.Context(), index, q)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	yes, no := true, false
	check(t, "all", count(CountQuery{}), 120)
	check(t, "retired", count(CountQuery{Retired: &yes}), 90)
	check(t, "live", count(CountQuery{Retired: &no}), 30)
	var sum, retired int64
	for _, s := range state(t, c, index).Shards {
		sum += count(CountQuery{Shard: &s.Shard})
		retired += count(CountQuery{Shard: &s.Shard, MaxSeqNo: &s.GlobalCheckpoint, Retired: &yes})
		middle := s.GlobalCheckpoint / 2
		n := int64(0)
		w, err := c.ReadWindow(t.Context(), index, WindowQuery{Shard: s.Shard, From: -1, UpTo: middle, Max: 1000})
		if err != nil {
			t.Fatal(err)
		}
		n += int64(w.Docs)
		check(t, "up to the middle", count(CountQuery{Shard: &s.Shard, MaxSeqNo: &middle}), n)
	}
	check(t, "sum of the shards", sum, 120)
	check(t, "retired of the shards", retired, 90)
	missing := 3
	if _, err := c.Count(t.Context(), index, CountQuery{Shard: &missing}); KindOf(err) != Unavailable {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestIndexState(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	for _, s := range state(t, c, index).Shards {
		check(t, "checkpoint of an empty shard", s.GlobalCheckpoint, -1)
	}
	send(t, c, index, "/a", 1, 0, 100)
	before := state(t, c, index)
	operations := int64(0)
	for i, s := range before.Shards {
		check(t, "shard", s.Shard, i)
		operations += s.GlobalCheckpoint + 1
		if s.PrimaryTerm < 1 || s.HistoryUUID == "" {
			t.Errorf("%+v", s)
		}
	}
	check(t, "operations", operations, 100)
	raw(t, "POST", "/"+index+"/_close", "")
	if _, err := c.IndexState(t.Context(), index); KindOf(err) != IndexClosed {
		t.Errorf("closed: %v", err)
	}
	if _, err := c.ReadWindow(t.Context(), index, WindowQuery{UpTo: 5, Max: 10}); KindOf(err) != IndexClosed {
		t.Errorf("closed: %v", err)
	}
	if err := c.Refresh(t.Context(), index); KindOf(err) != IndexClosed {
		t.Errorf("closed: %v", err)
	}
	raw(t, "POST", "/"+index+"/_open", "")
	after := state(t, c, index)
	if after.UUID != before.UUID || after.Shards[0].HistoryUUID != before.Shards[0].HistoryUUID || after.Shards[0].PrimaryTerm <= before.Shards[0].PrimaryTerm {
		t.Errorf("opened again: %+v, was %+v", after, before)
	}
	raw(t, "DELETE", "/"+index, "")
	if _, err := c.IndexState(t.Context(), index); KindOf(err) != IndexGone {
		t.Errorf("deleted: %v", err)
	}
	if _, err := c.ReadWindow(t.Context(), index, WindowQuery{UpTo: 5, Max: 10}); KindOf(err) != IndexGone {
		t.Errorf("deleted: %v", err)
	}
	if _, err := c.Locate(t.Context(), index, []string{keyOf(1).ID()}); KindOf(err) != IndexGone {
		t.Errorf("deleted: %v", err)
	}
	if _, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {}); KindOf(err) != IndexGone {
		t.Errorf("deleted: %v", err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	send(t, c, index, "/a", 1, 0, 20)
	send(t, c, index, "/a", 2, 5, 1) // not refreshed
	found, err := c.Locate(t.Context(), index, []string{keyOf(5).ID(), keyOf(99).ID(), keyOf(0).ID()})
	if err != nil || len(found) != 3 {
		t.Fatalf("%+v %v", found, err)
	}
	check(t, "rewritten", found[0].Version, int64(covid.NewVersion(2, 6)))
	check(t, "missing", fmt.Sprint(found[1].Found, " ", found[1].ID), "false "+keyOf(99).ID())
	check(t, "first", fmt.Sprint(found[2].Found, found[2].Version), fmt.Sprint(true, int64(covid.NewVersion(1, 1))))
	readAllOf(t, c, index, 100, func(*covid.Document) {})
	none, err := c.Locate(t.Context(), index, nil)
	check(t, "none", fmt.Sprint(none, err), "[] <nil>")
}

// Credentials and private certificates: this build of Elasticsearch has no
// security, so a proxy in front of it has.
func TestCredentialsAndCertificates(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(u)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user+password == "usersecret" || strings.EqualFold(r.Header.Get("Authorization"), "ApiKey c2VjcmV0") {
			pass.ServeHTTP(w, r)
			return
		}
		answer(w, 401, `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // one client below hangs up on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	index := newIndex(t, connect(t), 1)
	for _, f := range []struct {
		config Config
		kind   Kind
	}{
		{Config{URL: s.URL, CAFile: ca, Username: "user", Password: "secret"}, 0},
		{Config{URL: s.URL + "/", CAFile: ca, APIKey: "c2VjcmV0"}, 0},
		{Config{URL: strings.Replace(s.URL, "//", "//user:secret@", 1), CAFile: ca}, 0},
		{Config{URL: s.URL, CAFile: ca, Username: "user", Password: "wrong"}, Denied},
		{Config{URL: s.URL, CAFile: ca}, Denied},
		{Config{URL: s.URL, Username: "user", Password: "secret"}, Unavailable}, // the system does not trust it
	} {
		c, err := New(f.config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.IndexUUID(t.Context(), index)
		if KindOf(err) != f.kind || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", f.config, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, config := range []Config{
		{}, {URL: "localhost:9200"}, {URL: "ftp://x"}, {URL: "http://"}, {URL: "http://[::"},
		{URL: "http://x", CAFile: "/does/not/exist"}, {URL: "http://x", CAFile: empty},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}
