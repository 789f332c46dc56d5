package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// programs is the folder of the built programs: these tests run what an operator
// runs.
var programs string

func TestMain(m *testing.M) {
	os.Exit(withPrograms(m))
}

func withPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "covidpipeline-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // a test runs them as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "../worker", ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	programs = dir
	return m.Run()
}

// operator has a stack of its own and calls the programs.
type operator struct {
	*testing.T
	env []string
	c   client.Client
	dir string
	// index is the raw index.
	index string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	address, namespace := testenv.Temporal(t)
	return operatorIn(t, address, namespace)
}

// newScheduler is an operator with a schedule; only one test has one at a time.
func newScheduler(t *testing.T) *operator {
	t.Helper()
	address, namespace := testenv.TemporalDefault(t)
	o := operatorIn(t, address, namespace)
	t.Cleanup(func() {
		if err := o.c.ScheduleClient().GetHandle(context.Background(), workflows.ScheduleID).Delete(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func operatorIn(t *testing.T, address, namespace string) *operator {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	index, dir := testenv.Index(t), t.TempDir()
	return &operator{T: t, c: c, dir: dir, index: index, env: append(testenv.Environ(),
		"SOURCE_ROOTS="+dir,
		"ELASTICSEARCH_URL="+testenv.Elasticsearch(t), "ELASTICSEARCH_INDEX="+index, "DATABASE_URL="+testenv.Postgres(t),
		"TEMPORAL_ADDRESS="+address, "TEMPORAL_NAMESPACE="+namespace, "SOURCE_QUIET=0s")}
}

// callWithin bounds a call: a fault must fail the test, not hang it.
const callWithin = 3 * time.Minute

// call runs the starter and gives what it printed and its exit status.
func (o *operator) call(args ...string) (out, errOut string, status int) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), callWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "starter"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = o.env, o.dir, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.Fatal(err)
	}
	if ctx.Err() != nil {
		o.Fatalf("starter %v did not end: %s", args, stderr.String())
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// must runs the starter and fails the test unless it ends with status 0.
func (o *operator) must(args ...string) string {
	o.Helper()
	out, errOut, status := o.call(args...)
	if status != 0 {
		o.Fatalf("starter %v ended with %d:\n%s%s", args, status, out, errOut)
	}
	return out
}

// answer runs the starter with --json.
func answer[T any](o *operator, args ...string) (v T) {
	o.Helper()
	if err := json.Unmarshal([]byte(o.must(append(args, "--json")...)), &v); err != nil {
		o.Fatal(err)
	}
	return v
}

// output collects what a program prints while the test reads it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *output) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *output) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// start starts a program in the background. It is killed at the test's end.
func (o *operator) start(program string, args ...string) (*exec.Cmd, *output) {
	o.Helper()
	var out output
	cmd := exec.Command(filepath.Join(programs, program), args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = o.env, o.dir, &out, &out
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()
		}
		if o.Failed() {
			o.Logf("%s %v:\n%s", program, args, out.String())
		}
	})
	return cmd, &out
}

// end sends a signal and gives the exit status; -1 when the signal ended it.
func (o *operator) end(cmd *exec.Cmd, signal syscall.Signal) int {
	o.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		o.Fatal(err)
	}
	_ = cmd.Wait() // the state tells
	return cmd.ProcessState.ExitCode()
}

func (o *operator) await(what string, holds func() bool) {
	o.Helper()
	for deadline := time.Now().Add(callWithin); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.Fatalf("waited %s for %s", callWithin, what)
		}
	}
}

// contains fails the test unless a text has all the parts.
func (o *operator) contains(text string, parts ...string) {
	o.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			o.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
