package metabasefake

import (
	"net/http"
	"testing"
)

// dashboardWorld has a dashboard of two cards with two filters.
type dashboardWorld struct {
	*world
	dashboard, first, second int
	path                     string
}

func newDashboard(t *testing.T, options Options) *dashboardWorld {
	t.Helper()
	w := &dashboardWorld{world: newWorld(t, options)}
	w.first, w.second = w.createCard(), w.createCard("name", "Second")
	// Width and dashcards of a new dashboard are ignored.
	a := w.want(http.StatusOK, "POST /api/dashboard", object{"name": "D", "width": "full", "dashcards": w.update()["dashcards"]})
	if a.at("width") != "fixed" || len(a.at("dashcards").([]any)) != 0 {
		t.Errorf("a new dashboard: %s", a.body)
	}
	w.dashboard = a.id()
	w.path = "/api/dashboard/" + itoa(w.dashboard)
	return w
}

// update gives the body of an update, changed by pairs of path and value.
func (w *dashboardWorld) update(changes ...any) object {
	return with(w.t, object{
		"width": "full", "auto_apply_filters": true, "tabs": []any{},
		"parameters": []any{
			object{"id": "f_state", "name": "State", "slug": "state", "type": "string/=", "sectionId": "string"},
			object{"id": "f_since", "name": "Since", "slug": "since", "type": "date/single", "sectionId": "date", "default": "2024-02-01"},
		},
		"dashcards": []any{
			object{"id": -1, "card_id": w.first, "row": 0, "col": 0, "size_x": 12, "size_y": 3, "series": []any{},
				"visualization_settings": object{"card.title": "Records"},
				"parameter_mappings": []any{
					object{"parameter_id": "f_state", "card_id": w.first, "target": []any{"dimension", []any{"template-tag", "state"}}},
					object{"parameter_id": "f_since", "card_id": w.first, "target": []any{"variable", []any{"template-tag", "since"}}},
				}},
			object{"id": -2, "card_id": w.second, "row": 0, "col": 12, "size_x": 12, "size_y": 3, "series": []any{}, "parameter_mappings": []any{}},
			object{"id": -3, "card_id": nil, "row": 3, "col": 0, "size_x": 24, "size_y": 1, "series": []any{}, "parameter_mappings": []any{},
				"visualization_settings": object{"text": "Overview", "virtual_card": object{"name": nil, "display": "heading",
					"visualization_settings": object{}, "dataset_query": object{}, "archived": false}}},
		},
	}, changes...)
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	a := w.want(http.StatusOK, "PUT "+w.path, w.update())
	if a.at("width") != "full" || len(a.at("dashcards").([]any)) != 3 || len(a.at("parameters").([]any)) != 2 {
		t.Errorf("after an update: %s", a.body)
	}
	// The order changes from one look to the next.
	first := w.want(http.StatusOK, "GET "+w.path, nil).at("dashcards.0.id")
	if w.want(http.StatusOK, "GET "+w.path, nil).at("dashcards.0.id") == first {
		t.Error("the dashcards have an order")
	}
	// All dashcards are replaced; one that keeps its id stays.
	ids := map[float64]int{}
	for _, one := range a.at("dashcards").([]any) {
		dc := one.(object)
		if card, ok := dc["card_id"].(float64); ok {
			ids[card] = int(dc["id"].(float64))
		}
	}
	kept := ids[float64(w.first)]
	smaller := w.update("dashcards/0/id", kept)
	smaller["dashcards"] = smaller["dashcards"].([]any)[:1]
	a = w.want(http.StatusOK, "PUT "+w.path, smaller)
	if all := a.at("dashcards").([]any); len(all) != 1 || all[0].(object)["id"] != float64(kept) {
		t.Errorf("after the second update: %s", a.body)
	}
	w.want(http.StatusOK, "PUT "+w.path, smaller)
	writes := w.server.Writes()
	if writes[len(writes)-1].Changed {
		t.Error("the same update again is a change")
	}
	w.want(http.StatusOK, "PUT "+w.path, object{"archived": true})
	w.clean()
}

