package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"covidpipeline/workflows"
)

// intoFull runs the starter with an output that is full, and returns what it said
// and its exit status.
func (o *operator) intoFull(args ...string) (errOut string, status int) {
	o.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		o.Fatal(err)
	}
	defer full.Close()
	cmd := exec.CommandContext(o.Context(), filepath.Join(programs, "starter"), args...)
	var said output
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = o.env, o.dir, full, &said
	_ = cmd.Run() // the status tells
	return said.String(), cmd.ProcessState.ExitCode()
}

func TestAnOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	o := newScheduler(t)
	o.sampleFile(200)
	worker, _ := o.start("worker")
	o.must("ingest", "--source", "sample.csv")
	o.must("schedule", "apply")
	o.must("etl")
	o.must("schedule", "pause", "--reason", "test")
	for _, call := range [][]string{
		{"--help"}, {"help", "etl"}, {"ingest", "--help"}, {"completion", "bash"},
		{"ingest", "--source", "sample.csv"}, {"etl"}, {"reconcile"}, {"cards"}, {"status"}, {"status", "--watch"},
		{"schedule", "apply"}, {"schedule", "apply", "--dry-run"}, {"schedule", "show"}, {"schedule", "pause", "--reason", "test"},
		{"schedule", "resume", "--reason", "test"}, {"schedule", "trigger"}, {"serve", "--listen", "127.0.0.1:0"},
	} {
		text, status := o.intoFull(call...)
		if status != 1 || strings.Count(text, "no space left on device") != 1 {
			t.Errorf("starter %v ended with %d: %s", call, status, text)
		}
	}
	o.end(worker, syscall.SIGTERM)
	for _, call := range [][]string{
		{"ingest", "--source", "sample.csv", "--new-release", "--detach"}, {"ingest", "cancel", "--source", "sample.csv"}, {"schedule", "delete"},
	} {
		if text, status := o.intoFull(call...); status != 1 || !strings.Contains(text, "no space left on device") {
			t.Errorf("starter %v ended with %d: %s", call, status, text)
		}
	}
	o.must("schedule", "apply") // it is deleted at the end
}

func TestHelpOfTheWorker(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--help", "-h", "help"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "worker"), flag)
		cmd.Env = []string{} // without any setting
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "usage: worker") {
			t.Errorf("worker %s: %v: %s", flag, err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "worker"), "nonsense")
	if out, err := cmd.Output(); cmd.ProcessState.ExitCode() != 2 || len(out) > 0 {
		t.Errorf("worker nonsense: %v: %s", err, out)
	}
}

// lines are the lines that were drawn over each other on a terminal.
func lines(drawn string) []string { return strings.Split(drawn, "\r\x1b[K") }

func TestTheLiveLineFitsTheTerminal(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(1000)
	o.start("worker")
	for _, width := range []uint16{40, 80, 200} {
		drawn := o.onTerminal(width, "ingest", "--source", "sample.csv", "--new-release", "--batch-rows", "10", "--rate", "400")
		found := 0
		for _, line := range lines(drawn) {
			if !strings.Contains(line, " rows/s") || strings.Contains(line, "\n") { // the result is a line for good
				continue
			}
			found++
			if n := utf8.RuneCountInString(line); n >= int(width) {
				t.Errorf("%d characters on %d columns: %q", n, width, line)
			}
			if width == 200 && !strings.ContainsAny(line, "█░") {
				t.Errorf("no bar in %q", line)
			}
		}
		if found < 2 {
			t.Errorf("%d columns: %d live lines in %q", width, found, drawn)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width int
		texts []string
		want  string
	}{
		{5, []string{"12345"}, "12345"}, {5, []string{"123456"}, "1234…"}, {1, []string{"12"}, "…"}, {0, []string{"12"}, ""},
		{-1, []string{"1"}, ""}, {3, []string{"Doña Ana", "ñññ"}, "ñññ"}, {2, []string{"1234", "123"}, "1…"}, {13, []string{"a\nb\x1b[2J"}, "a b\\u001b[2J"},
	} {
		if got := fit(c.width, c.texts...); got != c.want {
			t.Errorf("fit(%d, %q) = %q, want %q", c.width, c.texts, got, c.want)
		}
	}
}

// A release that is begun again has fewer rows than the one before.
func TestRatesAreNeverNegative(t *testing.T) {
	t.Parallel()
	v := &view{}
	now := time.Now()
	for _, p := range []workflows.IngestProgress{
		{Release: 1, Rows: 9000, Bytes: 90_000, Size: 100_000},
		{Release: 1, Rows: 9500, Bytes: 95_000, Size: 100_000},
		{Release: 0, Rows: 0, Bytes: 0, Size: 0},
		{Release: 2, Rows: 9600, Bytes: 96_000, Size: 100_000}, // continued at a checkpoint
		{Release: 2, Rows: 100, Bytes: 1000, Size: 100_000},
		{Release: 2, Rows: 200, Bytes: 900, Size: 100_000},
	} {
		now = now.Add(time.Second)
		v.measure(p, now)
		line := v.line(p, now.Add(time.Second/2))
		if strings.Contains(line, "-") {
			t.Errorf("a negative number in %q", line)
		}
		if p.Rows == 9600 && !strings.Contains(line, " 0 rows/s") {
			t.Errorf("rows of an earlier ingest count: %q", line)
		}
	}
}
