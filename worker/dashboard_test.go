package main

import (
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/config"
	"covidpipeline/internal/metabasefake"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

func (p *pipeline) dashboard(options activities.ApplyOptions) (workflows.DashboardResult, client.WorkflowRun) {
	p.Helper()
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: workflows.DashboardID, TaskQueue: temporalclient.TaskQueue,
	}, workflows.DashboardWorkflow, workflows.DashboardInput{Options: options})
	if err != nil {
		p.Fatal(err)
	}
	return result[workflows.DashboardResult](p, run), run
}

// From the file to the dashboard; no password is in the history.
func TestDashboardOfAPipeline(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	if _, _, err := warehouse.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	_, schema, _ := strings.Cut(database, "search_path=")
	schema, _, _ = strings.Cut(schema, "&")
	fake := metabasefake.New(t, metabasefake.Options{SearchPath: schema, StartRequests: 3})
	reader := testenv.Reader(t, database)
	p := startPipelineWith(t, testenv.Elasticsearch(t), testenv.Index(t), database, config.Worker{Metabase: config.Metabase{
		MetabaseAddress: config.MetabaseAddress{URL: fake.URL}, Username: "admin@example.com", Password: "s3cret-enough", DatabaseURL: config.Secret(reader),
	}})
	p.ingest(p.file("cases.csv", source(days("Coconino", 300))), workflows.IngestOptions{})
	p.etl()
	r, run := p.dashboard(activities.ApplyOptions{})
	// No record was rejected, so two filters have nothing to filter.
	if n := len(r.Applied); r.Checked.Cards+4 != n || r.Checked.Without != 2 || r.Checked.Filters != 2*(r.Checked.Cards-4) {
		t.Errorf("%+v", r)
	}
	p.shows(run, "**completed**: COVID-19 activity in Metabase v", fake.URL+r.Path, "created")
	p.keep("dashboard-first", run)
	events := p.c.GetWorkflowHistory(t.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		text := event.String() // payloads as they are
		if strings.Contains(text, "s3cret-enough") || strings.Contains(text, "reads-only-1") {
			t.Errorf("a password is in the history: %s", text)
		}
	}
	if wrong := fake.Violations(); len(wrong) > 0 {
		t.Errorf("what Metabase would not have understood: %q", wrong)
	}
}
