package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"

	"covidpipeline/activities"
	"covidpipeline/internal/search"
	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

func (p *pipeline) startSelfTest() client.WorkflowRun {
	p.Helper()
	run, err := p.c.ExecuteWorkflow(p.Context(), client.StartWorkflowOptions{
		ID: workflows.SelfTestID(p.index), TaskQueue: temporalclient.TaskQueue,
	}, workflows.SelfTestWorkflow, workflows.SelfTestInput{Index: p.index})
	if err != nil {
		p.Fatal(err)
	}
	return run
}

// scratchLeft returns what is left of self-tests: indices and templates beside
// p.index, and schemas of runs of it.
func (p *pipeline) scratchLeft() string {
	p.Helper()
	var left strings.Builder
	for _, path := range []string{"/_cat/indices/", "/_cat/templates/"} {
		res, err := http.Get(testenv.Elasticsearch(p) + path + p.index + search.ScratchMark + "*?h=name,index")
		if err != nil {
			p.Fatal(err)
		}
		_, err = io.Copy(&left, res.Body)
		res.Body.Close()
		if err != nil {
			p.Fatal(err)
		}
	}
	return strings.TrimSpace(left.String())
}

func TestTheProofFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	r := result[activities.SelfTested](p, p.startSelfTest())
	for _, planted := range r.Planted {
		if planted.Found == "" {
			t.Errorf("not found: %+v", planted)
		}
	}
	if !r.OK() || len(r.Planted) < 25 {
		t.Errorf("%d planted, %d missed, left %q", len(r.Planted), r.Missed, r.Leftover)
	}
	if left := p.scratchLeft(); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if got := p.value("SELECT count(*) FROM covid_cases"); got != int64(0) {
		t.Errorf("%v rows in the pipeline's own warehouse", got)
	}
}

func TestACancelledSelfTestLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	run := p.startSelfTest()
	p.await("the scratch index", func() bool { return p.scratchLeft() != "" })
	if err := p.c.CancelWorkflow(t.Context(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); err != nil && !strings.Contains(err.Error(), "cancel") {
		t.Error(err)
	}
	if left := p.scratchLeft(); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
