package web

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"covidpipeline/dashboards"
)

// The parameters of the page's address.
const (
	stateParam = "state" // repeated for more states
	sinceParam = "since" // YYYY-MM-DD
	tillParam  = "till"
	tabParam   = "tab"
	pageParam  = "page" // of the records, from 1
)

// maxStates bounds the list of states that an address may name.
const maxStates = 200

// choiceOf reads the filters from an address. The error is a sentence for the
// reader.
func choiceOf(values url.Values) (c dashboards.Choice, err error) {
	for _, state := range values[stateParam] {
		if state != "" && !slices.Contains(c.States, state) {
			c.States = append(c.States, state)
		}
	}
	if len(c.States) > maxStates {
		return c, fmt.Errorf("at most %d states can be chosen", maxStates)
	}
	if all := strings.Join(c.States, ""); strings.ContainsRune(all, 0) || !utf8.ValidString(all) {
		return c, fmt.Errorf("a state's name is text, which that is not")
	}
	if c.Since, err = dayOf(values, sinceParam); err != nil {
		return c, err
	}
	if c.Till, err = dayOf(values, tillParam); err != nil {
		return c, err
	}
	if !c.Since.IsZero() && !c.Till.IsZero() && c.Till.Before(c.Since) {
		return c, fmt.Errorf("the range ends (%s) before it begins (%s)", c.Till.Format(time.DateOnly), c.Since.Format(time.DateOnly))
	}
	return c, nil
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
