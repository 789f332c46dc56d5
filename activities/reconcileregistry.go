package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
)

// registry is the release registry as a proof reads it: all sources, also those
// that are not compared.
type registry struct {
	sources  []string // in the order of their first releases; the numbers begin at 1
	numbers  map[string]uint32
	releases map[int64]registeredRelease
	newest   []SourceRelease // of each source, in the order of sources
	digest   string          // of every release
}

// registeredRelease is what a document may say of its release.
type registeredRelease struct {
	source uint32
	rows   int64 // no row is behind this one
}

// SourceRelease is the newest release of a source, as far as it has been indexed.
type SourceRelease struct {
	Release
	State      string
	Follow     bool
	Checkpoint csvfile.Position // up to here it is indexed
	Read       csvfile.Position // up to here it has been planned
	Digest     string           // SHA-256 of the bytes before Read, in hex
	// SetAside is the newest release when that was held or rejected before anything of
	// it was written; 0 when it was not. Number is 0 when no other release is known.
	SetAside int64
}

// length returns how many bytes of the source the release is of. Of one that has no more
// than a header nothing is planned, and its checkpoint is behind the header.
func (r *SourceRelease) length() int64 { return max(r.Read.Offset, r.Checkpoint.Offset) }

// completed reports whether the whole of the source was indexed when its ingest ended.
func (r *SourceRelease) completed() bool { return r.State == search.StateCompleted }

func (a *Reconcile) readRegistry(ctx context.Context, index string) (*registry, error) {
	all, err := a.Search.All(ctx, index)
	if err != nil {
		return nil, err
	}
	g := &registry{numbers: map[string]uint32{}, releases: make(map[int64]registeredRelease, len(all))}
	whole := sha256.New()
	for _, r := range all {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("digest of release %d: %w", r.Number, err)
		}
		whole.Write(append(text, '\n'))
		g.add(index, r)
	}
	g.digest = digest(whole)
	return g, nil
}

// add adds a release; releases come in the order of their numbers.
func (g *registry) add(index string, r search.Release) {
	newest := SourceRelease{
		Release: releaseOf(index, r), State: r.State, Follow: r.Follow, Checkpoint: csvfile.Position(r.Checkpoint),
		Read: csvfile.Position{Offset: r.Read.Length, Row: r.Read.Rows}, Digest: r.Read.Digest,
	}
	source, known := g.numbers[r.Source]
	if !known {
		g.sources, g.newest = append(g.sources, r.Source), append(g.newest, SourceRelease{Release: Release{Source: r.Source}})
		source = uint32(len(g.sources))
		g.numbers[r.Source] = source
	}
	if r.SetAside() {
		g.newest[source-1].SetAside = r.Number
		g.releases[r.Number] = registeredRelease{source: source}
		return
	}
	g.newest[source-1] = newest
	rows := r.Checkpoint.Row
	if r.State != search.StateCompleted {
		rows = max(rows, r.Read.Rows)
	}
	g.releases[r.Number] = registeredRelease{source, rows}
}

// compared returns the newest releases of the sources to compare: one, or all when
// none is named.
func (g *registry) compared(index, source string) ([]SourceRelease, error) {
	var known []SourceRelease
	switch n := g.numbers[source]; {
	case source == "":
		known = g.newest
	case n > 0:
		known = g.newest[n-1 : n]
	}
	if len(known) > 0 {
		// Of a source of which every release is held or rejected nothing is indexed.
		return slices.DeleteFunc(slices.Clone(known), func(r SourceRelease) bool { return r.Number == 0 }), nil
	}
	return nil, fmt.Errorf("%w: no ingest of %s is known in the registry of %s: run `starter ingest` first", errProof, sourceName(source), index)
}

func sourceName(uri string) string {
	if uri == "" {
		return "any source"
	}
	return uri
}

// has reports whether a release is one of the source and had read the row; row 0
// is the release's retirement of a key.
func (g *registry) has(source uint32, release, row int64) bool {
	r, ok := g.releases[release]
	return ok && r.source == source && row >= 0 && row <= r.rows
}

// removeIt is the advice for a document that no ingest wrote.
const removeIt = "remove it (docs/proof.md, Documents that do not belong)"

// fault says why the registry cannot have led to a document, or returns "".
func (g *registry) fault(d *covid.Document, source uint32) (kind proof.Kind, detail string) {
	if source == 0 {
		return proof.UnknownSource, fmt.Sprintf("its source %s is not in the registry: %s", d.Source, removeIt)
	}
	if kind, detail = g.placeFault("release", d.Release, d.Row, source); kind == "" && d.Retired {
		kind, detail = g.placeFault("retiring release", d.RetiredBy, 0, source)
	}
	return kind, detail
}

func (g *registry) placeFault(what string, release, row int64, source uint32) (kind proof.Kind, detail string) {
	r, known := g.releases[release]
	switch {
	case !known:
		return proof.UnknownRelease, fmt.Sprintf("its %s %d is not in the registry: %s", what, release, removeIt)
	case r.source != source:
		return proof.UnknownRelease, fmt.Sprintf("its %s %d is one of %s, not of its source %s: %s",
			what, release, g.sources[r.source-1], g.sources[source-1], removeIt)
	case row > r.rows:
		return proof.BeyondRelease, fmt.Sprintf("its row %d is behind the %d rows of release %d: %s", row, r.rows, release, removeIt)
	}
	return "", ""
}

// numberer finds the numbers of sources; whole windows have the same.
type numberer struct {
	registry *registry
	name     string
	number   uint32
}

func (n *numberer) of(name string) uint32 {
	if name != n.name {
		n.number = n.registry.numbers[name]
		n.name = strings.Clone(name) // it may be a part of a whole answer
	}
	return n.number
}

// origins says what documents and rows are to the sources compared.
type origins []*SourceRelease // by the number of the source; nil when it is not compared

func newOrigins(g *registry, compared []SourceRelease) origins {
	o := make(origins, len(g.sources)+1)
	for i := range compared {
		o[g.numbers[compared[i].Source]] = &compared[i]
	}
	return o
}

// of says what a document is to the sources compared.
func (o origins) of(source uint32, release, row int64) proof.Origin {
	switch r := o[source]; {
	case r == nil || release > r.Number:
		return proof.Other
	case release == r.Number && row > r.Checkpoint.Row:
		return proof.Other
	case release == r.Number:
		return proof.Current
	case r.completed():
		return proof.Older
	}
	return proof.OlderUnfinished
}

// idCheck recomputes the keys of documents. It is for one goroutine.
type idCheck struct {
	keyer  covid.Keyer
	fields covid.Fields
	buf    []byte
}

// key returns the key that a document's values make.
func (c *idCheck) key(d *covid.Document) covid.Key {
	c.buf = c.buf[:0]
	for _, v := range d.Values {
		c.buf = append(c.buf, v...)
	}
	begin := 0
	for i, v := range d.Values {
		c.fields[i] = c.buf[begin : begin+len(v)]
		begin += len(v)
	}
	return c.keyer.Key(&c.fields)
}
