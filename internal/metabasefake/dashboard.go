package metabasefake

import (
	"net/http"
	"slices"
)

// dashboard is a page of cards.
type dashboard struct {
	ID         int
	EntityID   string
	PublicUUID *string
	dashboardBody
}

// dashboardBody is what an update takes. A new dashboard takes less.
type dashboardBody struct {
	Name               string      `json:"name" need:"create"`
	Description        *string     `json:"description"`
	Parameters         []parameter `json:"parameters"`
	CollectionID       *int        `json:"collection_id"`
	CollectionPosition *int        `json:"collection_position"`
	CacheTTL           *int        `json:"cache_ttl"`
	// Metabase ignores these three in a new dashboard.
	Width     string     `json:"width"`
	Dashcards []dashcard `json:"dashcards"`
	Tabs      []tab      `json:"tabs"`

	AutoApplyFilters bool    `json:"auto_apply_filters" only:"update"`
	Archived         bool    `json:"archived" only:"update"`
	Position         *int    `json:"position" only:"update"`
	Caveats          *string `json:"caveats" only:"update"`
	PointsOfInterest *string `json:"points_of_interest" only:"update"`
	GettingStarted   bool    `json:"show_in_getting_started" only:"update"`
	EnableEmbedding  bool    `json:"enable_embedding" only:"update"`
	EmbeddingType    *string `json:"embedding_type" only:"update"`
	EmbeddingParams  any     `json:"embedding_params" only:"update"`
}

// tab is a tab of a dashboard; a negative id asks for a new one.
type tab struct {
	ID   int    `json:"id" need:"always"`
	Name string `json:"name" need:"always"`
}

func (s *Server) dashboardByID(id int) *dashboard {
	return find(s.state.Dashboards, func(d *dashboard) bool { return d.ID == id })
}

// summary gives a dashboard as lists show it.
func (d *dashboard) summary() object {
	return object{
		"id": d.ID, "entity_id": d.EntityID, "name": d.Name, "description": d.Description, "archived": d.Archived,
		"collection_id": d.CollectionID, "collection_position": d.CollectionPosition, "creator_id": 1,
		"width": d.Width, "auto_apply_filters": d.AutoApplyFilters, "enable_embedding": d.EnableEmbedding,
		"embedding_params": d.EmbeddingParams, "public_uuid": d.PublicUUID, "cache_ttl": d.CacheTTL,
		"parameters": orEmpty(d.Parameters),
	}
}

// dashboardAnswer gives a dashboard with its cards, which come in another order
// each time.
func (s *Server) dashboardAnswer(d *dashboard) object {
	dashcards := []object{}
	for _, dc := range d.Dashcards {
		dashcards = append(dashcards, s.dashcardAnswer(d, dc))
	}
	if n := len(dashcards); n > 0 {
		s.state.looks++
		first := s.state.looks % n
		dashcards = slices.Concat(dashcards[first:], dashcards[:first])
	}
	tabs := []object{}
	for i, t := range d.Tabs {
		tabs = append(tabs, object{"id": t.ID, "dashboard_id": d.ID, "name": t.Name, "position": i})
	}
	answer := d.summary()
	answer["dashcards"], answer["tabs"] = dashcards, tabs
	return answer
}

func (s *Server) listDashboards(r *http.Request) (int, any) {
	archived := r.URL.Query().Get("f") == "archived"
	all := []object{}
	for _, d := range s.state.Dashboards {
		if d.Archived == archived {
			all = append(all, d.summary())
		}
	}
	return http.StatusOK, all
}

func (s *Server) dashboard(r *http.Request) *dashboard { return s.dashboardByID(pathID(r, "id")) }

func (s *Server) getDashboard(r *http.Request) (int, any) {
	d := s.dashboard(r)
	if d == nil {
		return s.missing()
	}
	return http.StatusOK, s.dashboardAnswer(d)
}

func (s *Server) createDashboard(r *http.Request) (int, any) {
	d := &dashboard{EntityID: newID(false)}
	_, err := body(r, &d.dashboardBody, true)
	d.Width, d.AutoApplyFilters, d.Dashcards, d.Tabs = "fixed", true, nil, nil
	if err == nil {
		err = s.checkDashboard(d)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	d.ID = s.state.next()
	s.state.Dashboards = append(s.state.Dashboards, d)
	return http.StatusOK, s.dashboardAnswer(d)
}

func (s *Server) updateDashboard(r *http.Request) (int, any) {
	d := s.dashboard(r)
	if d == nil {
		return s.missing()
	}
	var b dashboardBody
	keys, err := body(r, &b, false)
	updated := *d
	overlay(&updated.dashboardBody, &b, keys)
	if err == nil {
		err = s.checkDashboard(&updated)
	}
	if err == nil && keys["dashcards"] {
		if id, ok := s.unknownCard(updated.Dashcards); ok {
			s.violate("PUT %s: there is no card %d, or it is archived", r.URL.Path, id)
			return s.missing()
		}
	}
	if err == nil && (keys["dashcards"] || keys["tabs"] || keys["parameters"]) {
		err = s.checkLayout(d, &updated)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	s.giveIDs(&updated)
	*d = updated
	return http.StatusOK, s.dashboardAnswer(d)
}

func (s *Server) checkDashboard(d *dashboard) error {
	if err := notBlank("name", &d.Name); err != nil {
		return err
	}
	if err := notBlank("description", d.Description); err != nil {
		return err
	}
	if d.Width != "fixed" && d.Width != "full" {
		return wrong("width", "%q is none", d.Width)
	}
	if err := s.checkPlace(d.CollectionID); err != nil {
		return err
	}
	if err := checkPositive(map[string]*int{
		"collection_position": d.CollectionPosition, "cache_ttl": d.CacheTTL, "position": d.Position,
	}); err != nil {
		return err
	}
	return checkParameters(d.Parameters, false)
}

// giveIDs gives ids to new tabs and dashcards, and puts the dashcards onto the
// new tabs: onto the only one if there is one.
func (s *Server) giveIDs(d *dashboard) {
	ids := map[int]int{}
	d.Tabs = slices.Clone(d.Tabs)
	for i, t := range d.Tabs {
		if t.ID < 0 {
			d.Tabs[i].ID = s.state.next()
		}
		ids[t.ID] = d.Tabs[i].ID
	}
	d.Dashcards = slices.Clone(d.Dashcards)
	for i := range d.Dashcards {
		dc := &d.Dashcards[i]
		if dc.ID < 0 {
			dc.ID = s.state.next()
		}
		switch {
		case len(d.Tabs) == 0:
			dc.TabID = nil
		case dc.TabID == nil:
			dc.TabID = &d.Tabs[0].ID
		default:
			id := ids[*dc.TabID]
			dc.TabID = &id
		}
	}
}

func (s *Server) publishDashboard(r *http.Request) (int, any) {
	d := s.dashboard(r)
	switch {
	case d == nil || d.Archived:
		return s.missing()
	case s.state.Settings["enable-public-sharing"] != true:
		return http.StatusBadRequest, "Public sharing is not enabled."
	case d.PublicUUID == nil:
		uuid := newID(true)
		d.PublicUUID = &uuid
	}
	return http.StatusOK, object{"uuid": *d.PublicUUID}
}
