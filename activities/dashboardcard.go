package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
)

// CardInput is what ApplyCard is told.
type CardInput struct {
	Card       string         `json:"card"` // its name
	Collection int            `json:"collection"`
	Database   int            `json:"database"`
	Fields     map[string]int `json:"fields"`
	ApplyOptions
}

// AppliedCard is a card in Metabase; ID 0 is not there yet.
type AppliedCard struct {
	Applied
	Card string `json:"card"`
	ID   int    `json:"id"`
	// Filters are those that its query has a tag for.
	Filters []string `json:"filters"`
}

// ApplyCard creates a card, or updates one that nobody has edited.
func (a *Dashboards) ApplyCard(ctx context.Context, in CardInput) (AppliedCard, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.applyCard(ctx, in)
	return out, classify(err)
}

func (a *Dashboards) applyCard(ctx context.Context, in CardInput) (AppliedCard, error) {
	definition, ok := dashboards.Find(in.Card)
	if !ok {
		return AppliedCard{}, fmt.Errorf("%w: this worker knows no card %s: start workers of one version alone", errMetabaseSettings, in.Card)
	}
	out := AppliedCard{Applied: Applied{What: "card", Name: definition.Title, Done: Created}, Card: in.Card}
	want := wantedCard(definition, in.Database, in.Fields)
	var now metabase.Card
	if in.Collection != 0 {
		var err error
		if now, out.Reason, err = a.findCard(ctx, in.Collection, want); err != nil {
			return out, err
		} else if now.ID != 0 {
			out.ID, want.ID = now.ID, now.ID
			out.Applied = judged(out.What, out.Name, now.Content(), want.Content(), now.Mark, in.Force)
		}
	}
	if !in.DryRun && (out.Done == Created || out.Done == Updated) {
		var err error
		if now, err = a.Metabase.WriteCard(ctx, in.Collection, want); err != nil {
			return out, err
		}
		out.ID = now.ID
		if err := out.checkStored(now.Content(), want.Content()); err != nil {
			return out, err
		}
	}
	for _, t := range now.Query.Tags {
		if t.Field != 0 {
			out.Filters = append(out.Filters, t.Name)
		}
	}
	return out, nil
}

// findCard gives our card, ID 0 if there is none: the one with the mark, or one of
// its name that our dashboard shows, whose mark went with a rewritten description.
// Any other of its name is somebody else's: that is said.
func (a *Dashboards) findCard(ctx context.Context, collection int, want metabase.Card) (now metabase.Card, others string, err error) {
	now, found, err := a.Metabase.FindCard(ctx, collection, want.Mark.Key)
	if err != nil || found {
		return now, "", err
	}
	ids, err := a.Metabase.UnmarkedCards(ctx, collection, want.Name)
	if err != nil || len(ids) == 0 {
		return now, "", err
	}
	marked, err := a.Metabase.MarkedCards(ctx, collection)
	if err != nil {
		return now, "", err
	}
	page, _, err := a.ourPage(ctx, collection, marked)
	if err != nil {
		return now, "", err
	}
	if i := slices.IndexFunc(ids, page.Shows); i >= 0 {
		now, err = a.Metabase.Card(ctx, ids[i])
		return now, "", err
	}
	return now, fmt.Sprintf(notOurs, "card"), nil
}

// notOurs is said of what has our name and not our mark.
const notOurs = "another %s of this name, which carries no mark of ours, stays as it is"

// wantedCard makes Metabase's card of a definition.
func wantedCard(c dashboards.Card, database int, fields map[string]int) metabase.Card {
	out := metabase.Card{
		Name: c.Title, Description: c.Description, Display: string(c.Chart), Settings: settings(c),
		Query: metabase.Query{Database: database, SQL: c.SQL}, Mark: metabase.Mark{Key: c.Name},
	}
	for _, f := range tagsOf(c) {
		out.Query.Tags = append(out.Query.Tags, metabase.Tag{
			ID:   uuid.NewSHA1(uuid.NameSpaceOID, []byte(c.Name+" "+f.Name)).String(),
			Name: f.Name, Title: f.Title, Field: fields[f.Name], Widget: f.Type,
		})
	}
	return out
}

