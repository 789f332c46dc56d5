package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"covidpipeline/dashboards"
	"covidpipeline/internal/warehouse"
)

// The parameters of the page of rejects, beside the filters.
const (
	reasonParam = "reason"
	afterParam  = "after" // the key of the last reject of the page before
)

// rejectsShown is how many rejects are on a page.
const rejectsShown = 50

// share is how much of the rejects is read at once, and how much of each.
type share struct {
	rejects  int // at most
	bytes    int // no more rejects once their documents have these; the first is always read
	document int // the first bytes of it
	text     int // the first characters of the reason, the date and the source
}

// A record has up to 1 MiB, and its quotes are escaped in JSON.
var (
	pageShare = share{rejects: rejectsShown + 1, bytes: math.MaxInt32, document: 32 << 10, text: textShown}
	fileShare = share{rejects: rejectsShown, bytes: 1 << 20, document: 16 << 20, text: 1 << 20}
)

// documentShown is how much of a document is on a page, in characters.
const documentShown = 4096

// reject is a rejected record as the template shows it.
type reject struct {
	key                                       string
	Reason, Place, Date, Source, Document, At string
	Release, Row                              int64
}

type rejectsView struct {
	Title   string
	Filters filterView
	Back    string // the dashboard, with the same filters
	CSV     string
	Total   string
	Rejects []reject
	Next    string
	First   string // the first page, where this is another
}

// refused is which rejects are asked for.
type refused struct {
	choice dashboards.Choice
	reason string // without the values in it; "" = all
	after  string // a key, "" = from the beginning
}

// isKey is a key as PostgreSQL writes it.
var isKey = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func refusedOf(values url.Values) (q refused, problems []string) {
	q.choice, problems = choiceOf(values)
	if q.reason = values.Get(reasonParam); strings.ContainsRune(q.reason, 0) || !utf8.ValidString(q.reason) {
		problems, q.reason = append(problems, fmt.Sprintf("a reason is text, which %q is not", q.reason)), ""
	}
	if q.after = values.Get(afterParam); q.after != "" && !isKey.MatchString(q.after) {
		problems, q.after = append(problems, fmt.Sprintf("%q is no place in the list", q.after)), ""
	}
	return q, problems
}

// query gives the parameters of all but the place in the list.
func (q refused) query() url.Values {
	values := queryOf(q.choice)
	if q.reason != "" {
		values.Set(reasonParam, q.reason)
	}
	return values
}

// rejects shows the rejected records, in the order of their keys: so each page
// costs the same at any number of them.
func (s *Server) rejects(w http.ResponseWriter, r *http.Request) {
	q, problems := refusedOf(r.URL.Query())
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	view, err := s.readRejects(ctx, q)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	view.Filters.say(problems, r.URL.Query())
	s.write(w, statusOf(problems), "rejects", view)
}

func (s *Server) readRejects(ctx context.Context, q refused) (rejectsView, error) {
	query := q.query()
	view := rejectsView{Title: "Rejected records – " + dashboards.Title,
		Back: address("/", with(queryOf(q.choice), tabParam, dashboards.Quality)), CSV: address("/rejects.csv", query)}
	if q.after != "" {
		view.First = address("/rejects", query)
	}
	var reasons []option
	err := together(ctx, []func(context.Context) error{
		func(ctx context.Context) (err error) {
			view.Filters, err = s.filters(ctx, "/rejects", q.choice)
			return err
		},
		func(ctx context.Context) (err error) {
			view.Rejects, err = s.shownRejects(ctx, q)
			return err
		},
		func(ctx context.Context) (err error) { view.Total, err = s.countRejects(ctx, q); return err },
		func(ctx context.Context) (err error) { reasons, err = s.reasons(ctx, q.reason); return err },
	})
	if err != nil {
		return view, err
	}
	if len(view.Rejects) > rejectsShown {
		view.Rejects = view.Rejects[:rejectsShown]
		view.Next = address("/rejects", with(query, afterParam, view.Rejects[rejectsShown-1].key))
	}
	if view.Filters.Reasons = reasons; q.reason != "" {
		view.Filters.Only = strings.TrimSpace(view.Filters.Only + " " + "with the reason " + q.reason)
	}
	return view, nil
}

// reasons gives those that can be chosen.
func (s *Server) reasons(ctx context.Context, chosen string) ([]option, error) {
	var one []string
	if chosen != "" {
		one = []string{chosen}
	}
	all, _, err := s.options(ctx, "SELECT kind AS name FROM covid_rejects GROUP BY kind", one...)
	return all, err
}

