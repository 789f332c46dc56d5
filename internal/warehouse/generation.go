package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Loads and generations keep out of each other's way by a lock on the table
// etl_state: a load takes sharedState, so loads run side by side; to begin or to
// sweep a generation takes soleState, which waits for the loads under way and
// holds up new ones. Without it they would deadlock: a load locks its rows first
// and the totals last, a sweep the other way round.
const (
	sharedState = "LOCK TABLE etl_state IN ROW EXCLUSIVE MODE"
	soleState   = "LOCK TABLE etl_state IN SHARE ROW EXCLUSIVE MODE"
)

// state is the row of etl_state.
type state struct {
	rawIndex, indexUUID string
	generation, swept   int
}

const selectState = "SELECT raw_index, index_uuid, generation, swept FROM etl_state"

func (s *state) scan(row pgx.Row) error {
	return row.Scan(&s.rawIndex, &s.indexUUID, &s.generation, &s.swept)
}

// belongs checks that the warehouse is one of the raw index and that nobody has
// begun another generation.
func (s *state) belongs(rawIndex string, generation int) error {
	if s.rawIndex != rawIndex {
		return otherIndex(s.rawIndex, rawIndex)
	}
	if s.generation != generation {
		return fmt.Errorf("generation %d has begun, this is %d: %w", s.generation, generation, ErrOvertaken)
	}
	return nil
}

// StartGeneration begins a rescan, all shards together: their checkpoints go to
// -1 under a new generation number, which it gives. Of each shard it reads
// Shard, HistoryUUID and PrimaryTerm. expected is the generation that the
// caller has seen, 0 when State found nothing; when it is no longer that one:
// ErrOvertaken. Repeated after a lost answer it gives the same generation,
// unless something has been loaded in it since.
func (db *DB) StartGeneration(ctx context.Context, rawIndex, indexUUID string, expected int, shards []ShardCursor) (generation int, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		return startGeneration(ctx, tx, rawIndex, indexUUID, expected, shards)
	})
	if err != nil {
		return 0, fmt.Errorf("begin a generation: %w", explain(err))
	}
	return expected + 1, nil
}

func startGeneration(ctx context.Context, tx pgx.Tx, rawIndex, indexUUID string, expected int, shards []ShardCursor) error {
	if _, err := tx.Exec(ctx, soleState); err != nil {
		return err
	}
	var now state
	err := now.scan(tx.QueryRow(ctx, selectState))
	none := errors.Is(err, pgx.ErrNoRows)
	switch {
	case none && expected == 0:
		_, err = tx.Exec(ctx, "INSERT INTO etl_state (raw_index, index_uuid, generation) VALUES ($1, $2, 1)", rawIndex, indexUUID)
	case none:
		return fmt.Errorf("the warehouse has been emptied: %w", ErrOvertaken)
	case err != nil:
		return err
	case now.rawIndex == rawIndex && now.generation == expected+1 && now.indexUUID == indexUUID:
		return begun(ctx, tx, shards)
	default:
		if err := now.belongs(rawIndex, expected); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE etl_state SET index_uuid = $1, generation = $2,
			summed = summed AND EXISTS (SELECT FROM covid_cases)`, indexUUID, expected+1)
	}
	if err != nil {
		return err
	}
	return resetCheckpoints(ctx, tx, expected+1, shards)
}

// begun tells whether the generation stands as this call would have left it:
// then an earlier attempt began it, and its answer was lost.
func begun(ctx context.Context, tx pgx.Tx, shards []ShardCursor) error {
	stored, err := readCheckpoints(ctx, tx)
	if err != nil {
		return err
	}
	same := len(stored) == len(shards)
	for i := 0; same && i < len(stored); i++ {
		s := stored[i]
		same = s.LastSeq == -1 && s.Shard == shards[i].Shard && s.HistoryUUID == shards[i].HistoryUUID
	}
	if !same {
		return fmt.Errorf("another run has begun the next generation: %w", ErrOvertaken)
	}
	return nil
}

func resetCheckpoints(ctx context.Context, tx pgx.Tx, generation int, shards []ShardCursor) error {
	batch := &pgx.Batch{}
	batch.Queue("DELETE FROM etl_checkpoint")
	for _, s := range shards {
		batch.Queue("INSERT INTO etl_checkpoint (shard, generation, last_seq, history_uuid, primary_term) VALUES ($1, $2, -1, $3, $4)",
			s.Shard, generation, s.HistoryUUID, s.PrimaryTerm)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// FollowHistory stores the primary terms that the shards have now, without a
// rescan; a term never goes back. ErrOvertaken when the generation is no longer
// that one.
func (db *DB) FollowHistory(ctx context.Context, rawIndex string, generation int, shards []ShardCursor) error {
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var now state
		batch := &pgx.Batch{}
		batch.Queue(sharedState)
		batch.Queue(selectState).QueryRow(now.scan)
		for _, s := range shards {
			batch.Queue("UPDATE etl_checkpoint SET primary_term = greatest(primary_term, $3) WHERE shard = $1 AND generation = $2",
				s.Shard, generation, s.PrimaryTerm)
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return noneIsOvertaken(err)
		}
		return now.belongs(rawIndex, generation)
	})
	if err != nil {
		return fmt.Errorf("follow the history of %s: %w", rawIndex, explain(err))
	}
	return nil
}

// noneIsOvertaken: a caller that has a generation but finds no state has been
// overtaken by somebody who emptied the warehouse.
func noneIsOvertaken(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("the warehouse has been emptied: %w", ErrOvertaken)
	}
	return err
}

// SweepGeneration removes the rows and rejects of older generations, after the
// last window of this one, and counts what is there anew. When that has been
// done before it costs one small read. ErrOvertaken when the generation is no
// longer that one.
func (db *DB) SweepGeneration(ctx context.Context, rawIndex string, generation int) (rows, rejects int64, err error) {
	var now state
	err = now.scan(db.pool.QueryRow(ctx, selectState))
	if err == nil {
		err = now.belongs(rawIndex, generation)
	}
	if err == nil && now.swept < generation {
		err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
			rows, rejects, err = sweep(ctx, tx, rawIndex, generation)
			return err
		})
	}
	if err != nil {
		return 0, 0, fmt.Errorf("remove the rows of older generations: %w", explain(noneIsOvertaken(err)))
	}
	return rows, rejects, nil
}

func sweep(ctx context.Context, tx pgx.Tx, rawIndex string, generation int) (rows, rejects int64, err error) {
	if _, err := tx.Exec(ctx, soleState); err != nil {
		return 0, 0, err
	}
	var now state
	if err := now.scan(tx.QueryRow(ctx, selectState)); err != nil {
		return 0, 0, err
	}
	if err := now.belongs(rawIndex, generation); err != nil {
		return 0, 0, err
	}
	gone, err := tx.Exec(ctx, "DELETE FROM covid_cases WHERE generation < $1", generation)
	if err != nil {
		return 0, 0, err
	}
	goneRejects, err := tx.Exec(ctx, "DELETE FROM covid_rejects WHERE generation < $1", generation)
	if err != nil {
		return 0, 0, err
	}
	_, err = tx.Exec(ctx, `UPDATE etl_state SET swept = $1,
		rows = (SELECT count(*) FROM covid_cases), rejects = (SELECT count(*) FROM covid_rejects)`, generation)
	return gone.RowsAffected(), goneRejects.RowsAffected(), err
}
