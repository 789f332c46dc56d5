package web_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"covidpipeline/dashboards"
	"covidpipeline/internal/testenv"
)

// `make screenshots` keeps what the browser saw for the documentation.
var screenshots = flag.String("screenshots", "", "folder to write screenshots of the page to")

// within bounds a step of the browser on a busy machine.
const within = time.Minute

// browser is a tab of a real browser that looks at the page.
type browser struct {
	*site
	tab context.Context

	mu       sync.Mutex
	problems []string // what the browser's console said
}

func newBrowser(s *site) *browser {
	s.Helper()
	b := &browser{site: s, tab: testenv.Browser(s)}
	if err := chromedp.Listen(b.tab, b.hear); err != nil {
		s.Fatal(err)
	}
	return b
}

// hear keeps warnings and errors of the console: a refused style, a script that
// fails, a file that is missing.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, string(e.Type))
	case *cdplog.EventEntryAdded:
		b.problems = append(b.problems, e.Entry.Text)
	}
}

func (b *browser) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		b.Errorf("the browser's console says %q", b.problems)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.tab, within)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// look gives the value of an expression on the page.
func look[T any](b *browser, expression string, options ...chromedp.EvaluateOption) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.tab, within)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// call sends a command of the browser's protocol.
func call[P any](b *browser, command cdp.Command[P, cdp.Empty], params P) {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	}))
}

func (b *browser) colours(scheme string) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// shown gives the cells of a card's tables as text, row by row, without the
// spaces between digits.
func (b *browser) shown(card string) [][]string {
	b.Helper()
	return look[[][]string](b, fmt.Sprintf(`[...document.querySelectorAll("#%s tbody tr")].map(r => [...r.cells]
		.filter(c => !c.classList.contains("drawn") && !c.classList.contains("share"))
		.map(c => c.classList.contains("unknown") ? "" : c.textContent.trim().replaceAll("\u202f", "").replace("\u2212", "-")))`, card))
}

// want gives a card's rows from the warehouse in the same form.
func (b *browser) want(card dashboards.Card, choice dashboards.Choice) [][]string {
	b.Helper()
	sql, args, err := dashboards.Compile(card.SQL, choice)
	if err != nil {
		b.Fatal(err)
	}
	_, rows, err := b.db.Query(b.Context(), sql, args...)
	if err != nil {
		b.Fatal(err)
	}
	all := make([][]string, len(rows))
	for i, row := range rows {
		for _, v := range row {
			text := ""
			switch v := v.(type) {
			case nil:
			case time.Time:
				text = v.Format(time.DateOnly)
			default:
				text = fmt.Sprint(v)
			}
			all[i] = append(all[i], text)
		}
	}
	return all
}

// numbers compares every card of a tab with the warehouse.
func (b *browser) numbers(tab string, choice dashboards.Choice) {
	b.Helper()
	for _, card := range dashboards.Cards() {
		if card.Tab != tab || card.Unfiltered != "" { // those tell times, which go on
			continue
		}
		want := b.want(card, choice)
		if card.Chart == dashboards.Number {
			got := look[string](b, fmt.Sprintf(`document.querySelector("#%s .big").textContent.replaceAll("\u202f", "")`, card.Name))
			if got != want[0][0] {
				b.Errorf("%s: %q, want %q", card.Title, got, want[0][0])
			}
			continue
		}
		want = want[:min(len(want), map[dashboards.Chart]int{dashboards.Table: 50}[card.Chart]+1000*len(card.Measures))]
		if got := b.shown(card.Name); !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			b.Errorf("%s: %q\nwant %q", card.Title, got, want)
		}
	}
}

func TestBrowserNumbersAndFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	b := newBrowser(s)
	for _, tab := range dashboards.Tabs() {
		b.open("/?tab=" + tab)
		b.numbers(tab, dashboards.Choice{})
	}
	// By hand: a state and a range, and then another tab, which keeps them.
	b.open("/")
	b.do(chromedp.Click(".choose summary"), chromedp.Click(`input[value="Ohio"]`), chromedp.Click(`input[value="Texas"]`))
	look[string](b, `document.querySelector("[name=since]").value = "2022-02-03"; document.querySelector("[name=till]").value = "2022-03-04"`)
	b.do(chromedp.Click("form button"), chromedp.WaitVisible(`.only a`))
	choice := dashboards.Choice{States: []string{"Ohio", "Texas"}, Since: time.Date(2022, 2, 3, 0, 0, 0, 0, time.UTC), Till: time.Date(2022, 3, 4, 0, 0, 0, 0, time.UTC)}
	b.numbers(dashboards.Overview, choice)
	b.do(chromedp.Click(`nav a[href*="Trends"]`), chromedp.WaitVisible("#cases_by_day"))
	b.numbers(dashboards.Trends, choice)
	b.do(chromedp.Click(`.only a`), chromedp.WaitNotPresent(`.only a`))
	b.open("/?tab=Trends&state=Ohio&since=2022-02-03&till=2022-02-03") // one day is no line
	choice.States, choice.Till = []string{"Ohio"}, choice.Since
	b.numbers(dashboards.Trends, choice)
	if !look[bool](b, `document.querySelector("#cases_by_day details").open`) {
		t.Error("the number of a single day is hidden")
	}
	b.open("/?tab=Trends")
	b.numbers(dashboards.Trends, dashboards.Choice{})
	b.quiet()
}

func TestBrowserRefreshes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	b := newBrowser(s)
	b.open("/")
	s.execute("DELETE FROM covid_cases WHERE state = 'Ohio'")
	const refresh = `document.dispatchEvent(new Event("covid:refresh"))`
	const records = `document.querySelector("#total_records .big").textContent.replaceAll("\u202f", "")`
	look[bool](b, refresh)
	b.await(records + ` === "5283"`)
	b.numbers(dashboards.Overview, dashboards.Choice{})
	// Who has the list of states open keeps it, and the place of the keyboard and of a
	// table stay; the numbers are new.
	b.do(chromedp.Click(".choose summary"), chromedp.Click(`input[value="Texas"]`))
	look[bool](b, `document.querySelector("#overview .scroll").focus(); document.querySelector("#overview .scroll").scrollTo(0, 300), true`)
	s.execute("DELETE FROM covid_cases WHERE state = 'Texas'")
	look[bool](b, refresh)
	b.await(records + ` === "4803"`)
	if !look[bool](b, `document.querySelector(".choose").open && document.querySelector('input[value="Texas"]').checked`) {
		t.Error("the list of states was closed, or a choice undone")
	}
	if !look[bool](b, `document.activeElement === document.querySelector("#overview .scroll") && document.activeElement.scrollTop === 300`) {
		t.Error("the keyboard's place, or the table's, was lost")
	}
	// The list closes with Escape and with a click elsewhere.
	b.do(chromedp.KeyEvent(kb.Escape), chromedp.WaitNotPresent(".choose[open]"),
		chromedp.Click(".choose summary"), chromedp.WaitVisible(".choose[open]"), chromedp.Click("h1"), chromedp.WaitNotPresent(".choose[open]"))
	// Who wants no refresh gets none, on the next page neither.
	b.do(chromedp.Click("#live button"))
	s.execute("DELETE FROM covid_cases WHERE state = 'Alaska'")
	b.open("/?tab=Quality")
	b.open("/")
	s.execute("DELETE FROM covid_cases WHERE state = 'Florida'")
	look[bool](b, refresh)
	if got := look[string](b, `document.querySelector("#live").textContent + `+records); got != " · not refreshed Refresh4323" {
		t.Errorf("after switching off: %q", got)
	}
	b.do(chromedp.Click("#live button"))
	b.await(records + ` === "3843"`)
	b.quiet()
	// What cannot be refreshed is said where the verdict stood, and gone when it can.
	const verdict = `document.querySelector(".verdict").textContent`
	s.execute("ALTER TABLE covid_daily RENAME TO gone")
	look[bool](b, refresh)
	b.await(verdict + `.startsWith("The warehouse is not ready what is shown is of 20")`)
	s.execute("ALTER TABLE gone RENAME TO covid_daily")
	look[bool](b, refresh)
	b.await(verdict + ` === "Everything runs" && !document.body.classList.contains("stale")`)
}

