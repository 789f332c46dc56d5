package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// ErrOutside means that a source is in none of the folders of Roots, or that a
// link on its path leads out of them.
var ErrOutside = errors.New("outside of SOURCE_ROOTS")

// maxLinks bounds the links on a path that lead from one place of the roots to
// another by an absolute path, as Linux bounds all links.
const maxLinks = 40

// Roots are the folders whose files may be read as sources. The zero value has
// none and refuses every source. It is safe for concurrent use.
//
// Each call opens the folder anew, so that one that is mounted late is seen, and
// reaches the file through os.Root, so that a path or link that is replaced
// meanwhile cannot lead out of it.
type Roots struct{ folders []string }

// NewRoots returns the roots for absolute paths of folders. A folder that does not
// exist is no mistake: it may be mounted later.
func NewRoots(folders ...string) (Roots, error) {
	var r Roots
	for _, folder := range folders {
		if !filepath.IsAbs(folder) || !utf8.ValidString(folder) || strings.IndexByte(folder, 0) >= 0 {
			return Roots{}, fmt.Errorf("root %q is not an absolute path: give one of a folder", folder)
		}
		if info, err := os.Stat(folder); err == nil && !info.IsDir() {
			return Roots{}, fmt.Errorf("root %s is not a folder: give the folder that the sources are in", folder)
		}
		r.folders = append(r.folders, filepath.Clean(folder))
	}
	return r, nil
}

// String lists the folders.
func (r Roots) String() string { return strings.Join(r.folders, ", ") }

// Missing returns the folders that do not exist now.
func (r Roots) Missing() []string {
	var missing []string
	for _, folder := range r.folders {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, folder)
		}
	}
	return missing
}

// Stat looks at a source. Its errors name the host when the file is not there
// (ErrNotHere) or is not in the roots (ErrOutside), and refuse what is not an
// ordinary file.
func (r Roots) Stat(uri string) (Info, error) {
	info, err := within(r, uri, func(root *os.Root, name string) (fs.FileInfo, error) { return root.Stat(name) })
	if err != nil {
		return Info{}, err
	}
	return describe(uri, info)
}

// Open opens a source for reading from an offset in bytes. Behind the end of the
// file there is nothing to read and no error. Its errors are those of Stat.
func (r Roots) Open(uri string, offset int64) (io.ReadCloser, error) {
	// Looking first spares a device the opening.
	if _, err := r.Stat(uri); err != nil {
		return nil, err
	}
	file, err := r.openFile(uri)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w: seek to byte %d of %s: %w", ErrUnread, offset, uri, err)
	}
	return file, nil
}

// openFile opens a source, and refuses what is no ordinary file once it is open: a
// file can be replaced after Stat. Without O_NONBLOCK a named pipe would block.
func (r Roots) openFile(uri string) (*os.File, error) {
	file, err := within(r, uri, func(root *os.Root, name string) (*os.File, error) {
		return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		_, err = describe(uri, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// within calls do with the root that holds a source and the source's name in it.
// os.Root follows relative links that stay in one root. The others, which it
// refuses, are followed here, a link a turn, if they lead into a root.
func within[T any](r Roots, uri string, do func(root *os.Root, name string) (T, error)) (out T, err error) {
	if err := checkURI(uri); err != nil {
		return out, err
	}
	path := plain(uri)
	for range maxLinks {
		folder, name, found := r.find(path)
		if !found {
			return out, r.outside(uri, path)
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return out, statError(uri, err)
		}
		out, err := do(root, name)
		next := ""
		if escapes(err) {
			next = follow(root, folder, name)
		}
		_ = root.Close()
		switch {
		case err == nil:
			return out, nil
		case !escapes(err):
			return out, statError(uri, err)
		case next == "": // the link was replaced meanwhile
			return out, r.outside(uri, path)
		}
		path = plain(next)
	}
	return out, statError(uri, &fs.PathError{Op: "open", Path: uri, Err: syscall.ELOOP})
}

// find returns the root that holds a path, and the path's name in it. A root holds
// the paths below its name, and those whose folder is by links below the folder that
// the root is.
func (r Roots) find(path string) (folder, name string, found bool) {
	for _, folder := range r.folders {
		if name, ok := below(folder, path); ok {
			return folder, name, true
		}
	}
	resolved := filepath.Join(withoutLinks(filepath.Dir(path)), filepath.Base(path))
	for _, folder := range r.folders {
		target := withoutLinks(folder)
		for _, other := range []string{path, resolved} {
			if name, ok := below(target, other); ok {
				return folder, name, true
			}
		}
	}
	return "", "", false
}

// below returns the name of a path in a folder. A ".." in it is os.Root's to judge.
func below(folder, path string) (name string, ok bool) {
	name, ok = strings.CutPrefix(path, folder)
	if !ok || (name != "" && name[0] != '/' && folder != "/") {
		return "", false
	}
	if name = strings.TrimPrefix(name, "/"); name == "" {
		name = "."
	}
	return name, true
}

// plain returns an absolute path without empty parts and ".". Each ".." stays: it
// means another folder where it stands behind a link.
func plain(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" || part == "." })
	return "/" + strings.Join(parts, "/")
}

// withoutLinks returns the path of a folder with its links followed, if it exists.
func withoutLinks(folder string) string {
	if target, err := filepath.EvalSymlinks(folder); err == nil {
		return target
	}
	return folder
}

// escapes reports whether os.Root refused a path since it leaves the root. The
// error for that has no exported name, and is the only one that is not the
// system's.
func escapes(err error) bool {
	var errno syscall.Errno
	return err != nil && !errors.As(err, &errno)
}

// follow returns the absolute path that the first link, or a ".." above the root,
// makes of a name. It is empty when the name has neither.
func follow(root *os.Root, folder, name string) string {
	base := withoutLinks(folder)
	resolved := "." // of the name, as far as it has no links
	for part, rest := "", name; rest != ""; {
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			if resolved == "." {
				return filepath.Dir(base) + "/" + rest
			}
			resolved = filepath.Dir(resolved)
			continue
		}
		resolved = filepath.Join(resolved, part)
		target, err := root.Readlink(resolved)
		if err != nil { // no link
			continue
		}
		if !filepath.IsAbs(target) {
			target = base + "/" + filepath.Dir(resolved) + "/" + target
		}
		return target + "/" + rest
	}
	return ""
}

// outside returns the error for a source that is in no root, or that leads to a
// path in none.
func (r Roots) outside(uri, path string) error {
	what := "source " + uri + " is"
	if path != plain(uri) {
		what = fmt.Sprintf("source %s leads to %s,", uri, filepath.Clean(path))
	}
	folders := "no folder"
	if len(r.folders) > 0 {
		folders = r.String()
	}
	return fmt.Errorf("%s %w of the worker on %s (%s)", what, ErrOutside, hostName(), folders)
}
