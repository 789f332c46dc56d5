package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/source"
)

const (
	// followWait is how long one wait for new lines of a source lasts.
	followWait = 60 * time.Second
	// followLook is how often it looks at the source's size meanwhile.
	followLook = 200 * time.Millisecond
)

// Waits holds the activity that waits for a followed source. It runs on a task
// queue of its own: a wait holds no memory, and hundreds of them must not take
// the places of those who work.
type Waits struct {
	Sources source.Roots // what may be looked at
}

// AwaitInput names a source and what was seen of it.
type AwaitInput struct {
	Source   string `json:"source"`
	Size     int64  `json:"size"` // bytes
	Identity string `json:"identity"`
}

// Awaited reports how a wait ended.
type Awaited struct {
	Changed bool `json:"changed"` // the source is no longer as it was seen
}

// AwaitGrowth waits up to a minute until a source is no longer as it was seen. It
// returns at once when the worker stops. It writes nothing, so any number of
// attempts may run.
//
// An identity means something on one host. Where it differs already at the first
// look, another host has planned, or the source was replaced: a plan is asked for at
// the end of the wait, and not in a loop.
func (a *Waits) AwaitGrowth(ctx context.Context, in AwaitInput) (Awaited, error) {
	defer keepAlive(ctx, silent)()
	seen := source.Info{Size: in.Size, Identity: in.Identity}
	if info, err := a.Sources.Stat(in.Source); err == nil {
		seen.Identity = info.Identity
	}
	changed := awaitChange(ctx, a.Sources, in.Source, seen, time.Now().Add(followWait))
	return Awaited{Changed: changed || seen.Identity != in.Identity}, classify(ctx.Err())
}

// awaitChange waits until a source has another size than seen, another identity or,
// where seen has one, another modification time, and reports whether it has. It
// ends without a change at the deadline, when the worker stops and when the
// activity is cancelled.
func awaitChange(ctx context.Context, from source.Roots, uri string, seen source.Info, deadline time.Time) bool {
	tick := time.NewTicker(followLook)
	defer tick.Stop()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	stop := activity.GetWorkerStopChannel(ctx)
	for {
		info, err := from.Stat(uri)
		if err != nil || info.Size != seen.Size || info.Identity != seen.Identity ||
			!seen.ModTime.IsZero() && !info.ModTime.Equal(seen.ModTime) {
			return true // an error shows itself again, with its class, in the next look
		}
		select {
		case <-ctx.Done():
			return false
		case <-stop:
			return false
		case <-late.C:
			return false
		case <-tick.C:
		}
	}
}

// isOld reports whether nothing has written to a source for a.Quiet, by its
// modification time.
func (a *Ingest) isOld(uri string) (bool, error) {
	info, err := a.Sources.Stat(uri)
	return time.Since(info.ModTime) >= a.Quiet, err
}

// awaitRest waits until a source has rested for a.Quiet, or has changed; it is
// neither when the activity or the worker ends meanwhile. A modification time in the
// future, as of another clock, costs the wait and no more.
func (a *Ingest) awaitRest(ctx context.Context, uri string) (rested, changed bool, err error) {
	info, err := a.Sources.Stat(uri)
	if err != nil || time.Since(info.ModTime) >= a.Quiet {
		return err == nil, false, err
	}
	quiet := time.Now().Add(a.Quiet)
	changed = awaitChange(ctx, a.Sources, uri, info, quiet)
	return !changed && !time.Now().Before(quiet), changed, ctx.Err()
}
