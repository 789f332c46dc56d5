package workflows

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// fakeIndex stands for the activities of an ETL over shards of a number of
// documents, ten a window.
type fakeIndex struct {
	mu       sync.Mutex
	shards   []int64         // documents, numbered from 0
	loaded   map[int][]int64 // per shard: where each window that was loaded ended
	extracts int             // calls
	missing  map[string]int  // step and from: how often its stage is missing still
	loadErr  map[int64]error // by from
	closed   []activities.CloseETLInput
	finished []activities.FinishETLInput
	ended    []string // the steps after the last load, in order
	sweepErr error
	onLoad   func(activities.LoadInput)
}

func (f *fakeIndex) plan(context.Context, activities.PlanExtractInput) (activities.ExtractPlan, error) {
	plan := activities.ExtractPlan{Run: 1, Generation: 1}
	for i, n := range f.shards {
		plan.Shards = append(plan.Shards, activities.ShardPlan{Shard: i, From: -1, UpTo: n - 1})
		plan.Planned += n
	}
	return plan, nil
}

func (f *fakeIndex) extract(_ context.Context, in activities.WindowInput) (activities.Extracted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.extracts++
	to := min(in.From+10, in.UpTo)
	return activities.Extracted{To: to, Docs: to - in.From}, nil
}

func (f *fakeIndex) transform(_ context.Context, in activities.TransformInput) (activities.Transformed, error) {
	return activities.Transformed{}, f.stageMissing("transform", in.From)
}

func (f *fakeIndex) stageMissing(step string, from int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := step + string(rune('0'+from/10))
	if f.missing[key] == 0 {
		return nil
	}
	f.missing[key]--
	return temporal.NewNonRetryableApplicationError("no stage", activities.ErrTypeStageMissing, nil)
}

