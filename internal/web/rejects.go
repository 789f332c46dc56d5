package web

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// rejectsShown is how many rejects are on a page.
const rejectsShown = 50

// rejectView is a reject as the template shows it.
type rejectView struct {
	Reason, Date, Source, Document, At string
	Release, Row                       string
}

type rejectsView struct {
	Title   string
	Total   string
	Rejects []rejectView
	Next    string
	Later   bool // this is not the first page
}

// isKey is a key as PostgreSQL writes it.
var isKey = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// rejects shows the rejected records, in the order of their keys: so each page
// costs the same at any number of them.
func (s *Server) rejects(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	if after != "" && !isKey.MatchString(after) {
		s.fail(w, problem{http.StatusBadRequest, "There is no such page of rejects", "Begin at /rejects."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	view, err := s.readRejects(ctx, after)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.write(w, http.StatusOK, "rejects", view)
}

func (s *Server) readRejects(ctx context.Context, after string) (rejectsView, error) {
	view := rejectsView{Title: "Rejected records", Total: "0", Later: after != ""}
	if after == "" {
		after = "00000000-0000-0000-0000-000000000000"
	}
	_, rows, err := s.DB.Query(ctx, `SELECT key::text, reason, date, source, release, row,
			to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), encode(document, 'base64')
		FROM covid_rejects WHERE key > $1::uuid ORDER BY key LIMIT $2`, after, rejectsShown+1)
	if err != nil {
		return view, err
	}
	_, total, err := s.DB.Query(ctx, "SELECT rejects FROM etl_state")
	if err != nil {
		return view, err
	}
	if len(total) > 0 {
		view.Total = grouped(total[0][0].(int64))
	}
	if len(rows) > rejectsShown {
		rows = rows[:rejectsShown]
		view.Next = address("/rejects", url.Values{"after": {rows[len(rows)-1][0].(string)}})
	}
	for _, row := range rows {
		document, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(row[7].(string), "\n", ""))
		if err != nil {
			return view, err
		}
		view.Rejects = append(view.Rejects, rejectView{
			Reason: row[1].(string), Date: row[2].(string), Source: row[3].(string), At: row[6].(string),
			Release: grouped(row[4].(int64)), Row: grouped(row[5].(int64)), Document: strings.ToValidUTF8(string(document), "\uFFFD"),
		})
	}
	return view, nil
}
