package metabasefake

import (
	"slices"
	"strings"
)

// parameterTypes are the types of filters; others are refused.
var parameterTypes = set(`number text date boolean date/single id category
	location/city location/state location/zip_code location/country
	date/range date/month-year date/quarter-year date/relative date/all-options temporal-unit
	number/!= number/<= number/= number/>= number/between
	string/!= string/= string/contains string/does-not-contain string/ends-with string/starts-with boolean/=`)

// parameter is a filter of a dashboard, or of a card. What was not sent does not
// read back: a null would be of no known shape.
type parameter struct {
	ID            string        `json:"id" need:"always"`
	Type          string        `json:"type" need:"always"`
	Name          *string       `json:"name,omitzero"`
	Slug          *string       `json:"slug,omitzero"`
	SectionID     *string       `json:"sectionId,omitzero"`
	Default       any           `json:"default,omitzero"`
	Required      *bool         `json:"required,omitzero"`
	IsMultiSelect *bool         `json:"isMultiSelect,omitzero"`
	Filtering     []string      `json:"filteringParameters,omitzero"`
	Target        *[]any        `json:"target,omitzero"` // of a card's parameter alone
	Values        *string       `json:"values_query_type,omitzero"`
	ValuesSource  *string       `json:"values_source_type,omitzero"`
	ValuesConfig  *valuesConfig `json:"values_source_config,omitzero"`
}

// valuesConfig says which values a drop-down has.
type valuesConfig struct {
	Values     []any `json:"values,omitzero"`
	CardID     *int  `json:"card_id,omitzero"`
	ValueField []any `json:"value_field,omitzero"`
	LabelField []any `json:"label_field,omitzero"`
}

// mapping ties a dashboard's parameter to a card's template tag.
type mapping struct {
	ParameterID string `json:"parameter_id" need:"always"`
	CardID      *int   `json:"card_id,omitzero"`
	Target      []any  `json:"target" need:"always"`
}

// checkParameters refuses unknown types and what is there twice.
func checkParameters(all []parameter, ofCard bool) error {
	seen := map[string]bool{}
	for _, p := range all {
		at := "parameters." + p.ID
		slug := ""
		if p.Slug != nil {
			slug = *p.Slug
		}
		switch {
		case strings.TrimSpace(p.ID) == "":
			return wrong("parameters", "an id is blank")
		case !parameterTypes[p.Type]:
			return wrong(at+".type", "%q is none", p.Type)
		case seen["id "+p.ID]:
			return wrong(at, "two parameters have this id")
		case slug != "" && seen["slug "+slug]:
			return wrong(at+".slug", "two parameters have the slug %s", slug)
		case p.Name != nil && strings.TrimSpace(*p.Name) == "":
			return wrong(at+".name", "is blank")
		case p.Target != nil && !ofCard:
			return wrong(at+".target", "a dashboard's parameter has mappings instead")
		}
		seen["id "+p.ID], seen["slug "+slug] = true, true
		if err := p.checkValues(at); err != nil {
			return err
		}
	}
	return nil
}

func (p parameter) checkValues(at string) error {
	if p.Values != nil && !slices.Contains([]string{"list", "search", "none"}, *p.Values) {
		return wrong(at+".values_query_type", "%q is none", *p.Values)
	}
	if p.ValuesSource == nil {
		if p.ValuesConfig != nil {
			return wrong(at+".values_source_config", "is there without a values_source_type")
		}
		return nil
	}
	if *p.ValuesSource != "static-list" && *p.ValuesSource != "card" {
		return wrong(at+".values_source_type", "%q is none", *p.ValuesSource)
	}
	if *p.ValuesSource == "static-list" && (p.ValuesConfig == nil || len(p.ValuesConfig.Values) == 0) {
		return wrong(at+".values_source_config", "lists no values")
	}
	return nil
}

// target takes apart ["dimension",["template-tag","state"]].
func target(at string, value []any) (kind, name string, err error) {
	if len(value) == 3 && value[0] == "dimension" {
		options, ok := value[2].(map[string]any)
		if !ok || len(options) != 1 || options["stage-number"] == nil {
			return "", "", wrong(at, "its third part is no stage number")
		}
		value = value[:2]
	}
	if len(value) == 2 {
		kind, _ = value[0].(string)
		if inner, ok := value[1].([]any); ok && len(inner) == 2 && inner[0] == "template-tag" && (kind == "dimension" || kind == "variable") {
			if name, ok = inner[1].(string); ok {
				return kind, name, nil
			}
		}
		if name, ok := value[1].(string); ok && kind == "text-tag" {
			return kind, name, nil
		}
	}
	return "", "", wrong(at, `%s is not like ["dimension",["template-tag","x"]]`, text(value))
}

// checkTarget refuses a target that is no tag of the query, is of another kind,
// or takes no filter of this type.
func (q native) checkTarget(at string, value []any, parameterType string) error {
	kind, name, err := target(at, value)
	if err != nil {
		return err
	}
	t := q.tags[name]
	if t == nil {
		return wrong(at, "the card's query has no tag %s", name)
	}
	if (kind == "dimension") != (t.Type == "dimension") {
		return wrong(at, "the tag %s is a %s and the target says %s", name, t.Type, kind)
	}
	if !t.takes(parameterType) {
		return wrong(at, "a %s filter does not fit the tag %s", parameterType, name)
	}
	return nil
}

// takes tells whether a filter of a type can fill the tag. A field filter takes
// its own type, and one for any date takes every kind of date; a date variable
// takes a single date alone.
func (t *tag) takes(parameterType string) bool {
	family, _, _ := strings.Cut(parameterType, "/")
	switch t.Type {
	case "dimension":
		return parameterType == *t.WidgetType || *t.WidgetType == "date/all-options" && family == "date"
	case "text":
		return slices.Contains([]string{"string", "category", "location", "id", "text"}, family)
	case "date":
		return parameterType == "date/single" || parameterType == "date"
	}
	return family == t.Type // number, boolean
}

// textTags gives the {{names}} of a text card.
func textTags(text string) []string {
	var names []string
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}
