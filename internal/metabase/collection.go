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

// items gives the ids of the collection's cards or dashboards that are wanted by
// name and mark, the oldest first.
func (c *Client) items(ctx context.Context, collection int, kind string, wanted func(name string, mark Mark) bool) ([]int, error) {
	var ids []int
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
			return nil, err
		}
		for _, item := range in.Data {
			if _, mark := cutMark(item.Description); item.Model == kind && wanted(item.Name, mark) {
				ids = append(ids, item.ID)
			}
		}
		if len(in.Data) == 0 {
			break // fewer than it said
		}
		offset, total = offset+len(in.Data), in.Total
	}
	slices.Sort(ids)
	return ids, nil
}

// marked gives the ids of those that carry the mark's key.
func (c *Client) marked(ctx context.Context, collection int, kind, key string) ([]int, error) {
	return c.items(ctx, collection, kind, func(_ string, mark Mark) bool { return mark.Key == key })
}

// unmarked gives the ids of those of that name that carry no mark: they are
// somebody else's, or a person has rewritten the description.
func (c *Client) unmarked(ctx context.Context, collection int, kind, name string) ([]int, error) {
	return c.items(ctx, collection, kind, func(other string, mark Mark) bool { return mark.Key == "" && other == name })
}