// settings gives a card's visualization settings. Metabase checks none of them:
// names and columns are those of its own pages. Dates need none: a column of
// type date is shown without a time, and so the same day in every time zone.
func settings(c dashboards.Card) map[string]any {
	titles := map[string]string{}
	columns := map[string]any{}
	for _, column := range c.Columns {
		titles[column.Name] = column.Title
		columns[fmt.Sprintf(`["name",%q]`, column.Name)] = map[string]any{"column_title": column.Title}
	}
	out := map[string]any{"column_settings": columns}
	switch c.Chart {
	case dashboards.Number:
		out["scalar.field"] = c.Columns[0].Name
	case dashboards.Table:
		var shown []any
		for _, column := range c.Columns {
			shown = append(shown, map[string]any{"name": column.Name, "enabled": true})
		}
		out["table.columns"] = shown
		out["table.pivot"] = false
	case dashboards.Donut:
		out["pie.dimension"] = c.Dimension
		out["pie.metric"] = c.Measures[0]
		out["pie.show_total"] = true
		out["pie.show_legend"] = true
		out["pie.percent_visibility"] = "legend"
		out["pie.slice_threshold"] = 0 // the card has an Other of its own
	case dashboards.Bars:
		out["graph.dimensions"] = []any{c.Dimension}
		out["graph.metrics"] = texts(c.Measures)
		out["graph.show_values"] = true
		out["graph.x_axis.title_text"] = titles[c.Dimension] // of the bars' names, though they stand on the left
		out["graph.y_axis.title_text"] = titles[c.Measures[0]]
	case dashboards.Line:
		out["graph.dimensions"] = []any{c.Dimension}
		out["graph.metrics"] = texts(c.Measures)
		out["graph.x_axis.scale"] = "timeseries"
		out["graph.x_axis.title_text"] = titles[c.Dimension]
		out["graph.y_axis.title_text"] = titles[c.Measures[0]]
		out["graph.y_axis.auto_split"] = false // the lines are compared
		series := map[string]any{}
		for _, measure := range c.Measures {
			series[measure] = map[string]any{"title": titles[measure], "line.marker_enabled": false}
		}
		out["series_settings"] = series
	}
	return out
}

// texts gives texts as a JSON list of any.
func texts(all []string) []any {
	var out []any
	for _, text := range all {
		out = append(out, text)
	}
	return out
}

// CheckCardInput is what CheckCard is told.
type CheckCardInput struct {
	Card      string         `json:"card"`
	ID        int            `json:"id"`
	Kept      bool           `json:"kept"` // a person decides what it shows
	Dashboard int            `json:"dashboard"`
	Place     metabase.Place `json:"place"` // on the dashboard; ID 0: on none
}

// CheckedCard is what a card's query gave.
type CheckedCard struct {
	Rows int `json:"rows"`
	// Proved are the filters that were seen to act; the others had nothing to
	// filter.
	Proved  []string `json:"proved"`
	Without []string `json:"without"`
}

// nothing are values of the filters that no record has.
var nothing = map[string]any{dashboards.State: []any{"no such state"}, dashboards.Date: "1900-01-01"}

// CheckCard runs a card's query, and once more with each of its filters set to
// what no record has: Metabase ignores a filter that it cannot map without a
// word, and the card would show as much as before.
func (a *Dashboards) CheckCard(ctx context.Context, in CheckCardInput) (CheckedCard, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.checkCard(ctx, in)
	var failed *metabase.QueryError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %w", errMetabaseCard, err)
	}
	return out, classify(err)
}

func (a *Dashboards) checkCard(ctx context.Context, in CheckCardInput) (CheckedCard, error) {
	definition, _ := dashboards.Find(in.Card)
	all, err := a.Metabase.RunCard(ctx, in.ID)
	if err != nil {
		return CheckedCard{}, fmt.Errorf("%q: %w", definition.Title, err)
	}
	out := CheckedCard{Rows: len(all.Rows)}
	var want []string
	for _, column := range definition.Columns {
		want = append(want, column.Name)
	}
	if !in.Kept && !slices.Equal(all.Columns, want) {
		return out, fmt.Errorf("%w: %q has the columns %q, not %q", errMetabaseCard, definition.Title, all.Columns, want)
	}
	for _, p := range parameters() {
		if !slices.ContainsFunc(in.Place.Mappings, func(m metabase.Mapping) bool { return m.Parameter == p.ID }) {
			continue
		}
		if all.Blank() {
			out.Without = append(out.Without, p.Name)
			continue
		}
		none, err := a.Metabase.RunPlaced(ctx, in.Dashboard, in.Place, p, nothing[p.ID])
		if err != nil {
			return out, fmt.Errorf("%q with the filter %s: %w", definition.Title, p.Name, err)
		}
		if none.Equal(all) {
			return out, fmt.Errorf("%w: %q shows the same whatever the filter %s is set to", errMetabaseCard, definition.Title, p.Name)
		}
		out.Proved = append(out.Proved, p.Name)
	}
	return out, nil
}

// parameters are the dashboard's filters.
func parameters() []metabase.Parameter {
	var out []metabase.Parameter
	for _, f := range dashboards.Filters() {
		section := "string"
		if f.Name == dashboards.Date {
			section = "date"
		}
		out = append(out, metabase.Parameter{ID: f.Name, Name: f.Title, Slug: f.Name, Type: f.Type, Section: section})
	}
	return out
}
