// Package temporalclient connects to Temporal as the standard TEMPORAL_*
// variables and configuration profiles say.
package temporalclient

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
)

const (
	// TaskQueue is the queue that workers poll and starters fill.
	TaskQueue = "covid-pipeline"
	// WaitQueue is the queue of the waits for followed sources to grow, which the same
	// workers poll.
	WaitQueue = TaskQueue + "-wait"
)

// dialTimeout is how long a starter or worker waits for the server before it
// says that there is none.
const dialTimeout = 10 * time.Second

// Dial connects to the server that the environment names (TEMPORAL_ADDRESS,
// TEMPORAL_NAMESPACE, TEMPORAL_TLS..., TEMPORAL_API_KEY, TEMPORAL_PROFILE), by
// default the one on 127.0.0.1:7233. It gives the namespace too.
func Dial(ctx context.Context, logger *slog.Logger) (c client.Client, namespace string, err error) {
	opts, err := options(logger)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err = client.DialContext(ctx, opts)
	if err != nil {
		return nil, "", fmt.Errorf("reach Temporal at %s (set TEMPORAL_ADDRESS, or start the stack with `make up`): %w", opts.HostPort, err)
	}
	return c, opts.Namespace, nil
}

// Lazy gives a client of the server that Dial connects to, without connecting:
// whether it answers shows at the first request, and an outage passes.
func Lazy(logger *slog.Logger) (c client.Client, address, namespace string, err error) {
	opts, err := options(logger)
	if err != nil {
		return nil, "", "", err
	}
	c, err = client.NewLazyClient(opts)
	if err != nil {
		return nil, "", "", fmt.Errorf("client of Temporal: %w", err)
	}
	return c, opts.HostPort, opts.Namespace, nil
}

func options(logger *slog.Logger) (client.Options, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return opts, fmt.Errorf("read the TEMPORAL_* settings: %w", err)
	}
	if opts.HostPort == "" {
		opts.HostPort = client.DefaultHostPort
	}
	if opts.Namespace == "" {
		opts.Namespace = client.DefaultNamespace
	}
	opts.Logger = log.NewStructuredLogger(logger)
	return opts, nil
}
