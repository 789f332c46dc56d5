package workflows

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"covidpipeline/activities"
	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/metabasefake"
)

func cardPath(card metabase.Card) string { return fmt.Sprintf("/api/card/%d", card.ID) }

// find gives what was done to one object.
func (r DashboardResult) find(name string) activities.Applied {
	i := slices.IndexFunc(r.Applied, func(a activities.Applied) bool { return a.What+" "+a.Name == name })
	if i < 0 {
		return activities.Applied{}
	}
	return r.Applied[i]
}

// A dry run says all and writes nothing: on a new Metabase, on one that is set
// up, on one that has everything.
func TestDashboardDryRun(t *testing.T) {
	t.Parallel()
	dry := activities.ApplyOptions{DryRun: true}
	for name, test := range map[string]struct {
		users   []metabasefake.User
		created int
	}{
		"a new Metabase": {nil, 1},
		"one set up":     {[]metabasefake.User{admin}, 3 + len(dashboards.Cards())},
	} {
		p := newProvisioning(t, metabasefake.Options{Users: test.users})
		r := p.must(dry)
		if created := r.done(activities.Created); len(created) != test.created || r.Path != "" || !r.DryRun {
			t.Errorf("%s: %+v", name, r)
		}
		if writes := p.fake.Writes(); len(writes) > 0 {
			t.Errorf("%s: wrote %v", name, writes)
		}
		p.must(activities.ApplyOptions{})
		before := len(p.fake.Writes())
		if r := p.must(dry); len(r.done(activities.Same)) != len(r.Applied) || r.Path == "" || len(p.writes(before)) > 0 {
			t.Errorf("%s, with everything: %+v, wrote %v", name, r.Applied, p.writes(before))
		}
	}
}

// What a person has edited is kept and said, whatever of it, and put back by force.
func TestDashboardEditedCards(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	edits := map[string]map[string]any{
		"deaths_by_state": {"display": "bar"},
		"cases_by_day":    {"visualization_settings": map[string]any{"graph.dimensions": []string{"date"}, "graph.metrics": []string{"new_cases"}}},
		"overview":        {"name": "Everything"},
		"latest_record":   {"description": "Somebody's own words."}, // the mark goes with them
	}
	for name, edit := range edits {
		card, _, _ := p.place(name)
		p.edit(cardPath(card), edit)
	}
	before := len(p.fake.Writes())
	for _, options := range []activities.ApplyOptions{{}, {DryRun: true}, {DryRun: true, Force: true}} {
		r := p.must(options)
		what := activities.Kept
		if options.Force {
			what = activities.Updated
		}
		if done := r.done(what); len(done) != len(edits) {
			t.Errorf("%+v: %q", options, done)
		}
		for name, difference := range map[string]string{
			"card Total deaths per state": "display", "card New cases over time": "setting graph.metrics",
			"card Covid Records Overview": "name", "card Latest Covid Record": "description",
		} {
			found := r.find(name)
			if !strings.Contains(found.Reason, "edited") || !slices.ContainsFunc(found.Differences, func(d metabase.Difference) bool { return d.Name == difference }) {
				t.Errorf("%+v: %s: %+v", options, name, found)
			}
		}
	}
	if writes := p.writes(before); len(writes) > 0 {
		t.Errorf("wrote %v", writes)
	}
	if r := p.must(activities.ApplyOptions{Force: true}); len(r.done(activities.Updated)) != len(edits) {
		t.Errorf("forced: %+v", r.Applied)
	}
	if r := p.must(activities.ApplyOptions{}); len(r.done(activities.Same)) != len(r.Applied) {
		t.Errorf("after it was forced: %+v", r.Applied)
	}
	p.checkNumbers()
}

// What a person made under our names is theirs, by force too; what lost its mark and
// is still on the dashboard is ours.
func TestDashboardBesideAnothersOfItsNames(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{Users: []metabasefake.User{admin}})
	collection, err := p.client.CreateCollection(t.Context(), "collection", dashboards.Title, dashboards.Description)
	if err != nil {
		t.Fatal(err)
	}
	definition, _ := dashboards.Find("total_records")
	session := fmt.Sprint(p.json(http.MethodPost, "/api/session", "", map[string]any{"username": admin.Email, "password": admin.Password})["id"])
	database, err := p.client.CreateDatabase(t.Context(), "another", p.works.Connection)
	if err != nil {
		t.Fatal(err)
	}
	card := p.json(http.MethodPost, "/api/card", session, map[string]any{
		"name": definition.Title, "display": "table", "collection_id": collection, "visualization_settings": map[string]any{},
		"dataset_query": map[string]any{"type": "native", "database": database, "native": map[string]any{"query": "SELECT 1 AS n"}},
	})
	page := p.json(http.MethodPost, "/api/dashboard", session, map[string]any{"name": dashboards.Title, "collection_id": collection})
	names := []string{"card " + definition.Title, "dashboard " + dashboards.Title}
	for _, options := range []activities.ApplyOptions{{DryRun: true, Force: true}, {Force: true}} {
		r := p.must(options)
		for _, name := range names {
			if found := r.find(name); found.Done != activities.Created || !strings.Contains(found.Reason, "stays as it is") {
				t.Errorf("%+v: %+v", options, found)
			}
		}
	}
	p.checkNumbers()
	for _, options := range []activities.ApplyOptions{{}, {Force: true}} {
		if r := p.must(options); len(r.done(activities.Same)) != len(r.Applied) {
			t.Errorf("repeated with %+v: %+v", options, r.Applied)
		}
	}
	for _, r := range p.fake.Writes() {
		if r.Method == http.MethodPut && (r.Path == fmt.Sprintf("/api/card/%v", card["id"]) || r.Path == fmt.Sprintf("/api/dashboard/%v", page["id"])) {
			t.Errorf("wrote to what is somebody else's: %+v", r)
		}
	}

	_, ours := p.page()
	p.edit(fmt.Sprintf("/api/dashboard/%d", ours.ID), map[string]any{"description": "Somebody's own words."})
	if r := p.must(activities.ApplyOptions{}); !slices.Equal(r.done(activities.Kept), names[1:]) || len(r.done(activities.Created)) > 0 {
		t.Errorf("with a rewritten description: %+v", r.Applied)
	}
}

