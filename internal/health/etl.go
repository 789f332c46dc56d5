package health

import (
	"sort"

	"covidpipeline/internal/warehouse"
)

// combine joins Temporal's list of runs, which knows how each ended, with the run
// table, which knows the counts, and picks what matters. known tells that
// Temporal gave its list: a run that the table has as running and Temporal does
// not know is lost, for only a terminated run leaves its row behind.
func (e *ETL) combine(known bool, listed []Run, table []warehouse.Run) {
	runs := append([]Run(nil), listed...)
	at := map[string]int{}
	for i, r := range runs {
		at[r.WorkflowID] = i
	}
	for _, row := range table {
		i, ok := at[row.WorkflowID]
		if !ok {
			r := Run{WorkflowID: row.WorkflowID, State: string(row.State), StartedAt: row.StartedAt, EndedAt: row.FinishedAt}
			if known && row.State == warehouse.RunRunning {
				r.State = Lost
			}
			i = len(runs)
			runs = append(runs, r)
		}
		runs[i].join(row)
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].StartedAt.After(runs[j].StartedAt) })
	e.pick(runs)
}

// join adds what the run table knows of a run.
func (r *Run) join(row warehouse.Run) {
	r.Number = row.ID
	if row.State != warehouse.RunRunning {
		counts := row.Counts
		r.Counts = &counts
	}
	if row.Error != "" {
		r.Failure = row.Error
	}
	if row.State == warehouse.RunOvertaken && r.State == Completed {
		r.State = string(row.State)
	}
	// The table's row is of the first run of a chain of continuations.
	if row.StartedAt.Before(r.StartedAt) {
		r.StartedAt = row.StartedAt
	}
}

// pick takes the runs that matter from all of them, newest first.
func (e *ETL) pick(runs []Run) {
	for i := range runs {
		r := &runs[i]
		switch {
		case r.State == Running:
			if e.Running == nil {
				e.Running = r
			}
			continue
		case e.Last == nil:
			e.Last = r
		}
		if r.State == Completed {
			e.Completed = r
			return
		}
		if r.State == Failed || r.State == TimedOut {
			e.FailedSince++
		}
	}
}
