package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"covidpipeline/dashboards"
)

// pageView is what the template shows.
type pageView struct {
	Title   string
	Tabs    []tabView
	Filters filterView
	State   stateView
	Cards   []*cardView
	Problem string // with the filters; the cards are then those without
	Made    time.Time
}

type tabView struct {
	Name, Address string
	Current       bool
}

type filterView struct {
	Tab         string
	States      []stateOption
	Chosen      string // the states, in few words
	Since, Till string
	Any         bool
	Reset       string
}

type stateOption struct {
	Name   string
	Chosen bool
}

// page shows one tab of the dashboard.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	choice, err := choiceOf(values)
	view := pageView{Title: dashboards.Title, Made: time.Now().UTC()}
	status := http.StatusOK
	if err != nil {
		view.Problem, choice, status = err.Error(), dashboards.Choice{}, http.StatusBadRequest
	}
	tab := values.Get(tabParam)
	if !slices.Contains(dashboards.Tabs(), tab) {
		tab = dashboards.Tabs()[0]
	}
	number, err := strconv.Atoi(values.Get(pageParam))
	if err != nil || number < 1 {
		number = 1
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := s.fill(ctx, &view, tab, choice, number); err != nil {
		s.failed(w, r, err)
		return
	}
	s.write(w, status, "page", view)
}

// fill reads what the page shows, all of it at once.
func (s *Server) fill(ctx context.Context, view *pageView, tab string, choice dashboards.Choice, number int) error {
	var steps []func(context.Context) error
	for _, card := range dashboards.Cards() {
		if card.Tab != tab {
			continue
		}
		c := &cardView{Card: card}
		view.Cards = append(view.Cards, c)
		steps = append(steps, func(ctx context.Context) error { return c.read(ctx, s.DB, choice, number) })
	}
	var states []string
	steps = append(steps,
		func(ctx context.Context) (err error) { states, err = s.states(ctx); return err },
		func(ctx context.Context) (err error) { view.State, err = readState(ctx, s.DB, view.Made); return err },
	)
	if err := together(ctx, steps); err != nil {
		return err
	}
	if status := s.latest.Load(); status != nil {
		view.State.add(*status, view.Made)
	}
	query := queryOf(choice)
	for _, name := range dashboards.Tabs() {
		view.Tabs = append(view.Tabs, tabView{name, address("/", with(query, tabParam, name)), name == tab})
	}
	view.Filters = filtersOf(choice, tab, states)
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

// states gives the states that can be chosen.
func (s *Server) states(ctx context.Context) ([]string, error) {
	_, rows, err := s.DB.Query(ctx, `SELECT state FROM covid_daily WHERE state IS NOT NULL GROUP BY state ORDER BY state COLLATE "C"`)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = row[0].(string)
	}
	return names, nil
}

func filtersOf(choice dashboards.Choice, tab string, states []string) filterView {
	f := filterView{Tab: tab, Chosen: "All states", Reset: address("/", url.Values{tabParam: {tab}})}
	// A chosen state stays in the list, also when it has no record any more.
	for _, name := range choice.States {
		if !slices.Contains(states, name) {
			states = append(states, name)
		}
	}
	for _, name := range states {
		f.States = append(f.States, stateOption{name, slices.Contains(choice.States, name)})
	}
	switch n := len(choice.States); {
	case n == 1:
		f.Chosen = choice.States[0]
	case n > 1:
		f.Chosen = strconv.Itoa(n) + " states"
	}
	values := queryOf(choice)
	f.Since, f.Till, f.Any = values.Get(sinceParam), values.Get(tillParam), len(values) > 0
	return f
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
