package metabasefake

import (
	"net/http"
	"reflect"
	"testing"
)

func TestCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	first, second := w.createCard("description", "Who"), w.createCard()
	if first == second {
		t.Error("names are unique")
	}
	path := " /api/card/" + itoa(first)
	a := w.want(http.StatusOK, "PUT"+path, object{"name": "New", "description": nil})
	if a.at("name") != "New" || a.at("description") != nil || a.at("display") != "pie" {
		t.Errorf("after an update: %s", a.body)
	}
	w.want(http.StatusOK, "GET /api/card/"+a.text("entity_id"), nil)
	// What reads back can be sent again.
	w.want(http.StatusOK, "PUT"+path, object{"dataset_query": a.at("dataset_query")})
	writes := w.server.Writes()
	if last := writes[len(writes)-1]; last.Method != http.MethodPut {
		t.Errorf("the last write is %+v", last)
	}
	w.want(http.StatusOK, "PUT"+path, object{"name": "New"})
	if writes = w.server.Writes(); writes[len(writes)-1].Changed {
		t.Error("an update without a difference is a change")
	}
	w.want(http.StatusNoContent, "DELETE"+path, nil)
	w.want(http.StatusNotFound, "GET"+path, nil)
	w.clean()
}

func TestReadBack(t *testing.T) {
	t.Parallel()
	for version, paths := range map[Version][2]string{ // to the SQL, and to a tag's dimension
		V054:   {"native.query", "native.template-tags.state.dimension"},
		V058:   {"stages.0.native", "stages.0.template-tags.state.dimension"},
		V063:   {"stages.0.native", "stages.0.template-tags.1.dimension"},
		Newest: {"stages.0.native", "stages.0.template-tags.1.dimension"},
	} {
		w := newWorld(t, Options{Version: version})
		path := "GET /api/card/" + itoa(w.createCard())
		a := w.want(http.StatusOK, path, nil)
		if sql := a.text("dataset_query." + paths[0]); sql == "" {
			t.Errorf("%s: no SQL in %s", version.tag(), a.body)
		}
		dimension := a.at("dataset_query." + paths[1]).([]any)
		number, _ := dimension[1].(float64)
		if legacy := int(number) == w.fields["state"]; legacy != (version == V054) {
			t.Errorf("%s: the dimension is %v", version.tag(), dimension)
		}
		legacy := w.want(http.StatusOK, path+"?legacy-mbql=true", nil)
		if legacy.at("dataset_query.type") != "native" {
			t.Errorf("%s: as legacy it is %s", version.tag(), legacy.body)
		}
		w.clean()
	}
}

func TestMBQL5(t *testing.T) {
	t.Parallel()
	for version, status := range map[Version]int{V054: http.StatusBadRequest, V058: http.StatusOK} {
		w := newWorld(t, Options{Version: version})
		w.want(status, "POST /api/card", w.card("dataset_query", object{
			"lib/type": "mbql/query", "database": w.database,
			"stages": []any{object{"lib/type": "mbql.stage/native", "native": "SELECT 1 AS n, 2 AS state"}},
		}))
	}
}

func TestCardRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Version: V058})
	const tags, tag = "dataset_query/native/template-tags", "dataset_query/native/template-tags/state"
	for _, change := range [][]any{
		{"name", gone{}}, {"name", nil}, {"name", " "}, {"display", gone{}}, {"visualization_settings", gone{}},
		{"dataset_query", gone{}}, {"description", ""}, {"display", "bargraph"}, {"display", "pivot"}, {"display", "boxplot"},
		{"colection_id", 1}, {"Description", "x"}, {"archived", true}, {"type", "chart"}, {"collection_id", 99},
		{"collection_position", 0}, {"entity_id", "short"}, {"dashboard_id", 99},
		{"visualization_settings/pie.dimensions", "state"}, {"visualization_settings/card.title", "x"},
		{"visualization_settings/column_settings", object{"n": object{}}},
		{"visualization_settings/column_settings", object{`["name","n"]`: object{"title": "N"}}},
		{"visualization_settings/series_settings", object{"n": object{"colour": "#fff"}}},
		{"visualization_settings/table.columns", []any{object{"name": "n"}}},
		{"dataset_query/database", 99}, {"dataset_query/type", "query"}, {"dataset_query/native/sql", "SELECT 1"},
		{"dataset_query/native/query", " "}, {"dataset_query/native/query", "SELECT {{unknown}}"},
		{"dataset_query/more", 1}, {tags, "x"}, {tags, object{}}, {"dataset_query/native/query", "SELECT 1"},
		{tag + "/name", "other"}, {tag + "/type", "field"}, {tag + "/type", "text"}, {tag + "/display-name", ""},
		{tag + "/display_name", "x"}, {tag + "/widget-type", gone{}}, {tag + "/widget-type", "string"},
		{tag + "/widget-type", "date/all-options"}, {tag + "/dimension", []any{"field", 9999, nil}},
		{tag + "/dimension", []any{"column", 1, nil}}, {tags + "/since/widget-type", "date/single"},
		{tag + "/id", "same", tags + "/since/id", "same"},
		{"parameters", []any{object{"id": "p", "type": "string/="}}},
		{"parameters", []any{object{"id": "p", "type": "string/=", "target": []any{"variable", []any{"template-tag", "state"}}}}},
		{"parameter_mappings", []any{object{"parameter_id": "x", "target": []any{}}}},
	} {
		w.refuses("POST /api/card", w.card(change...), change)
	}
	before := len(w.server.Violations())
	w.want(http.StatusInternalServerError, "POST /api/card", w.card("dataset_query", object{}))
	if w.violated("dataset_query is empty") != before+1 {
		t.Error("an empty query is no violation")
	}
	if n := len(w.server.state.Cards); n != 0 {
		t.Errorf("%d cards were stored", n)
	}
	id := itoa(w.createCard())
	w.refuses("PUT /api/card/"+id, object{"display": "bargraph"}, "display")
	w.refuses("PUT /api/card/"+id, object{"display": nil}, "display null")
}

func TestCardQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	path := "POST /api/card/" + itoa(w.createCard()) + "/query"
	state := object{"type": "string/=", "target": []any{"dimension", []any{"template-tag", "state"}}, "value": []any{"CA", "O'X"}}
	since := object{"type": "date/single", "target": []any{"variable", []any{"template-tag", "since"}}, "value": "2024-06-01"}
	for _, c := range []struct {
		parameters []any
		want       string
	}{
		{nil, `[["CA",2],["O'X",1],["TX",1]]`},
		{[]any{state}, `[["CA",2],["O'X",1]]`},
		{[]any{since}, `[["CA",1],["TX",1]]`},
		{[]any{state, since}, `[["CA",1]]`},
		{[]any{with(t, state, "value", []any{})}, `[["CA",2],["O'X",1],["TX",1]]`},
		{[]any{with(t, state, "value", nil)}, `[["CA",2],["O'X",1],["TX",1]]`},
	} {
		a := w.want(http.StatusAccepted, path, object{"parameters": c.parameters, "ignore_cache": true})
		if got := string(text(a.at("data.rows"))); got != c.want {
			t.Errorf("%s: %s, want %s", text(c.parameters), got, c.want)
		}
	}
	w.want(http.StatusAccepted, path, object{})
	w.want(http.StatusAccepted, path, nil)
	w.clean()
	w.refuses(path, object{"parameter": []any{}}, "parameter")
	w.refuses(path, object{"parameters": []any{with(t, state, "type", "date/single")}}, "another type")
	w.refuses(path, object{"parameters": []any{with(t, state, "target", []any{"dimension", []any{"template-tag", "x"}})}}, "no such tag")
}

func TestFailedQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := w.createCard("dataset_query/native/query", "SELECT nothing FROM nowhere WHERE {{state}} AND {{since}} > now()")
	path := "POST /api/card/" + itoa(id) + "/query"
	for _, want := range []string{"pick a value", "nowhere"} {
		a := w.want(http.StatusAccepted, path, object{})
		if want == "nowhere" {
			a = w.want(http.StatusAccepted, path, object{"parameters": []any{
				object{"type": "date/single", "target": []any{"variable", []any{"template-tag", "since"}}, "value": "2024-06-01"}}})
		}
		if a.text("status") != "failed" || a.text("error") == "" {
			t.Errorf("%s: %s", want, a.body)
		}
	}
	w.clean() // the client has to see it by itself
}

func TestColumnsOfSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, settings := range []object{
		{"pie.dimension": []any{"State"}}, {"pie.metric": "m"}, {"graph.dimensions": []any{"state", "x"}}, {"scalar.field": "x"},
		{"table.columns": []any{object{"name": "x", "enabled": true}}}, {"column_settings": object{`["name","x"]`: object{}}},
		{"map.metric": "x"}, {"table.column_formatting": []any{object{"columns": []any{"x"}}}},
	} {
		before := len(w.server.Violations())
		w.want(http.StatusAccepted, "POST /api/card/"+itoa(w.createCard("visualization_settings", settings))+"/query", object{})
		if w.violated("name the column") != before+1 {
			t.Errorf("%v is no violation", settings)
		}
	}
	named := columnsNamed(object{"pie.dimension": "a", "graph.metrics": []any{"b", "a"}})
	if !reflect.DeepEqual(named, []string{"a", "b"}) {
		t.Errorf("named: %v", named)
	}
}
