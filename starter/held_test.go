package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"covidpipeline/activities"
	"covidpipeline/internal/health"
)

// checked is what `ingest --check --json` prints.
type checked struct {
	Source string `json:"source"`
	activities.Judgement
}

func TestAHeldRelease(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(300)
	path := filepath.Join(o.dir, "sample.csv")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	worker, _ := o.start("worker")
	// Before there is an index.
	if c := answer[checked](o, "ingest", "--source", "sample.csv", "--check"); c.Records != 300 || c.Live != 0 || c.Held != "" || c.Quarantined == 0 {
		t.Errorf("%+v", c)
	}
	o.must("ingest", "--source", "sample.csv")
	o.contains(o.must("ingest", "--source", "sample.csv", "--check"), "300 records", "0 of the ", "would not be held")

	header, _, _ := strings.Cut(string(whole), "\n")
	write([]byte(header + "\n"))
	out, text, status := o.call("ingest", "--source", "sample.csv", "--check")
	if status != 1 || text != "" {
		t.Errorf("the check ended with %d: %s", status, text)
	}
	o.contains(out, "0 records", "An ingest would be held: ", "live keys would be retired")
	o.contains(o.must("ingest", "--source", "sample.csv", "--check", "--max-retired", "100"), "would not be held")
	if r := o.status(); len(r.Releases.Newest) != 1 || r.Releases.Newest[0].Number != 1 {
		t.Errorf("a check left %+v", r.Releases.Newest)
	}

	held := func() (r report) {
		t.Helper()
		o.await("the ingest to be held", func() bool {
			r = o.status()
			return len(r.Ingests.Runs) == 1 && r.Ingests.Runs[0].Progress != nil && r.Ingests.Runs[0].Progress.Phase == "held"
		})
		o.finds(r, "no-schedule ingest-held", "")
		problem := r.Problems[len(r.Problems)-1]
		o.contains(problem.Text+problem.Do, "sample.csv is held: ", "starter ingest accept --source ", "starter ingest reject --source ")
		return r
	}
	ingest, seen := o.start("starter", "ingest", "--source", "sample.csv")
	held()
	o.await("the note of it", func() bool { return strings.Contains(seen.String(), "The release is held") })
	// A worker that crashes while a release is held loses nothing of it.
	o.end(worker, syscall.SIGKILL)
	if r := o.status(); len(r.Releases.Newest) != 1 || r.Releases.Newest[0].Held == "" {
		t.Errorf("the registry has %+v", r.Releases.Newest)
	}
	o.start("worker")
	held()
	o.contains(o.must("ingest", "reject", "--source", "sample.csv"), "rejected")
	_ = ingest.Wait() // the status tells
	if status := ingest.ProcessState.ExitCode(); status != 1 || !strings.Contains(seen.String(), "was rejected") {
		t.Errorf("the rejected ingest ended with %d: %s", status, seen)
	}
	if _, text, status := o.call("ingest", "accept", "--source", "sample.csv"); status != 1 || !strings.Contains(text, "no ingest of") {
		t.Errorf("accepting what has ended: %d %s", status, text)
	}
	var r report
	o.await("the end in Temporal's list", func() bool { r = o.status(); return len(r.Ingests.Runs) == 0 })
	o.finds(r, "no-schedule", "")

	o.must("ingest", "--source", "sample.csv", "--detach")
	held()
	o.must("ingest", "accept", "--source", "sample.csv")
	o.await("the end of the accepted ingest", func() bool {
		r = o.status()
		return len(r.Ingests.Runs) == 0 && len(r.Releases.Newest) == 1 && r.Releases.Newest[0].State == health.Completed
	})
	write(whole)
	o.must("ingest", "--source", "sample.csv")
	write([]byte(header + "\n"))
	o.contains(o.must("ingest", "--source", "sample.csv", "--accept"), "is complete")
}
