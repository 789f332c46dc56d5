package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
	"covidpipeline/internal/warehouse"
)

// Reconcile holds what the activities of ReconcileWorkflow need.
type Reconcile struct {
	Search    *search.Client
	Warehouse *warehouse.DB
	Rules     covid.Rules
	TempDir   string // for the comparison's files; empty is the system's
}

// SnapshotInput asks where the pipeline stands.
type SnapshotInput struct {
	Index  string `json:"index"`
	Source string `json:"source"` // empty: every source of the registry
}

// Snapshot is where the pipeline stands. Two that are equal have nothing
// between them.
type Snapshot struct {
	IndexUUID string          `json:"indexUUID"`
	Shards    []ShardPlan     `json:"shards"`   // From: loaded up to, UpTo: the index goes up to
	Releases  []SourceRelease `json:"releases"` // the newest of each source compared
	// Unswept: a rescan is not at its end, the warehouse still holds what it did
	// not see.
	Unswept bool `json:"unswept"`
	// NotLoaded is how many sequence numbers the ETL has not reached.
	NotLoaded int64 `json:"notLoaded"`
}

// SourceRelease is the newest release of a source, as far as it has been
// indexed.
type SourceRelease struct {
	Release
	Completed  bool             `json:"completed"`
	Following  bool             `json:"following"` // still being read, and so far proved up to Checkpoint
	Checkpoint csvfile.Position `json:"checkpoint"`
	Read       int64            `json:"read"`   // bytes that have been planned
	Digest     string           `json:"digest"` // SHA-256 of these bytes, in hex
	// SetAside is the newest release when that was held or rejected before anything of
	// it was written; 0 when it was not.
	SetAside int64 `json:"setAside,omitempty"`
}

// length returns how many bytes of the source the release is of. Of one that has no more
// than a header nothing is planned, and its checkpoint is behind the header.
func (r SourceRelease) length() int64 { return max(r.Read, r.Checkpoint.Offset) }

// Snapshot reads where the pipeline stands.
func (a *Reconcile) Snapshot(ctx context.Context, in SnapshotInput) (Snapshot, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.snapshot(ctx, in)
	return out, classify(err)
}

func (a *Reconcile) snapshot(ctx context.Context, in SnapshotInput) (Snapshot, error) {
	state, err := a.Search.IndexState(ctx, in.Index)
	if err != nil {
		return Snapshot{}, err
	}
	cursor, found, err := a.Warehouse.State(ctx, in.Index)
	if err != nil {
		return Snapshot{}, err
	}
	out := Snapshot{IndexUUID: state.UUID, Unswept: found && !cursor.Swept}
	for i, s := range state.Shards {
		plan := ShardPlan{Shard: s.Shard, From: -1, UpTo: s.GlobalCheckpoint}
		if cursor.IndexUUID == state.UUID && i < len(cursor.Shards) {
			plan.From = cursor.Shards[i].LastSeq
		}
		out.Shards = append(out.Shards, plan)
		out.NotLoaded += max(plan.UpTo-plan.From, plan.From-plan.UpTo)
	}
	out.Releases, err = a.newestReleases(ctx, in)
	return out, err
}

func (a *Reconcile) newestReleases(ctx context.Context, in SnapshotInput) ([]SourceRelease, error) {
	all, err := a.Search.All(ctx, in.Index)
	if err != nil {
		return nil, err
	}
	newest := map[string]search.Release{}
	setAside := map[string]int64{}
	var order []string
	for _, r := range all { // in the order of their numbers
		if in.Source != "" && r.Source != in.Source {
			continue
		}
		if r.SetAside() {
			setAside[r.Source] = r.Number
			continue
		}
		delete(setAside, r.Source)
		if seen, ok := newest[r.Source]; !ok || r.Number > seen.Number {
			if !ok {
				order = append(order, r.Source)
			}
			newest[r.Source] = r
		}
	}
	if len(order) == 0 && len(setAside) == 0 {
		return nil, fmt.Errorf("%w: no ingest of %s is known in the registry of %s: run `starter ingest` first", errProof, sourceName(in.Source), in.Index)
	}
	var out []SourceRelease
	for _, uri := range order {
		r := newest[uri]
		out = append(out, SourceRelease{
			Release: releaseOf(in.Index, r), Completed: r.State == search.StateCompleted,
			Following:  r.State == search.StateRunning && r.Follow,
			Checkpoint: csvfile.Position(r.Checkpoint), Read: r.Read.Length, Digest: r.Read.Digest,
			SetAside: setAside[uri],
		})
	}
	return out, nil
}

func sourceName(uri string) string {
	if uri == "" {
		return "any source"
	}
	return uri
}

// CompareInput names what is compared.
type CompareInput struct {
	Index    string   `json:"index"`
	Snapshot Snapshot `json:"snapshot"`
}

// Compared is the outcome of a comparison. It holds when the report is balanced
// and there are no problems.
type Compared struct {
	Report proof.Report `json:"report"`
	// Problems are faults that no single record shows.
	Problems []string `json:"problems,omitempty"`
	// Notes name the sources that were left out.
	Notes []string `json:"notes,omitempty"`
}

// CompareProgress is the heartbeat of Compare.
type CompareProgress struct {
	Source    int64 `json:"source"`    // records read
	Raw       int64 `json:"raw"`       // documents read
	Warehouse int64 `json:"warehouse"` // rows and rejects read
	Parts     int64 `json:"parts"`     // compared
}

// comparing is one comparison under way.
type comparing struct {
	*Reconcile
	in    CompareInput
	books *proof.Books

	totals                      proof.Totals
	problems                    []string // of the source
	rows, rejects               int64    // of the warehouse
	sourceRead, rawRead, dbRead atomic.Int64
	parts                       atomic.Int64
}

