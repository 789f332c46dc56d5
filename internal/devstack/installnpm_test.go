package devstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMetabaseCLIIsPinned(t *testing.T) {
	t.Parallel()
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "tools", "metabase-cli")
	version, err := pinnedNPM(filepath.Join(dir, "package.json"), "@metabase/cli")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(lock), `"@metabase/cli": "`+version+`"`) {
		t.Errorf("the lock file does not hold version %s: run npm install --package-lock-only in %s", version, dir)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("the lock file names the registry that it was made with: .npmrc should leave it out")
	}
	if _, err := pinnedNPM(filepath.Join(dir, "package.json"), "other"); err == nil {
		t.Error("a module that is not required has a version")
	}
}
