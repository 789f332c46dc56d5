package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// elastic sends a request to Elasticsearch past the pipeline and returns the answer.
func (p *pipeline) elastic(method, path, body string) []byte {
	p.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(p.Context()), method, testenv.Elasticsearch(p)+path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 || bytes.Contains(answer, []byte(`"errors":true`)) {
		p.Fatalf("%s %s: %s %.500s %v", method, path, res.Status, answer, err)
	}
	return answer
}

// An index that was shrunk from three shards has every sequence number three times,
// and its windows of 10,000 documents end between them.
func TestAnIndexThatWasShrunkLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	if _, err := p.es.EnsureIndices(t.Context(), p.index, 3, 0); err != nil {
		t.Fatal(err)
	}
	path := p.file("cases.csv", source(many(40)))
	p.ingest(path, workflows.IngestOptions{BatchRows: 5000})
	p.etl()
	one := p.index + "-one"
	p.elastic("PUT", "/"+p.index+"/_settings", `{"index.blocks.write": true}`)
	p.elastic("POST", "/"+p.index+"/_shrink/"+one, `{"settings": {"index.number_of_shards": 1, "index.number_of_replicas": 0}}`)
	t.Cleanup(func() { p.elastic("DELETE", "/"+one, "") })
	p.elastic("DELETE", "/"+p.index, "")
	p.elastic("POST", "/"+one+"/_clone/"+p.index, `{"settings": {"index.number_of_replicas": 0, "index.blocks.write": null}}`)
	r := p.etl()
	if r.Rescan == "" || r.Finished.Rows != 32_000 || r.Finished.Swept != 0 || r.Counts.Loaded.Extracted != 32_000 {
		t.Errorf("%+v", r)
	}
	if proof := p.reconcile().Compared.Report; proof.Warehouse.Rows != 32_000 {
		t.Errorf("%+v", proof.Warehouse)
	}
	if again := p.ingest(path, workflows.IngestOptions{BatchRows: 5000}); again.Retired != 0 {
		t.Errorf("%+v", again)
	}
	p.etl()
	p.reconcile()
}

// watch is what a proxy has seen of the searches of an index.
type watch struct {
	sync.Mutex
	largest, longest int // documents that a search may find; bytes of an answer
}

// take returns what has been seen, and forgets it.
func (w *watch) take() (largest, longest int) {
	w.Lock()
	defer w.Unlock()
	largest, longest = w.largest, w.longest
	w.largest, w.longest = 0, 0
	return largest, longest
}

// watched returns the address of a proxy before Elasticsearch.
func watched(t *testing.T, index string, w *watch) string {
	t.Helper()
	target, err := url.Parse(testenv.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(res *http.Response) error {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		w.Lock()
		defer w.Unlock()
		if res.Request.URL.Path == "/"+index+"/_search" {
			w.longest = max(w.longest, len(body))
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+index+"/_search" {
			body, err := io.ReadAll(r.Body)
			var asked struct {
				Size   int
				Source *bool `json:"_source"` // false where keys alone are read
			}
			if err == nil {
				err = json.Unmarshal(body, &asked)
			}
			if err != nil {
				t.Error(err)
			}
			w.Lock()
			if asked.Source == nil || *asked.Source {
				w.largest = max(w.largest, asked.Size)
			}
			w.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Records as long as they may be: neither a search of the ETL, nor one of a
// retirement, nor one of the proof is for more of them than fit into 16 MiB.
func TestLongRecordsAreReadInSmallPages(t *testing.T) {
	t.Parallel()
	var w watch
	index := testenv.Index(t)
	p := startPipeline(t, watched(t, index, &w), index, testenv.Postgres(t))
	// Counts that are none make rejects.
	long := strings.Repeat("9", covid.MaxField)
	record := func(i int, count string) string {
		return fmt.Sprintf("%s,Pima,Arizona,%s,%s,%s,%s,04005,USA,United States,%s,%s,%s\n",
			count, covid.Date(18300+i), long, long, count, long, count, count)
	}
	var lines strings.Builder
	for i := range 100 {
		lines.WriteString(record(i, map[bool]string{true: long, false: "1"}[i%4 == 0]))
	}
	path := p.file("cases.csv", source(days("Coconino", 100), lines.String()))
	p.ingest(path, workflows.IngestOptions{})
	if r := p.etl(); r.Finished.Rows != 175 || r.Finished.Rejects != 25 || r.Counts.Windows < 2 {
		t.Errorf("%+v", r)
	}
	p.reconcile()
	p.ingest(p.file("cases.csv", source(days("Coconino", 100))), workflows.IngestOptions{})
	// 16 MiB hold 36 records of 7 fields of 64 kB.
	if largest, longest := w.take(); largest > 36 || longest > 16<<20 {
		t.Errorf("a search was for %d documents, an answer had %d bytes", largest, longest)
	}

	// The same of an earlier version, which kept no length.
	r, err := p.es.Get(t.Context(), p.index, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.Longest = 0
	if _, err := p.es.Save(t.Context(), p.index, r); err != nil {
		t.Fatal(err)
	}
	p.execute("UPDATE etl_state SET index_uuid = ''")
	if r := p.etl(); r.Finished.Rows != 100 || r.Finished.Rejects != 0 || r.Counts.Loaded.Retired != 100 {
		t.Errorf("%+v", r)
	}
	p.reconcile()
	if largest, _ := w.take(); largest > 250 {
		t.Errorf("a search was for %d documents of unknown length", largest)
	}
}
