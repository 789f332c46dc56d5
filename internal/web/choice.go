package web

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"covidpipeline/dashboards"
)

// The parameters of the page's address.
const (
	stateParam   = "state"   // repeated for more states
	noStateParam = "nostate" // 1: the records that name no state, too
	sinceParam   = "since"   // YYYY-MM-DD
	tillParam    = "till"
	tabParam     = "tab"
	pageParam    = "page" // of the records, from 1
)

// maxStates bounds the list of states that an address may name.
const maxStates = 200

// choiceOf reads the filters from an address. The problems are sentences for the
// reader, without their full stops; the choice is then what remains without the
// filters that have one.
func choiceOf(values url.Values) (c dashboards.Choice, problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c.NoState = values.Get(noStateParam) == "1"
	for _, state := range values[stateParam] {
		switch {
		case strings.ContainsRune(state, 0) || !utf8.ValidString(state):
			say("a state's name is text, which %q is not", state)
		case len(c.States) == maxStates:
			say("at most %d states can be chosen", maxStates)
			return c, problems
		case state != "" && !slices.Contains(c.States, state):
			c.States = append(c.States, state)
		}
	}
	var err error
	if c.Since, err = dayOf(values, sinceParam); err != nil {
		say("%s", err)
	}
	if c.Till, err = dayOf(values, tillParam); err != nil {
		say("%s", err)
	}
	if !c.Since.IsZero() && !c.Till.IsZero() && c.Till.Before(c.Since) {
		say("the range ends (%s) before it begins (%s)", c.Till.Format(time.DateOnly), c.Since.Format(time.DateOnly))
		c.Since, c.Till = time.Time{}, time.Time{}
	}
	return c, problems
}

func dayOf(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		return time.Time{}, fmt.Errorf("%q is not a day: write it as 2022-04-29", text)
	}
	return day, nil
}

// queryOf is the way back: the parameters of a choice.
func queryOf(c dashboards.Choice) url.Values {
	values := url.Values{}
	for _, state := range c.States {
		values.Add(stateParam, state)
	}
	if c.NoState {
		values.Set(noStateParam, "1")
	}
	if !c.Since.IsZero() {
		values.Set(sinceParam, c.Since.Format(time.DateOnly))
	}
	if !c.Till.IsZero() {
		values.Set(tillParam, c.Till.Format(time.DateOnly))
	}
	return values
}

// address gives a path with parameters.
func address(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// sentence makes a sentence of problems.
func sentence(problems []string) string { return strings.Join(problems, "; ") + "." }

// wordsOf names the places and the days of a choice.
func wordsOf(c dashboards.Choice) (places, days []string) {
	places = slices.Clone(c.States)
	if c.NoState {
		places = append(places, "no state")
	}
	if !c.Since.IsZero() {
		days = append(days, "from "+c.Since.Format(time.DateOnly))
	}
	if !c.Till.IsZero() {
		days = append(days, "to "+c.Till.Format(time.DateOnly))
	}
	return places, days
}

// sayChoice says in words which records a choice leaves: "" for all of them.
func sayChoice(c dashboards.Choice) string {
	places, parts := wordsOf(c)
	if last := len(places) - 1; last >= 0 {
		named := strings.TrimPrefix(strings.Join(places[:last], ", ")+" and "+places[last], " and ")
		parts = append([]string{named}, parts...)
	}
	return strings.Join(parts, " ")
}

// fileName gives a name for a download that says its filters.
func fileName(what string, c dashboards.Choice) string {
	places, days := wordsOf(c)
	if len(places) > 3 {
		places = []string{fmt.Sprint(len(places), " states")}
	}
	// A name of letters, digits and dashes is one on every system.
	words := strings.Join(slices.Concat([]string{what}, places, days), "-")
	name := strings.Trim(notInName.ReplaceAllString(words, "-"), "-")
	return name[:min(len(name), 120)] + ".csv"
}

var notInName = regexp.MustCompile(`\W+`)
