package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// DashboardInput is what a run is told. No password is in it: the worker has them.
type DashboardInput struct {
	Options activities.ApplyOptions `json:"options"`
}

// DashboardResult is what a run did.
type DashboardResult struct {
	DryRun   bool                 `json:"dryRun"`
	Metabase string               `json:"metabase"` // its version
	Path     string               `json:"path"`     // of the dashboard's page; "" where it is not there yet
	Applied  []activities.Applied `json:"applied"`
	Checked  Checks               `json:"checked"`
}

// Checks count what was seen to work.
type Checks struct {
	Cards   int `json:"cards"`   // whose query ran
	Filters int `json:"filters"` // that were seen to act, over all cards
	Without int `json:"without"` // that had nothing to filter
}

// DashboardWorkflow makes Metabase show the dashboard: it waits until Metabase has
// started, sets it up where nobody has, and creates or updates the database, the
// collection, the cards and the dashboard. What says what is wanted it does not
// write; what a person has edited it keeps, unless it is forced. At the end it
// runs every card and every filter.
func DashboardWorkflow(ctx workflow.Context, in DashboardInput) (DashboardResult, error) {
	r := &dashboardRun{options: in.Options, result: DashboardResult{DryRun: in.Options.DryRun}}
	err := r.apply(ctx)
	switch {
	case temporal.IsCanceledError(err):
		r.show(ctx, "cancelled: the next `starter dashboard apply` does the rest", "")
	case err != nil:
		r.show(ctx, "failed", explained(err))
	case in.Options.DryRun:
		r.show(ctx, "nothing was changed: a dry run", "")
	default:
		r.show(ctx, "completed", "")
	}
	return r.result, failed(err)
}

// dashboardRun is one run of it.
type dashboardRun struct {
	options activities.ApplyOptions
	result  DashboardResult
	server  activities.Server
}

func (r *dashboardRun) apply(ctx workflow.Context) error {
	r.show(ctx, "waiting until Metabase has started", "")
	if err := r.step(ctx, "Wait until Metabase has started", &r.server, dashboard.AwaitMetabase); err != nil {
		return err
	}
	r.result.Metabase = r.server.Version
	if r.options.DryRun && !r.server.SetUp {
		r.add(activities.Applied{What: "user", Name: "first user", Done: activities.Created, Reason: "and with it all else"})
		return nil
	}
	var user activities.Applied
	if err := r.step(ctx, "Log in", &user, dashboard.LogInMetabase); err != nil {
		return err
	}
	r.add(user)
	var database activities.AppliedDatabase
	if err := r.step(ctx, "Database", &database, dashboard.ApplyDatabase, activities.DatabaseInput{ApplyOptions: r.options}); err != nil {
		return err
	}
	r.add(database.Applied)
	var collection activities.AppliedCollection
	if err := r.step(ctx, "Collection", &collection, dashboard.ApplyCollection, activities.CollectionInput{ApplyOptions: r.options}); err != nil {
		return err
	}
	r.add(collection.Applied)
	cards, err := r.applyCards(ctx, database, collection.ID)
	if err != nil {
		return err
	}
	var page activities.AppliedDashboard
	if err := r.step(ctx, "Dashboard", &page, dashboard.ApplyDashboard,
		activities.DashboardInput{Collection: collection.ID, Cards: cards, ApplyOptions: r.options}); err != nil {
		return err
	}
	r.add(page.Applied)
	if page.ID != 0 {
		r.result.Path = fmt.Sprintf("/dashboard/%d", page.ID)
	}
	if r.options.DryRun {
		return nil
	}
	return r.check(ctx, cards, page)
}

func (r *dashboardRun) applyCards(ctx workflow.Context, database activities.AppliedDatabase, collection int) ([]activities.AppliedCard, error) {
	var cards []activities.AppliedCard
	for _, c := range r.server.Cards {
		var card activities.AppliedCard
		if err := r.step(ctx, "Card: "+c.Title, &card, dashboard.ApplyCard, activities.CardInput{
			Card: c.Name, Collection: collection, Database: database.ID, Fields: database.Fields, ApplyOptions: r.options,
		}); err != nil {
			return nil, err
		}
		cards = append(cards, card)
		r.add(card.Applied)
		r.show(ctx, "applying", "")
	}
	return cards, nil
}

// check runs every card and its filters. It goes on after one that does not work,
// so that all of these are told at once.
func (r *dashboardRun) check(ctx workflow.Context, cards []activities.AppliedCard, page activities.AppliedDashboard) error {
	var broken []string
	for _, c := range cards {
		r.show(ctx, "running the cards", "")
		var out activities.CheckedCard
		err := r.step(ctx, "Run: "+c.Name, &out, dashboard.CheckCard, activities.CheckCardInput{
			Card: c.Card, ID: c.ID, Kept: c.Done == activities.Kept, Dashboard: page.ID, Place: page.Place(c.ID),
		})
		switch {
		case isType(err, activities.ErrTypeMetabaseCard):
			broken = append(broken, rootMessage(err))
			continue
		case err != nil:
			return err
		}
		r.result.Checked.Cards++
		r.result.Checked.Filters += len(out.Proved)
		r.result.Checked.Without += len(out.Without)
	}
	if len(broken) == 0 {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(strings.Join(broken, "\n"), activities.ErrTypeMetabaseCard, nil)
}

func (r *dashboardRun) step(ctx workflow.Context, summary string, out, activity any, args ...any) error {
	return workflow.ExecuteActivity(metabaseStep(ctx, summary), activity, args...).Get(ctx, out)
}

func (r *dashboardRun) add(applied activities.Applied) {
	r.result.Applied = append(r.result.Applied, applied)
}

// show puts the progress where the Web UI shows it.
func (r *dashboardRun) show(ctx workflow.Context, phase, lastError string) {
	var b strings.Builder
	if lastError != "" {
		b.WriteString(quoted(lastError))
	}
	if r.result.Path != "" {
		fmt.Fprintf(&b, "[%[1]s](%[1]s)\n\n", r.server.Address+r.result.Path)
	}
	counts := map[activities.Done]int64{}
	for _, a := range r.result.Applied {
		counts[a.Done]++
	}
	b.WriteString(table([]string{"created", "updated", "unchanged", "kept", "cards run", "filters proved"},
		number(counts[activities.Created]), number(counts[activities.Updated]), number(counts[activities.Same]), number(counts[activities.Kept]),
		number(int64(r.result.Checked.Cards)), number(int64(r.result.Checked.Filters))))
	for _, a := range r.result.Applied {
		if a.Done == activities.Kept {
			fmt.Fprintf(&b, "\nKept: %s `%s`, %s\n", a.What, a.Name, a.Reason)
		}
	}
	details(ctx, phase, strings.TrimSpace(fmt.Sprintf("%s in Metabase %s", r.server.Title, r.result.Metabase)), b.String())
}
