package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// stopTimeout is how long a process may take to end after its signal: a
	// worker waits 20 s for activities under way.
	stopTimeout = 40 * time.Second
	// pollInterval is how often a condition is looked at that nobody reports.
	pollInterval = 50 * time.Millisecond
)

// Server is a process in the background: one that this program started, or one
// that an earlier call left running and recorded.
type Server struct {
	Name       string         `json:"name"`    // as people know it: "Elasticsearch"
	PID        int            `json:"pid"`     // never trusted without Started
	Started    string         `json:"started"` // tells the process from a later one with its id
	Port       int            `json:"port"`    // on 127.0.0.1; 0 when it serves none
	UIPort     int            `json:"uiPort,omitempty"`
	Log        string         `json:"log"`               // file with all that it printed
	StopSignal syscall.Signal `json:"stopSignal"`        // makes it end cleanly
	Version    string         `json:"version,omitempty"` // digest of the program and its settings

	crashSignal syscall.Signal // ends it as a crash does; 0 is SIGKILL

	exited chan struct{} // closed when this program's child has ended, nil if it is no child
	result error         // how it ended, once exited is closed
}

// Addr gives host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// program is what spawn runs.
type program struct {
	path string
	args []string
	env  []string
	dir  string
	user *syscall.Credential // nil: the user we are
	// owned ties the process to ours: the kernel kills it when we end, however
	// that happens (Linux).
	owned bool
}

// spawn starts a process in a session of its own, which an interrupt on our
// terminal does not reach, and fills in what s lacks. Its output goes to s.Log;
// the log before stays beside it as .old.
func spawn(p program, s *Server) error {
	if err := os.Rename(s.Log, s.Log+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // it outlives the call that starts it
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.user}
	if p.owned {
		dieWithParent(cmd.SysProcAttr)
	}
	started := make(chan error)
	s.exited = make(chan struct{})
	go func() {
		// The kernel takes the end of the thread that started an owned process for
		// the end of its parent, so the thread waits for it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.result = cmd.Wait()
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	s.PID = cmd.Process.Pid
	// It can have ended by now: then it has no mark, and await says how it ended.
	s.Started, _ = startMark(s.PID)
	return nil
}

// Alive tells whether the process runs. A process that took over the id of one
// that has ended is not it.
func (s *Server) Alive() bool {
	if s.exited != nil {
		select {
		case <-s.exited:
			return false
		default:
			return true
		}
	}
	mark, err := startMark(s.PID)
	return err == nil && mark == s.Started
}

// Stop ends the process and waits until it has ended. One that does not end in
// time is killed, which is an error; one that has ended already is none.
func (s *Server) Stop() error { return s.stop(stopTimeout) }

func (s *Server) stop(timeout time.Duration) error {
	if err := s.signal(s.StopSignal); err != nil {
		return fmt.Errorf("stop %s: %w", s.Name, err)
	}
	if s.gone(timeout) {
		return nil
	}
	if err := s.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("stop %s: it did not end within %s and was killed; its log is %s", s.Name, timeout, s.Log)
}

// Kill ends the process at once and waits until it has ended.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Crash ends a server as a crash does, and waits until it has ended: nothing is
// flushed, and PostgreSQL recovers from its log when it starts again. PostgreSQL
// is told to (an immediate shutdown), because of its many processes SIGKILL
// reaches one, and the others would keep the next start waiting.
func (s *Server) Crash() error {
	if s.crashSignal != 0 {
		return s.end(s.crashSignal)
	}
	return s.Kill()
}

func (s *Server) end(sig syscall.Signal) error {
	if err := s.signal(sig); err != nil {
		return fmt.Errorf("kill %s: %w", s.Name, err)
	}
	if !s.gone(stopTimeout) {
		return fmt.Errorf("kill %s: process %d is still there", s.Name, s.PID)
	}
	return nil
}

func (s *Server) signal(sig syscall.Signal) error {
	if !s.Alive() {
		return nil
	}
	switch err := syscall.Kill(s.PID, sig); {
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("process %d belongs to another user: run this as the user who started it", s.PID)
	case err != nil && !errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("signal process %d: %w", s.PID, err)
	}
	return nil
}

// gone waits until the process has ended and tells whether it has.
func (s *Server) gone(timeout time.Duration) bool {
	for deadline := time.Now().Add(timeout); s.Alive(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// await waits until check passes. A process that ends before that, or does not
// pass in time, is an error that shows the end of its log.
func (s *Server) await(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := s.once(within, check)
		switch {
		case err == nil && s.Alive():
			return nil
		case !s.Alive():
			return &endedError{s}
		case ctx.Err() != nil:
			return fmt.Errorf("wait for %s: %w", s.Name, context.Cause(ctx))
		case within.Err() != nil:
			return fmt.Errorf("%s does not answer after %s: %w\n%s", s.Name, timeout, err, s.logEnd())
		}
		select {
		case <-within.Done():
		case <-time.After(pollInterval):
		}
	}
}

func (s *Server) once(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return check(ctx)
}

// endedError says that a server ended while it was starting.
type endedError struct{ s *Server }

func (e *endedError) Error() string {
	how := ""
	if e.s.result != nil {
		how = fmt.Sprintf(" (%v)", e.s.result)
	}
	return fmt.Sprintf("%s ended while it was starting%s\n%s", e.s.Name, how, e.s.logEnd())
}

// logEnd gives where the log is and its last lines.
func (s *Server) logEnd() string {
	lines := lastLines(s.Log)
	if lines == "" {
		return fmt.Sprintf("Its log, %s, is empty.", s.Log)
	}
	return fmt.Sprintf("Its log is %s and ends with:\n%s", s.Log, lines)
}

// lastLines gives the last lines of a file, indented; "" if it cannot be read.
func lastLines(path string) string {
	const keep = 12
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	lines = lines[max(0, len(lines)-keep):]
	for i, line := range lines {
		lines[i] = "    " + fmt.Sprintf("%.500s", line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), " ")
}
