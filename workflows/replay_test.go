package workflows

import (
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/worker"
)

// Workflows that run while a new worker takes over must replay in it. The stored
// histories are of real runs, each run of one that continued as new among them.
func TestStoredHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	// Of runs that began before workflows set search attributes.
	older, err := filepath.Glob("testdata/before-attributes/*.json")
	if err != nil || len(older) == 0 {
		t.Fatalf("there are no histories of the version before: %v", err)
	}
	files = append(files, older...)
	for _, kind := range []string{"ingest-*-2.json", "etl-*.json", "reconcile-*.json", "follow-*.json", "dashboard-*.json"} {
		if some, _ := filepath.Glob("testdata/" + kind); len(some) == 0 {
			t.Errorf("there is no history testdata/%s: record them with `make histories`", kind)
		}
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflow(IngestWorkflow)
			replayer.RegisterWorkflow(ETLWorkflow)
			replayer.RegisterWorkflow(ReconcileWorkflow)
			replayer.RegisterWorkflow(DashboardWorkflow)
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
				t.Error(err)
			}
		})
	}
}
