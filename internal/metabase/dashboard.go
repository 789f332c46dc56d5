package metabase

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Dashboard is a page of cards with filters.
type Dashboard struct {
	ID          int
	Name        string
	Description string // without the mark
	Parameters  []Parameter
	Tabs        []string // in their order
	Places      []Place
	Mark        Mark

	width  string
	tabIDs map[string]int
}

// width is the dashboard's: as wide as the window.
const width = "full"

// Parameter is a filter of a dashboard.
type Parameter struct {
	ID, Name, Slug, Type string
	Section              string // of the filters' menu: string, date
}

// Place is where a card stands on a dashboard, in cells of a grid of 24 columns.
type Place struct {
	ID                   int // 0 before it is written
	Card                 int // 0: a text or the like
	Tab                  string
	Row, Col, Wide, High int
	Mappings             []Mapping
	settings             map[string]any
	foreign              []json.RawMessage // mappings that are not to field filters
	series               []int             // further cards drawn in the place's chart
}

// Mapping makes a filter act on a template tag of the place's card.
type Mapping struct {
	Parameter string // its id
	Tag       string
}

// target is how a mapping names the tag.
func (m Mapping) target() []any {
	return []any{fieldFilter, []any{"template-tag", m.Tag}}
}

// Content gives what the dashboard says.
func (d Dashboard) Content() Content {
	out := Content{"name": d.Name, "description": d.Description, "width": cmp.Or(d.width, width), "tabs": compact(d.Tabs)}
	for i, p := range d.Parameters {
		out["filter "+p.ID] = compact([]any{i, p.Name, p.Slug, p.Type})
	}
	for _, p := range d.Places {
		slices.SortFunc(p.Mappings, func(a, b Mapping) int {
			return cmp.Or(cmp.Compare(a.Parameter, b.Parameter), cmp.Compare(a.Tag, b.Tag))
		})
		value := map[string]any{"card": p.Card, "wide": p.Wide, "high": p.High, "filters": p.Mappings}
		if len(p.settings) > 0 {
			value["settings"] = p.settings
		}
		if len(p.series) > 0 {
			value["series"] = p.series
		}
		if len(p.foreign) > 0 {
			value["other filters"] = p.foreign
		}
		out[fmt.Sprintf("%s, row %d, column %d", p.Tab, p.Row, p.Col)] = compact(value)
	}
	return out
}

// storedDashboard is a dashboard as it reads back; the order of its dashcards
// means nothing.
type storedDashboard struct {
	ID          int
	Name        string
	Description *string
	Width       string
	Parameters  []struct{ ID, Name, Slug, Type, SectionID string }
	Tabs        []storedTab
	Dashcards   []struct {
		ID       int
		CardID   *int `json:"card_id"`
		TabID    *int `json:"dashboard_tab_id"`
		Row, Col int
		SizeX    int               `json:"size_x"`
		SizeY    int               `json:"size_y"`
		Settings map[string]any    `json:"visualization_settings"`
		Mappings []json.RawMessage `json:"parameter_mappings"`
		Series   []struct{ ID int }
	}
}

type storedTab struct {
	ID       int
	Name     string
	Position int
}

func (s storedDashboard) dashboard() Dashboard {
	d := Dashboard{ID: s.ID, Name: s.Name, width: s.Width, tabIDs: map[string]int{}}
	d.Description, d.Mark = cutMark(s.Description)
	for _, p := range s.Parameters {
		d.Parameters = append(d.Parameters, Parameter{ID: p.ID, Name: p.Name, Slug: p.Slug, Type: p.Type, Section: p.SectionID})
	}
	slices.SortStableFunc(s.Tabs, func(a, b storedTab) int { return a.Position - b.Position })
	names := map[int]string{}
	for _, t := range s.Tabs {
		d.Tabs = append(d.Tabs, t.Name)
		d.tabIDs[t.Name], names[t.ID] = t.ID, t.Name
	}
	for _, c := range s.Dashcards {
		p := Place{ID: c.ID, Row: c.Row, Col: c.Col, Wide: c.SizeX, High: c.SizeY, settings: c.Settings}
		if c.CardID != nil {
			p.Card = *c.CardID
		}
		if c.TabID != nil {
			p.Tab = names[*c.TabID]
		}
		for _, other := range c.Series {
			p.series = append(p.series, other.ID)
		}
		for _, text := range c.Mappings {
			if m, ok := storedMapping(text, p.Card); ok {
				p.Mappings = append(p.Mappings, m)
			} else {
				p.foreign = append(p.foreign, text)
			}
		}
		d.Places = append(d.Places, p)
	}
	return d
}

