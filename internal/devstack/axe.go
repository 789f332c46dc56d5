package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
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
		return in.fetch(ctx, "axe-core", pom, dir, "-Ddest="+dir)
	})
	return filepath.Join(folder, "axe.min.js"), err
}
