package main

import (
	"errors"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"covidpipeline/activities"
	"covidpipeline/workflows"
)

// details gives the current details of a workflow as the Web UI asks for them.
func (p *pipeline) details(run client.WorkflowRun) string {
	p.Helper()
	var metadata sdkpb.WorkflowMetadata
	p.await("the details of the workflow", func() bool {
		answer, err := p.c.QueryWorkflow(p.Context(), run.GetID(), "", "__temporal_workflow_metadata")
		return err == nil && answer.Get(&metadata) == nil
	})
	return metadata.GetCurrentDetails()
}

// attribute gives a search attribute of a workflow's newest run as text.
func (p *pipeline) attribute(run client.WorkflowRun, name string) string {
	p.Helper()
	d, err := p.c.DescribeWorkflowExecution(p.Context(), run.GetID(), "")
	if err != nil {
		p.Fatal(err)
	}
	return value(d.GetWorkflowExecutionInfo().GetSearchAttributes(), name)
}

func value(attributes *commonpb.SearchAttributes, name string) string {
	return converter.GetDefaultDataConverter().ToString(attributes.GetIndexedFields()[name])
}

func (p *pipeline) shows(run client.WorkflowRun, parts ...string) {
	p.Helper()
	text := p.details(run)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			p.Errorf("the details do not show %q:\n%s", part, text)
		}
	}
}

// What the Web UI shows must be there in the second run of a chain too, although
// summary and details that were set at the start are not.
func TestALongIngestIsVisibleInItsLaterRuns(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	path := p.file("visible cases.csv", source(days("Coconino", 1500), "short,line\n"))
	run := p.startIngest(path, workflows.IngestOptions{BatchRows: 10, Rate: 2000})
	first := run.GetRunID()
	p.await("the second run", func() bool {
		d, err := p.c.DescribeWorkflowExecution(p.Context(), run.GetID(), "")
		return err == nil && d.GetWorkflowExecutionInfo().GetExecution().GetRunId() != first
	})
	if got := p.attribute(run, "CovidSource"); got != `"visible cases.csv"` {
		t.Errorf("in its second run the ingest has the source %s", got)
	}
	if got := p.attribute(run, "CovidRelease"); got != "1" {
		t.Errorf("in its second run the ingest has the release %s", got)
	}
	p.shows(run, "release 1 of `visible cases.csv` into `"+p.index+"`", "░", "rows/s", "%** Batch ", "docs/operations.md")

	result[workflows.IngestResult](p, run)
	p.shows(run, "**completed**", "**100.0 %**", "| 1,501 |")
	if rows, rejects := p.attribute(run, "CovidRows"), p.attribute(run, "CovidRejects"); rows != "1501" || rejects != "1" {
		t.Errorf("at its end the ingest has %s rows and %s rejects", rows, rejects)
	}
	etl := p.startETL()
	result[workflows.ETLResult](p, etl)
	p.shows(etl, "**completed**: run 1, ", "**100.0 %** 1,500 documents in 1 windows", "| 1,500 |", "Everything is read: ")
	if rows, rejects := p.attribute(etl, "CovidRows"), p.attribute(etl, "CovidRejects"); rows != "1500" || rejects != "0" {
		t.Errorf("at its end the ETL has %s rows and %s rejects", rows, rejects)
	}
}

// Of a failed run the first line that the Web UI shows says what failed and what
// to do.
func TestAFailedRunSaysWhatToDo(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.ingest(p.file("cases.csv", source(days("Coconino", 10))), workflows.IngestOptions{})
	p.etl()
	p.execute("UPDATE etl_state SET raw_index = 'of_somebody_else'")
	run := p.startETL()
	err := run.Get(t.Context(), nil)
	var outer *temporal.WorkflowExecutionError
	var app *temporal.ApplicationError
	if !errors.As(err, &outer) || !errors.As(outer.Unwrap(), &app) {
		t.Fatalf("the run ended with %v", err)
	}
	if app.Type() != activities.ErrTypeOtherIndex || !strings.HasPrefix(app.Message(), "PlanExtract: ") ||
		!strings.Contains(app.Message(), "of_somebody_else") || !strings.Contains(app.Message(), "What to do: run `starter schedule apply` with the ELASTICSEARCH_INDEX") {
		t.Errorf("the first failure is %s: %s", app.Type(), app.Message())
	}
	p.shows(run, "**failed**", "> PlanExtract: ", "What to do: run `starter schedule apply` with the ELASTICSEARCH_INDEX")
}
