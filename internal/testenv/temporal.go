package testenv

import (
	"context"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"covidpipeline/internal/temporalclient"
)

// TemporalDefault gives the address of the Temporal server and the namespace that it comes
// with, where schedules run at once: in a new one they may take minutes to begin.
// Tests that use it must not run side by side.
func TemporalDefault(t testing.TB) (address, namespace string) {
	t.Helper()
	return server(t, "TEST_TEMPORAL_ADDRESS"), client.DefaultNamespace
}

// TemporalUI gives the address of the Web UI of that server.
func TemporalUI(t testing.TB) string {
	t.Helper()
	return server(t, "TEST_TEMPORAL_UI")
}

// Temporal gives the address of the Temporal server that all tests share, and a
// new namespace in which no other test runs. It can be used at once.
func Temporal(t testing.TB) (address, namespace string) {
	t.Helper()
	address, namespace = TemporalBare(t)
	with(t, address, func(ctx context.Context, c client.Client) error {
		_, err := temporalclient.EnsureAttributes(ctx, c, namespace)
		return err
	})
	return address, namespace
}

// TemporalBare gives a new namespace without the pipeline's search attributes.
func TemporalBare(t testing.TB) (address, namespace string) {
	t.Helper()
	address, namespace = server(t, "TEST_TEMPORAL_ADDRESS"), unique(t)
	with(t, address, func(ctx context.Context, c client.Client) error {
		_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace:                        namespace,
			WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
		return err
	})
	return address, namespace
}

// with does something to the Temporal server, or fails the test.
func with(t testing.TB, address string, do func(context.Context, client.Client) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: address})
	if err != nil {
		t.Fatalf("reach the Temporal server of the tests at %s: %v", address, err)
	}
	defer c.Close()
	if err := do(ctx, c); err != nil {
		t.Fatalf("prepare the Temporal server of the tests: %v", err)
	}
}