func TestTabs(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	two := []any{object{"id": -1, "name": "One"}, object{"id": -2, "name": "Two"}}
	w.refuses("PUT "+w.path, w.update("tabs", two), "no tab ids")
	w.refuses("PUT "+w.path, w.update("tabs", two, "dashcards/0/dashboard_tab_id", -9, "dashcards/1/dashboard_tab_id", -1, "dashcards/2/dashboard_tab_id", -1), "an unknown tab")
	a := w.want(http.StatusOK, "PUT "+w.path, w.update("tabs", two, "dashcards/0/dashboard_tab_id", -1,
		"dashcards/1/dashboard_tab_id", -2, "dashcards/2/dashboard_tab_id", -2, "dashcards/1/col", 0))
	if a.at("tabs.0.name") != "One" || a.at("tabs.0.id").(float64) <= 0 || a.at("tabs.0.id") == a.at("tabs.1.id") {
		t.Errorf("tabs: %s", a.body)
	}
	one := w.want(http.StatusOK, "PUT "+w.path, w.update("tabs", []any{object{"id": -1, "name": "One"}}))
	if one.at("dashcards.0.dashboard_tab_id") != one.at("tabs.0.id") {
		t.Errorf("the only tab is not filled in: %s", one.body)
	}
	w.refuses("PUT "+w.path, w.update("tabs", []any{two[0], two[0]}), "a tab twice")
	w.refuses("PUT "+w.path, w.update("tabs", []any{object{"id": 99, "name": "x"}}), "an id of no tab")
}

func TestDashboardRefuses(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	const first, mapped = "dashcards/0/", "dashcards/0/parameter_mappings/0/"
	for _, change := range [][]any{
		{"name", ""}, {"description", ""}, {"width", "wide"}, {"filters", []any{}}, {"collection_id", 99}, {"cache_ttl", -1},
		{"parameters/0/type", "string", "dashcards", []any{}}, {"parameters/0/type", gone{}}, {"parameters/0/id", gone{}}, {"parameters/0/label", "x"},
		{"parameters/1/id", "f_state", "dashcards", []any{}}, {"parameters/1/slug", "state"}, {"parameters/0/name", ""},
		{"parameters/0/values_source_type", "static-list"}, {"parameters/0/values_query_type", "dropdown"},
		{"parameters/0/values_source_config", object{"value": 1}},
		{first + "size_x", gone{}}, {first + "size_y", gone{}}, {first + "row", gone{}}, {first + "col", gone{}}, {first + "id", gone{}},
		{first + "size_x", 0}, {first + "row", -1}, {"dashcards/1/size_x", 13}, {first + "size_x", 13}, {first + "id", -2}, {first + "id", 99}, {first + "id", 0},
		{first + "card", object{}}, {first + "entity_id", "x"}, {first + "sizeX", 4}, {first + "card_id", nil}, {first + "series", []any{43}},
		{first + "visualization_settings", object{"title": "x"}},
		{"dashcards/2/visualization_settings/virtual_card", gone{}}, {"dashcards/2/visualization_settings/text", gone{}},
		{"dashcards/2/visualization_settings/virtual_card/display", "title"}, {"dashcards/2/visualization_settings/virtual_card/type", "x"},
		{mapped + "card_id", gone{}}, {mapped + "card_id", nil}, {mapped + "card_id", w.second}, {mapped + "parameter_id", "f_county"},
		{mapped + "parameter_id", "f_since"}, {mapped + "target", []any{"dimension", []any{"template-tag", "county"}}},
		{mapped + "target", []any{"variable", []any{"template-tag", "state"}}}, {mapped + "target", []any{"text-tag", "state"}},
		{mapped + "target", gone{}}, {"parameters/0/type", "date/single"}, {"parameters/1/type", "date/all-options"},
		{"dashcards/0/parameter_mappings/1", object{"parameter_id": "f_state", "card_id": w.first, "target": []any{"dimension", []any{"template-tag", "state"}}}},
	} {
		w.refuses("PUT "+w.path, w.update(change...), change)
	}
	if n := len(w.server.state.Dashboards[0].Dashcards); n != 0 {
		t.Errorf("%d dashcards were stored", n)
	}
	for _, b := range []object{{}, {"name": " "}, {"name": "x", "archived": true}, {"name": "x", "colour": 1}} {
		w.refuses("POST /api/dashboard", b, b)
	}
}

