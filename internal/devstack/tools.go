package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Tools are the installed programs of the servers.
type Tools struct {
	java          string // program
	elasticsearch string // home folder: lib, modules and the launcher
	postgres      string // home folder: bin, lib, share
	temporal      string // program
}

// installer puts programs into a folder. Each is made in a folder beside its
// place and then moved there, so what is in its place is whole.
type installer struct {
	root   string // of the repository
	folder string
	say    func(format string, args ...any)
}

// newInstaller gives the installer of the user's tools folder, which it locks.
func newInstaller(ctx context.Context, root string, say func(format string, args ...any)) (in installer, unlock func(), err error) {
	folder, err := toolsFolder()
	if err != nil {
		return installer{}, nil, err
	}
	if err := makeFolder(folder); err != nil {
		return installer{}, nil, fmt.Errorf("make the folder for installed programs: %w", err)
	}
	unlock, err = lock(ctx, filepath.Join(folder, "lock"), func() {
		say("Waiting for another installation in %s", folder)
	})
	return installer{root: root, folder: folder, say: say}, unlock, err
}

// Install fetches and builds the pinned servers where they are missing. It says
// what takes long. An interrupted call leaves nothing half done.
func Install(ctx context.Context, root string, say func(format string, args ...any)) (Tools, error) {
	in, unlock, err := newInstaller(ctx, root, say)
	if err != nil {
		return Tools{}, err
	}
	defer unlock()
	jdk, err := findJDK(ctx)
	if err != nil {
		return Tools{}, err
	}
	servers, err := in.servers(ctx, jdk)
	if err != nil {
		return Tools{}, err
	}
	temporal, err := in.temporal(ctx)
	if err != nil {
		return Tools{}, err
	}
	return Tools{
		java:          jdk.java,
		elasticsearch: filepath.Join(servers, "elasticsearch"),
		postgres:      filepath.Join(servers, "postgres"),
		temporal:      temporal,
	}, nil
}

// install gives the path of a thing in the tools folder. If it is not there,
// build is called with an empty folder to put it into.
func (in installer) install(name string, build func(dir string) error) (string, error) {
	path := filepath.Join(in.folder, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	if err := makeFolder(unfinished); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	if err := build(unfinished); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return path, nil
}

// run runs a program to its end with its output in a log file. While it runs it
// says every now and then that it does. An error shows the end of the log.
func (in installer) run(ctx context.Context, what, dir, program string, args ...string) error {
	logPath := filepath.Join(in.folder, filepath.Base(program)+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	inGroup(cmd)
	stop := in.remind(what)
	err = cmd.Run()
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w\nIts log is %s and ends with:\n%s", what, err, logPath, lastLines(logPath))
	}
	return nil
}

// remind says every half a minute that something still goes on, until it is stopped.
func (in installer) remind(what string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				in.say("  still at it after %s: %s", time.Since(start).Round(time.Second), what)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// lock takes a file's lock and gives what releases it. If another program has
// it, waiting is called once and the lock is waited for; a nil waiting makes that
// errLocked.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for said := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waiting == nil {
			file.Close()
			return nil, errLocked
		}
		if !said {
			waiting()
			said = true
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(10 * pollInterval):
		}
	}
}

var errLocked = errors.New("another program has the lock")

// copyFile copies a file that all may read.
func copyFile(to, from string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(to, in, mode)
}

// writeFile writes a new file with this mode, whatever the umask is.
func writeFile(to string, from io.Reader, mode fs.FileMode) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, from); err != nil {
		out.Close()
		return err
	}
	if err := out.Chmod(mode); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
