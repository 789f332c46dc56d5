package activities

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
	"covidpipeline/internal/warehouse"
)

// Reconcile holds what the activities of ReconcileWorkflow need.
type Reconcile struct {
	Search    *search.Client
	Sources   source.Roots // what may be read
	Warehouse *warehouse.DB
	Rules     covid.Rules
	TempDir   string // for the comparison's files; empty is the system's
	// Running reports whether the ingest of a source into an index runs.
	Running func(ctx context.Context, index, source string) (bool, error)
}

// SnapshotInput asks where the pipeline stands.
type SnapshotInput struct {
	Index  string `json:"index"`
	Source string `json:"source"` // empty: every source of the registry
}

// Snapshot is where the pipeline stands. Two that are equal have nothing
// between them.
type Snapshot struct {
	IndexUUID string      `json:"indexUUID"`
	Shards    []ShardPlan `json:"shards"` // From: loaded up to, UpTo: the index goes up to
	// Registry is the digest of every release in the registry. A snapshot of before
	// there was one has none, and equals no other.
	Registry     string `json:"registry,omitempty"`
	ReleaseCount int    `json:"releaseCount,omitempty"` // in the registry
	SourceCount  int    `json:"sourceCount,omitempty"`  // to be compared
	// Unswept: a rescan is not at its end, the warehouse still holds what it did
	// not see.
	Unswept bool `json:"unswept"`
	// NotLoaded is how many sequence numbers the ETL has not reached.
	NotLoaded int64 `json:"notLoaded"`
}

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
	registry, err := a.readRegistry(ctx, in.Index)
	if err != nil {
		return Snapshot{}, err
	}
	compared, err := registry.compared(in.Index, in.Source)
	out.Registry, out.ReleaseCount, out.SourceCount = registry.digest, len(registry.releases), len(compared)
	return out, err
}

// CompareInput names what is compared.
type CompareInput struct {
	Index    string   `json:"index"`
	Source   string   `json:"source,omitempty"` // empty: every source of the registry
	Snapshot Snapshot `json:"snapshot"`
}

// Compared is the outcome of a comparison. It holds when the report is balanced
// and there are no problems.
type Compared struct {
	Report proof.Report `json:"report"`
	// Problems are faults that no single record shows, up to 20 of them.
	Problems []string `json:"problems,omitempty"`
	// Sources are the sources compared, up to 20 of them; SourceCount counts all.
	Sources     []ComparedSource `json:"sources,omitempty"`
	SourceCount int              `json:"sourceCount,omitempty"`
	// Moved: the pipeline is no longer where the snapshot saw it, nothing was compared.
	Moved bool `json:"moved,omitempty"`
	// Notes name the sources that were left out.
	Notes []string `json:"notes,omitempty"`
}

// ComparedSource is a source as far as it was compared.
type ComparedSource struct {
	Source  string `json:"source"`
	Release int64  `json:"release"`
	Rows    int64  `json:"rows"` // indexed of the release
}

// maxNamed is how many problems and sources a result names: each holds paths, and
// a result must stay far below the 2 MB of a workflow's payload.
const maxNamed = 20

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
	in       CompareInput
	registry *registry
	compared []SourceRelease
	origins  origins
	books    *proof.Books

	totals                      proof.Totals
	problems                    problems // of the sources
	rows, rejects               int64    // of the warehouse
	unsummed                    bool     // the sums of the dashboards are not made yet
	sourceRead, rawRead, dbRead atomic.Int64
	parts                       atomic.Int64
}

// problems are the first sentences about faults that no single record shows.
type problems struct {
	first []string
	more  int
}

func (p *problems) addf(format string, args ...any) {
	if len(p.first) == maxNamed {
		p.more++
		return
	}
	p.first = append(p.first, fmt.Sprintf(format, args...))
}

