package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"covidpipeline/internal/temporalclient"
)

const (
	// checkTimeout is how long a check may take in all.
	checkTimeout = 8 * time.Second
	// polledWithin is how recent a worker's last poll must be. A poll without work
	// lasts a minute.
	polledWithin = 2 * time.Minute
)

// check tells whether a worker of this host polls for workflow tasks, as the server
// sees it. It is the health check of a container, which holds one worker.
func check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c, _, err := temporalclient.Dial(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer c.Close()
	queue, err := c.DescribeTaskQueue(ctx, temporalclient.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return fmt.Errorf("look at the task queue %s: %w", temporalclient.TaskQueue, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	for _, poller := range queue.GetPollers() {
		// The SDK names a worker process@host@queue.
		if strings.Contains(poller.GetIdentity(), "@"+host+"@") && time.Since(poller.GetLastAccessTime().AsTime()) < polledWithin {
			return nil
		}
	}
	return errors.New("no worker of this host has polled the task queue " + temporalclient.TaskQueue + " lately")
}
