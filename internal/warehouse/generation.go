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
	stamp               string
}

const selectState = "SELECT raw_index, index_uuid, generation, swept, stamp FROM etl_state"

func (s *state) scan(row pgx.Row) error {
	return row.Scan(&s.rawIndex, &s.indexUUID, &s.generation, &s.swept, &s.stamp)
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

// Beginning is what begins a generation.
type Beginning struct {
	RawIndex, IndexUUID string
	Expected            int           // generation that the caller has seen; 0 when State found none
	ExpectedStamp       string        // stamp that the caller has seen
	Stamp               string        // new, that the caller has written into the release registry
	Shards              []ShardCursor // of each: Shard, HistoryUUID and PrimaryTerm
}

// StartGeneration begins a rescan, all shards together: their checkpoints go to
// -1 under a new generation number, which it returns. It returns ErrOvertaken when
// the warehouse is no longer as the caller has seen it. Repeated after a lost answer
// it returns the same generation, unless something has been loaded in it since.
func (db *DB) StartGeneration(ctx context.Context, b Beginning) (generation int, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		return startGeneration(ctx, tx, b)
	})
	if err != nil {
		return 0, fmt.Errorf("begin a generation: %w", explain(err))
	}
	return b.Expected + 1, nil
}

func startGeneration(ctx context.Context, tx pgx.Tx, b Beginning) error {
	if _, err := tx.Exec(ctx, soleState); err != nil {
		return err
	}
	var now state
	err := now.scan(tx.QueryRow(ctx, selectState))
	none := errors.Is(err, pgx.ErrNoRows)
	switch {
	case none && b.Expected == 0:
		_, err = tx.Exec(ctx, "INSERT INTO etl_state (raw_index, index_uuid, generation, stamp) VALUES ($1, $2, 1, $3)",
			b.RawIndex, b.IndexUUID, b.Stamp)
	case none:
		return fmt.Errorf("the warehouse has been emptied: %w", ErrOvertaken)
	case err != nil:
		return err
	default:
		repeated, err := mayBegin(now, b)
		if err != nil {
			return err
		}
		if repeated {
			return begun(ctx, tx, b.Shards)
		}
		_, err = tx.Exec(ctx, `UPDATE etl_state SET index_uuid = $1, generation = $2, stamp = $3,
			summed = summed AND EXISTS (SELECT FROM covid_cases)`, b.IndexUUID, b.Expected+1, b.Stamp)
		if err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return resetCheckpoints(ctx, tx, b.Expected+1, b.Shards)
}

// begun returns ErrOvertaken unless the generation stands as this call would have
// left it: then an earlier attempt began it, and its answer was lost.
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

// PutStamp stores a stamp that the caller has written into the release registry, in
// the place of the one that it has seen. It returns ErrOvertaken when another run
// was faster.
func (db *DB) PutStamp(ctx context.Context, rawIndex string, generation int, seen, stamp string) error {
	tag, err := db.pool.Exec(ctx, "UPDATE etl_state SET stamp = $4 WHERE raw_index = $1 AND generation = $2 AND stamp = $3",
		rawIndex, generation, seen, stamp)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("another run stamped the warehouse: %w", ErrOvertaken)
	}
	if err != nil {
		return fmt.Errorf("stamp the warehouse: %w", explain(err))
	}
	return nil
}
