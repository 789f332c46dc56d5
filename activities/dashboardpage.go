package activities

import (
	"context"
	"fmt"
	"slices"

	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
)

// DashboardInput is what ApplyDashboard is told.
type DashboardInput struct {
	Collection int           `json:"collection"`
	Cards      []AppliedCard `json:"cards"`
	ApplyOptions
}

// AppliedDashboard is the dashboard in Metabase; ID 0 is not there yet.
type AppliedDashboard struct {
	Applied
	ID     int              `json:"id"`
	Places []metabase.Place `json:"places"` // of its cards, as they are now
}

// Place gives where a card is on the dashboard; ID 0 if it is not on it.
func (d AppliedDashboard) Place(card int) metabase.Place {
	for _, p := range d.Places {
		if p.Card == card {
			return p
		}
	}
	return metabase.Place{}
}

// ApplyDashboard creates the dashboard and puts the cards onto it, or updates one
// that nobody has edited.
func (a *Dashboards) ApplyDashboard(ctx context.Context, in DashboardInput) (AppliedDashboard, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.applyDashboard(ctx, in)
	return out, classify(err)
}

func (a *Dashboards) applyDashboard(ctx context.Context, in DashboardInput) (AppliedDashboard, error) {
	out := AppliedDashboard{Applied: Applied{What: "dashboard", Name: dashboards.Title, Done: Created}}
	want, err := wantedDashboard(in.Cards)
	if err != nil {
		return out, err
	}
	var now metabase.Dashboard
	if in.Collection != 0 {
		if now, out.Reason, err = a.findDashboard(ctx, in); err != nil {
			return out, err
		}
	}
	if now.ID != 0 {
		out.Applied = judged(out.What, out.Name, now.Content(), want.Content(), now.Mark, in.Force)
	}
	if !in.DryRun && out.Done == Created {
		if now, err = a.Metabase.CreateDashboard(ctx, in.Collection, want); err != nil {
			return out, err
		}
	}
	if !in.DryRun && (out.Done == Created || out.Done == Updated) {
		if now, err = a.Metabase.UpdateDashboard(ctx, now, want); err != nil {
			return out, err
		}
		if err := out.checkStored(now.Content(), want.Content()); err != nil {
			return out, err
		}
	}
	out.ID, out.Places = now.ID, now.Places
	return out, nil
}

// findDashboard gives our dashboard, ID 0 if there is none. Any other of its name is
// somebody else's: that is said.
func (a *Dashboards) findDashboard(ctx context.Context, in DashboardInput) (now metabase.Dashboard, others string, err error) {
	var cards []int
	for _, c := range in.Cards {
		if c.ID != 0 {
			cards = append(cards, c.ID)
		}
	}
	now, another, err := a.ourPage(ctx, in.Collection, cards)
	if another {
		others = fmt.Sprintf(notOurs, "dashboard")
	}
	return now, others, err
}

// ourPage gives the dashboard with our mark or, where its description was rewritten,
// one of our title that shows one of our cards. The zero dashboard, where there is
// none, shows nothing; another tells that somebody else's has our title.
func (a *Dashboards) ourPage(ctx context.Context, collection int, cards []int) (page metabase.Dashboard, another bool, err error) {
	page, found, err := a.Metabase.FindDashboard(ctx, collection, keyDashboard)
	if err != nil || found {
		return page, false, err
	}
	ids, err := a.Metabase.UnmarkedDashboards(ctx, collection, dashboards.Title)
	if err != nil {
		return page, false, err
	}
	for _, id := range ids {
		page, err := a.Metabase.Dashboard(ctx, id)
		if err != nil || slices.ContainsFunc(cards, page.Shows) {
			return page, false, err
		}
	}
	return page, len(ids) > 0, nil
}

// wantedDashboard makes Metabase's dashboard of the definition. A card that a
// person has edited keeps only the filters that its query still has.
func wantedDashboard(cards []AppliedCard) (metabase.Dashboard, error) {
	out := metabase.Dashboard{
		Name: dashboards.Title, Description: dashboards.Description, Parameters: parameters(), Tabs: dashboards.Tabs(),
		Mark: metabase.Mark{Key: keyDashboard},
	}
	for _, c := range dashboards.Cards() {
		i := slices.IndexFunc(cards, func(applied AppliedCard) bool { return applied.Card == c.Name })
		if i < 0 {
			return out, fmt.Errorf("%w: the card %s is not in Metabase: start workers of one version alone", errMetabaseSettings, c.Name)
		}
		p := metabase.Place{Card: cards[i].ID, Tab: c.Tab, Row: c.Row, Col: c.Column, Wide: c.Width, High: c.Height}
		for _, f := range dashboards.Filters() {
			if c.Unfiltered == "" && slices.Contains(cards[i].Filters, f.Name) {
				p.Mappings = append(p.Mappings, metabase.Mapping{Parameter: f.Name, Tag: f.Name})
			}
		}
		out.Places = append(out.Places, p)
	}
	return out, nil
}
