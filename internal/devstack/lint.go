package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Tools installs the programs of the servers and starts nothing.
func (s *Stack) Tools(ctx context.Context) error {
	if _, err := Install(ctx, s.Root, s.say); err != nil {
		return err
	}
	s.say("The servers' programs are installed.")
	return nil
}

// Lint checks packages with the pinned linter, which is built once, and gives its
// exit status.
func (s *Stack) Lint(ctx context.Context, packages []string) (status int, err error) {
	linter, err := s.linter(ctx)
	if err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, linter, append([]string{"run"}, packages...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Root, s.Out, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run the linter: %w", err)
	}
	return 0, nil
}

func (s *Stack) linter(ctx context.Context) (string, error) {
	in, unlock, err := newInstaller(ctx, s.Root, s.say)
	if err != nil {
		return "", err
	}
	defer unlock()
	return in.buildTool(ctx, linterTool)
}
