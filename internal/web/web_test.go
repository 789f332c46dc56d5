package web_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"covidpipeline/dashboards"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/internal/web"
)

// site is the page over a warehouse of known rows.
type site struct {
	*testing.T
	url    string // of the page
	db     *warehouse.DB
	source string // of the warehouse, for its owner
}

func newSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, testenv.Postgres(t))
}

func siteOf(t *testing.T, source string) *site {
	t.Helper()
	if _, _, err := warehouse.Migrate(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	db, err := warehouse.OpenReader(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	server := httptest.NewServer((&web.Server{DB: db, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}).Handler(true))
	t.Cleanup(server.Close)
	return &site{T: t, url: server.URL, db: db, source: source}
}

func (s *site) execute(sql string) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), s.source)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.Context()))
	if _, err := conn.Exec(s.Context(), sql); err != nil {
		s.Fatal(err)
	}
}

// world fills the warehouse: 12 states of 4 counties over 120 days, some counts
// unknown or negative, a state whose name is code, a country without states, and the
// pipeline's state.
const world = `
INSERT INTO covid_cases (key, date, country, state, county, new_cases, new_deaths, source, release, row, generation)
SELECT md5(concat_ws('-', d, s, c))::uuid, date '2022-01-01' + d, 'United States',
	(ARRAY['Alabama', 'Alaska', 'Arizona', 'California', 'Florida', 'Georgia', 'Illinois', 'New Mexico', 'New York', 'Ohio', 'Texas', '=<b>&"'])[s],
	CASE WHEN c > 1 THEN (ARRAY['', 'Washington', 'Doña Ana', 'St. John'])[c] END,
	CASE WHEN (d + s + c) % 13 <> 0 THEN s * 40 + 30 * round(20 * (1 + sin(d / 9.0 + s)))::int - (d % 7) * 20 - CASE WHEN d = 60 THEN 900 ELSE 0 END END,
	CASE WHEN (d + c) % 11 <> 0 THEN s + (d % 5) END, '/data/activity.csv', 1, d * 100 + s * 4 + c, 1
FROM generate_series(0, 119) d, generate_series(1, 12) s, generate_series(1, 4) c;
INSERT INTO covid_cases (key, date, country, new_cases, new_deaths, source, release, row, generation)
SELECT md5('n' || d)::uuid, date '2022-04-20' + d, 'Namibia', 1000, 7, '/data/activity.csv', 1, 100000 + d, 1 FROM generate_series(1, 3) d;
INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 5763, 120, 1, true);
INSERT INTO etl_run (workflow_id, run_id, state, started_at, finished_at, counts) VALUES
	('w', '1', 'completed', now() - interval '72 min', now() - interval '71 min', '{"loaded": {"extracted": 5880, "inserted": 5763, "rejected": 120}}'),
	('w', '2', 'completed', now() - interval '12 min', now() - interval '12 min', '{}');
INSERT INTO covid_rejects (key, reason, date, document, source, release, row, generation)
SELECT md5(n::text)::uuid, CASE n % 3 WHEN 0 THEN 'REPORT_DATE is not a date (YYYY-MM-DD): "2022-02-30"' ELSE 'PEOPLE_DEATH_NEW_COUNT is not a whole number: "<i>"' END,
	CASE n % 3 WHEN 0 THEN '2022-02-30' ELSE '2022-01-05' END, convert_to(CASE WHEN n > 4 THEN '{"PROVINCE_STATE_NAME":"Ohio","COUNTY_NAME":"St. John","NOTE":"<script>"}' ELSE '{"PROVINCE_STATE_NAME":"","COUNTRY_SHORT_NAME":"Namibia"}' END, 'UTF8'), '/data/activity.csv', 1, 6000 + n, 1
FROM generate_series(1, 120) n`

