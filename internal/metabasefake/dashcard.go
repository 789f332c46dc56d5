package metabasefake

import (
	"fmt"
	"slices"
)

// gridColumns is the width of a dashboard.
const gridColumns = 24

// dashcard is a card's place on a dashboard; a negative id asks for a new one.
type dashcard struct {
	ID         int            `json:"id" need:"always"`
	SizeX      int            `json:"size_x" need:"always"`
	SizeY      int            `json:"size_y" need:"always"`
	Row        int            `json:"row" need:"always"`
	Col        int            `json:"col" need:"always"`
	CardID     *int           `json:"card_id"`
	ActionID   *int           `json:"action_id"`
	TabID      *int           `json:"dashboard_tab_id"`
	Mappings   []mapping      `json:"parameter_mappings"`
	Settings   map[string]any `json:"visualization_settings"`
	Parameters []string       `json:"inline_parameters"`
	Series     []series       `json:"series"`
}

// series is a further card in the chart of a dashcard.
type series struct {
	ID int `json:"id" need:"always"`
}

// virtualCard stands in the settings of a dashcard without a card.
type virtualCard struct {
	Name     *string        `json:"name"`
	Display  string         `json:"display" need:"always"`
	Settings map[string]any `json:"visualization_settings"`
	Query    map[string]any `json:"dataset_query"`
	Archived bool           `json:"archived"`
}

func (s *Server) dashcardAnswer(d *dashboard, dc dashcard) object {
	answer := object{
		"id": dc.ID, "dashboard_id": d.ID, "card_id": dc.CardID, "dashboard_tab_id": dc.TabID, "entity_id": fmt.Sprintf("%021d", dc.ID),
		"row": dc.Row, "col": dc.Col, "size_x": dc.SizeX, "size_y": dc.SizeY, "action_id": dc.ActionID,
		"visualization_settings": dc.Settings, "parameter_mappings": orEmpty(dc.Mappings),
		"inline_parameters": orEmpty(dc.Parameters), "card": nil,
	}
	if dc.Settings == nil {
		answer["visualization_settings"] = object{}
	}
	if dc.CardID != nil {
		answer["card"] = s.cardAnswer(s.cardByID(*dc.CardID), false)
	}
	others := []object{}
	for _, other := range dc.Series {
		others = append(others, s.cardAnswer(s.cardByID(other.ID), false))
	}
	answer["series"] = others
	return answer
}

// unknownCard gives a card of the dashcards that cannot be shown.
func (s *Server) unknownCard(dashcards []dashcard) (id int, ok bool) {
	for _, dc := range dashcards {
		for _, id := range dc.cards() {
			if c := s.cardByID(id); c == nil || c.Archived {
				return id, true
			}
		}
	}
	return 0, false
}

// cards gives the cards that a dashcard shows.
func (dc dashcard) cards() []int {
	var ids []int
	if dc.CardID != nil {
		ids = append(ids, *dc.CardID)
	}
	for _, other := range dc.Series {
		ids = append(ids, other.ID)
	}
	return ids
}

// checkLayout refuses an update whose tabs and dashcards do not fit together.
func (s *Server) checkLayout(old, updated *dashboard) error {
	seen := map[int]bool{}
	for i, t := range updated.Tabs {
		at := fmt.Sprintf("tabs[%d]", i)
		if err := checkID(at, t.ID, seen, func(id int) bool {
			return slices.ContainsFunc(old.Tabs, func(t tab) bool { return t.ID == id })
		}); err != nil {
			return err
		}
		if err := notBlank(at+".name", &t.Name); err != nil {
			return err
		}
	}
	seen = map[int]bool{}
	for i, dc := range updated.Dashcards {
		at := fmt.Sprintf("dashcards[%d]", i)
		if err := checkID(at, dc.ID, seen, func(id int) bool {
			return slices.ContainsFunc(old.Dashcards, func(dc dashcard) bool { return dc.ID == id })
		}); err != nil {
			return err
		}
		if err := dc.checkPlace(at, updated.Tabs); err != nil {
			return err
		}
		for _, other := range updated.Dashcards[:i] {
			if dc.overlaps(other) {
				return wrong(at, "lies over the dashcard %d", other.ID)
			}
		}
		if err := dc.checkContent(at); err != nil {
			return err
		}
		if err := s.checkMappings(at+".parameter_mappings", dc, updated.Parameters); err != nil {
			return err
		}
	}
	return nil
}

