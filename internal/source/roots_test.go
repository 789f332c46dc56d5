package source

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is two roots, a folder outside of them, and a file in each.
type tree struct {
	*testing.T
	one, two, out string
}

func newTree(t *testing.T) tree {
	t.Helper()
	base := t.TempDir()
	tr := tree{T: t, one: filepath.Join(base, "one"), two: filepath.Join(base, "two"), out: filepath.Join(base, "one-more")}
	for _, folder := range []string{tr.one, tr.two, tr.out, filepath.Join(tr.one, "sub")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tr.file(filepath.Join(tr.one, "a.csv"), "in one")
	tr.file(filepath.Join(tr.one, "sub", "b.csv"), "in sub")
	tr.file(filepath.Join(tr.two, "a.csv"), "in two")
	tr.file(filepath.Join(tr.out, "a.csv"), "outside")
	return tr
}

func (tr tree) file(path, content string) {
	tr.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tr.Fatal(err)
	}
}

// link makes a link below the first root and returns its path.
func (tr tree) link(name, target string) string {
	tr.Helper()
	path := filepath.Join(tr.one, name)
	if err := os.Symlink(target, path); err != nil {
		tr.Fatal(err)
	}
	return path
}

// reads fails the test unless a source is opened, and has this content.
func reads(t *testing.T, r Roots, uri, want string) {
	t.Helper()
	info, err := r.Stat(uri)
	if err != nil || info.Size != int64(len(want)) {
		t.Errorf("Stat(%s) = %+v, %v; want %d bytes", uri, info, err, len(want))
	}
	file, err := r.Open(uri, 0)
	if err != nil {
		t.Errorf("Open(%s): %v", uri, err)
		return
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || string(got) != want {
		t.Errorf("Open(%s) reads %q, %v; want %q", uri, got, err, want)
	}
}

// refuses fails the test unless a source is refused as one outside of the roots.
func refuses(t *testing.T, r Roots, uri string) {
	t.Helper()
	_, statErr := r.Stat(uri)
	file, openErr := r.Open(uri, 0)
	if openErr == nil {
		_ = file.Close()
	}
	for _, err := range []error{statErr, openErr} {
		if !errors.Is(err, ErrOutside) || !strings.Contains(err.Error(), "SOURCE_ROOTS") || !strings.Contains(err.Error(), uri) {
			t.Errorf("%s: %v; want ErrOutside with the path and the setting", uri, err)
		}
	}
}

func TestRootsHoldWhatIsBelowThem(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	r := rootsOf(t, tr.one+"/", tr.two) // a trailing slash means the same folder
	reads(t, r, filepath.Join(tr.one, "a.csv"), "in one")
	reads(t, r, filepath.Join(tr.one, "sub/b.csv"), "in sub")
	reads(t, r, filepath.Join(tr.two, "a.csv"), "in two")
	reads(t, r, tr.one+"/sub/../a.csv", "in one")
	reads(t, r, tr.one+"//./sub//b.csv", "in sub")
	for _, uri := range []string{
		"/etc/passwd", tr.out + "/a.csv", tr.out, filepath.Dir(tr.one), "/",
		tr.one + "/../one-more/a.csv", tr.one + "/sub/../../one-more/a.csv",
		tr.one + "/../../../../../../../../etc/passwd",
	} {
		refuses(t, r, uri)
	}
	refuses(t, Roots{}, filepath.Join(tr.one, "a.csv"))
	reads(t, rootsOf(t, "/"), filepath.Join(tr.out, "a.csv"), "outside")
}

func TestLinksAreFollowedWithinTheRoots(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	r := rootsOf(t, tr.one, tr.two)
	for name, c := range map[string]struct{ target, want string }{
		"relative":                {"sub/b.csv", "in sub"},
		"absolute":                {tr.one + "/sub/b.csv", "in sub"},
		"absolute, other root":    {tr.two + "/a.csv", "in two"},
		"relative, other root":    {"../two/a.csv", "in two"},
		"out and in again":        {"../one/a.csv", "in one"},
		"over a link to a folder": {"folder/../a.csv", "in two"},
		"chain":                   {tr.one + "/absolute, other root", "in two"},
		"untidy":                  {"/" + tr.two + "/.//a.csv", "in two"},
	} {
		if err := os.MkdirAll(filepath.Join(tr.two, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if name == "over a link to a folder" {
			tr.link("folder", tr.two+"/deep") // its ".." is the second root
		}
		path := tr.link(name, c.target)
		if name != "chain" { // it needs the link that it names
			reads(t, r, path, c.want)
		}
	}
	reads(t, r, filepath.Join(tr.one, "chain"), "in two")
	tr.link("second", tr.two)
	reads(t, r, filepath.Join(tr.one, "second/a.csv"), "in two")
	reads(t, rootsOf(t, "/"), filepath.Join(tr.one, "second/a.csv"), "in two")
	reads(t, rootsOf(t, tr.one+"/sub", tr.one), filepath.Join(tr.one, "absolute"), "in sub")
}

func TestLinksThatLeadOutAreRefused(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	r := rootsOf(t, tr.one, tr.two)
	tr.link("folder", tr.out)
	refuses(t, r, filepath.Join(tr.one, "folder/a.csv"))
	for name, target := range map[string]string{
		"relative": "../one-more/a.csv", "absolute": tr.out + "/a.csv", "missing": tr.out + "/gone.csv", "folder behind": "folder/a.csv",
		"system": "/etc/passwd", "process": "/proc/self/root/etc/passwd",
	} {
		refuses(t, r, tr.link(name, target))
	}
	refuses(t, r, tr.link("chain", tr.one+"/absolute"))
	if _, err := r.Stat(filepath.Join(tr.one, "system")); err == nil || !strings.Contains(err.Error(), "leads to /etc/passwd") {
		t.Errorf("%v; want the place that the link leads to", err)
	}
	for name, target := range map[string]string{"itself": "itself", "itself, absolute": tr.one + "/itself, absolute"} {
		if _, err := r.Open(tr.link(name, target), 0); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("a link to itself: %v", err)
		}
	}
	if _, err := r.Stat(tr.link("dangling", "sub/gone.csv")); !errors.Is(err, ErrNotHere) {
		t.Errorf("a link to a file that is not there: %v", err)
	}
}

func TestARootCanBeALink(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	root := filepath.Join(t.TempDir(), "data")
	if err := os.Symlink(tr.two, root); err != nil {
		t.Fatal(err)
	}
	r := rootsOf(t, root)
	reads(t, r, filepath.Join(root, "a.csv"), "in two")
	reads(t, r, filepath.Join(tr.two, "a.csv"), "in two") // the same file by the folder's own name
	for name, target := range map[string]string{"own name": tr.two + "/a.csv", "by the link": root + "/a.csv", "relative": "../two/a.csv"} {
		if err := os.Symlink(target, filepath.Join(tr.two, name)); err != nil {
			t.Fatal(err)
		}
		reads(t, r, filepath.Join(root, name), "in two")
	}
	refuses(t, r, filepath.Join(root, "../one/a.csv"))
	// Another name of the root's folder, as a shell has that came by a link.
	other := filepath.Join(t.TempDir(), "work")
	if err := os.Symlink(filepath.Dir(tr.two), other); err != nil {
		t.Fatal(err)
	}
	reads(t, r, filepath.Join(other, "two/a.csv"), "in two")
	refuses(t, r, filepath.Join(other, "one/a.csv"))
	refuses(t, r, filepath.Join(other, "gone/a.csv"))
	// The link may lead elsewhere later, as a release folder's does.
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tr.one, root); err != nil {
		t.Fatal(err)
	}
	reads(t, r, filepath.Join(root, "a.csv"), "in one")
}

func TestRootsAreChecked(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	for _, folder := range []string{"", "data", "./data", "/a\x00b", "/a\xffb", filepath.Join(tr.one, "a.csv")} {
		if _, err := NewRoots(tr.two, folder); err == nil {
			t.Errorf("%q is taken for a root", folder)
		}
	}
	r := rootsOf(t, tr.one, "/not/mounted/yet")
	if got := r.Missing(); len(got) != 1 || got[0] != "/not/mounted/yet" {
		t.Errorf("missing: %q", got)
	}
}

// A file that has been looked at becomes a link out of the root, or a pipe, before
// it is opened.
func TestASourceIsReplacedBetweenStatAndOpen(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	r := rootsOf(t, tr.one)
	path := filepath.Join(tr.one, "a.csv")
	for name, c := range map[string]struct {
		replace func() error
		want    string
	}{
		"link out": {func() error { return os.Symlink(tr.out+"/a.csv", path) }, "SOURCE_ROOTS"},
		"pipe":     {func() error { return syscall.Mkfifo(path, 0o600) }, "ordinary file"},
		"folder":   {func() error { return os.Mkdir(path, 0o700) }, "folder"},
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		tr.file(path, "in one")
		if _, err := r.Stat(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := c.replace(); err != nil {
			t.Fatal(err)
		}
		opened := make(chan error, 1)
		go func() {
			_, err := r.openFile(path)
			opened <- err
		}()
		select {
		case err := <-opened:
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want an error with %q", name, err, c.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the open blocks", name)
		}
	}
}

// While a folder of the path is exchanged for a link out of the root, as fast as
// can be, an open reads the file in the root or fails.
func TestNoRaceLeadsOutOfARoot(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.file(filepath.Join(tr.out, "b.csv"), "outside")
	r := rootsOf(t, tr.one)
	folder, aside, link := filepath.Join(tr.one, "sub"), filepath.Join(tr.one, "aside"), tr.link("link", tr.out)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			for _, move := range [][2]string{{folder, aside}, {link, folder}, {folder, link}, {aside, folder}} {
				if err := os.Rename(move[0], move[1]); err != nil {
					stopped <- err
					return
				}
			}
		}
	}()
	read := 0
	for range 3000 {
		file, err := r.openFile(filepath.Join(folder, "b.csv"))
		if err != nil {
			continue
		}
		got, err := io.ReadAll(file)
		_ = file.Close()
		if err != nil || string(got) != "in sub" {
			t.Fatalf("read %q, %v", got, err)
		}
		read++
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of 3000 opens found the file in the root", read)
}
