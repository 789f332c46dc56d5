package main

import (
	"crypto/sha256"
	"fmt"
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

// scratchLeft returns what is left of a self-test: indices and templates beside
// p.index, and schemas of the run.
func (p *pipeline) scratchLeft(run client.WorkflowRun) string {
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
	digest := sha256.Sum256([]byte(run.GetRunID()))
	if n := p.value(fmt.Sprintf("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'selftest\\_%x%%'", digest[:4])); n != int64(0) {
		fmt.Fprintf(&left, "%v schemas", n)
	}
	return strings.TrimSpace(left.String())
}

func TestTheProofFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	run := p.startSelfTest()
	r := result[activities.SelfTested](p, run)
	for _, planted := range r.Planted {
		if planted.Found == "" {
			t.Errorf("not found: %+v", planted)
		}
	}
	if !r.OK() || len(r.Planted) < 25 {
		t.Errorf("%d planted, %d missed, left %q", len(r.Planted), r.Missed, r.Leftover)
	}
	if left := p.scratchLeft(run); left != "" {
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
	p.await("the scratch index", func() bool { return p.scratchLeft(run) != "" })
	if err := p.c.CancelWorkflow(t.Context(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); err != nil && !strings.Contains(err.Error(), "cancel") {
		t.Error(err)
	}
	if left := p.scratchLeft(run); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
