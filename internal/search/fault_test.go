package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"covidpipeline/internal/covid"
)

// answer writes an answer as Elasticsearch would.
func answer(w http.ResponseWriter, status int, body string) bool {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	return true
}

// hangUp ends the connection in the middle.
func hangUp(w http.ResponseWriter) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
	return true
}

// garble passes a request on and lets change alter the answer.
func garble(w http.ResponseWriter, r *http.Request, pass http.Handler, change func(body []byte) []byte) bool {
	rec := httptest.NewRecorder()
	pass.ServeHTTP(rec, r)
	w.Header().Set("X-Elastic-Product", rec.Header().Get("X-Elastic-Product"))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(change(rec.Body.Bytes()))
	return true
}

func bodyOf(count int) *Body {
	var b Body
	for i := range count {
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), fields("2022-04-24", fmt.Sprint("County ", i)), Meta{"/a", someDay})
	}
	return &b
}

// Every fault of the network between here and Elasticsearch is noticed and has a
// kind; and the same body sent again afterwards ends in exactly its documents.
func TestFaultsOfTheNetwork(t *testing.T) {
	t.Parallel()
	const items = 50
	type faulty = func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool
	html := func(status int) faulty {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `<html>{"error":{"type":"index_not_found_exception"}}`)
			return true
		}
	}
	for _, f := range []struct {
		name  string
		fault faulty
		kind  Kind
		there int // documents in the index after the fault
	}{
		{"no answer to a request that never arrived", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool { return hangUp(w) }, Unavailable, 0},
		{"answer lost", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			pass.ServeHTTP(httptest.NewRecorder(), r)
			return hangUp(w)
		}, Unavailable, items},
		{"answer cut off", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			rec := httptest.NewRecorder()
			pass.ServeHTTP(rec, r)
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			return true
		}, Malformed, items},
		{"answer cut off and no length to tell", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte { return b[:len(b)/2] })
		}, Malformed, items},
		{"an item missing", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte { return bytes.Replace(b, []byte(`{"index":{"status":201}},`), nil, 1) })
		}, Malformed, items},
		{"an item without status", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte { return bytes.Replace(b, []byte(`"status":201`), nil, 1) })
		}, Malformed, items},
		{"garbage", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte { return bytes.Repeat([]byte("\x00\xfe"), len(b)) })
		}, Malformed, items},
		{"an empty answer", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool { return answer(w, 200, "") }, Malformed, 0},
		{"no items", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			return answer(w, 200, `{"took":1,"errors":false}`)
		}, Malformed, 0},
		{"wrong product", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			rec := httptest.NewRecorder()
			pass.ServeHTTP(rec, r)
			_, _ = w.Write(rec.Body.Bytes())
			return true
		}, Malformed, items},
		{"a captive portal", html(200), Malformed, 0},
		{"a redirect", html(302), Malformed, 0},
		{"a proxy without that path", html(404), Malformed, 0},
		{"a proxy's refusal", html(400), Malformed, 0},
		{"a proxy's login", html(401), Denied, 0},
		{"a proxy's 502", html(502), Unavailable, 0},
		{"a proxy's 503", html(503), Unavailable, 0},
		{"a proxy's 429", html(429), Overloaded, 0},
		{"401", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			return answer(w, 401, `{"error":{"type":"security_exception","reason":"missing authentication credentials"},"status":401}`)
		}, Denied, 0},
		{"429", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			return answer(w, 429, `{"error":{"type":"circuit_breaking_exception","reason":"Data too large"},"status":429}`)
		}, Overloaded, 0},
		{"no master", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			return answer(w, 503, `{"error":{"type":"cluster_block_exception","reason":"blocked by: [SERVICE_UNAVAILABLE/2/no master]"},"status":503}`)
		}, Unavailable, 0},
		{"an error that is a sentence", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			return answer(w, 400, `{"error":"no handler found","status":400}`)
		}, Refused, 0},
		{"an item denied", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"status":201`), []byte(`"status":403,"error":{"type":"security_exception","reason":"unauthorized"}`), 1)
			})
		}, Denied, items},
		{"a conflict without versions", func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			return garble(w, r, pass, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"status":201`), []byte(`"status":409,"error":{"type":"version_conflict_engine_exception","reason":"conflict"}`), 1)
			})
		}, Malformed, items},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			c := proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
				return broken.Load() && strings.HasSuffix(r.URL.Path, "/_bulk") && f.fault(w, r, pass)
			})
			index := newIndex(t, c, 1)
			b := bodyOf(items)
			broken.Store(true)
			if _, err := c.SendBulk(t.Context(), index, b); KindOf(err) != f.kind || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v", KindOf(err), err)
			} else {
				t.Log(err)
			}
			broken.Store(false)
			res, err := c.SendBulk(t.Context(), index, b)
			if err != nil || res.AlreadyThere != f.there || res.Written != items-f.there {
				t.Errorf("sent again: %+v %v", res, err)
			}
			n := 0
			readAllOf(t, c, index, 10000, func(*covid.Document) { n++ })
			check(t, "documents", n, items)
		})
	}
}

