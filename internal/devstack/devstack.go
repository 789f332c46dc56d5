// Package devstack installs and runs the servers that the pipeline needs, without
// containers: Elasticsearch and PostgreSQL fetched by Maven, the Temporal dev
// server built from its Go module. `make up` and `make demo` keep them in the
// background with their state in .dev/; the tests start their own, which end with
// the test process.
//
// Everything listens on 127.0.0.1 only. Elasticsearch and Temporal ask for no
// password, so a machine that others share is no place for the stack.
package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// module is the name in go.mod at the root of the repository.
const module = "covidpipeline"

// FindRoot gives the root folder of the repository that the working folder lies in.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+module+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the repository: no go.mod of module %s in this folder or above", module)
		}
		dir = parent
	}
}