// Compare reads the sources, the raw index and the warehouse and compares them
// record by record, in flat memory.
func (a *Reconcile) Compare(ctx context.Context, in CompareInput) (Compared, error) {
	c := comparing{Reconcile: a, in: in}
	defer keepAlive(ctx, func() any {
		return CompareProgress{Source: c.sourceRead.Load(), Raw: c.rawRead.Load(), Warehouse: c.dbRead.Load(), Parts: c.parts.Load()}
	})()
	out, err := c.compare(ctx)
	return out, classify(err)
}

func (c *comparing) compare(ctx context.Context) (out Compared, err error) {
	if c.books, err = proof.New(c.TempDir); err != nil {
		return Compared{}, fmt.Errorf("%w: %w", errProof, err)
	}
	notes, err := c.leaveOut(ctx)
	if err != nil {
		return Compared{}, errors.Join(err, c.books.Close())
	}
	defer func() {
		if closeErr := c.books.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("%w: %w", errProof, closeErr)
		}
	}()
	sides, sidesCtx := errgroup.WithContext(ctx)
	sides.Go(func() error { return c.readSources(sidesCtx) })
	sides.Go(func() error { return c.readRaw(sidesCtx) })
	sides.Go(func() error { return c.readWarehouse(sidesCtx) })
	if err := sides.Wait(); err != nil {
		return Compared{}, err
	}
	report, err := c.books.Compare(ctx, c.totals, func(done, _ int) { c.parts.Store(int64(done)) })
	if err != nil {
		return Compared{}, fmt.Errorf("%w: %w", errProof, err)
	}
	out = Compared{Report: *report, Problems: c.problems, Notes: notes}
	cursor, _, err := c.Warehouse.State(ctx, c.in.Index)
	if err != nil {
		return Compared{}, err
	}
	if cursor.Rows != c.rows || cursor.Rejects != c.rejects {
		out.Problems = append(out.Problems, fmt.Sprintf("the warehouse counts %d rows and %d rejects, its tables hold %d and %d: somebody else wrote to them",
			cursor.Rows, cursor.Rejects, c.rows, c.rejects))
	}
	return out, nil
}

// readRaw adds every raw document.
func (c *comparing) readRaw(ctx context.Context) error {
	origins := make(map[string]SourceRelease, len(c.in.Snapshot.Releases))
	for _, r := range c.in.Snapshot.Releases {
		origins[r.Source] = r
	}
	if err := c.Search.Refresh(ctx, c.in.Index); err != nil {
		return err
	}
	page, err := c.Search.PageDocs(ctx, c.in.Index)
	if err != nil {
		return err
	}
	for _, s := range c.in.Snapshot.Shards {
		for from := int64(-1); from < s.UpTo; {
			w, err := c.Search.ReadWindow(ctx, c.in.Index, search.WindowQuery{Shard: s.Shard, From: from, UpTo: s.UpTo, Max: windowDocs, Page: page})
			if err != nil {
				return err
			}
			err = search.ParseWindow(w.Body, func(d *covid.Document, _ []byte, _ int64) error {
				e := proof.OfDocument(d, c.Rules)
				e.Origin = origin(d, origins)
				return c.books.AddRaw(&e)
			})
			if err != nil {
				return err
			}
			c.rawRead.Add(int64(w.Docs))
			from = w.To
		}
	}
	return nil
}

// origin tells what a document is to the sources compared.
func origin(d *covid.Document, newest map[string]SourceRelease) proof.Origin {
	r, compared := newest[d.Source]
	switch {
	case !compared || d.Release > r.Number:
		return proof.Other
	case d.Release == r.Number && d.Row > r.Checkpoint.Row:
		return proof.Other
	case d.Release == r.Number:
		return proof.Current
	case r.Completed:
		return proof.Older
	}
	return proof.OlderUnfinished
}

// readWarehouse adds every row and every reject.
func (c *comparing) readWarehouse(ctx context.Context) error {
	err := c.Warehouse.ScanRows(ctx, func(r *covid.Row) error {
		e := proof.OfRow(r)
		c.rows++
		c.dbRead.Add(1)
		return c.books.AddWarehouse(&e)
	})
	if err != nil {
		return err
	}
	return c.Warehouse.ScanRejects(ctx, func(r *warehouse.Reject) error {
		d, err := search.ParseDocument(r.Document)
		if err != nil {
			return err
		}
		d.Key = r.Key
		d.Version = covid.NewVersion(r.Release, r.Row)
		e := proof.OfDocument(&d, c.Rules)
		e.Rejected = true
		c.rejects++
		c.dbRead.Add(1)
		return c.books.AddWarehouse(&e)
	})
}

// readSources adds every record of the sources compared, as far as they are
// indexed.
func (c *comparing) readSources(ctx context.Context) error {
	for _, r := range c.in.Snapshot.Releases {
		if err := c.readSource(ctx, r); err != nil {
			return err
		}
		info, err := source.Stat(r.Source)
		if err != nil {
			return err
		}
		if !r.Completed && !r.Following {
			c.problems = append(c.problems, fmt.Sprintf("release %d of %s is not complete: only its first %d rows are indexed; run `starter ingest --source %s`",
				r.Number, r.Source, r.Checkpoint.Row, r.Source))
		}
		if read := r.length(); r.Completed && info.Size > read {
			c.problems = append(c.problems, fmt.Sprintf("%s has %d bytes that no ingest has read: run `starter ingest --source %s`", r.Source, info.Size-read, r.Source))
		}
	}
	return nil
}
