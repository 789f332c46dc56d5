package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.temporal.io/api/serviceerror"

	"covidpipeline/internal/covid"
	"covidpipeline/workflows"
)

// file writes a file into the operator's folder and returns its path.
func (o *operator) file(name, content string) string {
	o.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		o.Fatal(err)
	}
	return path
}

// notStarted fails the test if an ingest of a source was ever started.
func (o *operator) notStarted(path string) {
	o.Helper()
	_, err := o.c.DescribeWorkflowExecution(o.Context(), workflows.IngestID(o.index, path), "")
	var missing *serviceerror.NotFound
	if !errors.As(err, &missing) {
		o.Errorf("an ingest of %s was started: %v", path, err)
	}
}

// header is that of an activity file, without its line end.
var header = strings.Join(covid.Columns[:], ",")

// foreignFiles are contents that are no activity file, by a word of what is said.
func foreignFiles(t *testing.T) map[string]string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(header + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"gzip":            packed.String(),
		"zip archive":     "PK\x03\x04" + strings.Repeat("x", 100),
		"(.xlsx)":         "PK\x03\x04" + strings.Repeat("x", 26) + "xl/workbook.xml",
		"UTF-16":          "\xff\xfe" + strings.Join(strings.Split(header+"\n", ""), "\x00") + "\x00",
		"CR alone":        header + "\r1,secret\r",
		"semicolons":      strings.ReplaceAll(header, ",", ";") + "\n1;secret\n",
		"tabs":            strings.ReplaceAll(header, ",", "\t") + "\n1\tsecret\n",
		"HTML":            "<!doctype html><title>secret</title>\n",
		"column 1 is not": "root:secret:0:0:root:/root:/bin/bash\n",
		"is empty":        "",
	}
}

func TestASourceThatIsNoActivityFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	pipe := filepath.Join(o.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	words := map[string]string{o.dir: "a folder", pipe: "a pipe", os.DevNull: "a device", filepath.Join(o.dir, "none.csv"): "add --wait"}
	for word, content := range foreignFiles(t) {
		words[o.file(strings.ReplaceAll(word, " ", "-")+".csv", content)] = word
	}
	for path, word := range words {
		out, text, status := o.call("ingest", "--source", path, "--detach")
		if status != 2 || out != "" || strings.Count(text, "\n") != 1 || strings.Contains(text, "secret") {
			t.Errorf("%s ended with %d: %s%s", path, status, out, text)
		}
		o.contains(text, word, path)
		o.notStarted(path)
	}
	// What follows a file waits for its header, but not for another format to become one.
	o.contains(o.must("ingest", "--source", o.file("begun.csv", header), "--follow", "--detach"), "runs as workflow")
	if _, text, status := o.call("ingest", "--source", o.file("page.csv", "<html>"), "--follow"); status != 2 {
		t.Errorf("a page that is followed ended with %d: %s", status, text)
	}
}

func TestAnUnreadableSourceIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	path := o.file("cases.csv", header+"\n")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "starter"), "ingest", "--source", path, "--detach")
	cmd.Env, cmd.Dir = o.env, "/"
	if os.Geteuid() == 0 { // root may read every file
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("ended with %v: %s", err, text)
	}
	o.contains(string(text), "no permission to read the source", path)
	o.notStarted(path)
}

// With --wait the workers alone look: what cannot become an activity file fails,
// and a file that is not there is waited for.
func TestWaitLeavesTheFileToTheWorkers(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.start("worker")
	pipe := filepath.Join(o.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ends := map[string]string{o.dir: "SourceNotAFile", pipe: "SourceNotAFile", os.DevNull: "SourceOutside"}
	for word, content := range foreignFiles(t) {
		ends[o.file(strings.ReplaceAll(word, " ", "-")+".csv", content)] = "SourceHeader"
	}
	for path, kind := range ends {
		_, text, status := o.call("ingest", "--source", path, "--wait")
		if status != 1 || strings.Contains(text, "secret") {
			t.Errorf("%s ended with %d: %s", path, status, text)
		}
		o.contains(text, "("+kind+")", "What to do: ")
	}
	late := filepath.Join(o.dir, "sample.csv")
	ingest, seen := o.start("starter", "ingest", "--source", late, "--wait")
	o.await("the reason why it waits", func() bool { return strings.Contains(seen.String(), "no such file on this machine") })
	o.sampleFile(100)
	if err := ingest.Wait(); err != nil {
		t.Errorf("%v: %s", err, seen.String())
	}
	o.contains(seen.String(), "Release 1 of "+late+" is complete: 100 rows")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(2000)
	cancel := []string{"ingest", "cancel", "--source", "sample.csv"}
	none := func() {
		t.Helper()
		if _, text, status := o.call(cancel...); status != 1 || !strings.Contains(text, "no ingest of "+filepath.Join(o.dir, "sample.csv")) {
			t.Errorf("ended with %d: %s", status, text)
		}
	}
	none() // never started
	o.start("worker")
	watching, seen := o.start("starter", "ingest", "--source", "sample.csv", "--batch-rows", "10", "--rate", "100")
	o.await("some batches", func() bool { return strings.Contains(seen.String(), "Batch ") })
	o.contains(o.must(cancel...), "is cancelled", "continues at its checkpoint")
	_ = watching.Wait() // the status tells
	if status := watching.ProcessState.ExitCode(); status != 1 {
		t.Errorf("the watching call ended with %d", status)
	}
	o.contains(seen.String(), "the ingest was cancelled")
	none()
	r := answer[workflows.IngestResult](o, "ingest", "--source", "sample.csv")
	if r.Release != 1 || r.Rows != 2000 || r.NewRows == 2000 {
		t.Errorf("the next ingest did not continue: %+v", r)
	}
	// An ingest that waits for its file.
	o.must("ingest", "--source", "late.csv", "--wait", "--detach")
	if got := answer[cancelled](o, "ingest", "cancel", "--source", "late.csv"); got.State != "cancelled" {
		t.Errorf("%+v", got)
	}
}

func TestCancelWithoutAWorker(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.sampleFile(100)
	o.must("ingest", "--source", "sample.csv", "--detach")
	o.contains(o.must("ingest", "cancel", "--source", "sample.csv"), "is asked to end", "when a worker runs")
	o.start("worker")
	if _, text, status := o.call("ingest", "--source", "sample.csv"); status != 0 && !strings.Contains(text, "was cancelled") {
		t.Errorf("ended with %d: %s", status, text)
	}
}
