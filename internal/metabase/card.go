package metabase

import (
	"context"
	"fmt"
	"net/http"
)

// Card is a question: a query and how it is drawn.
type Card struct {
	ID          int
	Name        string
	Description string // without the mark
	Display     string // kind of chart
	Query       Query
	Settings    map[string]any // visualization settings
	Mark        Mark
}

// Content gives what the card says.
func (c Card) Content() Content {
	out := Content{
		"name": c.Name, "description": c.Description, "display": c.Display,
		"database": fmt.Sprint(c.Query.Database), "SQL": c.Query.SQL,
	}
	for _, t := range c.Query.Tags {
		out["filter "+t.Name] = compact([]any{t.Title, t.Field, t.Widget})
	}
	out.addSettings(c.Settings)
	return out
}

// storedCard is a card as it reads back.
type storedCard struct {
	ID          int
	Name        string
	Description *string
	Display     string
	Query       storedQuery    `json:"dataset_query"`
	Settings    map[string]any `json:"visualization_settings"`
}

func (s storedCard) card() Card {
	c := Card{ID: s.ID, Name: s.Name, Display: s.Display, Query: s.Query.query(), Settings: s.Settings}
	c.Description, c.Mark = cutMark(s.Description)
	return c
}

// FindCard gives the collection's card that carries the mark's key, the oldest of
// several.
func (c *Client) FindCard(ctx context.Context, collection int, key string) (Card, bool, error) {
	ids, err := c.marked(ctx, collection, kindCard, key)
	if err != nil || len(ids) == 0 {
		return Card{}, false, err
	}
	card, err := c.Card(ctx, ids[0])
	return card, err == nil, err
}

// UnmarkedCards gives the ids of the collection's cards of that name that carry no
// mark, the oldest first.
func (c *Client) UnmarkedCards(ctx context.Context, collection int, name string) ([]int, error) {
	return c.unmarked(ctx, collection, kindCard, name)
}

// MarkedCards gives the ids of the collection's cards that carry any mark.
func (c *Client) MarkedCards(ctx context.Context, collection int) ([]int, error) {
	return c.items(ctx, collection, kindCard, func(_ string, mark Mark) bool { return mark.Key != "" })
}

// Card reads a card.
func (c *Client) Card(ctx context.Context, id int) (Card, error) {
	var in storedCard
	err := c.call(ctx, "read a card", http.MethodGet, fmt.Sprintf("/api/card/%d", id), nil, &in)
	return in.card(), err
}

// WriteCard creates a card, or overwrites the one whose ID it has, and reads it
// back. Its mark says what was written.
func (c *Client) WriteCard(ctx context.Context, collection int, want Card) (Card, error) {
	want.Mark.Written = want.Content().Hash()
	want.Mark.Stored = want.Mark.Written
	body := map[string]any{
		"name": want.Name, "description": want.Mark.under(want.Description), "display": want.Display,
		"dataset_query": want.Query.legacy(), "visualization_settings": want.Settings,
	}
	var out struct{ ID int }
	op, method, path := "update a card", http.MethodPut, fmt.Sprintf("/api/card/%d", want.ID)
	if want.ID == 0 {
		op, method, path = "create a card", http.MethodPost, "/api/card"
		body["collection_id"] = collection
	}
	if err := c.call(ctx, op, method, path, body, &out); err != nil {
		return Card{}, err
	}
	got, err := c.Card(ctx, out.ID)
	if err != nil {
		return Card{}, err
	}
	if stored := got.Content().Hash(); stored != want.Mark.Stored {
		got.Mark = want.Mark
		got.Mark.Stored = stored
		return got, c.describe(ctx, fmt.Sprintf("/api/card/%d", got.ID), got.Mark.under(got.Description))
	}
	return got, nil
}

// describe changes an object's description alone: where Metabase stored
// something else than what it was sent, the mark has to say so.
func (c *Client) describe(ctx context.Context, path, description string) error {
	return c.call(ctx, "change a description", http.MethodPut, path, map[string]any{"description": description}, nil)
}
