package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/source"
)

const (
	batchRows   = 5000   // records of a bulk request
	windowDocs  = 10_000 // documents of a search, rows of a transaction
	connections = 2      // on which bulk requests are sent
)

// batch is one bulk request, built beforehand.
type batch struct {
	body []byte
	rows int
}

func countRows(batches []batch) (rows int) {
	for _, b := range batches {
		rows += b.rows
	}
	return rows
}

// readBatches makes the bulk requests of a source: the documents that the
// pipeline writes, without the structurally broken records.
func readBatches(path string) (batches []batch, rows int, err error) {
	from, err := source.NewRoots(filepath.Dir(path))
	if err != nil {
		return nil, 0, err
	}
	f, err := from.Open(path, 0)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	header, err := csvfile.ReadHeader(f)
	if err != nil {
		return nil, 0, err
	}
	records, err := from.Open(path, header)
	if err != nil {
		return nil, 0, err
	}
	defer records.Close()
	plan, err := csvfile.Cut(records, csvfile.Position{Offset: header}, sha256.New(), csvfile.Limits{Rows: batchRows, Final: true})
	if err != nil {
		return nil, 0, err
	}
	for _, rng := range plan.Ranges {
		b, err := readBatch(from, path, rng)
		if err != nil {
			return nil, 0, err
		}
		batches = append(batches, b)
	}
	return batches, countRows(batches), nil
}

func readBatch(from source.Roots, path string, rng csvfile.Range) (batch, error) {
	f, err := from.Open(path, rng.Offset)
	if err != nil {
		return batch{}, err
	}
	defer f.Close()
	var b batch
	var body bytes.Buffer
	var keyer covid.Keyer
	lines := json.NewEncoder(&body)
	today := covid.DateOf(time.Now()).String()
	records := csvfile.NewScanner(f, rng)
	for records.Next() {
		if records.Problem() != "" {
			continue
		}
		fields := records.Fields()
		action := map[string]any{"_id": keyer.Key(fields).ID(), "version": covid.NewVersion(1, records.Row()), "version_type": "external"}
		doc := map[string]any{"source": path, "release": 1, "row": records.Row(), "registered": today}
		for i, name := range covid.Columns {
			doc[name] = string(fields[i])
		}
		for _, line := range []any{map[string]any{"index": action}, doc} {
			if err := lines.Encode(line); err != nil {
				return batch{}, fmt.Errorf("build a bulk request: %w", err)
			}
		}
		b.rows++
	}
	b.body = body.Bytes()
	return b, records.Err()
}

