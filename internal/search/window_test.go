package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
)

func TestWindowsHoldEveryDocumentOnce(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	send(t, c, index, "/a", 1, 0, 900)
	send(t, c, index, "/a", 2, 200, 500) // leaves gaps where the documents were
	send(t, c, index, "/a", 3, 300, 100)
	for _, size := range []int{7, 300, 10000} {
		releases := map[int64]int{}
		keys := map[covid.Key]bool{}
		readAllOf(t, c, index, size, func(d *covid.Document) {
			releases[d.Release]++
			keys[d.Key] = true
			check(t, "version", d.Version, covid.NewVersion(d.Release, d.Row))
		})
		check(t, fmt.Sprint("documents by release in windows of ", size), fmt.Sprint(releases, len(keys)), "map[1:400 2:400 3:100] 900")
	}
}

// The cursor of the ETL loses nothing while others write: whoever reads up to the
// global checkpoint that was read before a refresh, and goes on from there, has at
// the end the newest version of every document.
func TestReadingWhileOthersWriteLosesNothing(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	const writers, batches, keys = 4, 25, 400
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			var b Body
			for i := range batches {
				b.Reset()
				for row := range 40 {
					version := covid.NewVersion(1, int64(1+(i*40+row)*writers+w))
					b.AddRecord(keyOf(r.IntN(keys)), version, fields("2022-04-24", "x"), Meta{"/a", someDay})
				}
				if _, err := c.SendBulk(t.Context(), index, &b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()

	read := map[covid.Key]covid.Version{}
	last := map[int]int64{0: -1, 1: -1, 2: -1}
	pass := func() {
		s := state(t, c, index)
		if err := c.Refresh(t.Context(), index); err != nil {
			t.Error(err)
		}
		for _, shard := range s.Shards {
			for last[shard.Shard] < shard.GlobalCheckpoint {
				w, err := c.ReadWindow(t.Context(), index, WindowQuery{Shard: shard.Shard, From: last[shard.Shard], UpTo: shard.GlobalCheckpoint, Max: 50})
				if err != nil {
					t.Fatal(err)
				}
				err = ParseWindow(w.Body, func(d *covid.Document, _ []byte, _ int64) error {
					if d.Version <= read[d.Key] {
						t.Errorf("%s went from version %d to %d", d.Key.ID(), read[d.Key], d.Version)
					}
					read[d.Key] = d.Version
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				last[shard.Shard] = w.To
			}
		}
	}
	for writes := true; writes; {
		select {
		case <-done:
			writes = false
		default:
		}
		pass()
	}
	whole := map[covid.Key]covid.Version{}
	readAllOf(t, c, index, 10000, func(d *covid.Document) { whole[d.Key] = d.Version })
	check(t, "documents", len(read), len(whole))
	for key, version := range whole {
		check(t, key.ID(), read[key], version)
	}
}

func TestWindowOfAMissingShard(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	for _, q := range []WindowQuery{{Shard: 1, UpTo: 5, Max: 10}, {Shard: 99, UpTo: 5, Max: 10}} {
		if w, err := c.ReadWindow(t.Context(), index, q); KindOf(err) != Unavailable {
			t.Errorf("%+v: %v", w, err)
		}
	}
	if _, err := c.ReadWindow(t.Context(), index, WindowQuery{UpTo: 5, Max: 10001, Page: 10001}); KindOf(err) != Refused || !strings.Contains(err.Error(), "10000") {
		t.Errorf("a window that is too large: %v", err)
	}
	w, err := c.ReadWindow(t.Context(), index, WindowQuery{From: -1, UpTo: 5, Max: 10})
	if err != nil || w.Docs != 0 || w.To != 5 || w.Last != (Location{}) {
		t.Errorf("an empty shard: %+v %v", w, err)
	}
}

// Memory is bounded though documents of unknown length are as large as a record may
// be.
func TestWindowOfHugeDocuments(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	const docs = 80
	var b Body
	f := fields("2022-04-24", strings.Repeat("x", 1<<20-200))
	for i := range docs {
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, Meta{"/a", someDay})
		if i%20 == 19 {
			if _, err := c.SendBulk(t.Context(), index, &b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	if err := c.Refresh(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	through := proxy(t, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		body, err := io.ReadAll(r.Body)
		var asked struct{ Size int }
		if err == nil {
			err = json.Unmarshal(body, &asked)
		}
		if err != nil || asked.Size > firstUnknown {
			t.Errorf("a search for %d documents: %v", asked.Size, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	})
	got, windows := 0, 0
	for from := int64(-1); from < docs-1; windows++ {
		w, err := through.ReadWindow(t.Context(), index, WindowQuery{From: from, UpTo: docs - 1, Max: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Body) > windowBytes {
			t.Errorf("a window of %d bytes", len(w.Body))
		}
		got, from = got+w.Docs, w.To
	}
	check(t, "documents", got, docs)
	check(t, "windows", windows, 6) // of 15 documents
}
