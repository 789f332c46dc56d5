package metabasefake

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// native is a query in SQL.
type native struct {
	database int
	sql      string
	tags     map[string]*tag
}

// tag is a template tag: the {{name}} of a query.
type tag struct {
	ID          *string `json:"id,omitzero"`
	Name        string  `json:"name" need:"always"`
	DisplayName string  `json:"display-name" need:"always"`
	Type        string  `json:"type" need:"always"` // text, number, date, boolean or dimension
	Required    *bool   `json:"required,omitzero"`
	Default     any     `json:"default,omitzero"`
	Dimension   []any   `json:"dimension,omitzero"`
	WidgetType  *string `json:"widget-type,omitzero"`
	Alias       *string `json:"alias,omitzero"`
	Options     any     `json:"options,omitzero"`
}

// legacyQuery and mbql5Query are the two forms of a query.
type legacyQuery struct {
	Type     string `json:"type" need:"always"`
	Database int    `json:"database" need:"always"`
	Native   struct {
		Query string `json:"query" need:"always"`
		Tags  any    `json:"template-tags"`
	} `json:"native" need:"always"`
}

type mbql5Query struct {
	LibType  string       `json:"lib/type" need:"always"`
	Database int          `json:"database" need:"always"`
	Stages   []mbql5Stage `json:"stages" need:"always"`
}

type mbql5Stage struct {
	LibType string `json:"lib/type" need:"always"`
	Native  string `json:"native" need:"always"`
	Tags    any    `json:"template-tags"`
}

// parseQuery reads a query in either form.
func (s *Server) parseQuery(at string, query map[string]any) (native, error) {
	q := native{}
	var tags any
	if _, ok := query["lib/type"]; ok {
		var b mbql5Query
		if err := into(at, query, &b); err != nil {
			return native{}, err
		}
		if !s.options.Version.mbql5() {
			return native{}, wrong(at, "this version knows no MBQL 5")
		}
		if b.LibType != "mbql/query" || len(b.Stages) != 1 || b.Stages[0].LibType != "mbql.stage/native" {
			return native{}, wrong(at, "is no query of one native stage, and the fake runs no other")
		}
		q.database, q.sql, tags = b.Database, b.Stages[0].Native, b.Stages[0].Tags
	} else {
		var b legacyQuery
		if err := into(at, query, &b); err != nil {
			return native{}, err
		}
		if b.Type != "native" {
			return native{}, wrong(at+".type", "%q: the fake runs native queries alone", b.Type)
		}
		q.database, q.sql, tags = b.Database, b.Native.Query, b.Native.Tags
	}
	if strings.TrimSpace(q.sql) == "" {
		return native{}, wrong(at, "has no SQL")
	}
	db := s.databaseByID(q.database)
	if db == nil {
		return native{}, wrong(at+".database", "there is no database %d", q.database)
	}
	var err error
	if q.tags, err = parseTags(at+".template-tags", tags); err != nil {
		return native{}, err
	}
	return q, q.checkTags(at+".template-tags", db)
}

// into reads a part of a body strictly into a struct.
func into(at string, value, pointer any) error {
	if err := strict(text(value), typeOf(pointer).Elem(), at, true); err != nil {
		return err
	}
	return json.Unmarshal(text(value), pointer)
}

