package activities

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
)

// What Metabase takes of settings without a check.
func TestCardSettings(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"latest_record": `{"scalar.field":"latest_record","column_settings":{"[\"name\",\"latest_record\"]":{"column_title":"Report date"}}}`,
		"cases_by_county": `{"pie.dimension":"county","pie.metric":"new_cases","pie.show_total":true,"pie.show_legend":true,"pie.percent_visibility":"legend",
			"pie.slice_threshold":0,"column_settings":{"[\"name\",\"county\"]":{"column_title":"County"},"[\"name\",\"new_cases\"]":{"column_title":"Cases"}}}`,
		"deaths_by_state": `{"graph.dimensions":["state"],"graph.metrics":["new_deaths"],"graph.show_values":true,"graph.x_axis.title_text":"State",
			"graph.y_axis.title_text":"Deaths","column_settings":{"[\"name\",\"state\"]":{"column_title":"State"},"[\"name\",\"new_deaths\"]":{"column_title":"Deaths"}}}`,
		"cases_by_day": `{"graph.dimensions":["date"],"graph.metrics":["new_cases","seven_day_average"],"graph.x_axis.scale":"timeseries",
			"graph.x_axis.title_text":"Report date","graph.y_axis.title_text":"New cases","graph.y_axis.auto_split":false,
			"series_settings":{"new_cases":{"title":"New cases","line.marker_enabled":false},"seven_day_average":{"title":"7-day average","line.marker_enabled":false}},
			"column_settings":{"[\"name\",\"date\"]":{"column_title":"Report date"},"[\"name\",\"new_cases\"]":{"column_title":"New cases"},"[\"name\",\"seven_day_average\"]":{"column_title":"7-day average"}}}`,
		"rejects_by_reason": `{"table.columns":[{"name":"reason","enabled":true},{"name":"records","enabled":true}],"table.pivot":false,
			"column_settings":{"[\"name\",\"reason\"]":{"column_title":"Reason"},"[\"name\",\"records\"]":{"column_title":"Records"}}}`,
	} {
		card, _ := dashboards.Find(name)
		text, err := json.Marshal(settings(card))
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil {
			t.Fatalf("%s: %s, want %s", name, text, want)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// Each filter has a value that no record has, and each card a tag for the
// filters that act on it.
func TestFilters(t *testing.T) {
	t.Parallel()
	fields := map[string]int{dashboards.State: 7, dashboards.Date: 8}
	ids := map[string]bool{}
	for _, p := range parameters() {
		if nothing[p.ID] == nil {
			t.Errorf("no value of %s finds nothing", p.Name)
		}
	}
	for _, c := range dashboards.Cards() {
		card := wantedCard(c, 1, fields)
		want := len(fields)
		if c.Unfiltered != "" {
			want = 0
		}
		if len(card.Query.Tags) != want {
			t.Errorf("%s has %d tags", c.Title, len(card.Query.Tags))
		}
		for _, tag := range card.Query.Tags {
			if ids[tag.ID] || tag.Field != fields[tag.Name] {
				t.Errorf("%s: %+v", c.Title, tag)
			}
			ids[tag.ID] = true
		}
		if again := wantedCard(c, 1, fields); !reflect.DeepEqual(again, card) {
			t.Errorf("%s is another each time", c.Title)
		}
	}
}

// What Metabase lost of a card is an error where it matters, and told where it
// is only drawn otherwise.
func TestWhatMetabaseLost(t *testing.T) {
	t.Parallel()
	want := metabase.Content{"name": "a", "SQL": "SELECT 1", "setting pie.metric": `"n"`}
	drawn := Applied{What: "card", Name: "a"}
	if err := drawn.checkStored(metabase.Content{"name": "a", "SQL": "SELECT 1"}, want); err != nil || len(drawn.Stored) != 1 {
		t.Errorf("%v, %+v", err, drawn)
	}
	lost := Applied{What: "card", Name: "a"}
	err := lost.checkStored(metabase.Content{"name": "a", "setting pie.metric": `"n"`}, want)
	if kind, retry := errorType(err); kind != ErrTypeMetabaseStored || retry || !strings.Contains(err.Error(), `SQL is "", not "SELECT 1"`) {
		t.Errorf("%v", err)
	}
}

// A card that is on no worker's list is a mistake of the workers, not of Metabase.
func TestDashboardOfOtherCards(t *testing.T) {
	t.Parallel()
	var cards []AppliedCard
	for i, c := range dashboards.Cards() {
		cards = append(cards, AppliedCard{Card: c.Name, ID: i + 1, Filters: []string{dashboards.State}})
	}
	d, err := wantedDashboard(cards)
	if err != nil || len(d.Places) != len(cards) {
		t.Fatalf("%d places, %v", len(d.Places), err)
	}
	for i, c := range dashboards.Cards() {
		want := "[{state state}]"
		if c.Unfiltered != "" {
			want = "[]"
		}
		if got := fmt.Sprint(d.Places[i].Mappings); got != want {
			t.Errorf("%s: %s, want %s", c.Title, got, want)
		}
	}
	if _, err := wantedDashboard(slices.Delete(cards, 0, 1)); err == nil {
		t.Error("a card is missing and nobody says so")
	}
}
