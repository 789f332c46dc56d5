package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
)

// someDay is the day on which the tests' releases are registered.
const someDay = covid.Date(19111)

// connect gives a client of the server that all tests share.
func connect(t testing.TB) *Client {
	t.Helper()
	return connectTo(t, testenv.Elasticsearch(t))
}

func connectTo(t testing.TB, address string) *Client {
	t.Helper()
	c, err := New(Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newIndex makes the indices of a test.
func newIndex(t testing.TB, c *Client, shards int) string {
	t.Helper()
	index := testenv.Index(t)
	if _, err := c.EnsureIndices(t.Context(), index, shards, 0); err != nil {
		t.Fatal(err)
	}
	return index
}

// raw sends a request past the client and gives the answer, which must be a success.
func raw(t testing.TB, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, testenv.Elasticsearch(t)+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	return string(answer)
}

// proxy puts a faulty network before the server that all tests share: fault may
// answer a request by itself, and otherwise gives false.
func proxy(t testing.TB, fault func(w http.ResponseWriter, r *http.Request, pass http.Handler) (done bool)) *Client {
	t.Helper()
	u, err := url.Parse(testenv.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(u)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r, pass) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return connectTo(t, s.URL)
}

// fields makes a record of the given day and county.
func fields(day, county string) *covid.Fields {
	return &covid.Fields{
		covid.FieldTotalCases: []byte("43638"), covid.FieldCounty: []byte(county), covid.FieldState: []byte("Arizona"),
		covid.FieldDate: []byte(day), covid.FieldContinent: []byte("America"),
		covid.FieldDataSource: []byte("Johns Hopkins University"), covid.FieldNewDeaths: []byte("0"),
		covid.FieldFIPS: []byte("04005"), covid.FieldAlpha3: []byte("USA"), covid.FieldCountry: []byte("United States"),
		covid.FieldAlpha2: []byte("US"), covid.FieldNewCases: []byte("-7"), covid.FieldTotalDeaths: []byte(""),
	}
}

// keyOf makes a key of a number.
func keyOf(n int) covid.Key { return covid.Key{0: byte(n >> 16), 1: byte(n >> 8), 2: byte(n), 15: 1} }

// send writes records with the keys from first on, one row each from row on.
func send(t testing.TB, c *Client, index, source string, release int64, first, count int) BulkResult {
	t.Helper()
	var b Body
	for i := range count {
		b.AddRecord(keyOf(first+i), covid.NewVersion(release, int64(first+i+1)), fields("2022-04-24", fmt.Sprint("County ", first+i)),
			Meta{Source: source, Registered: someDay})
	}
	res, err := c.SendBulk(t.Context(), index, &b)
	if err != nil {
		t.Fatal(err)
	}
	if n := res.Written + res.AlreadyThere + res.Superseded + res.Quarantined + len(res.Refused); n != count {
		t.Fatalf("%d of %d items are accounted for: %+v", n, count, res)
	}
	return res
}

// check fails the test when got is not want.
func check[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// CreateNext stores a release under the next number that is free.
func (c *Client) CreateNext(ctx context.Context, index string, r Release) (Release, error) {
	for {
		var err error
		if r.Number, err = c.NextNumber(ctx, index); err != nil {
			return r, err
		}
		stored, err := c.Create(ctx, index, r)
		if !errors.Is(err, ErrConflict) {
			return stored, err
		}
	}
}