// where gives the condition on covid_rejects, and its arguments. A reject has the
// state and the day of its raw document, if those are a name and a day.
func (q refused) where() (string, []any) {
	sql, args := "WHERE true", []any{}
	and := func(condition string, arg any) {
		args = append(args, arg)
		sql += " AND " + strings.ReplaceAll(condition, "$", fmt.Sprint("$", len(args)))
	}
	states := slices.Clone(q.choice.States)
	if q.choice.NoState {
		states = append(states, "")
	}
	if len(states) > 0 {
		and("coalesce(state, '') = ANY (ARRAY(SELECT lower(name) FROM unnest($::text[]) AS name))", states)
	}
	if !q.choice.Since.IsZero() {
		and("day >= $::date", q.choice.Since)
	}
	if !q.choice.Till.IsZero() {
		and("day <= $::date", q.choice.Till)
	}
	if q.reason != "" {
		and("kind = $", q.reason)
	}
	if q.after != "" {
		and("key > $::uuid", q.after)
	}
	return sql, args
}

func (s *Server) countRejects(ctx context.Context, q refused) (string, error) {
	q.after = ""
	where, args := q.where()
	_, rows, err := s.DB.Query(ctx, "SELECT count(*) FROM covid_rejects "+where, args...)
	if err != nil {
		return "", err
	}
	return grouped(rows[0][0].(int64)), nil
}

// scanRejects calls each with the next rejects of the list, a reject in memory at a
// time.
func (s *Server) scanRejects(ctx context.Context, q refused, part share, each func(reject) error) error {
	where, args := q.where()
	// The order is that of the table's column: the result's of that name is text, which
	// has no index and sorts as the database's collation has it. The length of a document
	// is known without reading it.
	sql := fmt.Sprintf(`SELECT key::text, left(reason, %[1]d), left(date, %[1]d), left(source, %[1]d), release, row, rejected_at, substring(document FOR %[2]d)
		FROM (SELECT *, sum(octet_length(document)) OVER (ORDER BY key) - octet_length(document) AS before
			FROM (SELECT * FROM covid_rejects %[3]s ORDER BY key LIMIT %[4]d) AS next) AS refused
		WHERE before < %[5]d ORDER BY refused.key`, part.text, part.document, where, part.rejects, part.bytes)
	return s.DB.Scan(ctx, func(_ int, row []any) error {
		document := row[7].([]byte)
		return each(reject{
			key: row[0].(string), Reason: row[1].(string), Date: row[2].(string), Source: row[3].(string),
			Release: row[4].(int64), Row: row[5].(int64), At: row[6].(time.Time).UTC().Format("2006-01-02 15:04"),
			Place: placeOf(document), Document: strings.ToValidUTF8(string(document), "\uFFFD"),
		})
	}, warehouse.Statement{SQL: sql, Args: args})
}

// shownRejects returns the next rejects for a page.
func (s *Server) shownRejects(ctx context.Context, q refused) (all []reject, err error) {
	err = s.scanRejects(ctx, q, pageShare, func(r reject) error {
		r.Document, r.Place = shorten(r.Document, documentShown), shorten(r.Place, textShown)
		all = append(all, r)
		return nil
	})
	return all, err
}

// placeOf names the place of a raw document, as it stands there.
func placeOf(document []byte) string {
	var place struct {
		County  string `json:"COUNTY_NAME"`
		State   string `json:"PROVINCE_STATE_NAME"`
		Country string `json:"COUNTRY_SHORT_NAME"`
	}
	if json.Unmarshal(document, &place) != nil {
		return ""
	}
	parts := []string{place.County, place.State, place.Country}
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" })
	return strings.Join(parts, ", ")
}

// downloadRejects answers with all that are asked for as CSV, a share at a time: none
// is a transaction that a slow reader could keep open.
func (s *Server) downloadRejects(w http.ResponseWriter, r *http.Request) {
	q, problems := refusedOf(r.URL.Query())
	if len(problems) > 0 {
		s.fail(w, problem{http.StatusBadRequest, "The filters cannot be used", sentence(problems)})
		return
	}
	out := newFile(w, fileName(strings.TrimSuffix("rejects-"+q.reason, "-"), q.choice),
		"reason", "place", "date", "source", "release", "row", "rejected_at_utc", "document")
	var err error
	for more := true; more && err == nil; {
		more = false
		err = s.scanRejects(r.Context(), q, fileShare, func(one reject) error {
			q.after, more = one.key, true
			return out.line(field(one.Reason), field(one.Place), field(one.Date), field(one.Source),
				fmt.Sprint(one.Release), fmt.Sprint(one.Row), one.At, field(one.Document))
		})
	}
	s.end(w, r, out, err)
}
