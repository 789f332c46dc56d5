package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

)

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

// A browser that keeps nothing for a page refreshes it all the same, and one with a
// filter that is left out is refreshed too.
func TestBrowserWithoutStorage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	b := newBrowser(s)
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `Object.defineProperty(window, "sessionStorage", { get() { throw new DOMException("denied", "SecurityError"); } })`})
		return err
	}))
	b.open("/")
	s.execute("DELETE FROM covid_cases WHERE state = 'Ohio'")
	const records = `document.querySelector("#total_records .big").textContent.replaceAll("\u202f", "")`
	look[bool](b, `document.dispatchEvent(new Event("covid:refresh"))`)
	b.await(records + ` === "5283"`)
	b.do(chromedp.Click("#live button"))
	if got := look[string](b, `document.querySelector("#live").textContent`); got != " · not refreshed Refresh" {
		t.Errorf("paused: %q", got)
	}
	b.quiet()
	b.open("/?since=nonsense")
	s.execute("DELETE FROM covid_cases WHERE state = 'Texas'")
	look[bool](b, `document.dispatchEvent(new Event("covid:refresh"))`)
	b.await(records + ` === "4803"`)
}

// Runs that never complete are not good news, whatever the newest does.
func TestNothingCompletes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(`INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 1, 0, 1, true);
		INSERT INTO etl_run (workflow_id, run_id, state, started_at) VALUES ('w', '1', 'cancelled', now() - interval '30 hours'), ('w', '2', 'running', now() - interval '5 hours')`)
	defer s.serve(healthy)() //nolint:errcheck // not what this tests
	s.untilLooked()
	s.shows("/", http.StatusOK, "Look at what is marked", "no run completed")
}