// bulk sends batches on two connections.
func (w *world) bulk(ctx context.Context, index string, batches []batch) (time.Duration, error) {
	url := w.elasticsearch + "/" + index + "/_bulk?filter_path=errors,items.*.status,items.*.error"
	errs := make([]error, connections)
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for connection := range connections {
		all.Go(func() {
			var answer bytes.Buffer
			for i := next.Add(1) - 1; i < int64(len(batches)) && errs[connection] == nil; i = next.Add(1) - 1 {
				errs[connection] = sendBatch(ctx, url, batches[i], &answer)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return took, nil
}

// sendBatch posts a batch and reads what became of its items: written, or
// superseded by a later row of the same key that was faster.
func sendBatch(ctx context.Context, url string, b batch, answer *bytes.Buffer) error {
	if _, err := call(ctx, http.MethodPost, url, b.body, answer); err != nil {
		return fmt.Errorf("send a bulk request: %w", err)
	}
	done := bytes.Count(answer.Bytes(), []byte(`"status":2`)) + bytes.Count(answer.Bytes(), []byte(`"status":409`))
	if done != b.rows {
		return fmt.Errorf("of a bulk request's %d documents Elasticsearch took %d", b.rows, done)
	}
	return nil
}

// scan reads a whole index by windows of sequence numbers, as bytes. Making its
// documents visible is a part of it, as of the ETL.
func (w *world) scan(ctx context.Context, index string) (docs int, took time.Duration, err error) {
	last, err := w.lastSeqNo(ctx, index)
	if err != nil {
		return 0, 0, err
	}
	url := w.elasticsearch + "/" + index + "/_search?preference=_shards:0&allow_partial_search_results=false" +
		"&version=true&seq_no_primary_term=true&track_total_hits=false"
	var answer bytes.Buffer
	began := time.Now()
	if err := w.es.Refresh(ctx, index); err != nil {
		return 0, 0, err
	}
	for from := int64(-1); from < last; from += windowDocs {
		body := fmt.Appendf(nil, `{"size":%d,"sort":[{"_seq_no":"asc"}],"query":{"bool":{"filter":[{"range":{"_seq_no":{"gt":%d,"lte":%d}}}]}}}`,
			windowDocs, from, from+windowDocs)
		if _, err := call(ctx, http.MethodPost, url, body, &answer); err != nil {
			return 0, 0, fmt.Errorf("read a window: %w", err)
		}
		docs += bytes.Count(answer.Bytes(), []byte(`{"_index":"`))
	}
	return docs, time.Since(began), nil
}

// call sends a request and reads the whole answer. A status that is not 200 is an
// error.
func call(ctx context.Context, method, url string, body []byte, answer *bytes.Buffer) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer.Reset()
	if _, err := io.Copy(answer, res.Body); err != nil {
		return res.StatusCode, err
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, fmt.Errorf("status %s from Elasticsearch: %.300s", res.Status, answer)
	}
	return res.StatusCode, nil
}

// columns are those of a warehouse row that come from its document.
const columns = "key, date, state, county, new_cases, new_deaths, total_cases, total_deaths, " +
	"country, alpha2, alpha3, fips, continent, data_source, source, release, row"

// copyData gives the rows of the warehouse in the order of the source, a chunk for
// each transaction.
func (w *world) copyData(ctx context.Context) (chunks [][]byte, err error) {
	const op = "read the rows of the warehouse"
	_, err = w.pg.Exec(ctx, fmt.Sprintf("CREATE TABLE parts AS SELECT %s, (row_number() OVER (ORDER BY row) - 1) / %d AS part FROM covid_cases",
		columns, windowDocs))
	if err == nil {
		_, err = w.pg.Exec(ctx, "CREATE INDEX ON parts (part)")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for {
		var chunk bytes.Buffer
		tag, err := w.pg.PgConn().CopyTo(ctx, &chunk, fmt.Sprintf("COPY (SELECT %s FROM parts WHERE part = %d ORDER BY row) TO STDOUT (FORMAT binary)", columns, len(chunks)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		if tag.RowsAffected() == 0 {
			break
		}
		chunks = append(chunks, chunk.Bytes())
		w.loaded += tag.RowsAffected()
	}
	_, err = w.pg.Exec(ctx, `DROP TABLE parts; CREATE TEMP TABLE incoming ON COMMIT DELETE ROWS AS SELECT `+columns+` FROM covid_cases WITH NO DATA`)
	return chunks, err
}

// upsertRows takes every column over but the key.
const upsertRows = "INSERT INTO plain SELECT " + columns + ` FROM incoming ON CONFLICT (key) DO UPDATE SET
	(date, state, county, new_cases, new_deaths, total_cases, total_deaths, country, alpha2, alpha3, fips, continent, data_source, source, release, row) =
	(excluded.date, excluded.state, excluded.county, excluded.new_cases, excluded.new_deaths, excluded.total_cases, excluded.total_deaths, excluded.country,
	 excluded.alpha2, excluded.alpha3, excluded.fips, excluded.continent, excluded.data_source, excluded.source, excluded.release, excluded.row)`

// upsert loads the chunks into a new table that has nothing but its primary key.
func (w *world) upsert(ctx context.Context, chunks [][]byte) (time.Duration, error) {
	const op = "upsert into a plain table"
	_, err := w.pg.Exec(ctx, `DROP TABLE IF EXISTS plain; CREATE TABLE plain AS SELECT `+columns+` FROM covid_cases WITH NO DATA; ALTER TABLE plain ADD PRIMARY KEY (key)`)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	began := time.Now()
	for _, chunk := range chunks {
		err := pgx.BeginFunc(ctx, w.pg, func(tx pgx.Tx) error {
			if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(chunk), "COPY incoming FROM STDIN (FORMAT binary)"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, upsertRows)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", op, err)
		}
	}
	return time.Since(began), nil
}
