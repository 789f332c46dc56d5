package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test program be the parent of a process too: see TestParentDies.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "parent-of-") {
		parent(os.Args[1] == "parent-of-owned", os.Args[2])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// parent starts a process, prints its id and mark, and waits to be killed.
func parent(owned bool, dir string) {
	s := &Server{Name: "sleeper", Log: filepath.Join(dir, "log")}
	if err := spawn(program{path: "/bin/sleep", args: []string{"600"}, owned: owned}, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(s.PID, s.Started)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// start runs a shell script in the background of the test.
func start(t *testing.T, script string) *Server {
	t.Helper()
	s := &Server{Name: "the script", Log: filepath.Join(t.TempDir(), "log"), StopSignal: syscall.SIGTERM}
	if err := spawn(program{path: "/bin/sh", args: []string{"-c", script}}, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func logHolds(s *Server, text string) func() bool {
	return func() bool {
		log, err := os.ReadFile(s.Log)
		return err == nil && strings.Contains(string(log), text)
	}
}

// adopted gives the server as a later call reads it from its record.
func adopted(s *Server) *Server {
	return &Server{Name: s.Name, PID: s.PID, Started: s.Started, Log: s.Log, StopSignal: s.StopSignal}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]func(*Server) *Server{
		"of this program":    func(s *Server) *Server { return s },
		"of an earlier call": adopted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := start(t, `trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
			eventually(t, "the script is ready", logHolds(child, "ready"))
			s := view(child)
			if !s.Alive() {
				t.Fatal("it is not alive")
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			if s.Alive() {
				t.Error("it is alive after Stop")
			}
			if !logHolds(child, "tidied")() {
				t.Error("it had no chance to tidy up")
			}
			if err := s.Stop(); err != nil {
				t.Errorf("the second Stop: %v", err)
			}
		})
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := start(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	eventually(t, "the script is ready", logHolds(s, "ready"))
	err := s.stop(200 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") || !strings.Contains(err.Error(), s.Log) {
		t.Errorf("the error is %v: it has to tell of the kill and the log", err)
	}
	if s.Alive() {
		t.Error("it is alive after Stop")
	}
}

func TestReusedProcessIDIsLeftAlone(t *testing.T) {
	t.Parallel()
	stranger := start(t, "exec sleep 600")
	old := adopted(stranger)
	old.Started = "another boot/1"
	if old.Alive() {
		t.Error("a process that took over the id is taken for the one recorded")
	}
	for name, end := range map[string]func() error{"Stop": old.Stop, "Kill": old.Kill, "Crash": old.Crash} {
		if err := end(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !stranger.Alive() {
		t.Error("a process that took over the id was ended")
	}
}

func TestEndedButNotCollectedIsNotAlive(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "the ended process has no mark", func() bool {
		_, err := startMark(cmd.Process.Pid)
		return err != nil
	})
}

func TestParentDies(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]bool{"parent-of-owned": true, "parent-of-free": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], name, t.TempDir())
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			child := &Server{Name: "sleeper"}
			if _, err := fmt.Sscan(line, &child.PID, &child.Started); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := child.Kill(); err != nil {
					t.Error(err)
				}
			}()
			if !child.Alive() {
				t.Fatalf("the child %q does not run", line)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the parent ended well, it was to be killed")
			}
			if dies {
				eventually(t, "the owned process has died with its parent", func() bool { return !child.Alive() })
			} else if child.gone(300 * time.Millisecond) {
				t.Error("the free process died with its parent")
			}
		})
	}
}

func TestAwaitTellsHowItEnded(t *testing.T) {
	t.Parallel()
	s := start(t, "echo first; echo 'no licence found' >&2; exit 3")
	err := s.await(t.Context(), time.Minute, func(context.Context) error { return errors.New("no answer") })
	var ended *endedError
	if !errors.As(err, &ended) {
		t.Fatalf("the error is %v, not that it ended", err)
	}
	for _, part := range []string{"the script ended while it was starting", "exit status 3", s.Log, "no licence found"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}

func TestAwaitTellsOfSilence(t *testing.T) {
	t.Parallel()
	s := start(t, "echo warming up; exec sleep 600")
	eventually(t, "the script has begun", logHolds(s, "warming up"))
	err := s.await(t.Context(), 200*time.Millisecond, func(context.Context) error { return errors.New("connection refused") })
	if err == nil {
		t.Fatal("a silent server passed")
	}
	for _, part := range []string{"does not answer after 200ms", "connection refused", s.Log, "warming up"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := start(t, "exec sleep 600")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user has enough")
	err := s.await(ctx, time.Minute, func(context.Context) error {
		cancel(cause)
		return errors.New("no answer")
	})
	if !errors.Is(err, cause) {
		t.Errorf("the error is %v, want %v", err, cause)
	}
}

func TestLogBeforeIsKept(t *testing.T) {
	t.Parallel()
	s := start(t, "echo first")
	eventually(t, "the first has ended", func() bool { return !s.Alive() })
	second := &Server{Name: "the second", Log: s.Log}
	if err := spawn(program{path: "/bin/sh", args: []string{"-c", "echo second"}}, second); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second has ended", func() bool { return !second.Alive() })
	for path, want := range map[string]string{s.Log: "second\n", s.Log + ".old": "first\n"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(path), got, err, want)
		}
	}
}
