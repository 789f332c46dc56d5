package devstack

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dieWithParent makes the kernel kill the process when its parent ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// startMark tells a process from every other that had or will have its id: the
// boot of the machine and the clock tick of the process's start, field 22 of
// /proc/PID/stat. A process that has ended and was not yet collected is none.
func startMark(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The second field, the program's name in brackets, may hold anything: what is
	// read starts with the third.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const state, start = 0, 22 - 3
	if len(fields) <= start {
		return "", fmt.Errorf("look at process %d: unknown form of its stat file", pid)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", fmt.Errorf("look at process %d: it has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[start], nil
}
