package workflows

import (
	"errors"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"covidpipeline/activities"
)

func TestAStateThatNoRunHandedOnIsRefused(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	in := testInput()
	in.State = &IngestState{Registered: activities.Registered{Release: activities.Release{Number: 1, Source: "/etc/passwd"}}}
	ingestRun := ingestEnv(t, s)
	ingestRun.ExecuteWorkflow(IngestWorkflow, in)
	f := &fakeIndex{shards: []int64{300}}
	etlRun := etlEnv(t, f)
	etlRun.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases", State: &ETLState{At: []int64{0}}})
	for _, err := range []error{ingestRun.GetWorkflowError(), etlRun.GetWorkflowError()} {
		var app *temporal.ApplicationError
		if !errors.As(err, &app) || app.Type() != activities.ErrTypeStateRefused || !app.NonRetryable() || !strings.Contains(err.Error(), "What to do: ") {
			t.Errorf("a forged state: %v", err)
		}
	}
	if s.releases != 0 || len(f.loaded) != 0 {
		t.Errorf("a run with a forged state did something: %d releases, %d shards loaded", s.releases, len(f.loaded))
	}
}
