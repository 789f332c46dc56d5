// Package source opens the files that an ingest reads, below the folders that are
// open to it. A source is named by a URI, which today is an absolute path.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// ErrNotHere tells that this machine has no such file. Another machine may have
// it, and this one may get it: mounts and copies come late.
var ErrNotHere = errors.New("no such file on this machine")

// Info is what is known of a source without reading it.
type Info struct {
	Size int64 // bytes
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

func checkURI(uri string) error {
	if strings.Contains(uri, "://") {
		return notAPath(uri)
	}
	if !filepath.IsAbs(uri) {
		return fmt.Errorf("source %q is not an absolute path", uri)
	}
	return nil
}

func notAPath(uri string) error {
	return fmt.Errorf("source %q is not a path: give the path of a local file, without a scheme", uri)
}

func statError(uri string, err error) error {
	// ENOTDIR: a folder of the path is a file here.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w (%s): %s; put it there under the same path, or run a worker where it is",
			ErrNotHere, hostName(), uri)
	}
	return fmt.Errorf("open source on %s: %w", hostName(), err)
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unnamed host"
	}
	return name
}

func describe(uri string, info fs.FileInfo) (Info, error) {
	if info.IsDir() {
		return Info{}, fmt.Errorf("source %s is a folder: name a file in it", uri)
	}
	if !info.Mode().IsRegular() {
		return Info{}, fmt.Errorf("source %s is not an ordinary file (%s)", uri, info.Mode())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Info{}, fmt.Errorf("source %s has no inode on this system", uri)
	}
	return Info{Size: info.Size(), Identity: fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)}, nil
}
