package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// MetabaseCLI gives the path of Metabase's own command line client in the version
// that tools/metabase-cli pins, installed once. It needs Node and npm.
func MetabaseCLI(ctx context.Context, root string) (program string, err error) {
	in, unlock, err := newInstaller(ctx, root, note)
	if err != nil {
		return "", err
	}
	defer unlock()
	const module = "@metabase/cli"
	from := filepath.Join(root, "tools", "metabase-cli")
	version, err := pinnedNPM(filepath.Join(from, "package.json"), module)
	if err != nil {
		return "", err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("the Metabase CLI needs Node and npm: install Node 20 or newer")
	}
	installed, err := in.install("metabase-cli-"+version, func(to string) error {
		for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
			if err := copyFile(filepath.Join(to, name), filepath.Join(from, name), 0o644); err != nil {
				return fmt.Errorf("install the Metabase CLI: %w", err)
			}
		}
		in.say("Installing the Metabase CLI %s: some seconds, once", version)
		return in.run(ctx, "install the Metabase CLI", to, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(installed, "node_modules", ".bin", "mb"), nil
}

// pinnedNPM gives the version of a module that a package.json requires.
func pinnedNPM(packageJSON, module string) (string, error) {
	text, err := os.ReadFile(packageJSON)
	if err != nil {
		return "", fmt.Errorf("find the pinned version of %s: %w", module, err)
	}
	var manifest struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", fmt.Errorf("find the pinned version of %s: %s: %w", module, packageJSON, err)
	}
	version := manifest.Dependencies[module]
	if version == "" {
		return "", fmt.Errorf("find the pinned version of %s: %s does not require it", module, packageJSON)
	}
	return version, nil
}
