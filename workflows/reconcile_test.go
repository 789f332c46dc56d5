package workflows

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/testsuite"

	"covidpipeline/activities"
	"covidpipeline/internal/proof"
)

// reconcileEnv answers each look with the next of snapshots, the last for ever.
func reconcileEnv(t *testing.T, snapshots ...activities.Snapshot) (*testsuite.TestWorkflowEnvironment, *int) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Reconcile{})
	env.OnActivity(reconcile.Snapshot, mock.Anything, mock.Anything).Return(func(context.Context, activities.SnapshotInput) (activities.Snapshot, error) {
		s := snapshots[0]
		if len(snapshots) > 1 {
			snapshots = snapshots[1:]
		}
		return s, nil
	})
	compared := 0
	env.OnActivity(reconcile.Compare, mock.Anything, mock.Anything).Return(func(context.Context, activities.CompareInput) (activities.Compared, error) {
		compared++
		return activities.Compared{Report: proof.Report{Balanced: true}}, nil
	})
	return env, &compared
}

func at(upTo, notLoaded int64) activities.Snapshot {
	return activities.Snapshot{Shards: []activities.ShardPlan{{UpTo: upTo}}, NotLoaded: notLoaded}
}

func proofResult(t *testing.T, env *testsuite.TestWorkflowEnvironment) ReconcileResult {
	t.Helper()
	env.ExecuteWorkflow(ReconcileWorkflow, ReconcileInput{Index: "cases", Wait: 30 * time.Second})
	var r ReconcileResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReconcileWaitsForTheETL(t *testing.T) {
	env, compared := reconcileEnv(t, at(10, 5), at(10, 2), at(10, 0))
	if r := proofResult(t, env); !r.OK() || *compared != 1 {
		t.Errorf("compared %d times: %+v", *compared, r)
	}
}

func TestReconcileSaysBusyWhenTheETLDoesNotCatchUp(t *testing.T) {
	env, compared := reconcileEnv(t, at(10, 5))
	if r := proofResult(t, env); r.OK() || !strings.Contains(r.Busy, "5 changes") || *compared != 0 {
		t.Errorf("compared %d times: %+v", *compared, r)
	}
}

func TestReconcileComparesAgainWhenThePipelineMoved(t *testing.T) {
	env, compared := reconcileEnv(t, at(10, 0), at(11, 0), at(11, 0), at(11, 0))
	if r := proofResult(t, env); !r.OK() || *compared != 2 {
		t.Errorf("compared %d times: %+v", *compared, r)
	}
}

func TestReconcileSaysBusyWhenThePipelineKeepsMoving(t *testing.T) {
	env, compared := reconcileEnv(t, at(1, 0), at(2, 0), at(3, 0), at(4, 0), at(5, 0), at(6, 0), at(7, 0))
	if r := proofResult(t, env); r.OK() || !strings.Contains(r.Busy, "moved") || *compared != 3 {
		t.Errorf("compared %d times: %+v", *compared, r)
	}
}

// A comparison that found the registry moved compared nothing; what an earlier one
// said is forgotten.
func TestReconcileComparesAgainWhenTheRegistryMoved(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Reconcile{})
	env.OnActivity(reconcile.Snapshot, mock.Anything, mock.Anything).Return(at(10, 0), nil)
	answers := []activities.Compared{{Moved: true, Problems: []string{"old"}}, {Report: proof.Report{Balanced: true}}}
	env.OnActivity(reconcile.Compare, mock.Anything, mock.Anything).Return(func(context.Context, activities.CompareInput) (activities.Compared, error) {
		answer := answers[0]
		answers = answers[1:]
		return answer, nil
	})
	if r := proofResult(t, env); !r.OK() || len(answers) != 0 {
		t.Errorf("%d answers are left: %+v", len(answers), r)
	}
}

func TestAProblemOutsideTheRecordsIsNoProof(t *testing.T) {
	r := ReconcileResult{Compared: activities.Compared{Report: proof.Report{Balanced: true}, Problems: []string{"a grown source"}}}
	if r.OK() {
		t.Error("proved in spite of a problem")
	}
}
