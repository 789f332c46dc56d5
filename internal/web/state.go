package web

import (
	"context"
	"fmt"
	"time"

	"covidpipeline/internal/warehouse"
)

// stateView is the pipeline's state in a few facts.
type stateView struct {
	Facts    []fact
	Note     string
	Problems []problemView // what needs a person
	Looked   string        // when the servers were looked at
}

type problemView struct{ Text, Do string }

// fact is one line of the state: Level is ok, warn or bad.
type fact struct {
	Name, Value, Detail, Level string
}

// lateAfter is when an hourly run is late: two were missed.
const lateAfter = 2*time.Hour + 10*time.Minute

// readState gives what the warehouse knows of the pipeline.
func readState(ctx context.Context, db *warehouse.DB, now time.Time) (stateView, error) {
	runs, err := db.RecentRuns(ctx, 20)
	if err != nil {
		return stateView{}, err
	}
	_, rows, err := db.Query(ctx, "SELECT rows, rejects, summed FROM etl_state")
	if err != nil {
		return stateView{}, err
	}
	if len(rows) == 0 {
		return stateView{Note: "Nothing has been loaded yet. `starter ingest --source FILE` and then `starter etl` fill the warehouse."}, nil
	}
	loaded, _ := rows[0][0].(int64)
	rejected, _ := rows[0][1].(int64)
	v := stateView{Facts: []fact{lastRun(runs, now), lastLoad(runs, now)}}
	if summed, _ := rows[0][2].(bool); !summed {
		v.Note = "The first load has not ended. The cards stay empty until a run of the ETL has got through it."
	}
	v.Facts = append(v.Facts, fact{Name: "In the warehouse", Value: grouped(loaded), Detail: "records", Level: "ok"})
	refused := fact{Name: "Rejected", Value: grouped(rejected), Detail: "with their reasons", Level: "ok"}
	if rejected > 0 {
		refused.Level = "warn"
	}
	v.Facts = append(v.Facts, refused)
	return v, nil
}

func lastRun(runs []warehouse.Run, now time.Time) fact {
	f := fact{Name: "Hourly job", Value: "never ran", Level: "warn"}
	if len(runs) == 0 {
		return f
	}
	r := runs[0]
	f.Value, f.Detail = string(r.State), "began "+ago(r.StartedAt, now)
	switch r.State {
	case warehouse.RunFailed:
		f.Level = "bad"
	case warehouse.RunCompleted, warehouse.RunRunning:
		f.Level = "ok"
	}
	return f
}

// lastLoad is how old the data can be: the pipeline has looked for new records
// at the begin of the newest run that completed.
func lastLoad(runs []warehouse.Run, now time.Time) fact {
	f := fact{Name: "Up to date as of", Value: "no run completed", Level: "bad"}
	for _, r := range runs {
		if r.State != warehouse.RunCompleted {
			continue
		}
		f.Value, f.Detail, f.Level = ago(r.StartedAt, now), r.StartedAt.UTC().Format("2006-01-02 15:04")+" UTC", "ok"
		if now.Sub(r.StartedAt) > lateAfter {
			f.Level = "warn"
		}
		break
	}
	return f
}

// ago says how long a moment is past.
func ago(then, now time.Time) string {
	d := now.Sub(then)
	switch {
	case d < time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
