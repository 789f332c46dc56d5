package search

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
)

// recordOf makes a record that differs from its neighbours as real ones do.
func recordOf(n int, f *covid.Fields) covid.Key {
	*f = *fields(covid.Date(18300+n%900).String(), fmt.Sprint("County ", n/900))
	f[covid.FieldTotalCases] = fmt.Append(nil, n*7919%100_000)
	f[covid.FieldNewCases] = fmt.Append(nil, n*104_729%1_000)
	f[covid.FieldFIPS] = fmt.Appendf(nil, "%05d", n/900)
	var k covid.Key
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9E3779B97F4A7C15)
	return k
}

// BenchmarkBulk writes 2 x 20 batches of 5,000 new documents through two
// connections: bodies built beforehand and posted by hand, which is the limit, and
// SendBulk with the building. Compare what ran in one hot run: -count 10.
func BenchmarkBulk(b *testing.B) {
	const batches, rows, connections = 20, 5000, 2
	c := connect(b)
	records := make([]covid.Fields, connections*batches*rows)
	keys := make([]covid.Key, len(records))
	for i := range records {
		keys[i] = recordOf(i, &records[i])
	}
	build := func(body *Body, batch int) {
		body.Reset()
		for i := batch * rows; i < (batch+1)*rows; i++ {
			body.AddRecord(keys[i], covid.NewVersion(1, int64(i+1)), &records[i], Meta{"/data/activity.csv", someDay})
		}
	}
	bodies := make([]Body, connections*batches)
	for i := range bodies {
		build(&bodies[i], i)
	}
	byHand := func(index string, batch int, _ *Body) error {
		url := testenv.Elasticsearch(b) + "/" + index + "/_bulk?filter_path=errors,items.*.status,items.*.error"
		res, err := http.Post(url, "application/x-ndjson", bytes.NewReader(bodies[batch].buf))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	sendBulk := func(index string, batch int, body *Body) error {
		build(body, batch)
		res, err := c.SendBulk(b.Context(), index, body)
		if err == nil && res.Written != rows {
			err = fmt.Errorf("%+v", res)
		}
		return err
	}
	for name, batch := range map[string]func(index string, batch int, body *Body) error{"limit": byHand, "SendBulk": sendBulk} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				index := newIndex(b, c, 1)
				b.StartTimer()
				var all sync.WaitGroup
				for connection := range connections {
					all.Go(func() {
						var body Body
						for i := range batches {
							if err := batch(index, connection*batches+i, &body); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
			}
			b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "docs/s")
		})
	}
}

// BenchmarkReadWindow reads windows of 10,000 documents, as bytes and decoded.
func BenchmarkReadWindow(b *testing.B) {
	const docs = 100_000
	c := connect(b)
	index := newIndex(b, c, 1)
	var body Body
	var f covid.Fields
	for i := range docs {
		body.AddRecord(recordOf(i, &f), covid.NewVersion(1, int64(i+1)), &f, Meta{"/data/activity.csv", someDay})
		if body.Items() == 5000 {
			if _, err := c.SendBulk(b.Context(), index, &body); err != nil {
				b.Fatal(err)
			}
			body.Reset()
		}
	}
	if err := c.Refresh(b.Context(), index); err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		parse bool
		page  int
	}{{false, 10000}, {true, 10000}, {true, 0}} {
		parse, page := test.parse, test.page
		b.Run(fmt.Sprintf("parse=%t,page=%d", parse, page), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for from := int64(-1); from < docs-1; {
					w, err := c.ReadWindow(b.Context(), index, WindowQuery{From: from, UpTo: docs - 1, Max: 10000, Page: page})
					if err != nil {
						b.Fatal(err)
					}
					if from, n = w.To, n+w.Docs; !parse {
						continue
					}
					if err := ParseWindow(w.Body, func(*covid.Document, []byte, int64) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
				if n != docs {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(docs*b.N)/b.Elapsed().Seconds(), "docs/s")
		})
	}
}
