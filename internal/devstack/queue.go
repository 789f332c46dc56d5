package devstack

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"covidpipeline/internal/temporalclient"
)

// polled asks whether a worker has polled the pipeline's task queue since then.
func polled(ctx context.Context, env []setting, since time.Time) error {
	c, err := dialTemporal(ctx, value(env, "TEMPORAL_ADDRESS"))
	if err != nil {
		return err
	}
	defer c.Close()
	queue, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace:     Namespace,
		TaskQueue:     &taskqueuepb.TaskQueue{Name: temporalclient.TaskQueue},
		TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err != nil {
		return err
	}
	for _, poller := range queue.GetPollers() {
		if poller.GetLastAccessTime().AsTime().After(since) {
			return nil
		}
	}
	return errors.New("no worker polls the task queue " + temporalclient.TaskQueue)
}
