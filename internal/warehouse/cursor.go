package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// IndexCursor is how far the warehouse has read its raw index.
type IndexCursor struct {
	IndexUUID     string
	Generation    int
	Rows, Rejects int64         // in covid_cases and covid_rejects
	Swept         bool          // what older generations left is gone
	Stamp         string        // the newest that a run wrote into the release registry and here; "" = none
	Shards        []ShardCursor // by shard number
}

// ShardCursor is how far one shard has been loaded in this generation.
type ShardCursor struct {
	Shard       int
	LastSeq     int64 // sequence number up to which everything is loaded; -1 = nothing
	HistoryUUID string
	PrimaryTerm int64
	Anchors     []Anchor // of the newest windows of this generation, at most 16, newest first
}

// Anchor is the last document of a loaded window: where it stood then. A later
// window that loads the document drops the anchor.
type Anchor struct {
	ID             string
	Version, SeqNo int64
}

// anchors is how many windows' last documents the cursor gives of a shard.
const anchors = 16

// State gives the cursor; found is false when nothing has been loaded yet.
// ErrOtherIndex when the warehouse belongs to another raw index.
func (db *DB) State(ctx context.Context, rawIndex string) (cursor IndexCursor, found bool, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		cursor, found, err = readState(ctx, tx, rawIndex)
		return err
	})
	if err != nil {
		return IndexCursor{}, false, fmt.Errorf("read the cursor: %w", explain(err))
	}
	return cursor, found, nil
}

func readState(ctx context.Context, tx pgx.Tx, rawIndex string) (c IndexCursor, found bool, err error) {
	var owner string
	err = tx.QueryRow(ctx, "SELECT raw_index, index_uuid, generation, rows, rejects, swept = generation, stamp FROM etl_state").
		Scan(&owner, &c.IndexUUID, &c.Generation, &c.Rows, &c.Rejects, &c.Swept, &c.Stamp)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if owner != rawIndex {
		return c, false, otherIndex(owner, rawIndex)
	}
	if c.Shards, err = readCheckpoints(ctx, tx); err != nil {
		return c, false, err
	}
	for i := range c.Shards {
		if c.Shards[i].Anchors, err = readAnchors(ctx, tx, c.Generation, c.Shards[i].Shard); err != nil {
			return c, false, err
		}
	}
	return c, true, nil
}

func readCheckpoints(ctx context.Context, tx pgx.Tx) ([]ShardCursor, error) {
	rows, err := tx.Query(ctx, "SELECT shard, last_seq, history_uuid, primary_term FROM etl_checkpoint ORDER BY shard")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s ShardCursor, err error) {
		err = row.Scan(&s.Shard, &s.LastSeq, &s.HistoryUUID, &s.PrimaryTerm)
		return s, err
	})
}

func readAnchors(ctx context.Context, tx pgx.Tx, generation, shard int) ([]Anchor, error) {
	rows, err := tx.Query(ctx, selectAnchors, generation, shard, anchors)
	if err != nil {
		return nil, err
	}
	stored, err := pgx.CollectRows(rows, scanAnchor)
	var found []Anchor
	for _, s := range stored {
		found = append(found, s.Anchor)
	}
	return found, err
}

func otherIndex(owner, rawIndex string) error {
	return fmt.Errorf("%w: it holds what was loaded from %s, not from %s: use another database, or set ELASTICSEARCH_INDEX", ErrOtherIndex, owner, rawIndex)
}
