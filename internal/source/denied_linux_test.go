package source

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f without the rights of root, which may read every file.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		err := syscall.Setfsuid(65534)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil { // every user may go into the folder
		t.Fatal(err)
	}
	closed := filepath.Join(folder, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	file, below := filepath.Join(folder, "cases.csv"), filepath.Join(closed, "cases.csv")
	for _, path := range []string{file, below} {
		if err := os.WriteFile(path, []byte("12345"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) }) // so that it can be removed
	roots := rootsOf(t, folder)
	asNobody(t, func() {
		for _, path := range []string{file, below} {
			if _, err := roots.Open(path, 0); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v; want ErrDenied", path, err)
			}
		}
	})
}
