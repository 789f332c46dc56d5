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
	Shards        []ShardCursor // by shard number
}

// ShardCursor is how far one shard has been loaded in this generation.
type ShardCursor struct {
	Shard       int
	LastSeq     int64 // sequence number up to which everything is loaded; -1 = nothing
	HistoryUUID string
	PrimaryTerm int64
	Anchors     []Anchor // of the newest 16 windows of this generation that had one, newest first
}

// Anchor is the last document of a loaded window: where it stood then.
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
	err = tx.QueryRow(ctx, "SELECT raw_index, index_uuid, generation, rows, rejects FROM etl_state").
		Scan(&owner, &c.IndexUUID, &c.Generation, &c.Rows, &c.Rejects)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if owner != rawIndex {
		return c, false, fmt.Errorf("%w: it holds what was loaded from %s, not from %s: use another database, or set ELASTICSEARCH_INDEX", ErrOtherIndex, owner, rawIndex)
	}
	rows, err := tx.Query(ctx, "SELECT shard, last_seq, history_uuid, primary_term FROM etl_checkpoint ORDER BY shard")
	if err != nil {
		return c, false, err
	}
	c.Shards, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s ShardCursor, err error) {
		err = row.Scan(&s.Shard, &s.LastSeq, &s.HistoryUUID, &s.PrimaryTerm)
		return s, err
	})
	if err != nil {
		return c, false, err
	}
	for i := range c.Shards {
		if c.Shards[i].Anchors, err = readAnchors(ctx, tx, c.Generation, c.Shards[i].Shard); err != nil {
			return c, false, err
		}
	}
	return c, true, nil
}

func readAnchors(ctx context.Context, tx pgx.Tx, generation, shard int) ([]Anchor, error) {
	rows, err := tx.Query(ctx, `SELECT last_id, last_version, last_seq FROM etl_window
		WHERE generation = $1 AND shard = $2 AND last_id <> '' ORDER BY from_seq DESC LIMIT $3`, generation, shard, anchors)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Anchor, err error) {
		err = row.Scan(&a.ID, &a.Version, &a.SeqNo)
		return a, err
	})
}

// StartGeneration begins a rescan, all shards together: their checkpoints go to
// -1 under a new generation number, which it gives. Of each shard it reads
// Shard, HistoryUUID and PrimaryTerm. expected is the generation that the
// caller has seen, 0 when State found nothing; when it is no longer that one:
// ErrOvertaken. Repeated after a lost answer it gives the same generation,
// unless something has been loaded in it since.
func (db *DB) StartGeneration(ctx context.Context, rawIndex, indexUUID string, expected int, shards []ShardCursor) (generation int, err error) {
	generation = expected + 1
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO etl_state (raw_index, index_uuid, generation) VALUES ($1, $2, $3)
			ON CONFLICT (raw_index) DO UPDATE SET index_uuid = $2, generation = $3 WHERE etl_state.generation = $4`,
			rawIndex, indexUUID, generation, expected)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrOvertaken
		}
		if _, err := tx.Exec(ctx, "DELETE FROM etl_checkpoint"); err != nil {
			return err
		}
		for _, s := range shards {
			_, err := tx.Exec(ctx, "INSERT INTO etl_checkpoint (shard, generation, last_seq, history_uuid, primary_term) VALUES ($1, $2, -1, $3, $4)",
				s.Shard, generation, s.HistoryUUID, s.PrimaryTerm)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("begin a generation: %w", explain(err))
	}
	return generation, nil
}

// FollowHistory stores the primary terms that the shards have now, without a
// rescan. ErrOvertaken when the generation is no longer that one.
func (db *DB) FollowHistory(ctx context.Context, rawIndex string, generation int, shards []ShardCursor) error {
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		for _, s := range shards {
			tag, err := tx.Exec(ctx, "UPDATE etl_checkpoint SET primary_term = $3 WHERE shard = $1 AND generation = $2", s.Shard, generation, s.PrimaryTerm)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				return ErrOvertaken
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("follow the history of %s: %w", rawIndex, explain(err))
	}
	return nil
}

// SweepGeneration removes the rows and rejects of older generations, after the
// last window of this one, and counts what is there anew. When that has been
// done before it costs one small read. ErrOvertaken when the generation is no
// longer that one.
func (db *DB) SweepGeneration(ctx context.Context, rawIndex string, generation int) (rows, rejects int64, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var now, swept int
		err := tx.QueryRow(ctx, "SELECT generation, swept FROM etl_state WHERE raw_index = $1 FOR UPDATE", rawIndex).Scan(&now, &swept)
		if err != nil {
			return err
		}
		if now != generation {
			return ErrOvertaken
		}
		if swept == generation {
			return nil
		}
		gone, err := tx.Exec(ctx, "DELETE FROM covid_cases WHERE generation < $1", generation)
		if err != nil {
			return err
		}
		goneRejects, err := tx.Exec(ctx, "DELETE FROM covid_rejects WHERE generation < $1", generation)
		if err != nil {
			return err
		}
		rows, rejects = gone.RowsAffected(), goneRejects.RowsAffected()
		_, err = tx.Exec(ctx, `UPDATE etl_state SET swept = $2,
			rows = (SELECT count(*) FROM covid_cases), rejects = (SELECT count(*) FROM covid_rejects) WHERE raw_index = $1`, rawIndex, generation)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("remove the rows of older generations: %w", explain(err))
	}
	return rows, rejects, nil
}
