package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"covidpipeline/internal/health"
)

// lookEvery is the time between two looks at the servers. A look may take seconds
// where one of them does not answer, so no page waits for it.
const lookEvery = 15 * time.Second

// watch looks at the servers until the context ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		status := s.Look(ctx)
		s.latest.Store(&status)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// oldLook is when a look at the servers is too old to go by.
const oldLook = 2 * time.Minute

// add adds what the last look found, nil before the first, and how long ago that
// was.
func (v *stateView) add(status *health.Status, now time.Time) {
	if status == nil {
		v.Facts = append(v.Facts, unknown("Servers", "being looked at for the first time"))
		return
	}
	v.Verdict.Detail = "servers looked at " + health.Span(now.Sub(status.CheckedAt)) + " ago"
	if now.Sub(status.CheckedAt) > oldLook {
		v.Facts = append(v.Facts, unknown("Servers", v.Verdict.Detail))
	}
	ingest := ingesting(status.Ingests)
	for _, p := range status.Problems() {
		v.Problems = append(v.Problems, problemView{p.Text, p.Do})
		if strings.HasPrefix(p.ID, "ingest-") {
			ingest.Level = bad
		}
	}
	for _, n := range status.Notices() {
		v.Notices = append(v.Notices, n.Text)
	}
	if v.Paused = status.Schedule.Paused; v.Paused {
		v.pause()
	}
	v.Facts = append(v.Facts, quarantined(status.Quarantine), waiting(status.Lag, v.Paused), ingest, proved(status.Proof, now))
}

// pause marks the hourly job as paused, if it is no worse.
func (v *stateView) pause() {
	for i, f := range v.Facts {
		if f.Name == hourly && f.Level != bad {
			v.Facts[i].Value, v.Facts[i].Level = "paused", warning
			v.Facts[i].Detail = strings.TrimSpace(f.Value + " " + f.Detail)
		}
	}
}

// unknown is a fact that could not be found out, and why.
func unknown(name, why string) fact {
	return fact{Name: name, Value: "unknown", Detail: why, Level: warning}
}

func waiting(l health.Lag, paused bool) fact {
	const name = "Waiting to be loaded"
	switch {
	case l.Error != "":
		return unknown(name, l.Error)
	case l.Rescan && l.Loaded:
		return fact{Name: name, Value: "everything", Detail: "the next run reads all anew", Level: warning}
	case l.Documents > 0:
		f := fact{Name: name, Value: grouped(l.Documents), Detail: "documents, until the next run"}
		if paused {
			f.Detail, f.Level = "documents, until the schedule is resumed", warning
		}
		return f
	}
	return fact{Name: name, Value: "nothing"}
}

func ingesting(i health.Ingests) fact {
	const name = "Ingest"
	if i.Error != "" {
		return unknown(name, i.Error)
	}
	if len(i.Runs) == 0 {
		return fact{Name: name, Value: "none running"}
	}
	r := i.Runs[0]
	f := fact{Name: name, Value: r.State, Detail: r.Source}
	if r.Failure != "" || r.Retry != nil {
		f.Level = bad
	}
	if p := r.Progress; p != nil {
		f.Value = fmt.Sprintf("%.0f %%", p.Percent)
		f.Detail = fmt.Sprintf("%s rows, %s a second; %s", grouped(p.Rows), grouped(int64(p.RowsPerSecond)), p.Phase)
		if p.Held != "" {
			f.Value, f.Detail, f.Level = "held", p.Held, bad
		}
	}
	return f
}

func quarantined(q health.Refused) fact {
	const name = "Quarantined"
	if q.Error != "" {
		return unknown(name, q.Error)
	}
	f := fact{Name: name, Value: grouped(q.Count), Detail: "unusable records"}
	if len(q.Reasons) > 0 {
		f.Detail += ", mostly: " + q.Reasons[0].Reason
	}
	return f
}

func proved(p health.Proof, now time.Time) fact {
	const name = "Proof"
	switch {
	case p.Error != "":
		return unknown(name, p.Error)
	case p.State == "":
		return fact{Name: name, Value: "not yet", Detail: "starter reconcile makes it", Level: warning}
	}
	f := fact{Name: name, Value: p.State}
	switch p.State {
	case health.Balanced:
		f.Level = good
	case health.Unbalanced:
		f.Level = bad
	case health.Running:
	default:
		f.Level = warning
	}
	if p.EndedAt != nil {
		f.Detail = grouped(p.Records) + " records, " + ago(*p.EndedAt, now)
	}
	return f
}
