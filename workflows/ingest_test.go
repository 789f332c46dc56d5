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

// fakeSource stands for the activities of an ingest over a source of a number
// of rows, one byte a row.
type fakeSource struct {
	mu        sync.Mutex
	rows      int64 // there now
	planRows  int64 // rows of a plan at most
	batchRows int64
	releases  int64
	indexed   map[int64]int // how often each row was indexed
	running   int
	most      int // batches at once
	closed    []activities.CloseInput
	finished  []activities.FinishInput
	plans     []activities.PlanInput
	waits     int
	judged    []activities.JudgeInput
	onJudge   func(activities.JudgeInput) activities.Judgement
	onBatch   func(activities.BatchInput) error
	onFinish  func(activities.FinishInput) (activities.Finished, error)
}

func (s *fakeSource) register(_ context.Context, in activities.RegisterInput) (activities.Registered, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases++
	return activities.Registered{
		Release: activities.Release{Index: in.Index, IndexUUID: "uuid", Source: in.Source, Number: s.releases, Owner: in.Owner},
		Hash:    []byte("state"), Size: s.rows, Saved: 70,
	}, nil
}

func (s *fakeSource) judge(_ context.Context, in activities.JudgeInput) (activities.Judgement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judged = append(s.judged, in)
	if s.onJudge != nil {
		return s.onJudge(in), nil
	}
	return activities.Judgement{Records: s.rows}, nil
}

func (s *fakeSource) plan(ctx context.Context, in activities.PlanInput) (activities.Planned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = append(s.plans, in)
	out := activities.Planned{End: in.From, Hash: in.Hash, Size: s.rows, Digest: "digest", Saved: in.Saved + 1}
	for out.End.Row < s.rows && out.End.Row < in.From.Row+s.planRows {
		n := min(s.batchRows, s.rows-out.End.Row)
		rng := activities.Range{Offset: out.End.Offset, Length: n, FirstRow: out.End.Row + 1, Rows: int(n)}
		out.Ranges = append(out.Ranges, rng)
		out.End = rng.End()
	}
	out.EndOfSource = out.End.Row == s.rows
	return out, nil
}

func (s *fakeSource) await(_ context.Context, in activities.AwaitInput) (activities.Awaited, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits++
	return activities.Awaited{Changed: s.rows != in.Size}, nil
}

func (s *fakeSource) index(_ context.Context, in activities.BatchInput) (activities.BatchCounts, error) {
	s.mu.Lock()
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	var err error
	if s.onBatch != nil {
		err = s.onBatch(in)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if err != nil {
		return activities.BatchCounts{}, err
	}
	for row := in.Range.FirstRow; row < in.Range.FirstRow+int64(in.Range.Rows); row++ {
		s.indexed[row]++
	}
	return activities.BatchCounts{Rows: int64(in.Range.Rows), Written: int64(in.Range.Rows)}, nil
}

func (s *fakeSource) finish(_ context.Context, in activities.FinishInput) (activities.Finished, error) {
	s.finished = append(s.finished, in)
	if s.onFinish != nil {
		return s.onFinish(in)
	}
	return activities.Finished{Retired: 7}, nil
}

func (s *fakeSource) closeRelease(_ context.Context, in activities.CloseInput) error {
	s.closed = append(s.closed, in)
	return nil
}

func ingestEnv(t *testing.T, s *fakeSource) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflow(IngestWorkflow)
	env.RegisterActivity(&activities.Ingest{})
	env.RegisterActivity(&activities.Waits{})
	if s.indexed == nil {
		s.indexed = map[int64]int{}
	}
	env.OnActivity(waits.AwaitGrowth, mock.Anything, mock.Anything).After(time.Minute).Return(s.await)
	env.OnActivity(ingest.RegisterRelease, mock.Anything, mock.Anything).Return(s.register)
	env.OnActivity(ingest.JudgeRelease, mock.Anything, mock.Anything).Return(s.judge)
	env.OnActivity(ingest.PlanBatches, mock.Anything, mock.Anything).Return(s.plan)
	env.OnActivity(ingest.IndexBatch, mock.Anything, mock.Anything).Return(s.index)
	env.OnActivity(ingest.FinishRelease, mock.Anything, mock.Anything).Return(s.finish)
	env.OnActivity(ingest.CloseRelease, mock.Anything, mock.Anything).Return(s.closeRelease)
	return env
}

func testInput() IngestInput {
	return IngestInput{Index: "cases", Source: "/data/cases.csv", Options: IngestOptions{BatchRows: 10, Concurrency: 3}}
}

func (s *fakeSource) checkAllOnce(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for row := int64(1); row <= s.rows; row++ {
		if s.indexed[row] != 1 {
			t.Fatalf("row %d was indexed %d times", row, s.indexed[row])
		}
	}
}