func (s *site) get(path string) (int, http.Header, string) {
	s.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func (s *site) shows(path string, status int, parts ...string) string {
	s.Helper()
	got, _, body := s.get(path)
	if got != status {
		s.Fatalf("%s: status %d, want %d\n%s", path, got, status, body)
	}
	for _, part := range parts {
		if !strings.Contains(body, part) {
			s.Errorf("%s does not show %q\n%s", path, part, body)
		}
	}
	return body
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	for _, tab := range dashboards.Tabs() {
		var titles []string
		for _, c := range dashboards.Cards() {
			if c.Tab == tab {
				titles = append(titles, ">"+c.Title+"</h2>")
			}
		}
		s.shows("/?tab="+tab, http.StatusOK, titles...)
	}
	body := s.shows("/", http.StatusOK, "5\u202f763", "2022-04-30", "12 min ago", "=&lt;b&gt;&amp;", "1 to 50 of 2\u202f000",
		"<title>Overview – COVID-19 activity</title>", "Everything runs", "3\u202f763 older records are not listed.",
		"Records that name no state hold 21 deaths beside these.")
	if strings.Contains(body, "style=") || strings.Contains(body, "<b>&") || strings.Contains(body, "onclick") {
		t.Error("the page holds a style or code of its own, or an unescaped name")
	}
	s.shows("/?page=40", http.StatusOK, "1\u202f951 to 2\u202f000 of 2\u202f000", ">Previous<")
	s.shows("/?page=999999", http.StatusOK, "1\u202f951 to 2\u202f000 of 2\u202f000")
	s.shows("/?state=Ohio&since=2022-01-05&till=2022-01-06", http.StatusOK, `<p class="big">8</p>`, "2022-01-06", `value="Ohio" checked`,
		"Only <b>Ohio from 2022-01-05 to 2022-01-06</b>")
	s.shows("/?nostate=1", http.StatusOK, `<p class="big">3</p>`, "Only <b>no state</b>", `<td class="country">Namibia</td>`, `name="nostate" value="1" checked`)
	s.shows("/?nostate=1&state=Ohio&state=Texas&tab=Trends", http.StatusOK, "Only <b>Ohio, Texas and no state</b>", "hold 3\u202f000 cases beside these")
	s.shows("/?state=Atlantis", http.StatusOK, "There is none", "names the state Atlantis.", `value="Atlantis" checked`)
	s.shows("/?since=2022-13-05", http.StatusBadRequest, "is not a day", "5\u202f763")
	s.shows("/?since=2022-13-05&state=Ohio&till=2022-01-06", http.StatusBadRequest, "is not a day", "Only <b>Ohio to 2022-01-06</b>", `<p class="big">24</p>`)
	s.shows("/?page=x", http.StatusBadRequest, "is not the number of a page", "1 to 50 of 2\u202f000")
	s.shows("/?tab=Nowhere", http.StatusNotFound, "no such part", "Overview, Trends, Quality")
	s.shows("/?since=2022-02-01&till=2022-01-01", http.StatusBadRequest, "ends (2022-01-01) before it begins")
	s.shows("/?state=%00", http.StatusBadRequest, "is text, which")
	s.shows("/?state=%ff", http.StatusBadRequest, "is text, which")
	s.shows("/cards/overview.csv?state=%ff", http.StatusBadRequest, "is text, which")
	s.shows("/nowhere", http.StatusNotFound, "no such page")
	s.shows("/cards/nothing.csv", http.StatusNotFound, "no such card")
}

// A download has what the statement gives, and no text that runs.
func TestDownload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	choice := dashboards.Choice{States: []string{"Ohio", `=<b>&"`}, Since: time.Date(2022, 3, 1, 0, 0, 0, 0, time.UTC)}
	filters := url.Values{"state": choice.States, "since": {"2022-03-01"}}.Encode()
	for _, c := range dashboards.Cards() {
		status, header, body := s.get("/cards/" + c.Name + ".csv?" + filters)
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") ||
			header.Get("Content-Disposition") != `attachment; filename="`+c.Name+map[bool]string{true: "-Ohio-b-from-2022-03-01"}[c.Unfiltered == ""]+`.csv"` {
			t.Errorf("%s: %d %v", c.Name, status, header)
		}
		got, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		sql, columns := c.Full()
		if c.Table != "" {
			sql, columns = c.Table, c.TableColumns
		}
		sql, args, err := dashboards.Compile(sql, choice)
		if err != nil {
			t.Fatal(err)
		}
		names, rows, err := s.db.Query(t.Context(), sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[0], names) || len(columns) != len(names) || len(got) != 1+len(rows) {
			t.Errorf("%s: %d rows of %q, want %d of %q", c.Name, len(got)-1, got[0], len(rows), names)
			continue
		}
		for i, row := range rows {
			for j, v := range row {
				want := fmt.Sprint(v)
				switch v := v.(type) {
				case nil:
					want = ""
				case time.Time:
					want = v.Format(time.DateOnly)
				case string:
					want = strings.Replace(v, "=<", "'=<", 1)
				}
				if got[i+1][j] != want && c.Name != "freshness" {
					t.Errorf("%s: row %d: %q, want %q", c.Name, i, got[i+1][j], want)
				}
			}
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ask := func(method, path, host string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for host, want := range map[string]int{"localhost": 200, "localhost:8088": 200, "127.0.0.1:1": 200, "[::1]:80": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:8088": 421, "localhost.evil.example": 421, "10.0.0.1": 421} {
		if resp := ask(http.MethodGet, "/", host); resp.StatusCode != want {
			t.Errorf("host %s: %d, want %d", host, resp.StatusCode, want)
		}
	}
	resp := ask(http.MethodGet, "/", "localhost")
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") ||
		resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", resp.Header)
	}
	if resp := ask(http.MethodPost, "/", "localhost"); resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotFound {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	body := s.shows("/", http.StatusOK, "Nothing has been loaded yet")
	_, sheet, _ := strings.Cut(body, `stylesheet" href="`)
	sheet, _, _ = strings.Cut(sheet, `"`)
	if status, header, _ := s.get(sheet); status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") ||
		!strings.HasPrefix(header.Get("Content-Type"), "text/css") {
		t.Errorf("%s: %d %v", sheet, status, header)
	}
	if status, _, _ := s.get("/static/page.css"); status != http.StatusNotFound {
		t.Errorf("a file under a name that does not change: %d", status)
	}
}

// What is wrong with the warehouse is said on the page.
func TestProblems(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute("DROP TABLE covid_daily")
	s.shows("/", http.StatusServiceUnavailable, "The warehouse is not ready", "starter etl")
	s.shows("/cards/overview.csv", http.StatusServiceUnavailable, "The warehouse is not ready")
	s = newSite(t)
	s.execute("REVOKE SELECT ON covid_daily FROM covid_reader")
	s.shows("/", http.StatusServiceUnavailable, "refused access", "GRANT covid_reader")
	s.db.Close()
	s.shows("/", http.StatusInternalServerError, "could not be made")
}

// The reader's connection cannot write, whatever a statement says.
func TestReadsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, sql := range []string{"DELETE FROM covid_cases", "SELECT body FROM etl_stage"} {
		if _, _, err := s.db.Query(t.Context(), sql); err == nil {
			t.Errorf("%s went through", sql)
		}
	}
	if _, rows, err := s.db.Query(t.Context(), "SELECT current_user::text, current_setting('default_transaction_read_only')"); err != nil ||
		rows[0][0] != "covid_reader" || rows[0][1] != "on" {
		t.Errorf("%v, %v", rows, err)
	}
}

// Every record names a county and a state: no card leaves anything out, also while a
// load commits between its statements.
func TestLeftWhileALoadRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute("INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 1, 0, 1, true)")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(t.Context(), s.source)
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		for ctx.Err() == nil && err == nil {
			_, err = conn.Exec(t.Context(), `INSERT INTO covid_cases (key, date, country, state, county, new_cases, new_deaths, source, release, row, generation)
				SELECT gen_random_uuid(), date '2022-01-01' + n % 300, 'US', 'State ' || n % 50, 'County ' || n % 900, 3, 1, '/x', 1, n, 1 FROM generate_series(1, 2000) n`)
		}
		ended <- err
	}()
	for range 40 {
		if body := s.shows("/", http.StatusOK); strings.Contains(body, "Records that name no") && strings.Contains(body, "beside these") {
			t.Error("the page says that records are left out")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