// await waits until an expression on the page is true.
func (b *browser) await(expression string) {
	b.Helper()
	for deadline := time.Now().Add(within); !look[bool](b, expression); {
		if time.Now().After(deadline) {
			b.Fatalf("never: %s", expression)
		}
	}
}

func TestBrowserWithoutScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world)
	b := newBrowser(s)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open("/?tab=Trends&state=Ohio")
	b.numbers(dashboards.Trends, dashboards.Choice{States: []string{"Ohio"}})
	if !look[bool](b, `document.getElementById("live").hidden && !!document.querySelector("#cases_by_day svg path.s1-1")`) {
		t.Error("without a script the page offers to refresh, or draws no line")
	}
	b.do(chromedp.Click(`nav a[href*="Overview"]`), chromedp.WaitVisible("#total_records"))
	b.numbers(dashboards.Overview, dashboards.Choice{States: []string{"Ohio"}})
}

// No rule of axe-core is broken on any page, light or dark, wide or narrow.
func TestBrowserForEverybody(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(testenv.Axe(t))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.execute(world)
	b := newBrowser(s)
	type finding struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	for _, scheme := range []string{"light", "dark"} {
		b.colours(scheme)
		for _, width := range []int64{1360, 390, 320} {
			b.do(chromedp.EmulateViewport(width, 1000))
			for _, path := range []string{"/", "/?tab=Trends&state=Ohio", "/?tab=Quality", "/?since=x", "/rejects", "/rejects?state=Ohio&reason=x", "/nowhere"} {
				b.open(path)
				look[bool](b, string(script)+";true")
				answer := look[json.RawMessage](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise)
				var found []finding
				if err := json.Unmarshal(answer, &found); err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					t.Errorf("%s, %s, %d wide: %s (%s): %s: %+v", path, scheme, width, f.ID, f.Impact, f.Help, f.Nodes[0])
				}
				if wide := look[int64](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s is %d wide in a window of %d", path, wide, width)
				}
			}
		}
	}
}

// still makes a page look the same whenever its picture is taken.
const still = `(() => {
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const text = texts.currentNode;
		if (/ \d\d:\d\d/.test(text.data)) text.data = text.data.replace(/\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?/, "2022-05-01 12:00");
	}
	document.querySelector(".state dd span").textContent = "1 day ago";
	document.querySelectorAll("#freshness td.number").forEach((cell, i) => { cell.textContent = ["1", "12", "5\u202f283", "120"][i]; });
	return true;
})()`

// The pictures of the documentation show every tab as the reader sees it.
func TestBrowserPictures(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.execute(world + `; DELETE FROM covid_cases WHERE state LIKE '=%'; UPDATE etl_state SET rows = 5283`)
	s.serve(healthy)
	b := newBrowser(s)
	b.open("/")
	b.await(`document.querySelector(".verdict").textContent.startsWith("Everything runs servers looked at") || (location.reload(), false)`)
	for _, p := range []struct {
		name, path, scheme string
		width              int64
	}{
		{"page-overview", "/", "light", 1360},
		{"page-trends-dark", "/?tab=Trends", "dark", 1360},
		{"page-quality", "/?tab=Quality", "light", 1360},
		{"page-phone", "/", "light", 390},
	} {
		b.colours(p.scheme)
		b.do(chromedp.EmulateViewport(p.width, 900))
		b.open(p.path)
		look[bool](b, still)
		ctx, cancel := context.WithTimeout(b.tab, within)
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		cancel()
		if err != nil || !strings.HasPrefix(string(picture), "\x89PNG") {
			t.Fatalf("%s: %d bytes, %v", p.name, len(picture), err)
		}
		if *screenshots == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(*screenshots, p.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.quiet()
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