func TestIngestIndexesEveryRowOnceAndFinishes(t *testing.T) {
	s := &fakeSource{rows: 1234, planRows: 300, batchRows: 10}
	env := ingestEnv(t, s)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	s.checkAllOnce(t)
	if r.Rows != 1234 || r.Counts.Written != 1234 || r.Retired != 7 || r.Release != 1 {
		t.Errorf("result %+v", r)
	}
	if len(s.finished) != 1 || s.finished[0].End.Row != 1234 || s.finished[0].Digest != "digest" {
		t.Errorf("finished %+v", s.finished)
	}
	if s.most > 3 {
		t.Errorf("%d batches at once, 3 allowed", s.most)
	}
}

func TestIngestNeverPutsTheCheckpointBehindAnUnfinishedBatch(t *testing.T) {
	s := &fakeSource{rows: 1000, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	first := true
	s.onBatch = func(in activities.BatchInput) error {
		// The first attempt of the second batch fails, so that others end before it.
		if in.Range.FirstRow == 11 && first {
			first = false
			return errors.New("a fault of the moment")
		}
		return nil
	}
	var ahead bool
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
		var in activities.PlanInput
		if info.ActivityType.Name != "PlanBatches" || args.Get(&in) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for row := int64(1); row <= in.Checkpoint.Row; row++ {
			ahead = ahead || s.indexed[row] == 0
		}
	})
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if ahead {
		t.Error("a plan kept a checkpoint in the registry behind a row that was not indexed")
	}
	s.checkAllOnce(t)
}

func TestIngestContinuesAsNewWithWhatIsPlanned(t *testing.T) {
	s := &fakeSource{rows: 1000, planRows: 300, batchRows: 10}
	env := ingestEnv(t, s)
	s.onBatch = func(in activities.BatchInput) error {
		if in.Range.FirstRow > 100 {
			first := env
			first.RegisterDelayedCallback(func() { first.SetContinueAsNewSuggested(true) }, 0)
		}
		return nil
	}
	in := testInput()
	env.ExecuteWorkflow(IngestWorkflow, in)
	runs := 0
	for ; workflow.IsContinueAsNewError(env.GetWorkflowError()); runs++ {
		var can *workflow.ContinueAsNewError
		errors.As(env.GetWorkflowError(), &can)
		in = IngestInput{}
		if err := converter.GetDefaultDataConverter().FromPayloads(can.Input, &in); err != nil {
			t.Fatal(err)
		}
		if in.State == nil || in.State.Registered.Release.Number != 1 {
			t.Fatalf("the second run does not know its release: %+v", in.State)
		}
		rows := in.State.Checkpoint.Row
		next := ingestEnv(t, s)
		next.SetContinuedExecutionRunID("the run before")
		env = next
		s.onBatch = func(b activities.BatchInput) error {
			if b.Range.FirstRow > rows+400 {
				next.RegisterDelayedCallback(func() { next.SetContinueAsNewSuggested(true) }, 0)
			}
			return nil
		}
		env.ExecuteWorkflow(IngestWorkflow, in)
	}
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if runs < 2 {
		t.Errorf("%d new runs, at least 2 expected", runs)
	}
	if s.releases != 1 {
		t.Errorf("%d releases registered", s.releases)
	}
	s.checkAllOnce(t)
	if r.Rows != 1000 || r.Counts.Rows != 1000 {
		t.Errorf("result %+v", r)
	}
}

func TestIngestBeginsTheNextReleaseWhenTheSourceChanges(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	s.onBatch = func(in activities.BatchInput) error {
		if in.Release.Number == 1 && in.Range.FirstRow == 51 {
			return temporal.NewNonRetryableApplicationError("changed", activities.ErrTypeSourceChanged, nil)
		}
		if in.Release.Number == 2 && in.Range.FirstRow == 1 {
			s.mu.Lock()
			s.indexed = map[int64]int{}
			s.mu.Unlock()
		}
		return nil
	}
	in := testInput()
	in.Options.Concurrency = 1
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if r.Release != 2 || r.Rows != 100 || r.Counts.Rows != 100 {
		t.Errorf("result %+v", r)
	}
	if len(s.closed) != 1 || !s.closed[0].Failed || s.closed[0].Release.Number != 1 || s.closed[0].Checkpoint.Row != 50 {
		t.Errorf("closed %+v", s.closed)
	}
	s.checkAllOnce(t)
}

// A refused completion registers again, with another token.
func TestIngestRegistersAgainWhenItsReleaseIsTaken(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 50, batchRows: 10}
	env := ingestEnv(t, s)
	s.onFinish = func(in activities.FinishInput) (activities.Finished, error) {
		if in.Saved != 70+int64(len(s.plans)) {
			t.Errorf("%d plans, the last one saved as %d", len(s.plans), in.Saved)
		}
		s.plans = nil
		if in.Release.Number == 1 {
			return activities.Finished{}, temporal.NewNonRetryableApplicationError("taken", activities.ErrTypeReleaseTaken, nil)
		}
		return activities.Finished{}, nil
	}
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if r.Release != 2 || len(s.finished) != 2 || s.finished[0].Release.Owner == s.finished[1].Release.Owner {
		t.Errorf("result %+v, finished %+v", r, s.finished)
	}
	if len(s.closed) != 1 || s.closed[0].Failed {
		t.Errorf("closed %+v", s.closed)
	}
}

