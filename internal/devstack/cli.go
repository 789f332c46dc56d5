package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CLI puts Temporal's command-line tools of the pinned versions into the folder
// bin of the repository: temporal, which is the servers' program too, and tctl,
// which is built here only, since nothing else needs it.
func (s *Stack) CLI(ctx context.Context) error {
	in, unlock, err := newInstaller(ctx, s.Root, s.say)
	if err != nil {
		return err
	}
	defer unlock()
	temporal, err := in.temporal(ctx)
	if err != nil {
		return err
	}
	tctl, err := in.buildTool(ctx, tctlTool)
	if err != nil {
		return err
	}
	return errors.Join(link(s.cliPath("temporal"), temporal), link(s.cliPath("tctl"), tctl))
}

// cliPath gives the place of one of these tools in the repository.
func (s *Stack) cliPath(name string) string { return filepath.Join(s.Root, "bin", name) }

// link makes a symbolic link to a program, in the place of another that is there.
func link(path, program string) error {
	if target, err := os.Readlink(path); err == nil && target == program {
		return nil
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if err := os.Symlink(program, path); err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	return nil
}