// busy answers that some items of the first so many bulk requests were refused,
// and lets the rest of them pass.
func busy(t *testing.T, status, times int, some func(item, of int) bool) (c *Client, sent *[]int) {
	sent = new([]int)
	return proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/_bulk") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		lines := bytes.SplitAfter(body, []byte("\n"))
		*sent = append(*sent, len(lines)/2)
		if len(*sent) > times {
			r.Body = io.NopCloser(bytes.NewReader(body))
			return false
		}
		var good []byte
		for i := 0; i+1 < len(lines); i += 2 {
			if !some(i/2, len(lines)/2) {
				good = append(append(good, lines[i]...), lines[i+1]...)
			}
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(good)), int64(len(good))
		rec := httptest.NewRecorder()
		if len(good) > 0 {
			pass.ServeHTTP(rec, r)
		}
		answers := strings.SplitAfter(rec.Body.String(), "}},")
		var items []string
		for i, next := 0, 0; i < len(lines)/2; i++ {
			if some(i, len(lines)/2) {
				items = append(items, fmt.Sprintf(`{"index":{"status":%d,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution"}}}`, status))
				continue
			}
			items = append(items, `{"index":{"status":201}}`)
			next++
			check(t, "answers", len(answers) >= next, true)
		}
		return answer(w, 200, `{"errors":true,"items":[`+strings.Join(items, ",")+`]}`)
	}), sent
}

func TestBusyItemsAreSentAgainAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			c, sent := busy(t, status, 2, func(item, _ int) bool { return item%10 == 3 })
			index := newIndex(t, c, 1)
			b := bodyOf(50)
			before := string(b.buf)
			res, err := c.SendBulk(t.Context(), index, b)
			if err != nil || res.Written != 50 {
				t.Errorf("%+v %v", res, err)
			}
			check(t, "items of the requests", fmt.Sprint(*sent), "[50 5 1]")
			check(t, "the body is as it was", string(b.buf) == before, true)
			var rows int64
			n := 0
			readAllOf(t, c, index, 10000, func(d *covid.Document) {
				n, rows = n+1, rows+d.Row
				check(t, "county", d.Values[covid.FieldCounty], fmt.Sprint("County ", d.Row-1))
			})
			check(t, "documents and rows", fmt.Sprint(n, rows), "50 1275")
		})
	}
}

func TestBusyItemsFailTheBatchInTheEnd(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]Kind{429: Overloaded, 503: Unavailable} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			c, sent := busy(t, status, 1000, func(item, of int) bool { return item == 7 || of == 1 })
			index := newIndex(t, c, 1)
			start := time.Now()
			_, err := c.SendBulk(t.Context(), index, bodyOf(50))
			if KindOf(err) != kind || !strings.Contains(err.Error(), "1 of 50 items") {
				t.Errorf("%v: %v", KindOf(err), err)
			}
			if took := time.Since(start); took > retryFor+time.Second || len(*sent) < 5 || len(*sent) > 12 {
				t.Errorf("%d requests in %v", len(*sent), took)
			}
		})
	}
}

