package source

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cases.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rootsOf returns roots of these folders.
func rootsOf(t *testing.T, folders ...string) Roots {
	t.Helper()
	r, err := NewRoots(folders...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/data/cases.csv":           "/data/cases.csv",
		"/data//new/../cases.csv":   "/data/cases.csv",
		"cases.csv":                 filepath.Join(here, "cases.csv"),
		"./sub/../cases.csv":        filepath.Join(here, "cases.csv"),
		"/data/Doña Ana, 50 %.csv":  "/data/Doña Ana, 50 %.csv",
		"/data/cases.csv/":          "/data/cases.csv",
		"/not/there/at/all/":        "/not/there/at/all",
		"/data/./a:b/cases\t.csv//": "/data/a:b/cases\t.csv",
	} {
		got, err := Canonical(path)
		if err != nil || got != want {
			t.Errorf("Canonical(%q) = %q, %v; want %q", path, got, err, want)
		}
		if again, err := Canonical(got); err != nil || again != got {
			t.Errorf("Canonical(%q) = %q, %v: not the same again", got, again, err)
		}
	}
	for _, path := range []string{"", "https://example.com/a.csv", "file:///data/a.csv", "s3://bucket/a", "/a\x00b", "/a\xffb"} {
		if got, err := Canonical(path); err == nil {
			t.Errorf("Canonical(%q) = %q, want an error", path, got)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	file, link := write(t, "12345"), filepath.Join(t.TempDir(), "latest.csv")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if got, err := Canonical(link); err != nil || got != link {
		t.Errorf("Canonical(%q) = %q, %v: the link's own name is the source", link, got, err)
	}
	want, err := StatAnywhere(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := StatAnywhere(link); err != nil || got != want {
		t.Errorf("StatAnywhere(%q) = %+v, %v; want the file behind it, %+v", link, got, err, want)
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	path := write(t, "12345")
	r := rootsOf(t, filepath.Dir(path))
	first, err := r.Stat(path)
	if err != nil || first.Size != 5 || first.Identity == "" {
		t.Fatalf("Stat = %+v, %v", first, err)
	}
	appendTo(t, path, "67")
	if grown, err := r.Stat(path); err != nil || grown.Size != 7 || grown.Identity != first.Identity {
		t.Errorf("after it grew: %+v, %v; before: %+v", grown, err, first)
	}
	// The old file stays under another name, so its inode is not free to be used again.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, err := r.Stat(path); err != nil || other.Identity == first.Identity {
		t.Errorf("after it was replaced: %+v, %v; before: %+v", other, err, first)
	}
	if old, err := r.Stat(path + ".old"); err != nil || old.Identity != first.Identity {
		t.Errorf("under another name: %+v, %v; before: %+v", old, err, first)
	}
}

func appendTo(t *testing.T, path, content string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNotHere(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "a")
	r := rootsOf(t, filepath.Dir(path), "/not/mounted/yet")
	for _, uri := range []string{path + "x", filepath.Join(path, "below a file"), "/not/mounted/yet/cases.csv"} {
		_, anywhereErr := StatAnywhere(uri)
		_, statErr := r.Stat(uri)
		_, openErr := r.Open(uri, 0)
		for _, err := range []error{anywhereErr, statErr, openErr} {
			if !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), host) || !strings.Contains(err.Error(), uri) {
				t.Errorf("%s: %v; want ErrNotHere with host and path", uri, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	circle := filepath.Join(folder, "circle")
	if err := os.Symlink(circle, circle); err != nil {
		t.Fatal(err)
	}
	r := rootsOf(t, "/")
	for uri, word := range map[string]string{
		folder:                               "a folder",
		pipe:                                 "a pipe",
		os.DevNull:                           "a device",
		circle:                               "too many",
		"/" + strings.Repeat("too long", 40): "too long",
		"cases.csv":                          "absolute",
		"https://a.test/b":                   "without a scheme",
		"file:///etc/passwd":                 "without a scheme",
	} {
		_, anywhereErr := StatAnywhere(uri)
		_, statErr := r.Stat(uri)
		_, openErr := r.Open(uri, 0)
		for _, err := range []error{anywhereErr, statErr, openErr} {
			if !errors.Is(err, ErrNotAFile) || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v; want ErrNotAFile with %q", uri, err, word)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	path := write(t, "0123456789")
	r := rootsOf(t, filepath.Dir(path))
	for offset, want := range map[int64]string{0: "0123456789", 4: "456789", 10: "", 1000: ""} {
		file, err := r.Open(path, offset)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file)
		if err != nil || string(got) != want {
			t.Errorf("from byte %d: %q, %v; want %q", offset, got, err, want)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Open(path, -1); !errors.Is(err, ErrUnread) {
		t.Errorf("a negative offset: %v", err)
	}
}
