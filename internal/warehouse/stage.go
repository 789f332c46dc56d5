package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The steps of a window that stage data.
const (
	StepExtract   = 1
	StepTransform = 2
)

// Stage is the data of one window between two steps: run, shard, from and step
// name it. A stage is written once.
type Stage struct {
	Run   int64
	Shard int
	From  int64 // the window is (From, To]
	Step  int
	To    int64
	Meta  []byte // JSON
	Body  []byte // compressed by the caller
}

// PutStage stores a stage unless one of that name is there, and gives what is
// stored, without its body: a late attempt can never swap it.
func (db *DB) PutStage(ctx context.Context, s Stage) (stored Stage, err error) {
	for {
		stored, err = db.putStage(ctx, s)
		// The one that was in the way went between the two statements.
		if !errors.Is(err, pgx.ErrNoRows) {
			break
		}
	}
	if err != nil {
		return Stage{}, fmt.Errorf("stage a window: %w", explain(err))
	}
	return stored, nil
}

func (db *DB) putStage(ctx context.Context, s Stage) (Stage, error) {
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO etl_stage (run, shard, from_seq, step, to_seq, meta, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (run, shard, from_seq, step) DO NOTHING`, s.Run, s.Shard, s.From, s.Step, s.To, s.Meta, s.Body)
	stored := Stage{Run: s.Run, Shard: s.Shard, From: s.From, Step: s.Step}
	batch.Queue("SELECT to_seq, meta FROM etl_stage WHERE run = $1 AND shard = $2 AND from_seq = $3 AND step = $4",
		s.Run, s.Shard, s.From, s.Step).QueryRow(func(row pgx.Row) error { return row.Scan(&stored.To, &stored.Meta) })
	err := db.pool.SendBatch(ctx, batch).Close()
	return stored, err
}

// GetStage gives a stage with its body; ErrStageMissing when it is not there.
func (db *DB) GetStage(ctx context.Context, run int64, shard int, from int64, step int) (Stage, error) {
	s := Stage{Run: run, Shard: shard, From: from, Step: step}
	err := db.pool.QueryRow(ctx, "SELECT to_seq, meta, body FROM etl_stage WHERE run = $1 AND shard = $2 AND from_seq = $3 AND step = $4",
		run, shard, from, step).Scan(&s.To, &s.Meta, &s.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return Stage{}, fmt.Errorf("run %d, shard %d behind %d: %w", run, shard, from, ErrStageMissing)
	}
	if err != nil {
		return Stage{}, fmt.Errorf("read a stage: %w", explain(err))
	}
	return s, nil
}

// SweepStages removes what dead runs left behind: stages of runs that are not
// running any more, and stages older than two hours. It gives their number.
func (db *DB) SweepStages(ctx context.Context) (int64, error) {
	tag, err := db.pool.Exec(ctx, `DELETE FROM etl_stage s WHERE staged_at < now() - interval '2 hours'
		OR NOT EXISTS (SELECT FROM etl_run r WHERE r.id = s.run AND r.state = 'running')`)
	if err != nil {
		return 0, fmt.Errorf("sweep the stages: %w", explain(err))
	}
	return tag.RowsAffected(), nil
}
