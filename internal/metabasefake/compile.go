package metabasefake

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// optional matches a [[ clause ]] of SQL.
var optional = regexp.MustCompile(`(?s)\[\[(.*?)\]\]`)

// compile makes SQL of a query: {{tags}} become values and conditions, and a
// [[clause]] stays only if all its tags have values.
func (q native) compile(db *database, values map[string]any, now time.Time) (string, error) {
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	fill := func(sql string) string {
		return placeholder.ReplaceAllStringFunc(sql, func(match string) string {
			t := q.tags[placeholder.FindStringSubmatch(match)[1]]
			filled, err := t.sql(db, t.value(values), now)
			keep(err)
			return filled
		})
	}
	sql := optional.ReplaceAllStringFunc(q.sql, func(match string) string {
		clause := optional.FindStringSubmatch(match)[1]
		for _, name := range textTags(clause) {
			t := q.tags[name]
			if empty(t.value(values)) {
				if t.Required != nil && *t.Required {
					keep(t.unfilled())
				}
				return ""
			}
		}
		return clause
	})
	sql = fill(sql)
	return sql, failed
}

// value gives what fills a tag: what was given, else its default.
func (t *tag) value(values map[string]any) any {
	if given := values[t.Name]; !empty(given) {
		return given
	}
	return t.Default
}

func empty(value any) bool {
	items, isList := value.([]any)
	return value == nil || value == "" || isList && len(items) == 0
}

func (t *tag) unfilled() error {
	return fmt.Errorf("You'll need to pick a value for '%s' before this query can run.", t.DisplayName) //nolint:revive // Metabase's words
}

// sql gives what stands in the place of a tag.
func (t *tag) sql(db *database, value any, now time.Time) (string, error) {
	if empty(value) {
		if t.Type == "dimension" && (t.Required == nil || !*t.Required) {
			return "1 = 1", nil
		}
		return "", t.unfilled()
	}
	if t.Type != "dimension" {
		return t.literal(value)
	}
	id, _ := fieldID(t.Dimension) // checked when it was stored
	in, f := db.fieldByID(id)
	if f == nil {
		return "", fmt.Errorf("the field %d of {{%s}} is gone", id, t.Name)
	}
	column := pgx.Identifier{in.Schema, in.Name, f.Name}.Sanitize()
	if t.Alias != nil {
		column = *t.Alias
	}
	if strings.HasPrefix(*t.WidgetType, "date/") {
		return dateCondition(column, f.BaseType, value, now)
	}
	return condition(column, *t.WidgetType, f.BaseType, value)
}

// literal gives a variable's value in SQL.
func (t *tag) literal(value any) (string, error) {
	if items, ok := value.([]any); ok {
		if len(items) != 1 {
			return "", fmt.Errorf("{{%s}} takes one value, not %d", t.Name, len(items))
		}
		value = items[0]
	}
	plain := fmt.Sprint(value)
	switch t.Type {
	case "number":
		return number(value)
	case "boolean":
		if plain != "true" && plain != "false" {
			return "", fmt.Errorf("{{%s}}: %q is neither true nor false", t.Name, plain)
		}
		return plain, nil
	case "date":
		if _, err := time.Parse(time.DateOnly, plain); err != nil {
			return "", fmt.Errorf("{{%s}}: %q is no date", t.Name, plain)
		}
		return "DATE " + quote(plain), nil
	}
	return quote(plain), nil
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func number(value any) (string, error) {
	plain := fmt.Sprint(value)
	if f, ok := value.(float64); ok {
		plain = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if _, err := strconv.ParseFloat(plain, 64); err != nil {
		return "", fmt.Errorf("%q is no number", plain)
	}
	return plain, nil
}

// condition gives the SQL of a field filter that is no date's.
func condition(column, widget, baseType string, value any) (string, error) {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	numeric := strings.HasPrefix(widget, "number/") || baseType != "type/Text"
	var literals []string
	for _, item := range items {
		literal := quote(fmt.Sprint(item))
		if numeric && baseType != "type/Boolean" {
			var err error
			if literal, err = number(item); err != nil {
				return "", err
			}
		}
		literals = append(literals, literal)
	}
	all := "(" + strings.Join(literals, ", ") + ")"
	_, operator, _ := strings.Cut(widget, "/")
	switch operator {
	case "!=":
		return fmt.Sprintf("(%s NOT IN %s OR %s IS NULL)", column, all, column), nil
	case ">=", "<=":
		return fmt.Sprintf("(%s %s %s)", column, operator, literals[0]), nil
	case "between":
		if len(literals) != 2 {
			return "", fmt.Errorf("between takes two values, not %d", len(literals))
		}
		return fmt.Sprintf("(%s BETWEEN %s AND %s)", column, literals[0], literals[1]), nil
	case "contains", "does-not-contain", "starts-with", "ends-with":
		return like(column, operator, items), nil
	}
	return fmt.Sprintf("(%s IN %s)", column, all), nil
}

// like gives a condition on a part of a text, whose case does not matter.
func like(column, operator string, items []any) string {
	var parts []string
	for _, item := range items {
		part := quote(strings.ToLower(fmt.Sprint(item)))
		switch operator {
		case "starts-with":
			parts = append(parts, fmt.Sprintf("starts_with(lower(%s), %s)", column, part))
		case "ends-with":
			parts = append(parts, fmt.Sprintf("right(lower(%s), length(%s)) = %s", column, part, part))
		default:
			parts = append(parts, fmt.Sprintf("position(%s IN lower(%s)) > 0", part, column))
		}
	}
	either := "(" + strings.Join(parts, " OR ") + ")"
	if operator == "does-not-contain" {
		return fmt.Sprintf("(NOT %s OR %s IS NULL)", either, column)
	}
	return either
}