func (f *fakeIndex) load(_ context.Context, in activities.LoadInput) (activities.LoadCounts, error) {
	if err := f.stageMissing("load", in.From); err != nil {
		return activities.LoadCounts{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.loadErr[in.From]; err != nil {
		return activities.LoadCounts{}, err
	}
	if f.onLoad != nil {
		f.onLoad(in)
	}
	f.loaded[in.Shard] = append(f.loaded[in.Shard], in.Window.To)
	return activities.LoadCounts{Extracted: in.Window.Docs, Inserted: in.Window.Docs}, nil
}

func (f *fakeIndex) sweep(_ context.Context, in activities.SweepInput) (activities.Swept, error) {
	f.ended = append(f.ended, "sweep "+in.Index)
	return activities.Swept{Removed: 7}, f.sweepErr
}

func (f *fakeIndex) sum(_ context.Context, in activities.SumInput) error {
	f.ended = append(f.ended, "sum "+in.Index)
	return nil
}

func (f *fakeIndex) finish(_ context.Context, in activities.FinishETLInput) (activities.FinishedETL, error) {
	f.ended = append(f.ended, "finish "+in.Index)
	f.finished = append(f.finished, in)
	return activities.FinishedETL{Rows: in.Counts.Loaded.Inserted, Swept: in.Counts.Swept, Checked: true}, nil
}

func (f *fakeIndex) closeRun(_ context.Context, in activities.CloseETLInput) error {
	f.closed = append(f.closed, in)
	return nil
}

func etlEnv(t *testing.T, f *fakeIndex) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflow(ETLWorkflow)
	env.RegisterActivity(&activities.ETL{})
	if f.loaded == nil {
		f.loaded = map[int][]int64{}
	}
	env.OnActivity(etl.PlanExtract, mock.Anything, mock.Anything).Return(f.plan)
	env.OnActivity(etl.Extract, mock.Anything, mock.Anything).Return(f.extract)
	env.OnActivity(etl.Transform, mock.Anything, mock.Anything).Return(f.transform)
	env.OnActivity(etl.Load, mock.Anything, mock.Anything).Return(f.load)
	env.OnActivity(etl.SweepGeneration, mock.Anything, mock.Anything).Return(f.sweep)
	env.OnActivity(etl.SumDashboards, mock.Anything, mock.Anything).Return(f.sum)
	env.OnActivity(etl.FinishETL, mock.Anything, mock.Anything).Return(f.finish)
	env.OnActivity(etl.CloseETL, mock.Anything, mock.Anything).Return(f.closeRun)
	return env
}

// checkInOrder fails unless each shard's windows were loaded in order, each
// once, up to its end.
func (f *fakeIndex) checkInOrder(t *testing.T) {
	t.Helper()
	for shard, n := range f.shards {
		at := int64(-1)
		for _, to := range f.loaded[shard] {
			if want := min(at+10, n-1); to != want {
				t.Fatalf("shard %d: a window ended at %d, %d expected: %v", shard, to, want, f.loaded[shard])
			}
			at = to
		}
		if at != n-1 {
			t.Fatalf("shard %d was loaded up to %d of %d", shard, at, n-1)
		}
	}
}

func TestETLLoadsEveryWindowInOrder(t *testing.T) {
	f := &fakeIndex{shards: []int64{95, 0, 31}}
	env := etlEnv(t, f)
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	var r ETLResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	f.checkInOrder(t)
	if r.Counts.Loaded.Extracted != 126 || r.Counts.Windows != 14 || r.Counts.Planned != 126 || !r.Finished.Checked {
		t.Errorf("result %+v", r)
	}
	if len(f.finished) != 1 || f.finished[0].Counts.Loaded.Inserted != 126 {
		t.Errorf("finished %+v", f.finished)
	}
	if len(f.closed) != 0 {
		t.Errorf("closed %+v", f.closed)
	}
}

// Sweep and sums are steps of their own, with time limits of their own; a run that
// an earlier version began leaves all to one.
func TestETLEndsInSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		version workflow.Version
		ended   []string
		swept   int64
	}{
		"a new run":                {1, []string{"sweep cases", "sum cases", "finish cases"}, 7},
		"a run of an earlier time": {workflow.DefaultVersion, []string{"finish cases"}, 0},
	} {
		f := &fakeIndex{shards: []int64{31}}
		env := etlEnv(t, f)
		env.OnGetVersion(finishInSteps, workflow.DefaultVersion, workflow.Version(1)).Return(tt.version)
		limits := map[string]time.Duration{}
		env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
			limits[info.ActivityType.Name] = info.StartToCloseTimeout
		})
		env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
		var r ETLResult
		if err := env.GetWorkflowResult(&r); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.ended, tt.ended) || r.Counts.Swept != tt.swept || f.finished[0].InSteps != (tt.version == 1) {
			t.Errorf("%s ended by %v, swept %d, finished %+v", name, f.ended, r.Counts.Swept, f.finished)
		}
		if limits["FinishETL"] != stepTimeout || (tt.version == 1 && (limits["SweepGeneration"] != readTimeout || limits["SumDashboards"] != readTimeout)) {
			t.Errorf("%s: limits %v", name, limits)
		}
	}
}

func TestETLWhoseSweepIsOvertakenEndsThere(t *testing.T) {
	f := &fakeIndex{shards: []int64{31}, sweepErr: temporal.NewNonRetryableApplicationError("moved", activities.ErrTypeOvertaken, nil)}
	env := etlEnv(t, f)
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	var r ETLResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if !r.Overtaken || !slices.Equal(f.ended, []string{"sweep cases"}) || len(f.closed) != 1 {
		t.Errorf("result %+v, ended by %v, closed %+v", r, f.ended, f.closed)
	}
}

func TestETLExtractsAgainWhatVanishedFromTheStage(t *testing.T) {
	f := &fakeIndex{shards: []int64{50}, missing: map[string]int{"transform1": 2, "load3": 1}}
	env := etlEnv(t, f)
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	f.checkInOrder(t)
	if f.extracts != 5+3 {
		t.Errorf("%d extracts, 8 expected", f.extracts)
	}
}

