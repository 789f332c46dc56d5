package testenv

import (
	"context"
	"testing"

	"covidpipeline/internal/devstack"
)

// MetabaseCLI gives the path of Metabase's own command line client, which it
// installs if it is not there.
func MetabaseCLI(t testing.TB) string {
	t.Helper()
	root, err := devstack.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*timeout)
	defer cancel()
	program, err := devstack.MetabaseCLI(ctx, root)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
