package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// onTerminal runs the starter on a terminal with so many columns and returns what
// it drew.
func (o *operator) onTerminal(columns uint16, args ...string) string {
	o.Helper()
	ours, theirs := o.terminal(columns)
	cmd := exec.CommandContext(o.Context(), filepath.Join(programs, "starter"), args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.env, o.dir, theirs, theirs, theirs
	err := cmd.Start()
	if closeErr := theirs.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		o.Fatal(err)
	}
	drawn, err := io.ReadAll(ours) // ends with EIO when the program has closed its side
	if err != nil && !errors.Is(err, syscall.EIO) {
		o.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		o.Fatalf("starter %v: %v: %s", args, err, drawn)
	}
	return string(drawn)
}

// terminal makes a pseudo-terminal and returns both sides of it.
func (o *operator) terminal(columns uint16) (ours, theirs *os.File) {
	o.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		o.Fatal(err)
	}
	return ours, theirs
}
