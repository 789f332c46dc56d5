package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
)

// Reject is a sound record whose values the transform refused.
type Reject struct {
	Key          covid.Key
	Source       string
	Release, Row int64
	Date         string // REPORT_DATE as it stood
	Reason       string
	Document     []byte // the raw document's _source
}

// LoadInput is one window, ready to load. A key occurs in it once.
type LoadInput struct {
	RawIndex   string
	Run        int64
	Generation int
	Shard      int
	From, To   int64 // the window is (From, To]
	Rows       []covid.Row
	Rejects    []Reject
	Retired    []covid.Key
	Last       Anchor // the window's last document; zero when it has none
}

// LoadCounts says what became of a window's documents:
// Extracted = Inserted + Updated + Unchanged + MovedToRejects + Rejected + Retired.
type LoadCounts struct {
	Extracted      int64 `json:"extracted"`
	Inserted       int64 `json:"inserted"`
	Updated        int64 `json:"updated"`   // values differed
	Unchanged      int64 `json:"unchanged"` // same values
	MovedToRejects int64 `json:"movedToRejects"`
	Rejected       int64 `json:"rejected"` // without a row to move
	Retired        int64 `json:"retired"`
}

// Add adds the counts of another window.
func (c *LoadCounts) Add(o LoadCounts) {
	c.Extracted += o.Extracted
	c.Inserted += o.Inserted
	c.Updated += o.Updated
	c.Unchanged += o.Unchanged
	c.MovedToRejects += o.MovedToRejects
	c.Rejected += o.Rejected
	c.Retired += o.Retired
}

// Load writes a window and moves its shard's checkpoint from From to To, in one
// transaction. A window that is already loaded gives its stored counts;
// ErrOvertaken when the checkpoint is elsewhere.
func (db *DB) Load(ctx context.Context, in LoadInput) (counts LoadCounts, err error) {
	order, err := in.keyOrder()
	if err == nil {
		err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
			l := loading{tx: tx, in: in, order: order}
			counts, err = l.load(ctx)
			return err
		})
	}
	if err != nil {
		return LoadCounts{}, fmt.Errorf("load shard %d (%d, %d]: %w", in.Shard, in.From, in.To, explain(err))
	}
	return counts, nil
}

// Loaded looks a window up in the ledger: the counts of an attempt that had
// committed it but whose answer was lost. Of in it reads Generation, Shard, From
// and To.
func (db *DB) Loaded(ctx context.Context, in LoadInput) (counts LoadCounts, loaded bool, err error) {
	counts, loaded, err = inLedger(ctx, db.pool, in)
	if err != nil {
		return LoadCounts{}, false, fmt.Errorf("look a window up: %w", explain(err))
	}
	return counts, loaded, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func inLedger(ctx context.Context, q querier, in LoadInput) (counts LoadCounts, loaded bool, err error) {
	err = q.QueryRow(ctx, "SELECT counts FROM etl_window WHERE generation = $1 AND shard = $2 AND from_seq = $3 AND to_seq = $4",
		in.Generation, in.Shard, in.From, in.To).Scan(&counts)
	if errors.Is(err, pgx.ErrNoRows) {
		return counts, false, nil
	}
	return counts, err == nil, err
}

// loading is one load's transaction.
type loading struct {
	tx            pgx.Tx
	in            LoadInput
	order         []int32 // of in.Rows, by key
	counts        LoadCounts
	rescan        bool  // rows of older generations may be in the tables
	rows, rejects int64 // more or fewer in the tables
	anchors       []storedAnchor
}

func (l *loading) load(ctx context.Context) (LoadCounts, error) {
	may, err := l.lockCheckpoint(ctx)
	if err != nil {
		return LoadCounts{}, err
	}
	if !may {
		counts, loaded, err := inLedger(ctx, l.tx, l.in)
		if err == nil && !loaded {
			err = fmt.Errorf("the checkpoint is not there: %w", ErrOvertaken)
		}
		return counts, err
	}
	for _, step := range []func(context.Context) error{l.copyRows, l.planByIndex, l.mergeRows, l.loadRejects, l.retire, l.record} {
		if err := step(ctx); err != nil {
			return LoadCounts{}, err
		}
	}
	return l.counts, nil
}

// lockCheckpoint locks the shard's checkpoint and reports whether the window may
// move it. A late attempt or another run that loads the same window waits here, and
// then finds it moved.
func (l *loading) lockCheckpoint(ctx context.Context) (may bool, err error) {
	var now state
	var at place
	batch := &pgx.Batch{}
	batch.Queue(sharedState)
	batch.Queue(selectState).QueryRow(now.scan)
	batch.Queue("SELECT generation, last_seq FROM etl_checkpoint WHERE shard = $1 FOR UPDATE", l.in.Shard).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&at.generation, &at.lastSeq); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	batch.Queue(selectAnchors, l.in.Generation, l.in.Shard, anchors+1).Query(func(rows pgx.Rows) error {
		l.anchors, err = pgx.CollectRows(rows, scanAnchor)
		return err
	})
	if err := l.tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, noneIsOvertaken(err)
	}
	if now.rawIndex != l.in.RawIndex {
		return false, otherIndex(now.rawIndex, l.in.RawIndex)
	}
	l.rescan = l.in.Generation > 1 && now.swept < l.in.Generation
	return mayLoad(at, l.in.Generation, l.in.From), nil
}

// record moves the checkpoint, writes the window into the ledger, drops its stages
// and the anchors that it replaces, and keeps the totals. Every shard's load changes
// the one row of totals: it does so last.
func (l *loading) record(ctx context.Context) error {
	l.counts.Extracted = int64(len(l.in.Rows) + len(l.in.Rejects) + len(l.in.Retired))
	c := l.counts
	if c.Extracted != c.Inserted+c.Updated+c.Unchanged+c.MovedToRejects+c.Rejected+c.Retired || c.Unchanged < 0 || c.Rejected < 0 {
		return fmt.Errorf("the window's counts do not add up: %+v", c)
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE etl_checkpoint SET last_seq = $2 WHERE shard = $1", l.in.Shard, l.in.To)
	l.dropAnchors(batch)
	batch.Queue(`INSERT INTO etl_window (generation, shard, from_seq, to_seq, run, counts, last_id, last_version, last_seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		l.in.Generation, l.in.Shard, l.in.From, l.in.To, l.in.Run, c, l.in.Last.ID, l.in.Last.Version, l.in.Last.SeqNo)
	batch.Queue("DELETE FROM etl_stage WHERE run = $1 AND shard = $2 AND from_seq = $3", l.in.Run, l.in.Shard, l.in.From)
	batch.Queue("UPDATE etl_state SET rows = rows + $1, rejects = rejects + $2", l.rows, l.rejects)
	return l.tx.SendBatch(ctx, batch).Close()
}
