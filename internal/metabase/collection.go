package metabase

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// FindCollection gives the id of the collection, of nobody's own, that carries the
// mark's key, wherever a person has moved or renamed it to, or else of the oldest of
// that name at the top.
func (c *Client) FindCollection(ctx context.Context, key, name string) (id int, found bool, err error) {
	var in []struct {
		ID          json.RawMessage // the root's is text
		Name        string
		Description *string
		Archived    bool
		Owner       *int   `json:"personal_owner_id"`
		Location    string // "/" at the top
	}
	if err := c.call(ctx, "list Metabase's collections", http.MethodGet, "/api/collection", nil, &in); err != nil {
		return 0, false, err
	}
	var marked, named []int
	for _, one := range in {
		var id int
		if json.Unmarshal(one.ID, &id) != nil || one.Archived || one.Owner != nil {
			continue
		}
		if _, mark := cutMark(one.Description); mark.Key == key {
			marked = append(marked, id)
		} else if one.Name == name && one.Location == "/" {
			named = append(named, id)
		}
	}
	id, found = oldest(marked, named)
	return id, found, nil
}

// oldest gives the oldest of the marked objects or else, where none is, of those
// that only have the name.
func oldest(marked, named []int) (id int, found bool) {
	for _, ids := range [][]int{marked, named} {
		if len(ids) > 0 {
			return slices.Min(ids), true
		}
	}
	return 0, false
}

// CreateCollection makes a collection at the top.
func (c *Client) CreateCollection(ctx context.Context, key, name, description string) (id int, err error) {
	var out struct{ ID int }
	err = c.call(ctx, "create the collection", http.MethodPost, "/api/collection",
		map[string]any{"name": name, "description": Mark{Key: key}.under(description)}, &out)
	return out.ID, err
}

// The kinds of items that are looked for.
const (
	kindCard      = "card"
	kindDashboard = "dashboard"
)

// itemsPage is how many items are asked for at once.
const itemsPage = 200

// findItem gives the id of the collection's card or dashboard that carries the
// mark's key, or else of the oldest one of that name.
func (c *Client) findItem(ctx context.Context, collection int, kind, key, name string) (id int, found bool, err error) {
	var marked, named []int
	for offset, total := 0, 1; offset < total; {
		var in struct {
			Data []struct {
				ID          int
				Model, Name string
				Description *string
			}
			Total int
		}
		path := fmt.Sprintf("/api/collection/%d/items?models=%s&limit=%d&offset=%d", collection, kind, itemsPage, offset)
		if err := c.call(ctx, "list the collection", http.MethodGet, path, nil, &in); err != nil {
			return 0, false, err
		}
		for _, item := range in.Data {
			if _, mark := cutMark(item.Description); item.Model == kind && mark.Key == key {
				marked = append(marked, item.ID)
			} else if item.Model == kind && item.Name == name {
				named = append(named, item.ID)
			}
		}
		if len(in.Data) == 0 {
			break // fewer than it said
		}
		offset, total = offset+len(in.Data), in.Total
	}
	id, found = oldest(marked, named)
	return id, found, nil
}
