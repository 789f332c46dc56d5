package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Axe gives the path of axe-core, the script that finds what keeps people from
// using a page, as tools/axe.xml pins it.
func Axe(ctx context.Context, root string, say func(format string, args ...any)) (string, error) {
	pom := filepath.Join(root, "tools", "axe.xml")
	pins, err := os.ReadFile(pom)
	if err != nil {
		return "", fmt.Errorf("install axe-core: %w", err)
	}
	in, unlock, err := newInstaller(ctx, root, say)
	if err != nil {
		return "", err
	}
	defer unlock()
	sum := sha256.Sum256(pins)
	folder, err := in.install("axe-"+hex.EncodeToString(sum[:6]), func(dir string) error {
		in.say("Fetching axe-core for the browser tests with Maven (once)")
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return errors.New("no mvn on the PATH: install Maven, it fetches axe-core")
		}
		return in.run(ctx, "fetch axe-core", dir, mvn, "-q", "-B", "-ntp", "-f", pom, "-Ddest="+dir, "process-resources")
	})
	return filepath.Join(folder, "axe.min.js"), err
}
