package devstack

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// browsers are the names of the programs that drive a page in the tests.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Browser gives the path of a Chromium for the browser tests. Where there is none
// it is installed from Debian's packages, which needs root; anybody else is told
// what to install.
func Browser(ctx context.Context, root string, say func(format string, args ...any)) (string, error) {
	if path := lookBrowser(); path != "" {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", errors.New("there is no Chromium, which the browser tests need: install the package chromium (Debian, Ubuntu: sudo apt-get install chromium fonts-dejavu-core)")
	}
	in, unlock, err := newInstaller(ctx, root, say)
	if err != nil {
		return "", err
	}
	defer unlock()
	if path := lookBrowser(); path != "" { // another program installed it meanwhile
		return path, nil
	}
	const what = "install Chromium for the browser tests from Debian's packages"
	say("%s, about a minute", what)
	if err := in.run(ctx, what, root, "apt-get", "update"); err != nil {
		return "", err
	}
	err = in.run(ctx, what, root, "env", "DEBIAN_FRONTEND=noninteractive",
		"apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core")
	if err != nil {
		return "", err
	}
	if path := lookBrowser(); path != "" {
		return path, nil
	}
	return "", errors.New(what + ": it was installed and is not on the PATH")
}

func lookBrowser() string {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
