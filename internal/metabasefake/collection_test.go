package metabasefake

import (
	"net/http"
	"testing"
)

func TestCollections(t *testing.T) {
	t.Parallel()
	c := newCaller(t, Options{})
	first := c.want(http.StatusOK, "POST /api/collection", object{"name": "Stats", "description": "All"}).id()
	second := c.want(http.StatusOK, "POST /api/collection", object{"name": "Stats", "parent_id": first}).id()
	all := c.want(http.StatusOK, "GET /api/collection", nil)
	if all.at("0.id") != "root" {
		t.Errorf("the first is %v", all.at("0"))
	}
	personal, location := 0, ""
	for _, one := range c.server.state.Collections {
		if one.Owner != nil {
			personal++
		}
		if one.ID == second {
			location = c.server.location(one)
		}
	}
	if personal != 1 || location != "/"+itoa(first)+"/" {
		t.Errorf("%d personal collections, the inner one at %s", personal, location)
	}
	c.want(http.StatusOK, "PUT /api/collection/"+itoa(second), object{"archived": true})
	if got := c.want(http.StatusOK, "GET /api/collection?archived=true", nil).at("0.id"); got != float64(second) {
		t.Errorf("archived is %v", got)
	}
	c.clean()
	for _, b := range []object{
		{}, {"name": ""}, {"name": "x", "description": ""}, {"name": "x", "color": "#fff"},
		{"name": "x", "parent_id": 99}, {"name": "x", "parent_id": second}, {"name": "x", "archived": true},
		{"name": "x", "authority_level": "none"},
	} {
		c.refuses("POST /api/collection", b, b)
	}
	c.refuses("PUT /api/collection/"+itoa(first), object{"parent_id": first}, "itself as its parent")
}

func TestItems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{PageLimit: 2})
	place := w.want(http.StatusOK, "POST /api/collection", object{"name": "Stats"}).id()
	for range 3 {
		w.createCard("collection_id", place)
	}
	gone := w.createCard("collection_id", place)
	w.want(http.StatusOK, "PUT /api/card/"+itoa(gone), object{"archived": true})
	dashboard := w.want(http.StatusOK, "POST /api/dashboard", object{"name": "D", "collection_id": place}).id()
	w.createCard("collection_id", place, "dashboard_id", dashboard)
	old := w.want(http.StatusOK, "POST /api/dashboard", object{"name": "Old", "collection_id": place}).id()
	w.want(http.StatusOK, "PUT /api/dashboard/"+itoa(old), object{"archived": true})
	path := "GET /api/collection/" + itoa(place) + "/items"
	for query, want := range map[string][2]int{ // number on the page, and in all
		"?models=card&models=dashboard&limit=200":             {2, 4},
		"?models=card&models=dashboard&limit=200&offset=2":    {2, 4},
		"?models=card&models=dashboard&offset=4":              {0, 4},
		"?models=card&limit=1":                                {1, 3},
		"?models=dashboard":                                   {1, 1},
		"?models=card&show_dashboard_questions=true&offset=2": {2, 4},
		"?models=card&archived=true":                          {1, 1},
		"":                                                    {2, 4},
		"?models=collection":                                  {0, 0},
		"?models=card&models=dashboard&models=collection&limit=200&offset=10": {0, 4},
	} {
		a := w.want(http.StatusOK, path+query, nil)
		if got := [2]int{len(a.at("data").([]any)), int(a.at("total").(float64))}; got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if a := w.want(http.StatusOK, path+"?models=card", nil); a.at("data.0.model") != "card" || a.at("data.0.name") != "By state" {
		t.Errorf("an item is %v", a.at("data.0"))
	}
	w.want(http.StatusOK, "GET /api/collection/root/items", nil)
	w.clean()
	w.refuses(path+"?models=cards", nil, "models=cards")
	w.refuses(path+"?limit=all", nil, "limit=all")
}
