package metabasefake

import (
	"net/http"
	"testing"
	"time"
)

func TestDateRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 3, 13, 23, 30, 0, 0, time.UTC) // a Wednesday
	for value, want := range map[string]string{
		"2024-01-01~2024-12-31": "2024-01-01 2024-12-31",
		"2024-01-01~":           "2024-01-01 0001-01-01",
		"~2024-12-31":           "0001-01-01 2024-12-31",
		"2024-02-29":            "2024-02-29 2024-02-29",
		"2024-02":               "2024-02-01 2024-02-29",
		"Q4-2023":               "2023-10-01 2023-12-31",
		"today":                 "2024-03-13 2024-03-13",
		"yesterday":             "2024-03-12 2024-03-12",
		"past30days":            "2024-02-12 2024-03-12",
		"past30days~":           "2024-02-12 2024-03-13",
		"past1weeks":            "2024-03-03 2024-03-09",
		"past2months":           "2024-01-01 2024-02-29",
		"past1quarters~":        "2023-10-01 2024-03-31",
		"past1years":            "2023-01-01 2023-12-31",
		"next7days":             "2024-03-14 2024-03-20",
		"thisweek":              "2024-03-10 2024-03-16",
		"thismonth":             "2024-03-01 2024-03-31",
		"lastyear":              "2023-01-01 2023-12-31",
	} {
		from, to, err := dateRange(value, now)
		if got := from.Format(time.DateOnly) + " " + to.Format(time.DateOnly); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", value, got, err, want)
		}
	}
	for _, value := range []string{"", "~", "past30", "30days", "2024-13-01", "2024-12-31~2024-01-01", "2024-01-01~x"} {
		if _, _, err := dateRange(value, now); err == nil {
			t.Errorf("%q is a range", value)
		}
	}
}

func TestFieldFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Now: func() time.Time { return time.Date(2025, 1, 5, 0, 0, 0, 0, time.UTC) }})
	for _, c := range []struct {
		column, widget string
		value          any
		want           int // rows of 4; 0 is a failed query
	}{
		{"state", "string/=", []any{"CA", "TX"}, 3},
		{"state", "string/=", "O'X", 1},
		{"state", "string/!=", []any{"CA"}, 2},
		{"state", "string/contains", []any{"x"}, 2},
		{"state", "string/does-not-contain", []any{"x"}, 2},
		{"state", "string/starts-with", []any{"t", "o"}, 2},
		{"state", "string/ends-with", []any{"a"}, 2},
		{"state", "category", []any{"TX"}, 1},
		{"born", "date/all-options", "2024-01-01~2024-06-30", 2},
		{"born", "date/all-options", "past30days", 1},
		{"born", "date/all-options", []any{"2024-06-30~"}, 2},
		{"born", "date/range", "soon", 0},
		{"seen", "date/all-options", "2024-12-31", 1},
		{"n", "number/=", []any{1.0, 3.0}, 2},
		{"n", "number/!=", []any{1.0}, 3},
		{"n", "number/>=", []any{2.0}, 2},
		{"n", "number/between", []any{1.0, 2.0}, 2},
		{"n", "number/between", []any{1.0}, 0},
		{"n", "number/=", []any{"x"}, 0},
		{"big", "id", []any{10.0}, 1},
		{"alive", "boolean/=", []any{"true"}, 2},
		{"state", "string/=", []any{}, 4},
	} {
		id := w.createCard("visualization_settings", object{}, "dataset_query/native", object{
			"query":         "SELECT * FROM person WHERE {{x}}",
			"template-tags": object{"x": object{"name": "x", "display-name": "X", "type": "dimension", "dimension": []any{"field", w.fields[c.column], nil}, "widget-type": c.widget}},
		})
		a := w.want(http.StatusAccepted, "POST /api/card/"+itoa(id)+"/query", object{"parameters": []any{
			object{"type": c.widget, "target": []any{"dimension", []any{"template-tag", "x"}}, "value": c.value}}})
		if got := len(a.at("data.rows").([]any)); got != c.want || (a.text("status") == "failed") != (c.want == 0) {
			t.Errorf("%s %s %v: %d rows, want %d: %s", c.column, c.widget, c.value, got, c.want, a.body)
		}
	}
	w.clean()
}

func TestVariables(t *testing.T) {
	t.Parallel()
	q := func(kind string, changes ...any) native {
		b := with(t, object{"name": "x", "display-name": "X", "type": kind}, changes...)
		tags, err := parseTags("tags", []any{b})
		if err != nil {
			t.Fatal(err)
		}
		return native{sql: "a[[b{{x}}]]c", tags: tags}
	}
	for _, c := range []struct {
		query native
		value any
		want  string // empty: it fails
	}{
		{q("text"), "it's", "ab'it''s'c"},
		{q("text"), []any{"one"}, "ab'one'c"},
		{q("text"), []any{"one", "two"}, ""},
		{q("text"), nil, "ac"},
		{q("text", "default", "d"), nil, "ab'd'c"},
		{q("text", "required", true), nil, ""},
		{q("number"), 1.5, "ab1.5c"},
		{q("number"), "12", "ab12c"},
		{q("number"), "1; DROP", ""},
		{q("date"), "2024-01-01", "abDATE '2024-01-01'c"},
		{q("date"), "past30days", ""},
		{q("boolean"), true, "abtruec"},
		{q("boolean"), "maybe", ""},
	} {
		got, err := c.query.compile(nil, map[string]any{"x": c.value}, time.Now())
		if err != nil {
			got = ""
		}
		if got != c.want {
			t.Errorf("%v %v: %q, %v, want %q", c.query.tags["x"].Type, c.value, got, err, c.want)
		}
	}
}
