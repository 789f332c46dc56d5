package metabasefake

import (
	"net/http"
	"slices"
)

// value is a parameter of a query. A dashboard's query names the parameter by its
// id, a card's names the tag by its target.
type value struct {
	ID     *string `json:"id"`
	Type   *string `json:"type"`
	Target []any   `json:"target"`
	Value  any     `json:"value"`
}

type queryBody struct {
	Parameters  []value `json:"parameters"`
	IgnoreCache bool    `json:"ignore_cache"`
}

// queryCard runs a card's query. The answer is 202 also when it fails.
func (s *Server) queryCard(r *http.Request) (int, any) {
	c := s.card(r)
	if c == nil || c.Archived {
		return s.missing()
	}
	var b queryBody
	if _, err := body(r, &b, true); err != nil {
		return s.refuse(r, err)
	}
	values := map[string]any{}
	for i, v := range b.Parameters {
		_, name, err := target("parameters", v.Target)
		if err == nil && v.Type == nil {
			err = wrong("parameters", "number %d has no type", i)
		}
		if err == nil {
			err = c.query.checkTarget("parameters", v.Target, *v.Type)
		}
		if err != nil {
			return s.refuse(r, err)
		}
		values[name] = v.Value
	}
	return s.answerQuery(r, c.query, values, c.Settings)
}

// queryDashcard runs a card with the filters of its dashboard. A filter that the
// request does not name has its default.
func (s *Server) queryDashcard(r *http.Request) (int, any) {
	d, c := s.dashboard(r), s.cardByID(pathID(r, "card"))
	if d == nil || c == nil {
		return s.missing()
	}
	i := slices.IndexFunc(d.Dashcards, func(dc dashcard) bool {
		return dc.ID == pathID(r, "dashcard") && slices.Contains(dc.cards(), c.ID)
	})
	if i < 0 {
		return s.missing()
	}
	var b queryBody
	if _, err := body(r, &b, true); err != nil {
		return s.refuse(r, err)
	}
	given := map[string]any{}
	for _, p := range d.Parameters {
		given[p.ID] = p.Default
	}
	for _, v := range b.Parameters {
		if v.ID == nil {
			return s.refuse(r, wrong("parameters", "a parameter of a dashboard is named by its id"))
		}
		p := slices.IndexFunc(d.Parameters, func(p parameter) bool { return p.ID == *v.ID })
		if p < 0 {
			return s.refuse(r, wrong("parameters", "the dashboard has no parameter %s", *v.ID))
		}
		if v.Type != nil && *v.Type != d.Parameters[p].Type {
			return s.refuse(r, wrong("parameters", "%s is of type %s", *v.ID, d.Parameters[p].Type))
		}
		given[*v.ID] = v.Value
	}
	values := map[string]any{}
	for _, m := range d.Dashcards[i].Mappings {
		if *m.CardID == c.ID {
			_, name, _ := target("", m.Target) // checked when it was stored
			values[name] = given[m.ParameterID]
		}
	}
	return s.answerQuery(r, c.query, values, c.Settings)
}

// queryDataset runs a query that is not stored.
func (s *Server) queryDataset(r *http.Request) (int, any) {
	var b map[string]any
	_, err := body(r, &b, true)
	var query native
	if err == nil {
		query, err = s.parseQuery("query", b)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	return s.answerQuery(r, query, nil, nil)
}

// answerQuery runs a query with the values of its tags.
func (s *Server) answerQuery(r *http.Request, query native, values, settings map[string]any) (int, any) {
	db := s.databaseByID(query.database)
	fail := func(err error) (int, any) {
		return http.StatusAccepted, object{
			"status": "failed", "error": err.Error(), "error_type": "invalid-query", "class": "class org.postgresql.util.PSQLException",
			"row_count": 0, "data": object{"rows": []any{}, "cols": []any{}},
		}
	}
	sql, err := query.compile(db, values, s.options.Now())
	if err != nil {
		return fail(err)
	}
	found, err := s.run(r.Context(), db, sql)
	if err != nil {
		return fail(err)
	}
	s.columnsMissing(r.Method+" "+r.URL.Path, settings, found)
	cols := []object{}
	for i, name := range found.names {
		cols = append(cols, object{
			"name": name, "display_name": name, "base_type": found.types[i], "effective_type": found.types[i],
			"semantic_type": nil, "source": "native", "field_ref": []any{"field", name, object{"base-type": found.types[i]}},
		})
	}
	return http.StatusAccepted, object{
		"status": "completed", "row_count": len(found.rows), "database_id": db.ID, "running_time": 1, "context": "question",
		"data": object{"rows": found.rows, "cols": cols, "native_form": object{"query": sql, "params": nil}},
	}
}
