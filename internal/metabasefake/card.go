package metabasefake

import (
	"net/http"
	"slices"
	"strings"
)

// card is a question.
type card struct {
	ID       int
	EntityID string
	cardBody

	query native // of DatasetQuery
}

type cardBody struct {
	Name               string         `json:"name" need:"create"`
	Type               *string        `json:"type"`
	DatasetQuery       map[string]any `json:"dataset_query" need:"create"`
	Entity             *string        `json:"entity_id"`
	Parameters         []parameter    `json:"parameters"`
	ParameterMappings  []mapping      `json:"parameter_mappings"`
	Description        *string        `json:"description"`
	Display            string         `json:"display" need:"create"`
	Settings           map[string]any `json:"visualization_settings" need:"create"`
	CollectionID       *int           `json:"collection_id"`
	CollectionPosition *int           `json:"collection_position"`
	ResultMetadata     []any          `json:"result_metadata"`
	CacheTTL           *int           `json:"cache_ttl"`
	DashboardID        *int           `json:"dashboard_id"`
	DashboardTabID     *int           `json:"dashboard_tab_id"`
	Archived           bool           `json:"archived" only:"update"`
	EnableEmbedding    bool           `json:"enable_embedding" only:"update"`
	EmbeddingType      *string        `json:"embedding_type" only:"update"`
	EmbeddingParams    any            `json:"embedding_params" only:"update"`
}

func (s *Server) cardByID(id int) *card {
	return find(s.state.Cards, func(c *card) bool { return c.ID == id })
}

// card gives the card of a path, by its number or its entity id.
func (s *Server) card(r *http.Request) *card {
	if id := r.PathValue("id"); len(id) == 21 && s.options.Version.entityIDsInPath() {
		return find(s.state.Cards, func(c *card) bool { return c.EntityID == id })
	}
	return s.cardByID(pathID(r, "id"))
}