// parseTags reads template tags, a map or a list.
func parseTags(at string, value any) (map[string]*tag, error) {
	tags := map[string]*tag{}
	add := func(at, key string, value any) error {
		var t tag
		if err := into(at, value, &t); err != nil {
			return err
		}
		if key != "" && key != t.Name {
			return wrong(at, "the tag of this key is named %s", t.Name)
		}
		if tags[t.Name] != nil {
			return wrong(at, "two tags are named %s", t.Name)
		}
		tags[t.Name] = &t
		return nil
	}
	switch all := value.(type) {
	case nil:
	case []any:
		for _, one := range all {
			if err := add(at, "", one); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for _, key := range sortedKeys(all) {
			if err := add(at+"."+key, key, all[key]); err != nil {
				return nil, err
			}
		}
	default:
		return nil, wrong(at, "is neither a map nor a list")
	}
	return tags, nil
}

// placeholder matches a {{name}} of SQL.
var placeholder = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// checkTags refuses tags that Metabase would overlook, and {{names}} without a tag.
func (q native) checkTags(at string, db *database) error {
	var used, ids []string
	for _, match := range placeholder.FindAllStringSubmatch(q.sql, -1) {
		used = append(used, match[1])
		if q.tags[match[1]] == nil {
			return wrong(at, "the SQL has {{%s}} and there is no such tag", match[1])
		}
	}
	for _, name := range sortedKeys(q.tags) {
		t := q.tags[name]
		path := at + "." + name
		if !slices.Contains(used, name) {
			return wrong(path, "the SQL has no {{%s}}", name)
		}
		if t.ID != nil && slices.Contains(ids, *t.ID) {
			return wrong(path+".id", "is the id of another tag too")
		}
		if t.ID != nil {
			ids = append(ids, *t.ID)
		}
		if err := t.check(path, db); err != nil {
			return err
		}
	}
	return nil
}

func (t *tag) check(at string, db *database) error {
	if strings.TrimSpace(t.DisplayName) == "" {
		return wrong(at+".display-name", "is blank")
	}
	switch t.Type {
	case "text", "number", "date", "boolean":
		if t.Dimension != nil || t.WidgetType != nil || t.Alias != nil {
			return wrong(at, "a variable has no dimension, widget-type or alias")
		}
		return nil
	case "dimension":
	default:
		return wrong(at+".type", "%q is none", t.Type)
	}
	if t.WidgetType == nil || !parameterTypes[*t.WidgetType] {
		return wrong(at+".widget-type", "a field filter needs one of the types of parameters")
	}
	id, ok := fieldID(t.Dimension)
	if !ok {
		return wrong(at+".dimension", `reads ["field",ID,null]`)
	}
	_, f := db.fieldByID(id)
	if f == nil {
		return wrong(at+".dimension", "database %d has no field %d that a sync has found", db.ID, id)
	}
	if !suits(*t.WidgetType, f.BaseType) {
		return wrong(at+".widget-type", "%s does not suit the column %s, a %s", *t.WidgetType, f.Name, f.BaseType)
	}
	return nil
}

// fieldID reads ["field",141,null] or ["field",{},141].
func fieldID(dimension []any) (id int, ok bool) {
	if len(dimension) != 3 || dimension[0] != "field" {
		return 0, false
	}
	number, ok := dimension[1].(float64)
	if !ok {
		if _, options := dimension[1].(map[string]any); !options {
			return 0, false
		}
		number, ok = dimension[2].(float64)
	}
	return int(number), ok
}

// suits tells whether a field filter of a type works on a column.
func suits(widget, baseType string) bool {
	family, _, _ := strings.Cut(widget, "/")
	switch family {
	case "string", "category", "location":
		return baseType == "type/Text"
	case "number":
		return slices.Contains([]string{"type/Integer", "type/BigInteger", "type/Decimal", "type/Float"}, baseType)
	case "date":
		return strings.HasPrefix(baseType, "type/Date")
	case "boolean":
		return baseType == "type/Boolean"
	}
	return family == "id"
}

// answer gives the query as the version reads it back.
func (q native) answer(mbql5, asList bool) object {
	tags := object{}
	ordered := []object{}
	for _, name := range sortedKeys(q.tags) {
		one := q.tags[name].answer(mbql5)
		tags[name] = one
		ordered = append(ordered, one)
	}
	if !mbql5 {
		return object{"type": "native", "database": q.database, "native": object{"query": q.sql, "template-tags": tags}}
	}
	stage := object{"lib/type": "mbql.stage/native", "native": q.sql, "template-tags": tags}
	if asList {
		stage["template-tags"] = ordered
	}
	return object{"lib/type": "mbql/query", "database": q.database, "stages": []object{stage}}
}

func (t *tag) answer(mbql5 bool) object {
	shown := object{}
	if err := json.Unmarshal(text(t), &shown); err != nil {
		panic(err) // it was JSON
	}
	if id, ok := fieldID(t.Dimension); ok && mbql5 {
		shown["dimension"] = []any{"field", object{"lib/uuid": newID(true)}, id}
	} else if ok {
		shown["dimension"] = []any{"field", id, nil}
	}
	return shown
}