func TestDashcardsOfNoCard(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	w.want(http.StatusNotFound, "PUT "+w.path, w.update("dashcards/1/card_id", 99))
	w.violated("no card 99")
	w.want(http.StatusOK, "PUT /api/card/"+itoa(w.second), object{"archived": true})
	w.want(http.StatusNotFound, "PUT "+w.path, w.update())
	w.violated("archived")
}

func TestTextTag(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	mapping := []any{object{"parameter_id": "f_state", "target": []any{"text-tag", "state"}}}
	w.refuses("PUT "+w.path, w.update("dashcards/2/parameter_mappings", mapping), "no such text tag")
	w.want(http.StatusOK, "PUT "+w.path, w.update("dashcards/2/parameter_mappings", mapping, "dashcards/2/visualization_settings/text", "In {{state}}"))
}

func TestDashcardQuery(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{})
	a := w.want(http.StatusOK, "PUT "+w.path, w.update())
	path := ""
	for _, one := range a.at("dashcards").([]any) {
		dc := one.(object)
		if dc["card_id"] == float64(w.first) {
			path = "POST " + w.path + "/dashcard/" + itoa(int(dc["id"].(float64))) + "/card/" + itoa(w.first) + "/query"
		}
	}
	for _, c := range []struct {
		parameters []any
		want       string
	}{
		{[]any{}, `[["CA",1],["TX",1]]`}, // since 2024-02-01, the default
		{[]any{object{"id": "f_since", "value": nil}}, `[["CA",2],["O'X",1],["TX",1]]`},
		{[]any{object{"id": "f_state", "type": "string/=", "value": []any{"CA"}}}, `[["CA",1]]`},
		{[]any{object{"id": "f_since", "value": "2024-07-01"}}, `[["TX",1]]`},
	} {
		a := w.want(http.StatusAccepted, path, object{"parameters": c.parameters})
		if got := string(text(a.at("data.rows"))); got != c.want {
			t.Errorf("%s: %s, want %s", text(c.parameters), got, c.want)
		}
	}
	w.clean()
	w.refuses(path, object{"parameters": []any{object{"id": "f_county", "value": 1}}}, "an unknown parameter")
	w.refuses(path, object{"parameters": []any{object{"value": 1}}}, "no id")
	w.refuses(path, object{"parameters": []any{object{"id": "f_state", "type": "date/single", "value": 1}}}, "another type")
	w.want(http.StatusNotFound, "POST "+w.path+"/dashcard/1/card/"+itoa(w.first)+"/query", object{})
}

func TestPublicLink(t *testing.T) {
	t.Parallel()
	w := newDashboard(t, Options{Version: V054})
	w.want(http.StatusBadRequest, "POST "+w.path+"/public_link", nil)
	w.want(http.StatusNoContent, "PUT /api/setting/enable-public-sharing", object{"value": true})
	uuid := w.want(http.StatusOK, "POST "+w.path+"/public_link", nil).text("uuid")
	if again := w.want(http.StatusOK, "POST "+w.path+"/public_link", nil).text("uuid"); again != uuid {
		t.Errorf("a second link: %s, then %s", uuid, again)
	}
	w.clean()
}