// named returns the first problems and says how many there are besides.
func (p *problems) named() []string {
	if p.more == 0 {
		return p.first
	}
	return append(p.first[:maxNamed:maxNamed], fmt.Sprintf("and %d more problems: mend these, then run `starter reconcile` again", p.more))
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
	if c.registry, err = c.readRegistry(ctx, c.in.Index); err != nil {
		return Compared{}, err
	}
	if c.registry.digest != c.in.Snapshot.Registry {
		return Compared{Moved: true}, nil
	}
	if c.compared, err = c.registry.compared(c.in.Index, c.in.Source); err != nil {
		return Compared{}, err
	}
	notes, err := c.leaveOut(ctx)
	if err != nil {
		return Compared{}, err
	}
	c.origins, c.totals.Sources = newOrigins(c.registry, c.compared), c.registry.sources
	if c.books, err = proof.New(c.TempDir); err != nil {
		return Compared{}, fmt.Errorf("%w: %w", errProof, err)
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
	sides.Go(func() error { return c.checkSums(sidesCtx) })
	if err := sides.Wait(); err != nil {
		return Compared{}, err
	}
	out, err = c.conclude(ctx)
	out.Notes = notes
	return out, err
}

// conclude compares what was read.
func (c *comparing) conclude(ctx context.Context) (Compared, error) {
	if c.unsummed {
		return Compared{Moved: true}, nil
	}
	report, err := c.books.Compare(ctx, c.totals, func(done, _ int) { c.parts.Store(int64(done)) })
	if err != nil {
		return Compared{}, fmt.Errorf("%w: %w", errProof, err)
	}
	cursor, _, err := c.Warehouse.State(ctx, c.in.Index)
	if err != nil {
		return Compared{}, err
	}
	if cursor.Rows != c.rows || cursor.Rejects != c.rejects {
		c.problems.addf("the warehouse counts %d rows and %d rejects, its tables hold %d and %d: they were changed past the pipeline; read everything again (docs/operations.md, Rescan by hand)",
			cursor.Rows, cursor.Rejects, c.rows, c.rejects)
	}
	out := Compared{Report: *report, Problems: c.problems.named(), SourceCount: len(c.compared)}
	for _, r := range c.compared[:min(len(c.compared), maxNamed)] {
		out.Sources = append(out.Sources, ComparedSource{Source: r.Source, Release: r.Number, Rows: r.Checkpoint.Row})
	}
	return out, nil
}

// readRaw adds every raw document.
func (c *comparing) readRaw(ctx context.Context) error {
	if err := c.Search.Refresh(ctx, c.in.Index); err != nil {
		return err
	}
	page, err := c.Search.PageDocs(ctx, c.in.Index)
	if err != nil {
		return err
	}
	sources, ids := numberer{registry: c.registry}, idCheck{}
	for _, s := range c.in.Snapshot.Shards {
		for from := int64(-1); from < s.UpTo; {
			w, err := c.Search.ReadWindow(ctx, c.in.Index, search.WindowQuery{Shard: s.Shard, From: from, UpTo: s.UpTo, Max: windowDocs, Page: page})
			if err != nil {
				return err
			}
			err = search.ParseWindow(w.Body, func(d *covid.Document, raw []byte, _ int64) error {
				return c.addRaw(d, raw, &sources, &ids)
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

// addRaw adds a raw document, and what is wrong with it by itself.
func (c *comparing) addRaw(d *covid.Document, raw []byte, sources *numberer, ids *idCheck) error {
	source := sources.of(d.Source)
	if d.Problem != "" {
		e := proof.OfForeign(d, raw)
		e.Source = source
		c.books.AddFault(proof.Foreign, &e, fmt.Sprintf("%s; %s", d.Problem, removeIt))
		return c.books.AddRaw(&e)
	}
	e := proof.OfDocument(d, c.Rules)
	e.Source, e.Origin = source, c.origins.of(source, d.Release, d.Row)
	if kind, detail := c.registry.fault(d, source); kind != "" {
		c.books.AddFault(kind, &e, detail)
	}
	if key := ids.key(d); key != d.Key {
		c.books.AddFault(proof.WrongID, &e, fmt.Sprintf("its values make the id %s: %s", key.ID(), removeIt))
	}
	return c.books.AddRaw(&e)
}

// readWarehouse adds every row and every reject.
func (c *comparing) readWarehouse(ctx context.Context) error {
	sources := numberer{registry: c.registry}
	err := c.Warehouse.ScanRows(ctx, func(r *covid.Row) error {
		e := proof.OfRow(r)
		c.rows++
		return c.addWarehouse(&e, sources.of(r.Source), r.Release, r.Row)
	})
	if err != nil {
		return err
	}
	return c.Warehouse.ScanRejects(ctx, func(r *warehouse.Reject) error {
		// A reject of a foreign document may keep any text.
		d, err := search.ParseDocument(r.Document)
		d.Key, d.Release, d.Row = r.Key, r.Release, r.Row
		d.Version = covid.NewVersion(r.Release, r.Row)
		var e proof.Entry
		if err != nil || strings.HasPrefix(r.Reason, ReasonForeign) {
			e = proof.OfForeign(&d, r.Document)
		} else {
			e = proof.OfDocument(&d, c.Rules)
			e.Rejected = true
		}
		c.rejects++
		return c.addWarehouse(&e, sources.of(r.Source), r.Release, r.Row)
	})
}

func (c *comparing) addWarehouse(e *proof.Entry, source uint32, release, row int64) error {
	e.Source, e.Registered = source, source > 0 && row > 0 && c.registry.has(source, release, row)
	if c.origins.of(source, release, row) == proof.Current {
		e.Origin = proof.Current
	}
	c.dbRead.Add(1)
	return c.books.AddWarehouse(e)
}

// checkSums adds the sums of the dashboards that are not those of the rows.
func (c *comparing) checkSums(ctx context.Context) error {
	made, err := c.Warehouse.CheckSums(ctx, func(w *warehouse.WrongSum) {
		c.books.AddWrongSum(w.Date, w.String()+": run `SELECT covid_sum()` in the warehouse")
	})
	c.unsummed = !made
	return err
}
