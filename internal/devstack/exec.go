package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Exec runs a command with servers of its own, on free ports and with fresh data
// in the state folder's test, and stops them when it has ended. The command finds
// them in TEST_ELASTICSEARCH_URL, TEST_DATABASE_URL, TEST_TEMPORAL_ADDRESS and
// TEST_TEMPORAL_UI, what CLI makes in TEST_TEMPORAL_CLI and TEST_TCTL and, where the
// servers are not durable, a browser in TEST_CHROMIUM and the script axe-core in
// TEST_AXE. It gives the exit status of the command; an error means that it was not
// run.
func (s *Stack) Exec(ctx context.Context, command []string) (status int, err error) {
	unlock, err := s.lockTests()
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := checkUser(); err != nil {
		return 0, err
	}
	tools, err := Install(ctx, s.Root, note)
	if err != nil {
		return 0, err
	}
	var forPages []string
	if !s.Durable { // what runs on durable servers measures and looks at no page
		if forPages, err = s.toolsForPages(ctx); err != nil {
			return 0, err
		}
	}
	servers, err := s.startTest(ctx, tools)
	defer func() { err = errors.Join(err, s.stopTest(servers)) }()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = s.Out, os.Stderr
	cmd.Env = append(append(os.Environ(), forPages...),
		"TEST_ELASTICSEARCH_URL=http://"+servers[0].Addr(),
		"TEST_DATABASE_URL="+PostgresURL(servers[1].Addr(), "", Database),
		"TEST_TEMPORAL_ADDRESS="+servers[2].Addr(),
		"TEST_TEMPORAL_CLI="+s.cliPath("temporal"),
		"TEST_TCTL="+s.cliPath("tctl"),
		"TEST_TEMPORAL_UI="+servers[2].UIURL(),
	)
	inGroup(cmd)
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("run %s: %w", command[0], context.Cause(ctx))
	case err != nil:
		return 0, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}

// toolsForPages installs what tests look at pages with, and gives its variables.
func (s *Stack) toolsForPages(ctx context.Context) ([]string, error) {
	browser, err := Browser(ctx, s.Root, note)
	if err != nil {
		return nil, err
	}
	axe, err := Axe(ctx, s.Root, note)
	if err != nil {
		return nil, err
	}
	return []string{"TEST_CHROMIUM=" + browser, "TEST_AXE=" + axe}, nil
}

// note prints to standard error: standard output is the command's alone.
func note(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// inGroup makes a command and what it starts one group of processes, which gets
// every interrupt from us, whether it came from the terminal or to us alone.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopTimeout
}

// startTest starts Elasticsearch, PostgreSQL and Temporal, in this order in the
// list. Those that started are in it even if another did not.
func (s *Stack) startTest(ctx context.Context, tools Tools) ([]*Server, error) {
	state := filepath.Join(s.State, "test")
	began := time.Now()
	if err := clearTest(state); err != nil {
		return nil, err
	}
	data, err := dataFolder(state)
	if err != nil {
		return nil, err
	}
	// Nothing of the tests outlives the machine's crash, so nothing is synced to the disk.
	postgres := []string{"fsync=off"}
	// So short a history that small sources go through ContinueAsNew.
	temporal := []string{"limit.historyCount.suggestContinueAsNew=300"}
	if s.Durable {
		postgres, temporal = nil, nil
	}
	options := func(folder, name string) Options {
		return Options{Dir: filepath.Join(folder, name), Log: filepath.Join(state, name+".log"), Owned: true}
	}
	servers, errs := make([]*Server, 3), make([]error, 3)
	var all sync.WaitGroup
	all.Go(func() {
		servers[0], errs[0] = tools.StartElasticsearch(ctx, "1g", options(data, "elasticsearch"))
	})
	all.Go(func() {
		servers[1], errs[1] = tools.StartPostgres(ctx, "", postgres, options(data, "postgres"))
	})
	all.Go(func() {
		var ui int
		if ui, errs[2] = freePort(ctx); errs[2] != nil {
			return
		}
		servers[2], errs[2] = tools.StartTemporal(ctx, ui, temporal, options(state, "temporal"))
	})
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return servers, err
	}
	note("Servers for the tests are up after %.1f s; their logs are in %s", time.Since(began).Seconds(), state)
	return servers, nil
}

// stopTest stops the servers of the tests and removes their data.
func (s *Stack) stopTest(servers []*Server) error {
	var errs []error
	for _, server := range servers {
		if server != nil {
			errs = append(errs, server.Kill())
		}
	}
	return errors.Join(append(errs, clearTest(filepath.Join(s.State, "test")))...)
}

// clearTest removes the data of earlier tests; the logs stay.
func clearTest(state string) error {
	if err := removeData(state); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(state, "temporal"))
}

// lockTests makes sure that one command at a time uses the tests' folder.
func (s *Stack) lockTests() (unlock func(), err error) {
	if err := makeClosedFolder(s.State); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	state := filepath.Join(s.State, "test")
	if err := makeFolder(state); err != nil {
		return nil, fmt.Errorf("make the tests' folder: %w", err)
	}
	unlock, err = lock(context.Background(), filepath.Join(state, "lock"), nil)
	if errors.Is(err, errLocked) {
		return nil, errors.New("tests run in this clone already: wait for their end")
	}
	return unlock, err
}
