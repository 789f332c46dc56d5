package metabasefake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// collection is a folder for cards and dashboards.
type collection struct {
	ID    int
	Owner *int // of a personal collection
	collectionBody
}

type collectionBody struct {
	Name        string  `json:"name" need:"create"`
	Description *string `json:"description"`
	ParentID    *int    `json:"parent_id"`
	Authority   *string `json:"authority_level"`
	Archived    bool    `json:"archived" only:"update"`
}

func (s *Server) collectionByID(id int) *collection {
	return find(s.state.Collections, func(c *collection) bool { return c.ID == id })
}

// location gives where a collection lies, such as "/" or "/4/".
func (s *Server) location(c *collection) string {
	if c.ParentID == nil {
		return "/"
	}
	parent := s.collectionByID(*c.ParentID)
	return s.location(parent) + strconv.Itoa(parent.ID) + "/"
}

func (s *Server) collectionAnswer(c *collection) object {
	return object{
		"id": c.ID, "name": c.Name, "description": c.Description, "archived": c.Archived,
		"location": s.location(c), "parent_id": c.ParentID, "authority_level": c.Authority,
		"personal_owner_id": c.Owner, "is_personal": c.Owner != nil, "type": nil, "namespace": nil,
		"slug": strings.ToLower(strings.ReplaceAll(c.Name, " ", "_")), "can_write": true,
	}
}

// rootAnswer is the collection that holds all; its id is a string.
func rootAnswer() object {
	return object{"id": "root", "name": "Our analytics", "can_write": true, "is_personal": false}
}

func (s *Server) listCollections(r *http.Request) (int, any) {
	archived := r.URL.Query().Get("archived") == "true"
	all := []object{}
	if !archived {
		all = append(all, rootAnswer())
	}
	for _, c := range s.state.Collections {
		if c.Archived == archived {
			all = append(all, s.collectionAnswer(c))
		}
	}
	return http.StatusOK, all
}

func (s *Server) getCollection(r *http.Request) (int, any) {
	if r.PathValue("id") == "root" {
		return http.StatusOK, rootAnswer()
	}
	c := s.collectionByID(pathID(r, "id"))
	if c == nil {
		return s.missing()
	}
	return http.StatusOK, s.collectionAnswer(c)
}

func (s *Server) createCollection(r *http.Request) (int, any) {
	var b collectionBody
	_, err := body(r, &b, true)
	if err == nil {
		err = s.checkCollection(0, b)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	c := &collection{ID: s.state.next(), collectionBody: b}
	s.state.Collections = append(s.state.Collections, c)
	return http.StatusOK, s.collectionAnswer(c)
}

func (s *Server) updateCollection(r *http.Request) (int, any) {
	c := s.collectionByID(pathID(r, "id"))
	if c == nil {
		return s.missing()
	}
	var b collectionBody
	keys, err := body(r, &b, false)
	updated := c.collectionBody
	overlay(&updated, &b, keys)
	if err == nil {
		err = s.checkCollection(c.ID, updated)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	c.collectionBody = updated
	return http.StatusOK, s.collectionAnswer(c)
}

func (s *Server) checkCollection(id int, b collectionBody) error {
	if err := notBlank("name", &b.Name); err != nil {
		return err
	}
	if err := notBlank("description", b.Description); err != nil {
		return err
	}
	if b.Authority != nil && *b.Authority != "official" {
		return wrong("authority_level", "%q is none", *b.Authority)
	}
	if b.ParentID == nil {
		return nil
	}
	parent := s.collectionByID(*b.ParentID)
	if parent == nil || parent.Archived || id != 0 && strings.Contains(s.location(parent)+strconv.Itoa(parent.ID)+"/", "/"+strconv.Itoa(id)+"/") {
		return wrong("parent_id", "collection %d is no place for it", *b.ParentID)
	}
	return nil
}

// checkPlace refuses a collection that does not exist or is in the trash.
func (s *Server) checkPlace(id *int) error {
	if id == nil {
		return nil
	}
	if c := s.collectionByID(*id); c == nil || c.Archived {
		return wrong("collection_id", "there is no collection %d", *id)
	}
	return nil
}

// itemModels are what a collection's items may be asked for by.
var itemModels = []string{
	"card", "dataset", "metric", "dashboard", "snippet", "collection", "document", "table",
	"transform", "measure", "pulse", "timeline", "no_models",
}

// collectionItems gives a page of what lies in a collection.
func (s *Server) collectionItems(r *http.Request) (int, any) {
	query := r.URL.Query()
	var place *int
	if r.PathValue("id") != "root" {
		c := s.collectionByID(pathID(r, "id"))
		if c == nil {
			return s.missing()
		}
		place = &c.ID
	}
	models := query["models"]
	for _, model := range models {
		if !slices.Contains(itemModels, model) {
			return s.refuse(r, wrong("models", "%q is none", model))
		}
	}
	limit, err := pageNumber(query.Get("limit"), len(s.state.Cards)+len(s.state.Dashboards)+len(s.state.Collections))
	if err != nil {
		return s.refuse(r, wrong("limit", "%v", err))
	}
	offset, err := pageNumber(query.Get("offset"), 0)
	if err != nil {
		return s.refuse(r, wrong("offset", "%v", err))
	}
	if s.options.PageLimit > 0 {
		limit = min(limit, s.options.PageLimit)
	}
	all := s.items(place, query.Get("archived") == "true", query.Get("show_dashboard_questions") == "true")
	all = slices.DeleteFunc(all, func(item object) bool {
		return len(models) > 0 && !slices.Contains(models, item["model"].(string))
	})
	total := len(all)
	page := all[min(offset, total):min(offset+limit, total)]
	return http.StatusOK, object{"data": page, "total": total, "models": models, "limit": limit, "offset": offset}
}

func pageNumber(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// items gives what lies in a collection; nil is the root.
func (s *Server) items(place *int, archived, ofDashboards bool) []object {
	in := func(id *int) bool { return id == nil && place == nil || id != nil && place != nil && *id == *place }
	all := []object{}
	add := func(model string, id int, name string, description *string, more object) {
		item := object{
			"id": id, "model": model, "name": name, "description": description, "archived": archived,
			"collection_id": place, "collection_position": nil,
		}
		for key, value := range more {
			item[key] = value
		}
		all = append(all, item)
	}
	for _, d := range s.state.Dashboards {
		if in(d.CollectionID) && d.Archived == archived {
			add("dashboard", d.ID, d.Name, d.Description, object{"entity_id": d.EntityID})
		}
	}
	for _, c := range s.state.Cards {
		if in(c.CollectionID) && c.Archived == archived && (c.DashboardID == nil || ofDashboards) {
			add("card", c.ID, c.Name, c.Description, object{
				"entity_id": c.EntityID, "display": c.Display, "database_id": c.query.database, "dashboard_id": c.DashboardID,
			})
		}
	}
	for _, c := range s.state.Collections {
		if in(c.ParentID) && c.Archived == archived && c.Owner == nil {
			add("collection", c.ID, c.Name, c.Description, object{"location": s.location(c)})
		}
	}
	return all
}
