package web_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// follow counts the rejects on a page and on all that it leads to.
func (s *site) follow(path, total string) (seen int) {
	s.Helper()
	for path != "" {
		body := s.shows(path, http.StatusOK, total+" refused")
		if strings.Contains(body, "<script>\"") || strings.Contains(body, "<i>\"") {
			s.Error("a value is not escaped")
		}
		seen += strings.Count(body, "<code>")
		_, more, found := strings.Cut(body, `rel="next" href="`)
		path, _, _ = strings.Cut(more, `"`)
		if path = html.UnescapeString(path); !found {
			path = ""
		}
	}
	return seen
}

func TestRejectsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// One has a state and a day that no record of the warehouse has.
	s.execute(world + `; INSERT INTO covid_rejects (key, reason, date, document, source, release, row, generation)
		VALUES (gen_random_uuid(), 'REPORT_DATE lies ahead', ' 2999-12-31', convert_to('{"PROVINCE_STATE_NAME":" atlantis"}', 'UTF8'), 's', 1, 1, 1)`)
	const date, deaths = "REPORT_DATE is not a date (YYYY-MM-DD)", "PEOPLE_DEATH_NEW_COUNT is not a whole number"
	for _, tt := range []struct {
		query url.Values
		want  int
	}{
		{nil, 121},
		{url.Values{"state": {"Ohio"}}, 116},
		{url.Values{"nostate": {"1"}}, 4},
		{url.Values{"state": {"Ohio"}, "reason": {deaths}}, 77},
		{url.Values{"reason": {date}}, 40},
		{url.Values{"since": {"2022-01-05"}, "till": {"2022-01-05"}}, 80},
		{url.Values{"since": {"2022-01-06"}, "till": {"2022-01-07"}}, 0},
		{url.Values{"since": {"2999-01-01"}}, 1},
		{url.Values{"state": {"Atlantis"}}, 1},
		{url.Values{"reason": {"no such"}}, 0},
	} {
		query := "?" + tt.query.Encode()
		if seen := s.follow("/rejects"+query, fmt.Sprint(tt.want)); seen != tt.want {
			t.Errorf("%s: %d rejects on all pages, want %d", query, seen, tt.want)
		}
		_, header, body := s.get("/rejects.csv" + query)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || len(rows) != tt.want+1 || !strings.HasPrefix(header.Get("Content-Disposition"), `attachment; filename="rejects`) {
			t.Errorf("%s: %d lines of CSV, %v, %v", query, len(rows), header, err)
		}
	}
	s.shows("/rejects?reason="+url.QueryEscape(date), http.StatusOK, "St. John, Ohio", ">Namibia<", "<option selected>"+date,
		"Only <b>with the reason "+date+"</b>", "/rejects.csv?reason=")
	s.shows("/rejects?after=x", http.StatusBadRequest, "no place in the list", "121 refused")
	s.shows("/rejects?reason=%00", http.StatusBadRequest, "a reason is text")
	s.shows("/rejects.csv?reason=%ff", http.StatusBadRequest, "a reason is text")
	s.shows("/?tab=Quality&state=Ohio", http.StatusOK, `href="/rejects?state=Ohio"`)
}

// The list of rejects is whole in a database of any collation: here one sorts the
// digits of a text by their number.
func TestRejectsInAnyCollation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute("CREATE DATABASE sorts_numbers TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'und-u-kn-true' LOCALE 'C'")
	owner := s.source
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), owner)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE sorts_numbers WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(s.source)
	if err != nil {
		t.Fatal(err)
	}
	u.Path, u.RawQuery = "/sorts_numbers", "sslmode=disable"
	s = siteOf(t, u.String())
	s.execute(world)
	seen := map[string]int{}
	_, _, body := s.get("/rejects.csv")
	for _, line := range strings.Split(strings.TrimSpace(body), "\n")[1:] {
		seen[line]++
	}
	if n := strings.Count(body, "\n") - 1; n != 120 || len(seen) != 120 {
		t.Errorf("%d lines, %d different ones of 120", n, len(seen))
	}
}
