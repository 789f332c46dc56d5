package web

import (
	"context"
	"fmt"
	"slices"
	"time"

	"covidpipeline/dashboards"
	"covidpipeline/internal/warehouse"
)

// stateView is the pipeline's state: a verdict, what needs a person, and a few
// facts.
type stateView struct {
	Verdict  fact
	Problems []problemView
	Notices  []string // worth knowing
	Paused   bool     // nothing starts the hourly job
	Note     string
	Facts    []fact
}

type problemView struct{ Text, Do string }

// The levels of a fact. One without a level is neither good nor bad.
const (
	good    = "ok"
	warning = "warn"
	bad     = "bad"
)

// fact is one line of the state. Link is where its detail leads to, if anywhere.
type fact struct {
	Name, Value, Detail, Level, Link string
}

// lateAfter is when an hourly run is late: two were missed.
const lateAfter = 2*time.Hour + 10*time.Minute

// readState gives what the warehouse knows of the pipeline.
func readState(ctx context.Context, db *warehouse.DB, now time.Time) (stateView, error) {
	runs, err := db.RecentRuns(ctx, 20)
	if err != nil {
		return stateView{}, err
	}
	_, rows, err := db.Query(ctx, `SELECT rows, rejects, summed, (SELECT max(date) FROM covid_daily),
		(SELECT coalesce(sum(days), 0)::bigint FROM covid_repeats) FROM etl_state`)
	if err != nil {
		return stateView{}, err
	}
	if len(rows) == 0 {
		return stateView{Note: "Nothing has been loaded yet. `starter ingest --source FILE` and then `starter etl` fill the warehouse."}, nil
	}
	loaded, _ := rows[0][0].(int64)
	rejected, _ := rows[0][1].(int64)
	v := stateView{Facts: []fact{
		newestRecord(rows[0][3], now), hourlyJob(runs, now),
		{Name: "In the warehouse", Value: grouped(loaded), Detail: "records"},
	}}
	refused := fact{Name: "Rejected", Value: grouped(rejected)}
	if rejected > 0 {
		refused.Detail, refused.Link = "see them and why", "/rejects"
	}
	v.Facts = append(v.Facts, refused)
	if repeated, _ := rows[0][4].(int64); repeated > 0 {
		v.Facts = append(v.Facts, fact{Name: "Counted more than once", Value: grouped(repeated), Detail: "days of places with several FIPS",
			Link: "/?tab=" + dashboards.Quality + "#repeated_days"})
	}
	if summed, _ := rows[0][2].(bool); !summed {
		v.Note = "The first load has not ended. The cards stay empty until a run of the ETL has got through it."
	}
	return v, nil
}

// newestRecord is how old the data itself is, which the pipeline cannot help: it
// loads what its sources have.
func newestRecord(day any, now time.Time) fact {
	f := fact{Name: "Newest record", Value: "none"}
	if newest, ok := day.(time.Time); ok {
		f.Value = newest.Format(time.DateOnly)
		switch days := int(now.Sub(newest).Hours() / 24); {
		case days == 1:
			f.Detail = "1 day ago"
		case days > 1:
			f.Detail = grouped(int64(days)) + " days ago"
		}
	}
	return f
}

const hourly = "Hourly job"

// hourlyJob is the newest run, and how old the newest that completed is: the
// pipeline has looked for new records when that began.
func hourlyJob(runs []warehouse.Run, now time.Time) fact {
	f := fact{Name: hourly, Value: "never ran", Level: warning}
	if len(runs) == 0 {
		return f
	}
	f.Value, f.Level, f.Detail = string(runs[0].State), "", "no run completed"
	switch runs[0].State {
	case warehouse.RunFailed:
		f.Level = bad
	case warehouse.RunCompleted, warehouse.RunRunning:
	default:
		f.Level = warning
	}
	since := runs[len(runs)-1].StartedAt // while none has completed, the first has time as well
	completed := slices.IndexFunc(runs, func(r warehouse.Run) bool { return r.State == warehouse.RunCompleted })
	if completed >= 0 {
		since = runs[completed].StartedAt
		f.Detail = ago(since, now)
	}
	if completed > 0 {
		f.Detail = "one completed " + f.Detail
	}
	if f.Level == "" && now.Sub(since) > lateAfter {
		f.Level = warning
	}
	return f
}

// judge makes the verdict of what is known.
func (v *stateView) judge() {
	worst := good
	for _, f := range v.Facts {
		if f.Level == bad || f.Level == warning && worst == good {
			worst = f.Level
		}
	}
	switch n := len(v.Problems); {
	case n == 1:
		v.Verdict.Value, worst = "1 problem needs somebody", bad
	case n > 1:
		v.Verdict.Value, worst = fmt.Sprintf("%d problems need somebody", n), bad
	case v.Note != "":
		v.Verdict.Value, worst = "Not loaded yet", warning
	case v.Paused && worst == warning:
		v.Verdict.Value = "The hourly job is paused"
	case worst != good:
		v.Verdict.Value = "Look at what is marked"
	default:
		v.Verdict.Value = "Everything runs"
	}
	v.Verdict.Level = worst
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
