package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"covidpipeline/internal/search"
	"covidpipeline/internal/warehouse"
	"covidpipeline/workflows"
)

// Servers is where to ask. None of the clients needs to be connected: see
// warehouse.New and temporalclient.Lazy.
type Servers struct {
	Index     string // the raw index
	Search    *search.Client
	Warehouse *warehouse.DB
	Temporal  client.Client
	Address   string // of Temporal, for messages
	Namespace string
	TaskQueue string
}

// The time limits of the parts. Gather takes at most longest.
const (
	// askWithin bounds a first question to a server.
	askWithin = 2500 * time.Millisecond
	// thenWithin bounds what is asked when that was answered.
	thenWithin = 2 * time.Second
	// sureWithin bounds the second look at what seems to have stopped.
	sureWithin = 500 * time.Millisecond
)

// topReasons is how many reasons are shown.
const topReasons = 3

// Gather asks every server side by side and gives what could be found within 5 s,
// whether the servers answer or not.
func Gather(ctx context.Context, in Servers) Status {
	s := Status{CheckedAt: time.Now().UTC(), Index: in.Index}
	g := &gatherer{Servers: in, s: &s}
	together(func() { g.temporal(ctx) }, func() {
		together(func() { g.elasticsearch(ctx) }, func() { g.postgresql(ctx) })
		g.lag(ctx)
	})
	s.ETL.combine(g.known, g.etlRuns, g.table)
	if s.ETL.Completed != nil && s.Lag.Loaded && !s.Lag.Rescan {
		s.Lag.Since = &s.ETL.Completed.StartedAt
	}
	g.nameIngests()
	g.findStopped(ctx)
	s.fill()
	return s
}

// fill makes missing lists empty ones: in JSON they are [] then, not null.
func (s *Status) fill() {
	s.Temporal.Missing = list(s.Temporal.Missing)
	s.Elasticsearch.Nodes = list(s.Elasticsearch.Nodes)
	s.Elasticsearch.Blocks = list(s.Elasticsearch.Blocks)
	s.Workers.Workflow, s.Workers.Activity = list(s.Workers.Workflow), list(s.Workers.Activity)
	s.Ingests.Runs, s.Releases.Newest = list(s.Ingests.Runs), list(s.Releases.Newest)
	s.Quarantine.Reasons, s.Rejects.Reasons = list(s.Quarantine.Reasons), list(s.Rejects.Reasons)
}

func list[T any](found []T) []T {
	if found == nil {
		return []T{}
	}
	return found
}

// gatherer holds what one part found and another needs. Each field, like each
// part of s, is written by one part alone.
type gatherer struct {
	Servers
	s *Status

	state    search.IndexState
	stateErr error

	cursor    warehouse.IndexCursor
	found     bool // there is a cursor
	cursorErr error
	table     []warehouse.Run

	known   bool  // Temporal gave its list
	etlRuns []Run // as Temporal lists them
}

// together runs parts side by side and waits for all.
func together(parts ...func()) {
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(part)
	}
	wg.Wait()
}

// say gives an error's text. One that is only a passed limit says who was silent,
// and one of the network leaves out what libraries put around it.
func say(err error, who string) string {
	var network *net.OpError
	var late *serviceerror.DeadlineExceeded
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &late):
		return who + noAnswer
	case errors.As(err, &network):
		return who + ": " + network.Error()
	}
	return err.Error()
}

// noAnswer ends the text of a part that was asked in vain for too short a time.
const noAnswer = " gave no answer in time"

// notAsked is said of what a server that cannot be asked would know: the reason
// stands once, with the server.
func notAsked(server string, errs ...*string) {
	for _, e := range errs {
		*e = server + " could not be asked"
	}
}

func (g *gatherer) elasticsearch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	s, index := g.s, g.Index
	var nodesErr, healthErr, blocksErr, releasesErr, quarantineErr error
	var releases []search.Release
	together(
		func() { s.Elasticsearch.Nodes, nodesErr = g.Search.Nodes(ctx) },
		func() { s.Elasticsearch.Indices, healthErr = g.Search.Health(ctx, index) },
		func() { s.Elasticsearch.Blocks, blocksErr = g.Search.Blocks(ctx, index) },
		func() { releases, releasesErr = g.Search.Sources(ctx, index) },
		func() {
			var top []search.ReasonCount
			s.Quarantine.Count, top, quarantineErr = g.Search.QuarantineReasons(ctx, index, topReasons)
			for _, r := range top {
				s.Quarantine.Reasons = append(s.Quarantine.Reasons, Reason(r))
			}
		},
		func() { g.state, g.stateErr = g.Search.IndexState(ctx, index) },
	)
	text := func(err error) string {
		if search.KindOf(err) == search.IndexGone { // which of them exist is known
			return ""
		}
		return say(err, g.Search.Address())
	}
	s.Elasticsearch.Error = text(nodesErr)
	s.Elasticsearch.IndicesError = text(errors.Join(healthErr, blocksErr))
	s.Releases.Error, s.Quarantine.Error = text(releasesErr), text(quarantineErr)
	if search.KindOf(nodesErr) == search.Unavailable {
		notAsked("Elasticsearch", &s.Elasticsearch.IndicesError, &s.Releases.Error, &s.Quarantine.Error)
	}
	for _, r := range releases {
		s.Releases.Newest = append(s.Releases.Newest, Release{
			Source: r.Source, Number: r.Number, State: r.State, Rows: r.Checkpoint.Row, Registered: r.Registered,
			FinishedAt: r.FinishedAt, WorkflowID: workflows.IngestID(index, r.Source), Held: r.Held,
		})
	}
}

