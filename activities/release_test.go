package activities

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
	"covidpipeline/internal/testenv"
)

// ingesting calls the activities of an ingest one by one, as its workflow would.
type ingesting struct {
	*testing.T
	env  *testsuite.TestActivityEnvironment
	a    *Ingest
	in   RegisterInput
	path string
}

func newIngesting(t *testing.T, lines ...string) *ingesting {
	t.Helper()
	es, err := search.New(search.Config{URL: testenv.Elasticsearch(t)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sources, err := source.NewRoots(dir)
	if err != nil {
		t.Fatal(err)
	}
	var suite testsuite.WorkflowTestSuite
	i := &ingesting{T: t, env: suite.NewTestActivityEnvironment(), a: &Ingest{Search: es, Sources: sources, Shards: 1}, path: filepath.Join(dir, "cases.csv")}
	i.env.RegisterActivity(i.a)
	i.in = RegisterInput{Index: testenv.Index(t), Source: i.path}
	i.write(lines...)
	return i
}

func (i *ingesting) write(lines ...string) {
	i.Helper()
	content := strings.Join(covid.Columns[:], ",") + "\n" + strings.Join(lines, "")
	if err := os.WriteFile(i.path, []byte(content), 0o600); err != nil {
		i.Fatal(err)
	}
}

func call[Out any](i *ingesting, activity, in any) (out Out) {
	i.Helper()
	value, err := i.env.ExecuteActivity(activity, in)
	if err == nil {
		err = value.Get(&out)
	}
	if err != nil {
		i.Fatal(err)
	}
	return out
}

func (i *ingesting) register() Registered {
	i.Helper()
	return call[Registered](i, i.a.RegisterRelease, i.in)
}

func (i *ingesting) plan(r Registered, from csvfile.Position, hash []byte) Planned {
	i.Helper()
	return call[Planned](i, i.a.PlanBatches, PlanInput{
		Release: r.Release, From: from, Hash: hash, Identity: r.Identity, BatchRows: 1, Checkpoint: r.From,
	})
}

func day(county, newCases string) string {
	return "1," + county + ",Arizona,2020-03-01,America,Test,1,04005,USA,United States,US," + newCases + ",2\n"
}

func TestARepeatedRegistrationTakesTheSameRelease(t *testing.T) {
	t.Parallel()
	i := newIngesting(t, day("Pima", "1"))
	for _, again := range []bool{false, true} {
		i.in.NewRelease = again
		if r := i.register(); r.Release.Number != 1 || r.Continued {
			t.Errorf("%+v", r)
		}
	}
}

// Rows behind the checkpoint that were planned may have been indexed. When their
// content changes, they must not get the same versions.
func TestContentThatChangedBehindTheCheckpointIsANewRelease(t *testing.T) {
	t.Parallel()
	i := newIngesting(t, day("Pima", "1"), day("Yuma", "2"))
	r := i.register()
	p := i.plan(r, r.From, r.Hash)
	if len(p.Ranges) != 2 || !p.EndOfSource || !p.AtRecordEnd {
		t.Fatalf("%+v", p)
	}
	for _, rng := range p.Ranges {
		if c := call[BatchCounts](i, i.a.IndexBatch, BatchInput{Release: r.Release, Range: rng}); c.Written != 1 {
			t.Errorf("%+v", c)
		}
		if c := call[BatchCounts](i, i.a.IndexBatch, BatchInput{Release: r.Release, Range: rng}); c.AlreadyThere != 1 {
			t.Errorf("again: %+v", c)
		}
	}
	if again := i.register(); again.Release.Number != 1 || !again.Continued || again.From != r.From {
		t.Errorf("the same content: %+v", again)
	}
	i.write(day("Pima", "1"), day("Yuma", "3"))
	if again := i.register(); again.Release.Number != 2 || again.Continued {
		t.Errorf("other content behind the checkpoint: %+v", again)
	}
	old, err := i.a.Search.Get(context.Background(), i.in.Index, 1)
	if err != nil || old.State != search.StateFailed {
		t.Errorf("the first release: %+v, %v", old, err)
	}
}

func TestIndexBatchSendsNothingOfAChangedRange(t *testing.T) {
	t.Parallel()
	i := newIngesting(t, day("Pima", "1"))
	r := i.register()
	p := i.plan(r, r.From, r.Hash)
	i.write(day("Yuma", "1"))
	_, err := i.env.ExecuteActivity(i.a.IndexBatch, BatchInput{Release: r.Release, Range: p.Ranges[0]})
	if err == nil || !strings.Contains(err.Error(), ErrTypeSourceChanged) {
		t.Fatalf("ended with %v", err)
	}
	if err := i.a.Search.Refresh(t.Context(), i.in.Index); err != nil {
		t.Fatal(err)
	}
	if n, err := i.a.Search.Count(t.Context(), i.in.Index, search.CountQuery{}); n != 0 || err != nil {
		t.Errorf("%d documents, %v", n, err)
	}
}

func TestFinishReleaseNoticesAChangeAnywhere(t *testing.T) {
	t.Parallel()
	i := newIngesting(t, day("Pima", "1"), day("Yuma", "2"))
	r := i.register()
	p := i.plan(r, r.From, r.Hash)
	i.write(day("Pima", "9"), day("Yuma", "2"))
	_, err := i.env.ExecuteActivity(i.a.FinishRelease, FinishInput{Release: r.Release, End: p.End, Digest: p.Digest})
	if err == nil || !strings.Contains(err.Error(), ErrTypeSourceChanged) {
		t.Fatalf("ended with %v", err)
	}
}

func TestARepeatedFinishCountsTheRetiredOnce(t *testing.T) {
	t.Parallel()
	i := newIngesting(t, day("Pima", "1"), day("Yuma", "2"))
	finish := func() Finished {
		r := i.register()
		p := i.plan(r, r.From, r.Hash)
		for _, rng := range p.Ranges {
			call[BatchCounts](i, i.a.IndexBatch, BatchInput{Release: r.Release, Range: rng})
		}
		in := FinishInput{Release: r.Release, End: p.End, Digest: p.Digest}
		call[Finished](i, i.a.FinishRelease, in)
		return call[Finished](i, i.a.FinishRelease, in)
	}
	finish()
	i.write(day("Pima", "1"))
	if f := finish(); f.Retired != 1 {
		t.Errorf("%+v", f)
	}
	newest, err := i.a.Search.Newest(t.Context(), i.in.Index, i.path)
	if err != nil || newest.Retired != 1 || newest.State != search.StateCompleted {
		t.Errorf("%+v, %v", newest, err)
	}
	if r := i.register(); !r.Nothing {
		t.Errorf("the same content once more: %+v", r)
	}
}

// The first line's quote is open up to the end of the source: bytes that are
// appended could close it. No later plan may make that forgotten.
func TestAReleaseWithAnOpenRecordInItIsNotContinued(t *testing.T) {
	t.Parallel()
	lines := []string{"1,\"open\n"}
	for range planRanges {
		lines = append(lines, day("Pima", "1"))
	}
	i := newIngesting(t, lines...)
	r := i.register()
	first := i.plan(r, r.From, r.Hash)
	if first.EndOfSource {
		t.Fatal("one plan holds all: the test needs two")
	}
	second := call[Planned](i, i.a.PlanBatches, PlanInput{
		Release: r.Release, From: first.End, Hash: first.Hash, Identity: r.Identity, BatchRows: 1,
		Last: &first.Ranges[len(first.Ranges)-1],
	})
	call[Finished](i, i.a.FinishRelease, FinishInput{Release: r.Release, End: second.End, Digest: second.Digest})
	i.write(append(lines, "x\",,,,,,,,,,,\n")...)
	if again := i.register(); again.Release.Number != 2 || again.Continued {
		t.Errorf("the grown source continues release %d", again.Release.Number)
	}
}