// storedMapping reads a mapping to a field filter of the place's own card, the
// only kind that acts on a card of ours: one without its card_id is ignored by
// Metabase.
func storedMapping(text json.RawMessage, card int) (Mapping, bool) {
	var in struct {
		Parameter string            `json:"parameter_id"`
		Card      int               `json:"card_id"`
		Target    []json.RawMessage // ["dimension",["template-tag","state"]], perhaps with {"stage-number":0}
	}
	var kind string
	var tag []string
	if json.Unmarshal(text, &in) != nil || len(in.Target) < 2 || in.Card != card ||
		json.Unmarshal(in.Target[0], &kind) != nil || json.Unmarshal(in.Target[1], &tag) != nil ||
		kind != fieldFilter || len(tag) != 2 || tag[0] != "template-tag" {
		return Mapping{}, false
	}
	return Mapping{Parameter: in.Parameter, Tag: tag[1]}, true
}

// FindDashboard gives the collection's dashboard that carries the mark's key, the
// oldest of several.
func (c *Client) FindDashboard(ctx context.Context, collection int, key string) (Dashboard, bool, error) {
	ids, err := c.marked(ctx, collection, kindDashboard, key)
	if err != nil || len(ids) == 0 {
		return Dashboard{}, false, err
	}
	d, err := c.Dashboard(ctx, ids[0])
	return d, err == nil, err
}

// UnmarkedDashboards gives the ids of the collection's dashboards of that name that
// carry no mark, the oldest first.
func (c *Client) UnmarkedDashboards(ctx context.Context, collection int, name string) ([]int, error) {
	return c.unmarked(ctx, collection, kindDashboard, name)
}

// Shows tells whether a card is on the dashboard.
func (d Dashboard) Shows(card int) bool {
	return slices.ContainsFunc(d.Places, func(p Place) bool { return p.Card == card })
}

// Dashboard reads a dashboard.
func (c *Client) Dashboard(ctx context.Context, id int) (Dashboard, error) {
	var in storedDashboard
	err := c.call(ctx, "read the dashboard", http.MethodGet, fmt.Sprintf("/api/dashboard/%d", id), nil, &in)
	return in.dashboard(), err
}

// CreateDashboard makes an empty dashboard: a new one takes neither cards nor
// tabs. Its mark says that it is being made.
func (c *Client) CreateDashboard(ctx context.Context, collection int, want Dashboard) (Dashboard, error) {
	var out storedDashboard
	err := c.call(ctx, "create the dashboard", http.MethodPost, "/api/dashboard", map[string]any{
		"name": want.Name, "description": Mark{Key: want.Mark.Key}.under(want.Description), "collection_id": collection,
	}, &out)
	return out.dashboard(), err
}

// UpdateDashboard makes the dashboard that was read the wanted one, and reads it
// back. Places and tabs that stay keep their ids, so that links to them hold.
func (c *Client) UpdateDashboard(ctx context.Context, now, want Dashboard) (Dashboard, error) {
	mark := Mark{Key: want.Mark.Key, Written: want.Content().Hash()}
	mark.Stored = mark.Written
	body := want.over(now)
	body["description"] = mark.under(want.Description)
	path := fmt.Sprintf("/api/dashboard/%d", now.ID)
	if err := c.call(ctx, "update the dashboard", http.MethodPut, path, body, nil); err != nil {
		return Dashboard{}, err
	}
	got, err := c.Dashboard(ctx, now.ID)
	if err != nil {
		return Dashboard{}, err
	}
	if stored := got.Content().Hash(); stored != mark.Stored {
		mark.Stored = stored
		return got, c.describe(ctx, path, mark.under(got.Description))
	}
	return got, nil
}

// over gives the update that turns a dashboard into the wanted one. New tabs and
// places have negative ids.
func (d Dashboard) over(now Dashboard) map[string]any {
	tabs, tabIDs := []any{}, map[string]int{}
	for i, name := range d.Tabs {
		id := cmp.Or(now.tabIDs[name], -1-i)
		tabIDs[name] = id
		tabs = append(tabs, map[string]any{"id": id, "name": name})
	}
	parameters := []any{}
	for _, p := range d.Parameters {
		parameters = append(parameters, map[string]any{"id": p.ID, "name": p.Name, "slug": p.Slug, "type": p.Type, "sectionId": p.Section})
	}
	taken := map[int]bool{}
	dashcards := []any{}
	for i, p := range d.Places {
		id := -1 - i
		for _, old := range now.Places {
			if old.Card == p.Card && old.Tab == p.Tab && !taken[old.ID] {
				id, taken[old.ID] = old.ID, true
				break
			}
		}
		mappings := []any{}
		for _, m := range p.Mappings {
			mappings = append(mappings, map[string]any{"parameter_id": m.Parameter, "card_id": p.Card, "target": m.target()})
		}
		dashcards = append(dashcards, map[string]any{
			"id": id, "card_id": p.Card, "dashboard_tab_id": tabIDs[p.Tab], "row": p.Row, "col": p.Col, "size_x": p.Wide, "size_y": p.High,
			"series": []any{}, "visualization_settings": map[string]any{}, "parameter_mappings": mappings,
		})
	}
	return map[string]any{
		"name": d.Name, "width": width, "auto_apply_filters": true, "tabs": tabs, "parameters": parameters, "dashcards": dashcards,
	}
}