// recentRuns is how many runs are looked at: a day's and those started by hand.
const recentRuns = 50

func (g *gatherer) postgresql(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	s := g.s
	who := g.Warehouse.Address()
	var serverErr, runsErr, rejectsErr, repeatsErr error
	together(
		func() { s.PostgreSQL.Server, serverErr = g.Warehouse.Server(ctx) },
		func() { g.table, runsErr = g.Warehouse.RecentRuns(ctx, recentRuns) },
		func() { g.cursor, g.found, g.cursorErr = g.Warehouse.State(ctx, g.Index) },
		func() { s.Repeats.Repeats, repeatsErr = g.Warehouse.Repeats(ctx) },
		func() {
			var top []warehouse.ReasonCount
			s.Rejects.Count, top, rejectsErr = g.Warehouse.RejectReasons(ctx, topReasons)
			for _, r := range top {
				s.Rejects.Reasons = append(s.Rejects.Reasons, Reason(r))
			}
		},
	)
	s.PostgreSQL.Error = say(serverErr, who)
	s.ETL.TableError, s.Rejects.Error, s.Repeats.Error = say(runsErr, who), say(rejectsErr, who), say(repeatsErr, who)
	if serverErr != nil {
		notAsked("PostgreSQL", &s.ETL.TableError, &s.Rejects.Error, &s.Repeats.Error)
	}
}

// lag compares the cursor with the index.
func (g *gatherer) lag(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, thenWithin)
	defer cancel()
	lag := &g.s.Lag
	lag.Loaded = g.found
	switch {
	case g.s.PostgreSQL.Error != "":
		notAsked("PostgreSQL", &lag.Error)
		return
	case search.KindOf(g.stateErr) == search.Unavailable && g.s.Elasticsearch.Error != "":
		notAsked("Elasticsearch", &lag.Error)
		return
	case g.cursorErr != nil:
		lag.Error = say(g.cursorErr, "PostgreSQL")
		return
	case search.KindOf(g.stateErr) == search.IndexGone:
		return
	case g.stateErr != nil:
		lag.Error = say(g.stateErr, "Elasticsearch")
		return
	}
	lag.Rescan = g.found && !fits(g.cursor, g.state)
	for i, shard := range g.state.Shards {
		last := int64(-1)
		if g.found && !lag.Rescan {
			last = g.cursor.Shards[i].LastSeq
		}
		if shard.GlobalCheckpoint <= last {
			continue
		}
		n, err := g.Search.CountAbove(ctx, g.Index, shard.Shard, last)
		if err != nil {
			lag.Error = say(err, "Elasticsearch")
			return
		}
		lag.Numbers += shard.GlobalCheckpoint - last
		lag.Documents += n
	}
}

// fits tells whether the cursor was read from this index. An older copy with the
// same history is found by the ETL alone, which also looks up documents.
func fits(c warehouse.IndexCursor, s search.IndexState) bool {
	if c.IndexUUID != s.UUID || len(c.Shards) != len(s.Shards) {
		return false
	}
	for i, shard := range s.Shards {
		if c.Shards[i].HistoryUUID != shard.HistoryUUID || c.Shards[i].LastSeq > shard.GlobalCheckpoint {
			return false
		}
	}
	return true
}

// nameIngests gives the ingests that no worker answered for the name of their
// source, which only the registry knows then.
func (g *gatherer) nameIngests() {
	for i := range g.s.Ingests.Runs {
		run := &g.s.Ingests.Runs[i]
		if r := g.s.Releases.of(run.WorkflowID); r != nil {
			run.Source = r.Source
		}
	}
}

// findStopped looks for releases that are running and that no ingest works on.
// The list of ingests is some moments old and an ingest may have ended between
// two answers, so each is looked at again: first its workflow, then its release.
func (g *gatherer) findStopped(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sureWithin)
	defer cancel()
	if g.s.Ingests.Error != "" {
		return
	}
	for i := range g.s.Releases.Newest {
		r := &g.s.Releases.Newest[i]
		if r.State != search.StateRunning || g.runs(ctx, r.WorkflowID) {
			continue
		}
		now, err := g.Search.Get(ctx, g.Index, r.Number)
		r.Stopped = err == nil && now.State == search.StateRunning
	}
}

// of gives the newest release of an ingest's source, or nil.
func (r Releases) of(workflowID string) *Release {
	for i := range r.Newest {
		if r.Newest[i].WorkflowID == workflowID {
			return &r.Newest[i]
		}
	}
	return nil
}

// percentOf gives part of whole in percent, 0 when the whole is not known.
func percentOf(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// plural gives "1 row" or "2 rows".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
