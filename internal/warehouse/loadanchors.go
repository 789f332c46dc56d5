package warehouse

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
)

// storedAnchor is an anchor and the beginning of its window.
type storedAnchor struct {
	from int64
	Anchor
}

const selectAnchors = `SELECT from_seq, last_id, last_version, last_seq FROM etl_window
	WHERE generation = $1 AND shard = $2 AND last_id <> '' ORDER BY from_seq DESC LIMIT $3`

func scanAnchor(row pgx.CollectableRow) (a storedAnchor, err error) {
	err = row.Scan(&a.from, &a.ID, &a.Version, &a.SeqNo)
	return a, err
}

// dropAnchors drops the anchors whose documents this window loads, and those beyond
// the newest 16: they would be compared again once newer ones are dropped, but no
// load looks at them.
func (l *loading) dropAnchors(batch *pgx.Batch) {
	var before []Anchor
	for _, a := range l.anchors {
		before = append(before, a.Anchor)
	}
	after := anchorsAfter(before, l.in.Last, l.in.loads(before))
	var dropped []int64
	for _, a := range l.anchors {
		if !slices.Contains(after, a.Anchor) {
			dropped = append(dropped, a.from)
		}
	}
	if len(dropped) > 0 {
		oldest := l.anchors[len(l.anchors)-1].from // older ones are of versions that kept them all
		batch.Queue(`UPDATE etl_window SET last_id = '' WHERE generation = $1 AND shard = $2 AND last_id <> ''
			AND (from_seq = ANY($3) OR from_seq < $4)`, l.in.Generation, l.in.Shard, dropped, oldest)
	}
}

// loads returns a function that reports whether the window loads the document of
// one of these anchors.
func (in *LoadInput) loads(before []Anchor) func(Anchor) bool {
	found := make(map[covid.Key]bool, len(before))
	for _, a := range before {
		found[anchorKey(a)] = false
	}
	see := func(k covid.Key) {
		if _, asked := found[k]; asked {
			found[k] = true
		}
	}
	for i := range in.Rows {
		see(in.Rows[i].Key)
	}
	for i := range in.Rejects {
		see(in.Rejects[i].Key)
	}
	for _, k := range in.Retired {
		see(k)
	}
	return func(a Anchor) bool { return found[anchorKey(a)] }
}
