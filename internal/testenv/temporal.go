package testenv

import (
	"context"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TemporalDefault gives the address of that server and the namespace that it comes
// with, where schedules run at once: in a new one they may take minutes to begin.
// Tests that use it must not run side by side.
func TemporalDefault(t testing.TB) (address, namespace string) {
	t.Helper()
	return server(t, "TEST_TEMPORAL_ADDRESS"), client.DefaultNamespace
}

// Temporal gives the address of the Temporal server that all tests share, and a
// new namespace in which no other test runs. It can be used at once.
func Temporal(t testing.TB) (address, namespace string) {
	t.Helper()
	address = server(t, "TEST_TEMPORAL_ADDRESS")
	namespace = unique(t)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: address})
	if err != nil {
		t.Fatalf("reach the Temporal server of the tests at %s: %v", address, err)
	}
	defer c.Close()
	service := c.WorkflowService()
	_, err = service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        namespace,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		t.Fatalf("register namespace %s: %v", namespace, err)
	}
	return address, namespace
}