func TestETLFailsVisiblyAndRecordsIt(t *testing.T) {
	f := &fakeIndex{shards: []int64{50, 50}, loadErr: map[int64]error{
		19: temporal.NewNonRetryableApplicationError("20 extracted, 19 loaded", activities.ErrTypeCountsDisagree, nil),
	}}
	env := etlEnv(t, f)
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	if err := env.GetWorkflowError(); !isType(err, activities.ErrTypeCountsDisagree) {
		t.Fatalf("ended with %v", err)
	}
	if len(f.closed) != 1 || f.closed[0].State != activities.RunFailed || f.closed[0].Error != "20 extracted, 19 loaded" || f.closed[0].Run != 1 {
		t.Errorf("closed %+v", f.closed)
	}
	if len(f.finished) != 0 {
		t.Error("a failed run was finished")
	}
}

func TestETLThatIsOvertakenLeavesTheWorkToTheOtherRun(t *testing.T) {
	f := &fakeIndex{shards: []int64{50}, loadErr: map[int64]error{
		9: temporal.NewNonRetryableApplicationError("moved", activities.ErrTypeOvertaken, nil),
	}}
	env := etlEnv(t, f)
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	var r ETLResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if !r.Overtaken || len(f.closed) != 1 || f.closed[0].State != activities.RunOvertaken {
		t.Errorf("result %+v, closed %+v", r, f.closed)
	}
}

func TestETLRecordsThatItWasCancelled(t *testing.T) {
	f := &fakeIndex{shards: []int64{500}}
	env := etlEnv(t, f)
	f.onLoad = func(in activities.LoadInput) {
		if in.From == 99 {
			env.RegisterDelayedCallback(env.CancelWorkflow, 0) // by the environment's own goroutine
		}
	}
	env.ExecuteWorkflow(ETLWorkflow, ETLInput{Index: "cases"})
	if err := env.GetWorkflowError(); !isCanceled(err) {
		t.Fatalf("ended with %v", err)
	}
	if len(f.closed) != 1 || f.closed[0].State != activities.RunCancelled {
		t.Errorf("closed %+v", f.closed)
	}
	f.mu.Lock() // the environment does not wait for an activity that is being cancelled
	defer f.mu.Unlock()
	if n := len(f.loaded[0]); n < 10 || n > 13 {
		t.Errorf("%d windows were loaded", n)
	}
}

func TestETLContinuesAsNewWhereItStands(t *testing.T) {
	f := &fakeIndex{shards: []int64{300, 200}}
	in := ETLInput{Index: "cases"}
	for runs := 0; ; runs++ {
		env := etlEnv(t, f)
		if runs > 0 {
			env.SetContinuedExecutionRunID("the run before")
		}
		loads := 0
		f.onLoad = func(activities.LoadInput) {
			if loads++; loads > 10 { // by the environment's own goroutine
				env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, 0)
			}
		}
		env.ExecuteWorkflow(ETLWorkflow, in)
		if !workflow.IsContinueAsNewError(env.GetWorkflowError()) {
			var r ETLResult
			if err := env.GetWorkflowResult(&r); err != nil {
				t.Fatal(err)
			}
			if r.Counts.Loaded.Extracted != 500 || r.Counts.Windows != 50 {
				t.Errorf("the counts of earlier runs are lost: %+v", r.Counts)
			}
			if runs < 2 {
				t.Errorf("%d new runs, at least 2 expected", runs)
			}
			break
		}
		var can *workflow.ContinueAsNewError
		errors.As(env.GetWorkflowError(), &can)
		in = ETLInput{}
		if err := converter.GetDefaultDataConverter().FromPayloads(can.Input, &in); err != nil {
			t.Fatal(err)
		}
	}
	f.checkInOrder(t)
}
