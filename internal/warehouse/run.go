package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// RunState is where an ETL run stands.
type RunState string

// The states of a run.
const (
	RunRunning   RunState = "running"
	RunCompleted RunState = "completed"
	RunFailed    RunState = "failed"
	RunOvertaken RunState = "overtaken"
	RunCancelled RunState = "cancelled"
)

// RunCounts is what a run planned and did.
type RunCounts struct {
	Windows int64      `json:"windows"` // windows loaded
	Planned int64      `json:"planned"` // documents planned
	Swept   int64      `json:"swept"`   // rows and rejects of older generations removed
	Loaded  LoadCounts `json:"loaded"`  // sums over the windows
}

// Run is one row of the run table.
type Run struct {
	ID                int64
	WorkflowID, RunID string
	State             RunState
	StartedAt         time.Time
	FinishedAt        *time.Time
	Counts            RunCounts
	Error             string
}

// BeginRun registers a run and gives its number. Repeated with the same
// workflow and run id it gives the same number.
func (db *DB) BeginRun(ctx context.Context, workflowID, runID string) (int64, error) {
	var id int64
	err := db.pool.QueryRow(ctx, `INSERT INTO etl_run (workflow_id, run_id) VALUES ($1, $2)
		ON CONFLICT (workflow_id, run_id) DO UPDATE SET run_id = $2 RETURNING id`, workflowID, runID).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("begin a run: %w", explain(err))
	}
	return id, nil
}

// FinishRun stores how a run ended. The first end stands: repeating is harmless.
func (db *DB) FinishRun(ctx context.Context, run int64, state RunState, counts RunCounts, errText string) error {
	_, err := db.pool.Exec(ctx, `UPDATE etl_run SET state = $2, counts = $3, error = $4, finished_at = now()
		WHERE id = $1 AND state = 'running'`, run, state, counts, errText)
	if err != nil {
		return fmt.Errorf("finish run %d: %w", run, explain(err))
	}
	return nil
}

// RecentRuns gives the newest n runs, newest first.
func (db *DB) RecentRuns(ctx context.Context, n int) ([]Run, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, workflow_id, run_id, state, started_at, finished_at, counts, error
		FROM etl_run ORDER BY id DESC LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("read the runs: %w", explain(err))
	}
	runs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Run, err error) {
		err = row.Scan(&r.ID, &r.WorkflowID, &r.RunID, &r.State, &r.StartedAt, &r.FinishedAt, &r.Counts, &r.Error)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the runs: %w", explain(err))
	}
	return runs, nil
}
