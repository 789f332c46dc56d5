package dashboards_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"covidpipeline/dashboards"
)

func TestTitles(t *testing.T) {
	t.Parallel()
	var titles []string
	names := map[string]bool{}
	cards := dashboards.Cards()
	for _, c := range cards {
		titles = append(titles, c.Title)
		names[c.Name] = true
		if found, ok := dashboards.Find(c.Name); !ok || found.Title != c.Title || c.Description == "" {
			t.Errorf("%s: found %v %q, description %q", c.Name, ok, found.Title, c.Description)
		}
	}
	for _, replaced := range []string{"Total Covid Records count", "Latest Covid Record", "Covid Records Overview",
		"Total cases per county", "Total deaths per state"} {
		if !slices.Contains(titles, replaced) {
			t.Errorf("the replaced dashboard's card %q is missing", replaced)
		}
	}
	if len(names) != len(cards) {
		t.Errorf("%d names for %d cards", len(names), len(cards))
	}
	if _, ok := dashboards.Find("nonsense"); ok {
		t.Error("found a card that is none")
	}
}

// Metabase keeps cards that overlap or leave the grid as they are, unreadable.
func TestLayout(t *testing.T) {
	t.Parallel()
	type cell struct {
		tab         string
		column, row int
	}
	taken := map[cell]string{}
	for _, c := range dashboards.Cards() {
		if !slices.Contains(dashboards.Tabs(), c.Tab) {
			t.Errorf("%s is on no tab", c.Title)
		}
		if c.Column < 0 || c.Row < 0 || c.Width < 1 || c.Height < 1 || c.Column+c.Width > dashboards.GridColumns {
			t.Errorf("%s leaves the grid", c.Title)
		}
		for column := c.Column; column < c.Column+c.Width; column++ {
			for row := c.Row; row < c.Row+c.Height; row++ {
				if other := taken[cell{c.Tab, column, row}]; other != "" {
					t.Fatalf("%s lies on %s", c.Title, other)
				}
				taken[cell{c.Tab, column, row}] = c.Title
			}
		}
	}
}

// The columns that a chart shows are there, and are what it can show.
func TestCharts(t *testing.T) {
	t.Parallel()
	for _, c := range dashboards.Cards() {
		kinds := map[string]dashboards.Kind{}
		for _, column := range c.Columns {
			kinds[column.Name] = column.Kind
			if column.Title == "" {
				t.Errorf("%s: %s has no title", c.Title, column.Name)
			}
		}
		if drawn := c.Chart != dashboards.Table && c.Chart != dashboards.Number; drawn != (c.Dimension != "") || drawn != (len(c.Measures) > 0) {
			t.Errorf("%s: a %s of %q by %q", c.Title, c.Chart, c.Measures, c.Dimension)
		}
		if _, there := kinds[c.Dimension]; c.Dimension != "" && !there {
			t.Errorf("%s: no column %s", c.Title, c.Dimension)
		}
		if (c.Sum != "") != (c.Chart == dashboards.Donut) || (c.Whole != "") != (strings.Count(c.Rest, "%s") == 1) {
			t.Errorf("%s: in the middle %q, the rest %q", c.Title, c.Sum, c.Rest)
		}
		for _, measure := range c.Measures {
			if kinds[measure] != dashboards.Count {
				t.Errorf("%s: %s is no count", c.Title, measure)
			}
		}
	}
}

// Metabase wraps a card's SQL in more SQL and reads {{ and [[ as we do. A tag's
// condition names its table, so the table may not have another name there.
func TestSQLText(t *testing.T) {
	t.Parallel()
	renamed := regexp.MustCompile(dashboards.FilterTable + `\s+(AS\s+)?[a-z]\w*`)
	for _, c := range dashboards.Cards() {
		for _, not := range []string{";", "?"} {
			if strings.Contains(c.SQL, not) {
				t.Errorf("%s: the SQL contains %q", c.Title, not)
			}
		}
		if found := renamed.FindString(c.SQL); found != "" {
			t.Errorf("%s: %q is renamed", c.Title, found)
		}
		for _, f := range dashboards.Filters() {
			if acts := strings.Contains(c.SQL, "{{"+f.Name+"}}"); acts != (c.Unfiltered == "") {
				t.Errorf("%s: the filter %s acts: %v; why not: %q", c.Title, f.Name, acts, c.Unfiltered)
			}
			if f.Table != dashboards.FilterTable {
				t.Errorf("the filter %s is about %s", f.Name, f.Table)
			}
		}
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	since, till := day(2022, 4, 1), day(2022, 4, 9)
	const both = "a [[AND {{state}}]] b [[AND\n{{date}} OR {{state}}]] c"
	for name, tt := range map[string]struct {
		sql    string
		choice dashboards.Choice
		want   string
		args   []any
	}{
		"nothing chosen": {both, dashboards.Choice{}, "a  b  c", nil},
		"a state": {both, dashboards.Choice{States: []string{"Ohio"}},
			"a AND covid_daily.state = ANY($1::text[]) b  c", []any{[]string{"Ohio"}}},
		"both": {both, dashboards.Choice{States: []string{"Ohio"}, Since: since, Till: till},
			"a AND covid_daily.state = ANY($1::text[]) b AND\ncovid_daily.date BETWEEN $2::date AND $3::date OR covid_daily.state = ANY($1::text[]) c",
			[]any{[]string{"Ohio"}, since, till}},
		"no state": {"[[{{state}}]]", dashboards.Choice{NoState: true}, "covid_daily.state IS NULL", nil},
		"a state and none": {"[[{{state}}]]", dashboards.Choice{States: []string{"Ohio"}, NoState: true},
			"(covid_daily.state = ANY($1::text[]) OR covid_daily.state IS NULL)", []any{[]string{"Ohio"}}},
		"open end": {"[[{{date}}]]", dashboards.Choice{Since: since}, "covid_daily.date BETWEEN $1::date AND 'infinity'::date", []any{since}},
		"open begin": {"[[{{date}}]] [[{{date}}]]", dashboards.Choice{Till: till},
			"covid_daily.date BETWEEN '-infinity'::date AND $1::date covid_daily.date BETWEEN '-infinity'::date AND $1::date", []any{till}},
		"unused": {"[[{{date}}]] x[1]", dashboards.Choice{States: []string{"Ohio"}}, " x[1]", nil},
	} {
		got, args, err := dashboards.Compile(tt.sql, tt.choice)
		if err != nil || got != tt.want || !reflect.DeepEqual(args, tt.args) {
			t.Errorf("%s: %q %v, %v; want %q %v", name, got, args, err, tt.want, tt.args)
		}
	}
	for _, sql := range []string{"WHERE {{state}}", "[[AND {{county}}]] {{county}}"} {
		if got, _, err := dashboards.Compile(sql, dashboards.Choice{}); err == nil {
			t.Errorf("%s: compiled to %q", sql, got)
		}
	}
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}
