package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is well below the shortest heartbeat timeout (10 s), of which
// the SDK sends at most one heartbeat each 8 s.
const heartbeatEvery = 2 * time.Second

// keepAlive sends heartbeats with what details gives until stop is called, so
// that a killed worker is noticed and a cancellation arrives while the activity
// waits for a server.
func keepAlive(ctx context.Context, details func() any) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx, details())
			}
		}
	}()
	return func() { close(done) }
}

// silent is for activities whose heartbeat says no more than that they live.
func silent() any { return nil }