func (s *Server) cardAnswer(c *card, legacy bool) object {
	kind := "question"
	if c.Type != nil {
		kind = *c.Type
	}
	version := s.options.Version
	return object{
		"id": c.ID, "entity_id": c.EntityID, "name": c.Name, "description": c.Description, "type": kind,
		"display": c.Display, "archived": c.Archived, "query_type": "native", "database_id": c.query.database,
		"table_id": nil, "collection_id": c.CollectionID, "collection_position": c.CollectionPosition,
		"dashboard_id": c.DashboardID, "creator_id": 1, "cache_ttl": c.CacheTTL,
		"dataset_query":          c.query.answer(version.mbql5() && !legacy, version.tagList()),
		"visualization_settings": c.Settings, "parameters": orEmpty(c.Parameters),
		"parameter_mappings": orEmpty(c.ParameterMappings), "result_metadata": nil,
		"enable_embedding": c.EnableEmbedding, "embedding_params": c.EmbeddingParams, "public_uuid": nil,
	}
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func (s *Server) listCards(*http.Request) (int, any) {
	all := []object{}
	for _, c := range s.state.Cards {
		if !c.Archived {
			all = append(all, s.cardAnswer(c, false))
		}
	}
	return http.StatusOK, all
}

func (s *Server) getCard(r *http.Request) (int, any) {
	c := s.card(r)
	if c == nil {
		return s.missing()
	}
	return http.StatusOK, s.cardAnswer(c, r.URL.Query().Get("legacy-mbql") == "true")
}

func (s *Server) createCard(r *http.Request) (int, any) {
	c := &card{EntityID: newID(false)}
	_, err := body(r, &c.cardBody, true)
	if err == nil && len(c.DatasetQuery) == 0 {
		return s.emptyQuery(r)
	}
	if err == nil {
		err = s.checkCard(c)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	c.ID = s.state.next()
	s.state.Cards = append(s.state.Cards, c)
	return http.StatusOK, s.cardAnswer(c, false)
}

// emptyQuery answers dataset_query {} as Metabase does.
func (s *Server) emptyQuery(r *http.Request) (int, any) {
	s.violate("%s %s: dataset_query is empty", r.Method, r.URL.Path)
	return http.StatusInternalServerError, object{"message": "Assert failed: database-id"}
}

func (s *Server) updateCard(r *http.Request) (int, any) {
	c := s.cardByID(pathID(r, "id"))
	if c == nil {
		return s.missing()
	}
	var b cardBody
	keys, err := body(r, &b, false)
	if err == nil && keys["dataset_query"] && len(b.DatasetQuery) == 0 {
		return s.emptyQuery(r)
	}
	updated := *c
	overlay(&updated.cardBody, &b, keys)
	if err == nil {
		err = s.checkCard(&updated)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	*c = updated
	return http.StatusOK, s.cardAnswer(c, false)
}

func (s *Server) deleteCard(r *http.Request) (int, any) {
	c := s.cardByID(pathID(r, "id"))
	if c == nil {
		return s.missing()
	}
	s.state.Cards = slices.DeleteFunc(s.state.Cards, func(other *card) bool { return other == c })
	for _, d := range s.state.Dashboards {
		d.Dashcards = slices.DeleteFunc(d.Dashcards, func(dc dashcard) bool { return dc.CardID != nil && *dc.CardID == c.ID })
	}
	return http.StatusNoContent, nil
}

// checkCard refuses a card that Metabase would refuse or show blank, and reads
// its query.
func (s *Server) checkCard(c *card) error {
	if err := notBlank("name", &c.Name); err != nil {
		return err
	}
	if err := notBlank("description", c.Description); err != nil {
		return err
	}
	if c.Type != nil && !slices.Contains([]string{"question", "model", "metric"}, *c.Type) {
		return wrong("type", "%q is none", *c.Type)
	}
	if !s.options.Version.hasDisplay(c.Display) {
		return wrong("display", "%q: Metabase stores it and shows nothing", c.Display)
	}
	if c.Display == "pivot" {
		return wrong("display", "pivot is not for native queries")
	}
	if err := s.checkPlace(c.CollectionID); err != nil {
		return err
	}
	if err := checkPositive(map[string]*int{"collection_position": c.CollectionPosition, "cache_ttl": c.CacheTTL}); err != nil {
		return err
	}
	if c.Entity != nil && len(*c.Entity) != 21 {
		return wrong("entity_id", "has 21 characters")
	}
	if c.Entity != nil {
		c.EntityID = *c.Entity
	}
	if c.DashboardID != nil && s.dashboardByID(*c.DashboardID) == nil {
		return wrong("dashboard_id", "there is no dashboard %d", *c.DashboardID)
	}
	if err := checkSettings("visualization_settings", c.Settings, false); err != nil {
		return err
	}
	query, err := s.parseQuery("dataset_query", c.DatasetQuery)
	if err != nil {
		return err
	}
	c.query = query
	return c.checkParameters()
}

// checkParameters refuses parameters that point to no tag of the card.
func (c *card) checkParameters() error {
	if err := checkParameters(c.Parameters, true); err != nil {
		return err
	}
	for _, p := range c.Parameters {
		if p.Target == nil {
			return wrong("parameters", "%s has no target", p.ID)
		}
		if err := c.query.checkTarget("parameters."+p.ID+".target", *p.Target, p.Type); err != nil {
			return err
		}
	}
	if len(c.ParameterMappings) > 0 {
		return wrong("parameter_mappings", "a native card has none; they belong to dashcards")
	}
	return nil
}

func checkPositive(numbers map[string]*int) error {
	for _, key := range sortedKeys(numbers) {
		if n := numbers[key]; n != nil && *n <= 0 {
			return wrong(key, "is not positive")
		}
	}
	return nil
}

// columnsMissing keeps a violation for each column that settings name and a
// result does not have.
func (s *Server) columnsMissing(what string, settings map[string]any, found rows) {
	for _, name := range columnsNamed(settings) {
		if !slices.Contains(found.names, name) {
			s.violate("%s: visualization_settings name the column %s, the query gives %s", what, name, strings.Join(found.names, ", "))
		}
	}
}
