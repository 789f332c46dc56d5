package devstack

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// goTool is a program that a nested module in tools/ pins.
type goTool struct {
	folder string // in tools/
	module string // that holds the package
	pkg    string
	what   string // as people know it
	takes  string // how long a build takes with empty caches
}

const (
	temporalModule = "github.com/temporalio/cli"
	tctlModule     = "github.com/temporalio/tctl"
	linterModule   = "github.com/golangci/golangci-lint/v2"
)

var (
	temporalTool = goTool{
		folder: "temporal", module: temporalModule, pkg: temporalModule + "/cmd/temporal",
		what: "the Temporal CLI and dev server", takes: "2 to 4 minutes",
	}
	tctlTool = goTool{
		folder: "tctl", module: tctlModule, pkg: tctlModule + "/cmd/tctl",
		what: "tctl", takes: "2 to 3 minutes",
	}
	linterTool = goTool{
		folder: "lint", module: linterModule, pkg: linterModule + "/cmd/golangci-lint",
		what: "golangci-lint", takes: "1 to 3 minutes",
	}
)

// temporal gives the Temporal CLI of the pinned version: the one on the PATH if
// it is that version, else one built once.
func (in installer) temporal(ctx context.Context) (string, error) {
	version, err := in.pinned(temporalTool)
	if err != nil {
		return "", err
	}
	if program, err := exec.LookPath("temporal"); err == nil && isTemporal(ctx, program, version) {
		return program, nil
	}
	return in.buildTool(ctx, temporalTool)
}

// buildTool gives the path of a program, and builds it if it was not built yet.
func (in installer) buildTool(ctx context.Context, tool goTool) (string, error) {
	version, err := in.pinned(tool)
	if err != nil {
		return "", err
	}
	program := path.Base(tool.pkg)
	built, err := in.install(program+"-"+version, func(to string) error {
		in.say("Building %s %s: %s, once", tool.what, version, tool.takes)
		dir := filepath.Join(in.root, "tools", tool.folder)
		return in.run(ctx, "build "+tool.what, dir, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(to, program), tool.pkg)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(built, program), nil
}

// pinned gives the version of a tool that its nested module requires.
func (in installer) pinned(tool goTool) (string, error) {
	goMod := filepath.Join(in.root, "tools", tool.folder, "go.mod")
	text, err := os.ReadFile(goMod)
	if err != nil {
		return "", fmt.Errorf("find the pinned version of %s: %w", tool.what, err)
	}
	line := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(tool.module) + ` (v\S+)`)
	match := line.FindSubmatch(text)
	if match == nil {
		return "", fmt.Errorf("find the pinned version of %s: %s does not require %s", tool.what, goMod, tool.module)
	}
	return string(match[1]), nil
}

// isTemporal tells whether a program is the Temporal CLI of a version such as
// v1.5.1. Released programs print it; those built from the module carry it in
// their build information only.
func isTemporal(ctx context.Context, program, version string) bool {
	if info, err := buildinfo.ReadFile(program); err == nil && info.Main.Path == temporalModule && info.Main.Version == version {
		return true
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	return err == nil && bytes.HasPrefix(out, []byte("temporal version "+strings.TrimPrefix(version, "v")+" "))
}
