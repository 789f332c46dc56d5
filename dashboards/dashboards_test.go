package dashboards_test

import (
	"slices"
	"strings"
	"testing"

	"covidpipeline/dashboards"
)

func TestTitles(t *testing.T) {
	t.Parallel()
	want := []string{"Total Covid Records count", "Latest Covid Record", "Covid Records Overview",
		"Total cases per county", "Total deaths per state"}
	var got []string
	names := map[string]bool{}
	for _, c := range dashboards.Cards() {
		got = append(got, c.Title)
		names[c.Name] = true
	}
	if !slices.Equal(got, want) {
		t.Errorf("titles %q, want %q", got, want)
	}
	if len(names) != len(want) {
		t.Errorf("names %v are not one a card", names)
	}
}

// Metabase keeps cards that overlap or leave the grid as they are, unreadable.
func TestLayout(t *testing.T) {
	t.Parallel()
	type cell struct{ column, row int }
	taken := map[cell]string{}
	for _, c := range dashboards.Cards() {
		if c.Column < 0 || c.Row < 0 || c.Width < 1 || c.Height < 1 || c.Column+c.Width > dashboards.GridColumns {
			t.Errorf("%s leaves the grid", c.Title)
		}
		for column := c.Column; column < c.Column+c.Width; column++ {
			for row := c.Row; row < c.Row+c.Height; row++ {
				if other := taken[cell{column, row}]; other != "" {
					t.Fatalf("%s lies on %s", c.Title, other)
				}
				taken[cell{column, row}] = c.Title
			}
		}
	}
}

// Metabase wraps a card's SQL in more SQL, and reads {{ and [[ as its own.
func TestSQLText(t *testing.T) {
	t.Parallel()
	for _, c := range dashboards.Cards() {
		for _, not := range []string{";", "{{", "[["} {
			if strings.Contains(c.SQL, not) {
				t.Errorf("%s: the SQL contains %q", c.Title, not)
			}
		}
		bars := c.Chart == dashboards.Bars
		if bars != slices.Contains(c.Columns, c.Category) || bars != slices.Contains(c.Columns, c.Value) {
			t.Errorf("%s: %q by %q are not columns of bars", c.Title, c.Value, c.Category)
		}
	}
}
