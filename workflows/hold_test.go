package workflows

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// holding is a source whose release is held until a judgement is accepted.
func holding() *fakeSource {
	return &fakeSource{rows: 30, planRows: 100, batchRows: 10, onJudge: func(in activities.JudgeInput) activities.Judgement {
		j := activities.Judgement{Records: 30, Live: 90, Vanishing: 60, Length: 30, Digest: "judged", Held: "60 of 90"}
		if in.Accepted != nil && in.Accepted.Digest == j.Digest {
			j.Held, j.Accepted = "", true
		}
		return j
	}}
}

func TestAHeldIngestWritesNothingUntilItIsAccepted(t *testing.T) {
	s := holding()
	env := ingestEnv(t, s)
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(QueryProgress)
		var p IngestProgress
		if err != nil || value.Get(&p) != nil || p.Phase != phaseHeld || p.Held != "60 of 90" || len(s.plans) > 0 {
			t.Errorf("%+v, %d plans, %v", p, len(s.plans), err)
		}
		env.UpdateWorkflowNoRejection(UpdateAccept, "1", t)
	}, 24*time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if r.Rows != 30 || r.Rejected != "" || len(s.judged) != 2 {
		t.Errorf("%+v, judged %d times", r, len(s.judged))
	}
	if f := s.finished[0]; f.JudgedDigest != "judged" || f.JudgedLength != 30 || f.Retire.Live != 90 || f.Retire.Accepted != 60 {
		t.Errorf("finished %+v %+v", f, f.Retire)
	}
}

func TestARejectedIngestEndsAndFailsItsRelease(t *testing.T) {
	s := holding()
	env := ingestEnv(t, s)
	env.RegisterDelayedCallback(func() { env.UpdateWorkflowNoRejection(UpdateReject, "1", t) }, time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	if r.Rejected != "60 of 90" || len(s.plans) > 0 || len(s.closed) != 1 || !s.closed[0].Failed {
		t.Errorf("%+v, closed %+v", r, s.closed)
	}
}

func TestAHeldIngestThatIsCancelledKeepsItsRelease(t *testing.T) {
	s := holding()
	env := ingestEnv(t, s)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) && !isCanceled(err) {
		t.Fatalf("ended with %v", err)
	}
	if len(s.closed) != 1 || s.closed[0].Failed || len(s.plans) > 0 {
		t.Errorf("closed %+v", s.closed)
	}
}

// The next run of a held ingest waits on, and does not judge again.
func TestAHeldIngestContinuesAsNew(t *testing.T) {
	s := holding()
	env := ingestEnv(t, s)
	env.RegisterDelayedCallback(func() {
		env.SetContinueAsNewSuggested(true)
		env.UpdateWorkflowNoRejection(UpdatePause, "1", t)
	}, time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var next *workflow.ContinueAsNewError
	if !errors.As(env.GetWorkflowError(), &next) {
		t.Fatalf("ended with %v", env.GetWorkflowError())
	}
	var in IngestInput
	if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
		t.Fatal(err)
	}
	if in.State.Held == "" || in.State.Judged.Vanishing != 60 {
		t.Errorf("%+v", in.State)
	}
	env = ingestEnv(t, s)
	env.SetContinuedExecutionRunID("the run before")
	env.RegisterDelayedCallback(func() {
		if len(s.judged) != 1 {
			t.Errorf("judged %d times before the decision", len(s.judged))
		}
		env.UpdateWorkflowNoRejection(UpdateResume, "2", t)
		env.UpdateWorkflowNoRejection(UpdateAccept, "3", t)
	}, time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, in)
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil || r.Rows != 30 || s.releases != 1 {
		t.Errorf("%+v, %v, %d releases", r, err, s.releases)
	}
}

func TestARetirementBeyondTheLimitIsHeldAtTheEnd(t *testing.T) {
	s := &fakeSource{rows: 30, planRows: 100, batchRows: 10}
	s.onFinish = func(in activities.FinishInput) (activities.Finished, error) {
		if in.Retire.Accepted < 60 {
			return activities.Finished{Held: "60 of 90", Left: 60}, nil
		}
		return activities.Finished{Retired: 60}, nil
	}
	env := ingestEnv(t, s)
	env.RegisterDelayedCallback(func() { env.UpdateWorkflowNoRejection(UpdateAccept, "1", t) }, time.Hour)
	env.ExecuteWorkflow(IngestWorkflow, testInput())
	var r IngestResult
	if err := env.GetWorkflowResult(&r); err != nil || r.Retired != 60 || len(s.judged) != 1 {
		t.Errorf("%+v, %v, judged %d times", r, err, len(s.judged))
	}
}

func TestAcceptIsForTheWholeIngest(t *testing.T) {
	s := &fakeSource{rows: 30, planRows: 100, batchRows: 10}
	env := ingestEnv(t, s)
	in := testInput()
	in.Options.Accept = true
	env.ExecuteWorkflow(IngestWorkflow, in)
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if !s.judged[0].Accept || s.finished[0].Retire != nil {
		t.Errorf("judged %+v, finished %+v", s.judged, s.finished)
	}
}
