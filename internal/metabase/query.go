package metabase

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Query is SQL with template tags.
type Query struct {
	Database int
	SQL      string
	Tags     []Tag
}

// Tag is a template tag that filters a column of a table.
type Tag struct {
	ID     string // any UUID that stays the same
	Name   string // in the SQL
	Title  string
	Field  int    // id of the column; 0 for a tag that is a plain variable
	Widget string // kind of filter, such as string/=
}

// fieldFilter is Metabase's type of a tag that is bound to a column.
const fieldFilter = "dimension"

// legacy gives the query in the form that every version takes.
func (q Query) legacy() map[string]any {
	tags := map[string]any{}
	for _, t := range q.Tags {
		tags[t.Name] = map[string]any{
			"id": t.ID, "name": t.Name, "display-name": t.Title, "type": fieldFilter,
			"dimension": []any{"field", t.Field, nil}, "widget-type": t.Widget,
		}
	}
	return map[string]any{
		"type": "native", "database": q.Database,
		"native": map[string]any{"query": q.SQL, "template-tags": tags},
	}
}

// storedQuery is a query as it reads back: in the legacy form up to 0.56, as
// MBQL 5 since then, with tags by name or, since 0.63, as a list.
type storedQuery struct {
	Database int
	Native   struct {
		Query string
		Tags  json.RawMessage `json:"template-tags"`
	}
	Stages []struct {
		Native json.RawMessage
		Tags   json.RawMessage `json:"template-tags"`
	}
}

// query takes a stored query apart; one that is not SQL has no SQL.
func (s storedQuery) query() Query {
	q := Query{Database: s.Database, SQL: s.Native.Query}
	tags := s.Native.Tags
	if len(s.Stages) == 1 {
		_ = json.Unmarshal(s.Stages[0].Native, &q.SQL) // absent if it is not SQL
		tags = s.Stages[0].Tags
	}
	q.Tags = storedTags(tags)
	slices.SortFunc(q.Tags, func(a, b Tag) int { return strings.Compare(a.Name, b.Name) })
	return q
}

type storedTag struct {
	ID, Name string
	Title    string `json:"display-name"`
	Type     string
	Field    []json.RawMessage `json:"dimension"`
	Widget   string            `json:"widget-type"`
}

func storedTags(text json.RawMessage) []Tag {
	var list []storedTag
	if json.Unmarshal(text, &list) != nil {
		var byName map[string]storedTag
		_ = json.Unmarshal(text, &byName) // neither form: no tags
		for _, t := range byName {
			list = append(list, t)
		}
	}
	var tags []Tag
	for _, t := range list {
		tag := Tag{ID: t.ID, Name: t.Name, Title: t.Title, Widget: t.Widget}
		if t.Type == fieldFilter {
			tag.Field = storedField(t.Field)
		}
		tags = append(tags, tag)
	}
	return tags
}

// storedField reads ["field",141,null] or, in MBQL 5, ["field",{…},141].
func storedField(parts []json.RawMessage) (id int) {
	for _, part := range parts {
		if json.Unmarshal(part, &id) == nil && id != 0 {
			return id
		}
	}
	return 0
}

// Result is what a query gives.
type Result struct {
	Columns []string
	Rows    []json.RawMessage // a JSON list each
}

// QueryError is a query that Metabase took and the database refused.
type QueryError struct{ Reason string }

// Error gives the database's words.
func (e *QueryError) Error() string { return "the query fails: " + shorten(e.Reason) }

// Equal tells whether two results have the same rows.
func (r Result) Equal(other Result) bool {
	return slices.EqualFunc(r.Rows, other.Rows, func(a, b json.RawMessage) bool { return string(a) == string(b) })
}

// Blank tells whether no value is known or above zero: nothing to show.
func (r Result) Blank() bool {
	for _, row := range r.Rows {
		var values []any
		if json.Unmarshal(row, &values) != nil {
			return false
		}
		for _, v := range values {
			if v != nil && v != 0.0 {
				return false
			}
		}
	}
	return true
}

// run asks for a query's result. A query that fails is answered with 202 too.
func (c *Client) run(ctx context.Context, op, path string, in any) (Result, error) {
	var out struct {
		Status string
		Error  any
		Data   struct {
			Rows []json.RawMessage
			Cols []struct{ Name string }
		}
	}
	if err := c.call(ctx, op, http.MethodPost, path, in, &out); err != nil {
		return Result{}, err
	}
	if out.Status != "completed" {
		reason := out.Status
		if out.Error != nil {
			reason = fmt.Sprint(out.Error)
		}
		return Result{}, &QueryError{Reason: strings.Join(strings.Fields(reason), " ")}
	}
	r := Result{Rows: out.Data.Rows}
	for _, column := range out.Data.Cols {
		r.Columns = append(r.Columns, column.Name)
	}
	return r, nil
}

// RunSQL runs SQL that is not a card's.
func (c *Client) RunSQL(ctx context.Context, database int, sql string) (Result, error) {
	return c.run(ctx, "run a query", "/api/dataset", Query{Database: database, SQL: sql}.legacy())
}

// RunCard runs a card's query, unfiltered.
func (c *Client) RunCard(ctx context.Context, id int) (Result, error) {
	return c.run(ctx, "run a card", fmt.Sprintf("/api/card/%d/query", id), map[string]any{})
}

// RunPlaced runs a card as its place on a dashboard does, with one of the
// dashboard's filters set.
func (c *Client) RunPlaced(ctx context.Context, dashboard int, place Place, filter Parameter, value any) (Result, error) {
	path := fmt.Sprintf("/api/dashboard/%d/dashcard/%d/card/%d/query", dashboard, place.ID, place.Card)
	return c.run(ctx, "run a card with a filter", path, map[string]any{
		"parameters": []any{map[string]any{"id": filter.ID, "type": filter.Type, "value": value}},
	})
}
