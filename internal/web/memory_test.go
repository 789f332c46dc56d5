package web_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/testenv"
)

// fetch reads an answer without keeping it.
func (s *site) fetch(path string) (bytes int64) {
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.Errorf("%s: %s", path, resp.Status)
	}
	bytes, err = io.Copy(io.Discard, resp.Body)
	if err != nil {
		s.Errorf("%s: %v", path, err)
	}
	return bytes
}

// Downloads cost the memory of a document each, at any number of them.
func TestMemoryOfDownloads(t *testing.T) {
	s := newSite(t)
	s.execute(world + `; INSERT INTO covid_rejects (key, reason, date, document, source, release, row, generation)
		SELECT md5('big' || n)::uuid, repeat('r', 100000), repeat('d', 100000), convert_to('{"NOTE":"' || repeat(md5(n::text) || '"', 31775) || '"}', 'UTF8'), 's', 1, n, 1
		FROM generate_series(1, 60) n`)
	const limit, number = 64 << 20, 4
	grown := testenv.PeakHeap(func() {
		var all sync.WaitGroup
		for range number {
			all.Go(func() {
				if n := s.fetch("/rejects.csv"); n < 60<<20 {
					t.Errorf("a download of %d bytes", n)
				}
			})
		}
		all.Wait()
	})
	t.Logf("%d downloads of 60 MB: %d MB", number, grown>>20)
	if grown > limit {
		t.Errorf("%d downloads of 60 MB took %d MB", number, grown>>20)
	}
	grown = testenv.PeakHeap(func() {
		for path := "/rejects"; path != ""; {
			body := s.shows(path, http.StatusOK, "180 refused")
			if len(body) > 2<<20 {
				t.Errorf("a page of %d bytes", len(body))
			}
			_, more, found := strings.Cut(body, `rel="next" href="`)
			if path, _, _ = strings.Cut(more, `"`); !found {
				path = ""
			}
		}
	})
	t.Logf("pages: %d MB", grown>>20)
	if grown > limit {
		t.Errorf("pages of rejects took %d MB", grown>>20)
	}
}

// Pages stay small whatever names the warehouse holds, and say what they leave out.
func TestPagesOfManyNames(t *testing.T) {
	s := newSite(t)
	s.execute(world + `; INSERT INTO covid_daily (date, state, country, records, new_cases, known_cases, new_deaths, known_deaths)
			SELECT date '2022-03-01', 'State <' || n || '>', 'United States', 1, n, 1, n, 1 FROM generate_series(1, 200000) n
			UNION ALL SELECT date '2022-03-01', repeat('x', 60000) || n, 'United States', 1, 300000 + n, 1, 300000 + n, 1 FROM generate_series(1, 50) n;
		ANALYZE covid_daily`)
	const limit = 2 << 20
	for path, parts := range map[string][]string{
		"/":                          {"and 199\u202f562 more: the CSV has them all", "more: <input name=\"state\"", "xxxx\u2026"},
		"/?tab=Trends":               {"more: the CSV has them all"},
		"/?tab=Quality":              {"1 to 50 of 200\u202f063"},
		"/?tab=Quality&page=4002":    {"200\u202f051 to 200\u202f063 of 200\u202f063"},
		"/?state=State+%3C150000%3E": {`value="State &lt;150000&gt;" checked`, "Only <b>State &lt;150000&gt;</b>"},
		"/rejects":                   {"120 refused"},
	} {
		grown := testenv.PeakHeap(func() {
			if body := s.shows(path, http.StatusOK, parts...); len(body) > limit || strings.Contains(body, "No record of the warehouse names") {
				t.Errorf("%s: a page of %d bytes", path, len(body))
			}
		})
		t.Logf("%s: %d MB", path, grown>>20)
		if grown > 64<<20 {
			t.Errorf("%s took %d MB", path, grown>>20)
		}
	}
	grown := testenv.PeakHeap(func() {
		if n := s.fetch("/cards/quality_by_state.csv"); n < 50*60000 {
			t.Errorf("a file of %d bytes", n)
		}
	})
	t.Logf("the file: %d MB", grown>>20)
	if grown > 32<<20 {
		t.Errorf("the file took %d MB", grown>>20)
	}
}

// A reader who comes while many are being answered is told when to come again.
func TestTooManyReaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	conn, err := pgx.Connect(t.Context(), s.source)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE covid_daily IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *http.Response)
	for range 12 {
		go func() {
			resp, err := http.Get(s.url + "/")
			if err != nil {
				t.Error(err)
				resp = &http.Response{Body: http.NoBody}
			}
			resp.Body.Close()
			answers <- resp
		}()
	}
	for range 4 {
		if r := <-answers; r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s, %v", r.Status, r.Header)
		}
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if r := <-answers; r.StatusCode != http.StatusOK {
			t.Errorf("%s, %v", r.Status, r.Header)
		}
	}
	s.shows("/", http.StatusOK)
}