// A person who rewrote the descriptions of the dashboard and of a card has edited
// ours: it still shows the others.
func TestDashboardWithRewrittenDescriptions(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	_, d := p.page()
	card, _, _ := p.place("latest_record")
	p.edit(cardPath(card), map[string]any{"description": "Own words."})
	p.edit(fmt.Sprintf("/api/dashboard/%d", d.ID), map[string]any{"description": "Own words too."})
	r := p.must(activities.ApplyOptions{})
	if created := r.done(activities.Created); len(created) > 0 {
		t.Errorf("created %q", created)
	}
	if kept := r.done(activities.Kept); !slices.Equal(kept, []string{"card Latest Covid Record", "dashboard " + dashboards.Title}) {
		t.Errorf("kept %q", kept)
	}
	p.must(activities.ApplyOptions{Force: true})
	if _, again := p.page(); again.ID != d.ID {
		t.Errorf("dashboard %d, want %d", again.ID, d.ID)
	}
}

// Something added to a card leaves it what it should be; by force it goes.
func TestDashboardWithAnAddedSetting(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	card, _, _ := p.place("cases_by_day")
	settings := card.Settings
	settings["graph.show_goal"], settings["graph.goal_value"] = true, 50
	p.edit(cardPath(card), map[string]any{"visualization_settings": settings})
	if r := p.must(activities.ApplyOptions{}); len(r.done(activities.Kept)) != 1 {
		t.Errorf("%+v", r.Applied)
	}
	p.must(activities.ApplyOptions{Force: true})
	if card, _, _ = p.place("cases_by_day"); card.Settings["graph.goal_value"] != nil {
		t.Error("the goal is still there")
	}
}

// A card that has lost a tag loses the filter on the dashboard, and says so.
func TestDashboardWithACardWithoutTags(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	card, _, _ := p.place("total_records")
	p.edit(cardPath(card), map[string]any{"dataset_query": map[string]any{
		"type": "native", "database": card.Query.Database, "native": map[string]any{"query": "SELECT count(*) AS n FROM covid_cases"},
	}, "visualization_settings": map[string]any{}})
	r := p.must(activities.ApplyOptions{})
	if len(r.done(activities.Kept)) != 1 || !slices.Equal(r.done(activities.Updated), []string{"dashboard " + dashboards.Title}) {
		t.Errorf("%+v", r.Applied)
	}
	if _, _, place := p.place("total_records"); place.ID == 0 || len(place.Mappings) != 0 {
		t.Errorf("%+v", place)
	}
	p.must(activities.ApplyOptions{Force: true})
	p.checkNumbers()
}

// A dashboard that a person has rearranged is kept; ids of places survive force.
func TestDashboardRearranged(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	_, d := p.page()
	path := fmt.Sprintf("/api/dashboard/%d", d.ID)
	p.edit(path, map[string]any{"name": "Ours", "width": "fixed"})
	r := p.must(activities.ApplyOptions{})
	found := r.find("dashboard " + dashboards.Title)
	if found.Done != activities.Kept || len(found.Differences) != 2 {
		t.Errorf("%+v", found)
	}
	ids := func(d metabase.Dashboard) (all []int) {
		for _, place := range d.Places {
			all = append(all, place.ID)
		}
		slices.Sort(all)
		return all
	}
	p.must(activities.ApplyOptions{Force: true})
	if _, again := p.page(); again.ID != d.ID || again.Name != dashboards.Title || !slices.Equal(ids(again), ids(d)) {
		t.Errorf("dashboard %d %q with %v, want %d with %v", again.ID, again.Name, ids(again), d.ID, ids(d))
	}
}

// What was written by an older definition is brought up to date, unless edited.
func TestDashboardWithANewDefinition(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	for _, name := range []string{"total_records", "overview"} {
		collection, _ := p.page()
		old, _, _ := p.place(name)
		old.Name, old.Display, old.Settings = "Of an older version", "table", map[string]any{}
		if _, err := p.client.WriteCard(t.Context(), collection, old); err != nil {
			t.Fatal(err)
		}
	}
	edited, _, _ := p.place("overview")
	p.edit(cardPath(edited), map[string]any{"display": "bar"})
	r := p.must(activities.ApplyOptions{})
	if !slices.Equal(r.done(activities.Updated), []string{"card Total Covid Records count"}) || !slices.Equal(r.done(activities.Kept), []string{"card Covid Records Overview"}) {
		t.Errorf("%+v", r.Applied)
	}
}

// What is deleted comes back; what is moved or renamed is found.
func TestDashboardWithThingsGone(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	collection, _ := p.page()
	p.edit(fmt.Sprintf("/api/collection/%d", collection), map[string]any{"name": "Health"})
	card, _, _ := p.place("freshness")
	p.edit(cardPath(card), map[string]any{"archived": true})
	r := p.must(activities.ApplyOptions{})
	if !slices.Equal(r.done(activities.Created), []string{"card Data freshness"}) || r.find("collection "+dashboards.Title).Done != activities.Same {
		t.Errorf("%+v", r.Applied)
	}
	p.checkNumbers()
}