// checkID refuses an id that is there twice or stands for nothing.
func checkID(at string, id int, seen map[int]bool, exists func(int) bool) error {
	if seen[id] {
		return wrong(at+".id", "%d is there twice", id)
	}
	seen[id] = true
	if id == 0 || id > 0 && !exists(id) {
		return wrong(at+".id", "%d is not on the dashboard; a new one has a negative id", id)
	}
	return nil
}

func (dc dashcard) checkPlace(at string, tabs []tab) error {
	switch {
	case dc.SizeX <= 0 || dc.SizeY <= 0:
		return wrong(at, "has no size")
	case dc.Row < 0 || dc.Col < 0:
		return wrong(at, "lies outside the grid")
	case dc.Col+dc.SizeX > gridColumns:
		return wrong(at, "ends at column %d of %d", dc.Col+dc.SizeX, gridColumns)
	case dc.TabID == nil && len(tabs) > 1:
		return wrong(at+".dashboard_tab_id", "is missing on a dashboard with tabs")
	case dc.TabID != nil && !slices.ContainsFunc(tabs, func(t tab) bool { return t.ID == *dc.TabID }):
		return wrong(at+".dashboard_tab_id", "there is no tab %d", *dc.TabID)
	}
	return nil
}

func (dc dashcard) overlaps(other dashcard) bool {
	sameTab := dc.TabID == nil || other.TabID == nil || *dc.TabID == *other.TabID
	return sameTab && dc.Col < other.Col+other.SizeX && other.Col < dc.Col+dc.SizeX &&
		dc.Row < other.Row+other.SizeY && other.Row < dc.Row+dc.SizeY
}

// checkContent refuses a dashcard that shows nothing, and settings that no
// dashcard has.
func (dc dashcard) checkContent(at string) error {
	path := at + ".visualization_settings"
	if err := checkSettings(path, dc.Settings, true); err != nil {
		return err
	}
	virtual, isVirtual := dc.Settings["virtual_card"]
	switch {
	case dc.ActionID != nil:
		return wrong(at+".action_id", "there are no actions here")
	case dc.CardID == nil && !isVirtual:
		return wrong(at, "has neither a card_id nor a virtual_card")
	case dc.CardID != nil && isVirtual:
		return wrong(at, "has both a card_id and a virtual_card")
	case !isVirtual:
		return nil
	}
	var v virtualCard
	if err := into(path+".virtual_card", virtual, &v); err != nil {
		return err
	}
	if !slices.Contains([]string{"heading", "text", "link", "iframe"}, v.Display) {
		return wrong(path+".virtual_card.display", "%q is none", v.Display)
	}
	shown := map[string]string{"heading": "text", "text": "text", "link": "link", "iframe": "iframe"}[v.Display]
	if dc.Settings[shown] == nil {
		return wrong(path+"."+shown, "is missing: a %s shows it", v.Display)
	}
	return nil
}

// checkMappings refuses filters that would have no effect.
func (s *Server) checkMappings(at string, dc dashcard, parameters []parameter) error {
	seen := map[string]bool{}
	for i, m := range dc.Mappings {
		at := fmt.Sprintf("%s[%d]", at, i)
		p := slices.IndexFunc(parameters, func(p parameter) bool { return p.ID == m.ParameterID })
		if p < 0 {
			return wrong(at+".parameter_id", "the dashboard has no parameter %s", m.ParameterID)
		}
		if dc.CardID == nil {
			if err := dc.checkTextTag(at, m); err != nil {
				return err
			}
			continue
		}
		if m.CardID == nil {
			return wrong(at+".card_id", "is missing: Metabase would ignore the filter without a word")
		}
		if !slices.Contains(dc.cards(), *m.CardID) {
			return wrong(at+".card_id", "the dashcard does not show card %d", *m.CardID)
		}
		key := fmt.Sprint(m.ParameterID, " ", *m.CardID)
		if seen[key] {
			return wrong(at, "the parameter %s is mapped twice", m.ParameterID)
		}
		seen[key] = true
		if err := s.cardByID(*m.CardID).query.checkTarget(at+".target", m.Target, parameters[p].Type); err != nil {
			return err
		}
	}
	return nil
}

func (dc dashcard) checkTextTag(at string, m mapping) error {
	kind, name, err := target(at+".target", m.Target)
	if err != nil {
		return err
	}
	shown, _ := dc.Settings["text"].(string)
	if kind != "text-tag" || !slices.Contains(textTags(shown), name) {
		return wrong(at+".target", "the text has no {{%s}}", name)
	}
	return nil
}
