// Package source opens the files that an ingest reads, below the folders that are
// open to it. A source is named by a URI, which today is an absolute path.
package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// ErrNotHere tells that this machine has no such file. Another machine may have
// it, and this one may get it: mounts and copies come late.
var ErrNotHere = errors.New("no such file on this machine")

// Errors that trying again does not mend. They come wrapped: test with errors.Is.
var (
	// ErrNotAFile means that the source names a folder, a pipe, a device, or cannot
	// be a path at all.
	ErrNotAFile = errors.New("the source is not an ordinary file")
	// ErrDenied means that the user of this process may not read the file.
	ErrDenied = errors.New("no permission to read the source")
)

// ErrUnread means that looking at a source, or opening it, failed in another way.
var ErrUnread = errors.New("the source cannot be opened")

// Info is what is known of a source without reading it.
type Info struct {
	Size    int64 // bytes
	ModTime time.Time
	// Identity tells a file from the one that takes its name, as dev:inode. It
	// means something on one machine only.
	Identity string
}

// Canonical gives the name under which a source is known: its absolute path,
// without "." and "..", symbolic links left as they are (a link that moves on
// to the next file is one source, not many).
func Canonical(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the source has no name: give the path of a file")
	case strings.Contains(path, "://"):
		return "", notAPath(path)
	case !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0:
		return "", fmt.Errorf("source %q is not a path of valid UTF-8: give the file another name", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("make source %q absolute: %w", path, err)
	}
	return absolute, nil
}

// StatAnywhere looks at a source without regard to Roots: it is for commands that
// act for the person who calls them. Its errors are those of Roots.Stat.
func StatAnywhere(uri string) (Info, error) {
	if err := checkURI(uri); err != nil {
		return Info{}, err
	}
	info, err := os.Stat(uri)
	if err != nil {
		return Info{}, statError(uri, err)
	}
	return describe(uri, info)
}

// OpenAnywhere opens a source for reading without regard to Roots, as StatAnywhere
// looks at it.
func OpenAnywhere(uri string) (io.ReadCloser, error) {
	// Looking first keeps a named pipe from blocking the open.
	if _, err := StatAnywhere(uri); err != nil {
		return nil, err
	}
	file, err := os.Open(uri)
	if err != nil {
		return nil, statError(uri, err)
	}
	return file, nil
}

func checkURI(uri string) error {
	if strings.Contains(uri, "://") {
		return notAPath(uri)
	}
	if !filepath.IsAbs(uri) {
		return fmt.Errorf("%w: %q is not an absolute path", ErrNotAFile, uri)
	}
	return nil
}

func notAPath(uri string) error {
	return fmt.Errorf("%w: %q is not a path; give the path of a local file, without a scheme", ErrNotAFile, uri)
}

func statError(uri string, err error) error {
	switch {
	// ENOTDIR: a folder of the path is a file here.
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w (%s): %s; put it there under the same path, or run a worker where it is",
			ErrNotHere, hostName(), uri)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (%s): %s; give user %d read permission for it, and search permission for its folders",
			ErrDenied, hostName(), uri, os.Geteuid())
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%w (%s): %w", ErrNotAFile, hostName(), err)
	}
	return fmt.Errorf("%w (%s): %w", ErrUnread, hostName(), err)
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unnamed host"
	}
	return name
}

func describe(uri string, info fs.FileInfo) (Info, error) {
	if !info.Mode().IsRegular() {
		return Info{}, fmt.Errorf("%w (%s): %s is %s; name a CSV file", ErrNotAFile, hostName(), uri, kindOf(info.Mode()))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Info{}, fmt.Errorf("%w: %s has no inode on this system", ErrNotAFile, uri)
	}
	return Info{Size: info.Size(), ModTime: info.ModTime(), Identity: fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)}, nil
}

// kindOf returns what a file is that is no ordinary one.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
