package activities

import (
	"context"
	"fmt"
	"strings"

	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
)

// Dashboards provisions the dashboard of package dashboards in a Metabase. Each
// step looks up what is there before it creates or changes anything, so that a
// step that is repeated finds what its last attempt made.
type Dashboards struct {
	Metabase   *metabase.Client
	Connection metabase.Connection // of Metabase to the warehouse
	Missing    []string            // variables that this worker is not told
}

// ApplyOptions are how a dashboard is applied.
type ApplyOptions struct {
	DryRun bool `json:"dryRun"` // change nothing, say what would be changed
	Force  bool `json:"force"`  // overwrite what people have edited
}

// Done is what was done to an object, or would be.
type Done string

// What can be done.
const (
	Created Done = "created"
	Updated Done = "updated"
	Same    Done = "unchanged"
	Kept    Done = "kept" // as a person has edited it
)

// Applied is what was done to one object of Metabase.
type Applied struct {
	What   string `json:"what"` // user, database, collection, card, dashboard
	Name   string `json:"name"`
	Done   Done   `json:"done"`
	Reason string `json:"reason,omitempty"`
	// Differences to what is wanted, of one that is updated or kept.
	Differences []metabase.Difference `json:"differences,omitempty"`
	// Stored is which settings Metabase stored otherwise than it was sent them.
	Stored []metabase.Difference `json:"stored,omitempty"`
}

// Server is what a Metabase says of itself, and what is to be shown by it. The
// worker's definition says that, so it is part of the history of a run: one that
// goes on in a worker with another definition still replays.
type Server struct {
	Version string     `json:"version"`
	SetUp   bool       `json:"setUp"`
	Address string     `json:"address"`
	Title   string     `json:"title"`
	Cards   []CardName `json:"cards"`
}

// CardName names a card to programs and to people.
type CardName struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// AwaitMetabase asks whether Metabase has started; until then it fails in a way
// that is retried.
func (a *Dashboards) AwaitMetabase(ctx context.Context) (Server, error) {
	defer keepAlive(ctx, silent)()
	if len(a.Missing) > 0 {
		return Server{}, classify(fmt.Errorf("%w: %s not set", errMetabaseSettings, strings.Join(a.Missing, ", ")))
	}
	p, err := a.Metabase.Ready(ctx)
	out := Server{Version: p.Version, SetUp: p.SetUp, Address: a.Metabase.Address(""), Title: dashboards.Title}
	for _, c := range dashboards.Cards() {
		out.Cards = append(out.Cards, CardName{Name: c.Name, Title: c.Title})
	}
	return out, classify(err)
}

// LogInMetabase makes the configured user Metabase's first one where there is
// none, and checks that it can log in.
func (a *Dashboards) LogInMetabase(ctx context.Context) (Applied, error) {
	defer keepAlive(ctx, silent)()
	out := Applied{What: "user", Name: "first user", Done: Same}
	set, err := a.Metabase.SetUp(ctx, dashboards.Title)
	if err == nil {
		err = a.Metabase.LogIn(ctx)
	}
	if set {
		out.Done = Created
	}
	return out, classify(err)
}

// CollectionInput is what ApplyCollection is told.
type CollectionInput struct {
	ApplyOptions
}

// AppliedCollection is where the cards are; ID 0 is not there yet.
type AppliedCollection struct {
	Applied
	ID int `json:"id"`
}

// keyCollection and keyDashboard are the keys of their marks; a card's is its name.
const (
	keyCollection = "collection"
	keyDashboard  = "dashboard"
)

// ApplyCollection finds the collection of the cards or creates it. It changes
// nothing of one that is there.
func (a *Dashboards) ApplyCollection(ctx context.Context, in CollectionInput) (AppliedCollection, error) {
	defer keepAlive(ctx, silent)()
	out := AppliedCollection{Applied: Applied{What: "collection", Name: dashboards.Title, Done: Same}}
	id, ok, err := a.Metabase.FindCollection(ctx, keyCollection, dashboards.Title)
	if err != nil || ok {
		out.ID = id
		return out, classify(err)
	}
	out.Done = Created
	if !in.DryRun {
		out.ID, err = a.Metabase.CreateCollection(ctx, keyCollection, dashboards.Title, dashboards.Description)
	}
	return out, classify(err)
}

// judged decides what happens to an object that is there.
func judged(what, name string, now, want metabase.Content, mark metabase.Mark, force bool) Applied {
	out := Applied{What: what, Name: name, Differences: metabase.Differences(now, want)}
	const edited = "edited in Metabase"
	switch metabase.Judge(now, want, mark) {
	case metabase.Outdated:
		out.Done, out.Reason = Updated, "its definition has changed"
		if mark.Written == "" {
			out.Reason = "it was not completed"
		}
	case metabase.Edited:
		out.Done, out.Reason = Kept, edited
		if force {
			out.Done = Updated
		}
	case metabase.Extended:
		out.Done, out.Reason = Kept, edited+": settings were added"
		if force {
			out.Done = Updated
		}
	default:
		return Applied{What: what, Name: name, Done: Same}
	}
	return out
}

// checkStored compares what Metabase holds with what it was sent: keys that it
// does not know it drops without a word. A setting that only changes how
// something is drawn is told; anything else is an error.
func (out *Applied) checkStored(now, want metabase.Content) error {
	for _, d := range metabase.Lost(now, want) {
		if !d.IsSetting() {
			return fmt.Errorf("%w: %s %q: %s is %.200q, not %.200q", errMetabaseStored, out.What, out.Name, d.Name, d.Now, d.Want)
		}
		out.Stored = append(out.Stored, d)
	}
	return nil
}
