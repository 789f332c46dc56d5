package devstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The worker may read the sources of all demos: the proof reads each again.
func TestTheFoldersOfSourcesStayOpen(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := &Stack{Root: filepath.Join(base, "clone"), State: filepath.Join(base, "clone", ".dev")}
	expect := func(want ...string) {
		t.Helper()
		got, err := s.roots()
		if all := strings.Join(append([]string{s.Root, s.State}, want...), ","); err != nil || got.name != "SOURCE_ROOTS" || got.value != all {
			t.Errorf("roots: %v, %v; want %s", got, err, all)
		}
	}
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		t.Fatal(err)
	}
	expect()
	one, two, target := filepath.Join(base, "one"), filepath.Join(base, "two"), filepath.Join(base, "target")
	for _, folder := range []string{one, two, target} {
		write(t, filepath.Join(folder, "cases.csv"), "")
	}
	link := filepath.Join(two, "link.csv")
	if err := os.Symlink("../target/cases.csv", link); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{filepath.Join(one, "cases.csv"), link, filepath.Join(one, "cases.csv")} {
		if err := s.addRoots(source); err != nil {
			t.Fatal(err)
		}
	}
	expect(one, two, target)
	comma := filepath.Join(base, "a,b", "cases.csv")
	write(t, comma, "")
	if err := s.addRoots(comma); err == nil || !strings.Contains(err.Error(), "comma") {
		t.Errorf("a folder that the setting cannot hold: %v", err)
	}
	expect(one, two, target)
}
