package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Demo runs the whole pipeline over a CSV file, or over a sample: it has the stack
// and a worker run, ingests, loads, reconciles, prints the cards and serves them as
// a page, and leaves all of it up. It gives the exit status of the step that failed.
func (s *Stack) Demo(ctx context.Context, source string) (status int, err error) {
	if source != "" {
		if _, err := os.Stat(source); err != nil {
			return 2, fmt.Errorf("SOURCE is no file that can be read: %w", err)
		}
	}
	if err := s.build(ctx); err != nil {
		return 1, err
	}
	env, worker, err := s.upWithWorker(ctx, source)
	if err != nil {
		return 1, err
	}
	if source == "" {
		source = filepath.Join(s.State, "sample.csv")
		if err := s.Sample(source, SampleRows); err != nil {
			return 1, err
		}
	}
	before, err := warehouseState(ctx, env)
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go watch(ctx, worker, cancel)
	for _, step := range [][]string{
		{"ingest", "--source", source},
		{"schedule", "apply"},
		{"etl"},
		{"reconcile"},
		{"cards"},
	} {
		if status, err := s.starter(ctx, env, step); err != nil || status != 0 {
			return status, err
		}
	}
	after, err := warehouseState(ctx, env)
	if err != nil {
		return 1, err
	}
	page, err := s.ensurePage(ctx, env)
	if err != nil {
		return 1, err
	}
	s.sayAddresses(env, worker, page)
	if before == after {
		s.say("The warehouse held all of this already: this run changed nothing in it.")
	}
	return 0, nil
}

// build builds the worker and the operator's command into bin.
func (s *Stack) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.Root, "bin")+string(filepath.Separator), "./worker", "./starter")
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Root, s.Out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the worker and the starter: %w", err)
	}
	return nil
}

// upWithWorker has the stack and a worker run, which may read the source, if there
// is one. It gives the settings that reach the stack.
func (s *Stack) upWithWorker(ctx context.Context, source string) ([]setting, *Server, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if source != "" {
		if err := s.addRoots(source); err != nil {
			return nil, nil, err
		}
	}
	if err := s.up(ctx); err != nil {
		return nil, nil, err
	}
	password, err := s.password()
	if err != nil {
		return nil, nil, err
	}
	env, err := s.settings(password)
	if err != nil {
		return nil, nil, err
	}
	worker, err := s.ensureWorker(ctx, env)
	return env, worker, err
}

// ensureWorker has a worker run with these settings.
func (s *Stack) ensureWorker(ctx context.Context, env []setting) (*Server, error) {
	began := time.Now()
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	env = append(slices.Clip(env), roots)
	return s.ensureOurs(ctx, "worker", env, []string{"worker"}, func(ctx context.Context) error { return polled(ctx, env, began) })
}

// ensurePage has the built-in page run with these settings, and gives its address.
func (s *Stack) ensurePage(ctx context.Context, env []setting) (address string, err error) {
	listen := fmt.Sprintf("127.0.0.1:%d", s.Ports.Page.number)
	address = "http://" + listen
	_, err = s.ensureOurs(ctx, "page", env, []string{"starter", "serve", "--listen", listen}, func(ctx context.Context) error {
		return httpAnswers(ctx, address)
	})
	return address, err
}

// ensureOurs has a built program run in the background under a name, with its
// arguments and these settings; one of an older program or with others is stopped
// first.
func (s *Stack) ensureOurs(ctx context.Context, name string, env []setting, args []string, answers func(context.Context) error) (*Server, error) {
	path := filepath.Join(s.Root, "bin", args[0])
	whole := environment(os.Environ(), env)
	version, err := programVersion(path, args, whole)
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	running, err := s.recorded(name)
	if err != nil {
		return nil, err
	}
	if running != nil && running.Version == version {
		s.say("%-14s process %d (was running)", name, running.PID)
		return running, nil
	}
	if running != nil {
		s.say("%-14s has changed: stopping the one that runs", name)
		if err := running.Stop(); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	p := program{path: path, args: args[1:], env: whole, dir: s.Root}
	started := &Server{Name: name, StopSignal: syscall.SIGTERM, Version: version}
	o := Options{Log: s.logPath(name), Started: s.record}
	if _, err = run(ctx, p, started, o, answers); err != nil {
		return nil, err
	}
	s.say("%-14s process %d (started in %.1f s)", name, started.PID, time.Since(began).Seconds())
	return started, nil
}

// programVersion gives a digest of a program, its arguments and, of its
// environment, its settings.
func programVersion(path string, args, env []string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sha256.New()
	settings := slices.DeleteFunc(slices.Sorted(slices.Values(env)), func(v string) bool { return !isSetting(v) })
	fmt.Fprintln(digest, args, settings)
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)[:16]), nil
}

// watch cancels a demo whose worker has ended: without one its steps would wait
// for ever.
func watch(ctx context.Context, worker *Server, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !worker.Alive() {
				cancel(errors.New("the worker has ended.\n" + worker.logEnd()))
				return
			}
		}
	}
}

// starter runs the operator's command and gives its exit status.
func (s *Stack) starter(ctx context.Context, env []setting, args []string) (status int, err error) {
	shown := "starter"
	for _, arg := range args {
		shown += " " + arg
	}
	s.say("\n> %s", shown)
	cmd := exec.CommandContext(ctx, filepath.Join(s.Root, "bin", "starter"), args...)
	cmd.Env = environment(os.Environ(), env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, s.Out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return 1, fmt.Errorf("the demo ends at `%s`, the stack is still up: %w", shown, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), fmt.Errorf("the demo ends: `%s` failed with exit status %d; the worker's log is %s", shown, exit.ExitCode(), s.logPath("worker"))
	}
	if err != nil {
		return 1, fmt.Errorf("run %s: %w", shown, err)
	}
	return 0, nil
}

// warehouseState gives what changes with every write to the warehouse: how many
// rows and rejects there are, and when the last was written.
func warehouseState(ctx context.Context, env []setting) (string, error) {
	conn, err := pgx.Connect(ctx, value(env, "DATABASE_URL"))
	if err != nil {
		return "", fmt.Errorf("look at the warehouse: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var state string
	err = conn.QueryRow(ctx, `SELECT (SELECT count(*) || ' rows ' || coalesce(max(loaded_at)::text, '') FROM covid_cases)
		|| (SELECT count(*) || ' rejects ' || coalesce(max(rejected_at)::text, '') FROM covid_rejects)`).Scan(&state)
	if err != nil {
		return "", fmt.Errorf("look at the warehouse: %w", err)
	}
	return state, nil
}

func value(env []setting, name string) string {
	for _, v := range env {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

// sayAddresses says where everything is.
func (s *Stack) sayAddresses(env []setting, worker *Server, page string) {
	s.say("Dashboard        %s", page)
	s.say("Temporal Web UI  %s", value(env, "TEMPORAL_UI_URL"))
	s.say("Elasticsearch    %s/%s", value(env, "ELASTICSEARCH_URL"), value(env, "ELASTICSEARCH_INDEX"))
	s.say("PostgreSQL       DATABASE_URL in %s, with the other variables that reach the stack", s.envPath())
	s.say("Worker           process %d, log %s", worker.PID, worker.Log)
	s.say("All of it stays up until `make down`.")
}