func TestIngestKeepsItsCheckpointWhenCancelled(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	s.onBatch = func(in activities.BatchInput) error {
		if in.Range.FirstRow == 31 {
			env.CancelWorkflow()
		}
		return nil
	}
	in := testInput()
	in.Options.Concurrency = 1
	env.ExecuteWorkflow(IngestWorkflow, in)
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) && !isCanceled(err) {
		t.Fatalf("ended with %v", err)
	}
	if len(s.closed) != 1 || s.closed[0].Failed || s.closed[0].Checkpoint.Row < 30 || s.closed[0].Checkpoint.Row > 50 {
		t.Errorf("closed %+v", s.closed)
	}
	if len(s.finished) != 0 {
		t.Error("a cancelled release was completed")
	}
}

func isCanceled(err error) bool {
	var canceled *temporal.CanceledError
	return errors.As(err, &canceled)
}

func TestIngestFailsAtOnceOnAWrongHeader(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Ingest{})
	env.OnActivity(ingest.RegisterRelease, mock.Anything, mock.Anything).
		Return(activities.Registered{}, temporal.NewNonRetryableApplicationError("column 3 is wrong", activities.ErrTypeSourceHeader, nil)).Once()
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	if err := env.GetWorkflowError(); !isType(err, activities.ErrTypeSourceHeader) {
		t.Fatalf("ended with %v", err)
	}
}

func TestIngestPausesAndResumes(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	in := testInput()
	in.Options.Rate = 10 // a batch a second
	var atPause, atResume int
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflowNoRejection(UpdatePause, "1", t)
		atPause = len(s.indexed)
	}, 2500*time.Millisecond)
	env.RegisterDelayedCallback(func() {
		atResume = len(s.indexed)
		env.UpdateWorkflowNoRejection(UpdateResume, "2", t)
	}, 60*time.Second)
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if atPause < 20 || atPause > 40 || atResume > atPause+10 {
		t.Errorf("%d rows at the pause, %d at the resume", atPause, atResume)
	}
	if r.Seconds < 60 {
		t.Errorf("ended after %.0f s: it did not wait", r.Seconds)
	}
	s.checkAllOnce(t)
}

func TestIngestKeepsBelowItsRate(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	in := testInput()
	in.Options.Rate = 5
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	// The last batch starts when the nine before it have had their time.
	if r.Seconds < 18 || r.Seconds > 21 {
		t.Errorf("100 rows at 5 a second took %.1f s", r.Seconds)
	}
}

func TestIngestRateIsChecked(t *testing.T) {
	s := &fakeSource{rows: 100, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	in := testInput()
	in.Options.Rate = 1
	rejected := false
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(UpdateRate, "1", &testsuite.TestUpdateCallback{
			OnAccept: func() { t.Error("a negative rate was accepted") },
			OnReject: func(error) { rejected = true },
			OnComplete: func(any, error) {
			},
		}, int64(-1))
		env.UpdateWorkflowNoRejection(UpdateRate, "2", t, int64(0))
	}, 15*time.Second)
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if !rejected {
		t.Error("a negative rate was not rejected")
	}
	if r.Seconds > 20 {
		t.Errorf("the limit was lifted after 15 s, yet it took %.1f s", r.Seconds)
	}
}

func TestIngestFollowsUntilFinish(t *testing.T) {
	s := &fakeSource{rows: 30, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	in := testInput()
	in.Options.Follow = true
	grow := func(rows int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rows = rows
	}
	env.RegisterDelayedCallback(func() { grow(55) }, 90*time.Second)
	env.RegisterDelayedCallback(func() {
		grow(60)
		env.UpdateWorkflowNoRejection(UpdateFinish, "1", t)
	}, 10*time.Minute)
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if r.Rows != 60 {
		t.Errorf("result %+v", r)
	}
	s.checkAllOnce(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	growing := func(p activities.PlanInput) bool { return p.Growing }
	if last := s.plans[len(s.plans)-1]; last.Growing || !last.Whole || !growing(s.plans[0]) {
		t.Errorf("the last plan is %+v", last)
	}
	// A wait without an end needs no plan: ten minutes are as many waits.
	if plans := len(s.plans); s.waits < 9 || plans > 8 {
		t.Errorf("%d waits and %d plans in 10 minutes", s.waits, plans)
	}
	// The registry knows every checkpoint before the next wait.
	if !slices.ContainsFunc(s.plans, func(p activities.PlanInput) bool { return p.Growing && p.Checkpoint.Row == 55 }) {
		t.Error("the checkpoint at row 55 was never kept")
	}
}

func TestIngestPlansOnWhenTheSourceHasGrownAtItsEnd(t *testing.T) {
	s := &fakeSource{rows: 30, planRows: 100, batchRows: 10}
	s.onFinish = func(activities.FinishInput) (activities.Finished, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		grown := s.rows == 30
		s.rows = 45
		return activities.Finished{More: grown}, nil
	}
	env := ingestEnv(t, s)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	s.checkAllOnce(t)
	if r.Rows != 45 || len(s.finished) != 2 || !s.finished[0].CanPlanOn {
		t.Errorf("%+v, finished %+v", r, s.finished)
	}
}
