package dashboards

import (
	"fmt"
	"regexp"
	"time"
)

// Choice is what the filters are set to; a zero value chooses everything.
type Choice struct {
	States      []string
	NoState     bool      // the records that name no state, too
	Since, Till time.Time // days, both included; zero leaves that end open
}

var (
	section = regexp.MustCompile(`(?s)\[\[(.*?)\]\]`)
	tag     = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// Compile turns a card's SQL into PostgreSQL with parameters: a section in
// double brackets goes when one of its filters is not set, a tag becomes its
// filter's condition.
func Compile(sql string, choice Choice) (compiled string, args []any, err error) {
	c := compiler{choice: choice, done: map[string]string{}}
	compiled = section.ReplaceAllStringFunc(sql, func(s string) string {
		for _, t := range tag.FindAllStringSubmatch(s, -1) {
			if !choice.sets(t[1]) {
				return ""
			}
		}
		return s[2 : len(s)-2]
	})
	compiled = tag.ReplaceAllStringFunc(compiled, func(t string) string {
		name := t[2 : len(t)-2]
		if !choice.sets(name) {
			err = fmt.Errorf("the statement needs the filter %s, which is not set", name)
			return t
		}
		return c.condition(name)
	})
	return compiled, c.args, err
}

func (c Choice) sets(filter string) bool {
	switch filter {
	case State:
		return len(c.States) > 0 || c.NoState
	case Date:
		return !c.Since.IsZero() || !c.Till.IsZero()
	}
	return false
}

// compiler makes the conditions of one statement; each has its parameters once,
// however often its tag comes.
type compiler struct {
	choice Choice
	done   map[string]string // condition by filter
	args   []any
}

func (c *compiler) condition(filter string) string {
	if c.done[filter] == "" {
		if filter == State {
			c.done[filter] = c.states()
		} else {
			c.done[filter] = FilterTable + ".date BETWEEN " + c.day(c.choice.Since, "-infinity") + " AND " + c.day(c.choice.Till, "infinity")
		}
	}
	return c.done[filter]
}

func (c *compiler) states() string {
	const none = FilterTable + ".state IS NULL"
	if len(c.choice.States) == 0 {
		return none
	}
	named := FilterTable + ".state = ANY(" + c.argument(c.choice.States) + "::text[])"
	if c.choice.NoState {
		return "(" + named + " OR " + none + ")"
	}
	return named
}

// day gives a parameter of a day, or the open end.
func (c *compiler) day(day time.Time, open string) string {
	if day.IsZero() {
		return "'" + open + "'::date"
	}
	return c.argument(day) + "::date"
}

func (c *compiler) argument(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprint("$", len(c.args))
}