func TestCancelEndsAWait(t *testing.T) {
	t.Parallel()
	c, _ := busy(t, 429, 1000, func(int, int) bool { return true })
	index := newIndex(t, c, 1)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	start := time.Now()
	_, err := c.SendBulk(ctx, index, bodyOf(5))
	if !errors.Is(err, context.Canceled) || KindOf(err) != 0 || time.Since(start) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestContextEndsARequest(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	defer close(held)
	c := proxy(t, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		select {
		case <-held:
		case <-r.Context().Done():
		}
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := c.SendBulk(ctx, "i", bodyOf(5))
	if KindOf(err) != Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if err := c.Refresh(ctx, "i"); !errors.Is(err, context.Canceled) || KindOf(err) != 0 {
		t.Errorf("cancel: %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c := connectTo(t, "http://user:secret@"+address)
	err = c.Refresh(t.Context(), "i")
	if KindOf(err) != Unavailable || !strings.Contains(err.Error(), address) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// Faults of the other requests: no answer is believed that is not whole.
func TestFaultsWhileReading(t *testing.T) {
	t.Parallel()
	var change atomic.Pointer[func([]byte) []byte]
	c := proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		f := change.Load()
		return f != nil && garble(w, r, pass, *f)
	})
	index := newIndex(t, c, 1)
	send(t, c, index, "/a", 1, 0, 20)
	if _, err := c.CreateNext(t.Context(), index, Release{Source: "/a", Registered: someDay.Time()}); err != nil {
		t.Fatal(err)
	}
	ids := []string{keyOf(1).ID(), keyOf(2).ID()}
	calls := map[string]func() error{
		"EnsureIndices": func() error { _, err := c.EnsureIndices(t.Context(), index, 1, 0); return err },
		"IndexUUID":     func() error { _, err := c.IndexUUID(t.Context(), index); return err },
		"Refresh":       func() error { return c.Refresh(t.Context(), index) },
		"Count":         func() error { _, err := c.Count(t.Context(), index, CountQuery{}); return err },
		"IndexState":    func() error { _, err := c.IndexState(t.Context(), index); return err },
		"Locate":        func() error { _, err := c.Locate(t.Context(), index, ids); return err },
		"ReadWindow": func() error {
			_, err := c.ReadWindow(t.Context(), index, WindowQuery{From: -1, UpTo: 19, Max: 10})
			return err
		},
		"Newest":     func() error { _, err := c.Newest(t.Context(), index, "/a"); return err },
		"All":        func() error { _, err := c.All(t.Context(), index); return err },
		"Get":        func() error { _, err := c.Get(t.Context(), index, 1); return err },
		"CreateNext": func() error { _, err := c.CreateNext(t.Context(), index, Release{}); return err },
		"Retire":     func() error { _, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {}); return err },
		"Quarantined": func() error {
			return c.Quarantined(t.Context(), index, "", 0, func(*Quarantined) error { return nil })
		},
		"CountQuarantined": func() error { _, err := c.CountQuarantined(t.Context(), index, "", 0); return err },
	}
	for what, f := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut off": func(b []byte) []byte { return b[:len(b)-1] },
		"garbage": func([]byte) []byte { return []byte("\x1f\x8b\x00") },
		"another": func([]byte) []byte { return []byte(`{"ok":true}`) },
		"null":    func([]byte) []byte { return []byte(`null`) },
	} {
		change.Store(&f)
		for name, call := range calls {
			if err := call(); KindOf(err) != Malformed && KindOf(err) != Unavailable {
				t.Errorf("%s, %s: %v: %v", name, what, KindOf(err), err)
			}
		}
	}
}
