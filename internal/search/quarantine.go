package search

import (
	"context"
	"encoding/json"
	"fmt"
)

// Quarantined is a record that could not be used, with its original bytes.
type Quarantined struct {
	Source    string `json:"source"` // URI
	Release   int64  `json:"release"`
	Row       int64  `json:"row"`    // from 1
	Offset    int64  `json:"offset"` // of the record in the source, in bytes
	Reason    string `json:"reason"`
	Raw       []byte `json:"raw"`       // without the line end
	Truncated bool   `json:"truncated"` // Raw is only the beginning
}

// quarantinePage bounds the memory of a page: a record can have 1 MiB.
const quarantinePage = 32

// Quarantined calls each for the quarantined records of a source and a release, by
// release and row. An empty source and the release 0 mean every one. An error of
// each ends it and is given back as it is.
func (c *Client) Quarantined(ctx context.Context, index, source string, release int64, each func(*Quarantined) error) error {
	const op = "read quarantine"
	if err := c.Refresh(ctx, QuarantineIndex(index)); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	var q Quarantined
	for {
		answer, err := c.search(ctx, op, []string{QuarantineIndex(index)}, "", object{
			"size": quarantinePage, "query": all(quarantineFilters(source, release)),
			"sort": []object{{fieldRelease: "asc"}, {fieldRow: "asc"}}, "search_after": []int64{q.Release, q.Row},
		})
		if err != nil {
			return err
		}
		for _, h := range answer.Hits.Hits {
			q = Quarantined{}
			if err := json.Unmarshal(h.Source, &q); err != nil {
				return malformed(op, "quarantined record %s cannot be read: %v", h.ID, err)
			}
			given := q
			if err := each(&given); err != nil {
				return err
			}
		}
		if len(answer.Hits.Hits) < quarantinePage {
			return nil
		}
	}
}

// CountQuarantined counts the quarantined records of a source and a release. An
// empty source and the release 0 mean every one.
func (c *Client) CountQuarantined(ctx context.Context, index, source string, release int64) (int64, error) {
	const op = "count quarantine"
	if err := c.Refresh(ctx, QuarantineIndex(index)); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	return c.count(ctx, op, []string{QuarantineIndex(index)}, "", quarantineFilters(source, release))
}

func quarantineFilters(source string, release int64) []object {
	var filters []object
	if source != "" {
		filters = append(filters, object{"term": object{fieldSource: source}})
	}
	if release != 0 {
		filters = append(filters, object{"term": object{fieldRelease: release}})
	}
	return filters
}
