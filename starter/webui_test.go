package main

import (
	"context"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// `make screenshots` keeps what the browser saw for the documentation.
var screenshots = flag.String("screenshots", "", "folder to write screenshots of the Web UI to")

// browser is a tab of a real browser.
type browser struct {
	*operator
	tab context.Context
	ui  string
}

func newBrowser(o *operator) *browser {
	o.Helper()
	return &browser{operator: o, tab: testenv.Browser(o), ui: testenv.TemporalUI(o) + "/namespaces/default"}
}

// see opens a page and waits until it shows all the parts, whatever its letters'
// case. With -screenshots it keeps a picture.
func (b *browser) see(name, page string, parts ...string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.tab, callWithin)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(b.ui+page)); err != nil {
		b.Fatalf("open %s: %v", page, err)
	}
	var text string
	deadline := time.Now().Add(pageWithin)
	b.await("the page "+page, func() bool {
		var err error
		if text, err = chromedp.Run(ctx, chromedp.Evaluate[string](pageText)); err != nil {
			b.Fatal(err)
		}
		return containsAll(text, parts) || time.Now().After(deadline)
	})
	if !containsAll(text, parts) {
		b.Errorf("the page %s does not show all of %q:\n%s", page, parts, text)
	}
	if *screenshots == "" {
		return
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644); err != nil {
		b.Fatal(err)
	}
}

// pageText is what a page shows; the current details are in a frame of their own.
const pageText = `[document, ...[...document.querySelectorAll("iframe")].map(f => f.contentDocument)]
	.map(d => d?.body?.innerText ?? "").join("\n")`

// pageWithin is how long a page may take to show its content on a busy machine.
const pageWithin = time.Minute

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
			return false
		}
	}
	return true
}

// newest gives the page of the newest run of a workflow.
func (b *browser) newest(id string) string {
	b.Helper()
	d, err := b.c.DescribeWorkflowExecution(b.Context(), id, "")
	if err != nil {
		b.Fatal(err)
	}
	return "/workflows/" + url.PathEscape(id) + "/" + d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// The Web UI is where a data engineer watches the runs: this is what it shows.
func TestTheWebUIShowsHowRunsGo(t *testing.T) {
	o := newScheduler(t)
	if *screenshots != "" {
		o.env = append(o.env, "ELASTICSEARCH_INDEX=usa_covid_cases")
		o.index = "usa_covid_cases"
	}
	b := newBrowser(o)
	o.sampleFile(20_000)
	o.start("worker")
	o.must("schedule", "apply")

	// An ETL before any ingest fails.
	_, text, status := o.call("etl")
	if status != 1 {
		t.Fatalf("an ETL without an index ended with %d: %s", status, text)
	}
	_, failed, _ := strings.Cut(text, "workflow ")
	failed, _, _ = strings.Cut(failed, ".")
	b.see("webui-failed", b.newest(failed)+"/history", "Failed", "PlanExtract: ", "no such index", "What to do: ingest a source")
	b.see("webui-failed-details", b.newest(failed)+"/user-metadata", "failed: nothing is planned", "What to do: ingest a source", "docs/operations.md")

	o.must("ingest", "--source", "sample.csv", "--batch-rows", "100", "--detach")
	id := workflows.IngestID(o.index, filepath.Join(o.dir, "sample.csv"))
	o.await("the second run of the ingest", func() bool {
		d, err := o.c.DescribeWorkflowExecution(t.Context(), id, "")
		return err == nil && d.GetWorkflowExecutionInfo().GetExecution().GetRunId() != d.GetWorkflowExecutionInfo().GetFirstRunId()
	})
	o.must("ingest", "rate", "--source", "sample.csv", "--rows", "100") // so that the run stays the newest while it is looked at
	b.see("webui-ingest", b.newest(id)+"/user-metadata", "indexing: release 1 of", "rows/s", "█", "Batch ", "docs/operations.md")
	b.see("webui-ingest-attributes", b.newest(id)+"/search-attributes", "CovidSource", "sample.csv", "CovidRows", "CovidRejects", "CovidRelease")
	o.must("ingest", "rate", "--source", "sample.csv", "--rows", "0")
	o.must("ingest", "--source", "sample.csv", "--batch-rows", "100")
	o.must("etl")
	o.must("reconcile")
	b.see("webui-list", "/workflows", "IngestWorkflow", "ETLWorkflow", "ReconcileWorkflow", "Failed", "Completed", "etl-2", "ingest/")
	b.see("webui-schedule", "/schedules/"+workflows.ScheduleID, workflows.ScheduleID, "ETLWorkflow", "Skip", "Recent Runs", "Upcoming Runs")
}
