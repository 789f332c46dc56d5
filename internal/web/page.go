package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"covidpipeline/dashboards"
)

// pageView is what the template shows.
type pageView struct {
	Title, Tab string
	Tabs       []tabView
	Filters    filterView
	State      stateView
	Cards      []*cardView
	Made       time.Time
}

type tabView struct {
	Name, Address string
	Current       bool
}

// filterView is the form of the filters on a page, and what it is set to.
type filterView struct {
	Page        string // the path that it leads to
	Tab         string
	States      []option
	MoreStates  string // how many are not offered
	NoState     bool
	Chosen      string // the states, in few words
	Since, Till string
	Reasons     []option // on the page of rejects alone
	Only        string   // what is shown, in words; "" for everything
	Reset       string   // the address without filters
	Problems    []string // with what was asked for, which is left out
}

// option is one that can be chosen. A chosen one stays in its list also when nothing
// has it; it is then Unknown.
type option struct {
	Name            string
	Chosen, Unknown bool
}

func withChosen(all []option, chosen ...string) []option {
	for _, name := range chosen {
		if name != "" && !slices.ContainsFunc(all, func(o option) bool { return o.Name == name }) {
			all = append(all, option{name, true, true})
		}
	}
	return all
}

// say puts the problems with what was asked for onto the form, which keeps the days
// as they were typed.
func (f *filterView) say(problems []string, asked url.Values) {
	if f.Problems = problems; len(problems) > 0 {
		f.Since, f.Till = asked.Get(sinceParam), asked.Get(tillParam)
	}
}

// page shows one tab of the dashboard.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	view := pageView{Title: dashboards.Title, Tab: values.Get(tabParam), Made: time.Now().UTC()}
	if view.Tab == "" {
		view.Tab = dashboards.Tabs()[0]
	}
	if !slices.Contains(dashboards.Tabs(), view.Tab) {
		s.fail(w, problem{http.StatusNotFound, "There is no such part of the dashboard", "Its parts are " + strings.Join(dashboards.Tabs(), ", ") + "."})
		return
	}
	choice, problems := choiceOf(values)
	number := 1
	if text := values.Get(pageParam); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil || number < 1 {
			problems, number = append(problems, fmt.Sprintf("%q is not the number of a page", text)), 1
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := s.fill(ctx, &view, choice, number); err != nil {
		s.failed(w, r, err)
		return
	}
	view.Filters.say(problems, values)
	s.write(w, statusOf(problems), "page", view)
}

func statusOf(problems []string) int {
	if len(problems) > 0 {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// fill reads what the page shows, all of it at once.
func (s *Server) fill(ctx context.Context, view *pageView, choice dashboards.Choice, number int) error {
	var steps []func(context.Context) error
	for _, card := range dashboards.Cards() {
		if card.Tab != view.Tab {
			continue
		}
		c := &cardView{Card: card}
		view.Cards = append(view.Cards, c)
		steps = append(steps, func(ctx context.Context) error { return c.read(ctx, s.DB, choice, number) })
	}
	steps = append(steps,
		func(ctx context.Context) (err error) { view.Filters, err = s.filters(ctx, "/", choice); return err },
		func(ctx context.Context) (err error) { view.State, err = readState(ctx, s.DB, view.Made); return err },
	)
	if err := together(ctx, steps); err != nil {
		return err
	}
	if s.Look != nil {
		view.State.add(s.latest.Load(), view.Made)
	}
	view.State.judge()
	query := queryOf(choice)
	for _, name := range dashboards.Tabs() {
		view.Tabs = append(view.Tabs, tabView{name, address("/", with(query, tabParam, name)), name == view.Tab})
	}
	view.Filters.Tab = view.Tab
	view.Filters.Reset = address("/", url.Values{tabParam: {view.Tab}})
	return nil
}

// together runs steps side by side and gives the first error.
func together(ctx context.Context, steps []func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(func() {
			if err := step(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// filters gives the form of a page's filters, with the states that can be chosen.
func (s *Server) filters(ctx context.Context, page string, choice dashboards.Choice) (filterView, error) {
	values := queryOf(choice)
	f := filterView{Page: page, Reset: page, NoState: choice.NoState, Since: values.Get(sinceParam), Till: values.Get(tillParam), Only: sayChoice(choice)}
	var err error
	if f.States, f.MoreStates, err = s.options(ctx, "SELECT state AS name FROM covid_daily WHERE state IS NOT NULL GROUP BY state", choice.States...); err != nil {
		return f, err
	}
	switch places, _ := wordsOf(choice); {
	case len(places) == 0:
		f.Chosen = "All records"
	case len(places) > 1:
		f.Chosen = strconv.Itoa(len(places)) + " chosen"
	case choice.NoState:
		f.Chosen = "No state"
	default:
		f.Chosen = choice.States[0]
	}
	return f, nil
}

// options returns the names of a statement that can be chosen, in order, and says how
// many more there are. Those that are chosen are always among them.
func (s *Server) options(ctx context.Context, names string, chosen ...string) (all []option, more string, err error) {
	if chosen == nil {
		chosen = []string{}
	}
	_, rows, err := s.DB.Query(ctx, fmt.Sprintf(`SELECT name, total FROM (SELECT name, count(*) OVER () AS total FROM (%s) AS named) AS counted
		WHERE length(name) <= %d OR name = ANY ($1)
		ORDER BY name = ANY ($1) DESC, name COLLATE "C" LIMIT %d`, names, nameShown, optionsShown), chosen)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		name := row[0].(string)
		all = append(all, option{Name: name, Chosen: slices.Contains(chosen, name)})
	}
	if len(rows) > 0 {
		if hidden := rows[0][1].(int64) - int64(len(rows)); hidden > 0 {
			more = grouped(hidden)
		}
	}
	slices.SortFunc(all, func(a, b option) int { return strings.Compare(a.Name, b.Name) })
	return withChosen(all, chosen...), more, nil
}

// with gives the parameters with one more.
func with(values url.Values, name, value string) url.Values {
	more := url.Values{}
	for k, v := range values {
		more[k] = v
	}
	more.Set(name, value)
	return more
}
