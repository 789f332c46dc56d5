package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"covidpipeline/internal/covid"
)

// ErrConflict means that a release was changed by someone else since it was read.
var ErrConflict = errors.New("the release was changed meanwhile; read it again")

// Newest gives the release of a source with the highest number, or nil when the
// source has none.
func (c *Client) Newest(ctx context.Context, index, source string) (*Release, error) {
	const op = "read newest release"
	if err := c.Refresh(ctx, ReleasesIndex(index)); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	filter := object{"term": object{fieldSource: source}}
	found, err := c.releases(ctx, op, index, object{
		"size": 1, "sort": []object{{"number": "desc"}}, "query": all([]object{filter}),
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// Effective returns the newest release of a source that is not set aside, or nil: the
// one that the live documents of the source are of.
func (c *Client) Effective(ctx context.Context, index, source string) (*Release, error) {
	const op = "read the release in effect"
	if err := c.Refresh(ctx, ReleasesIndex(index)); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for below := int64(covid.MaxRelease) + 1; ; {
		found, err := c.releases(ctx, op, index, object{
			"size": 10, "sort": []object{{"number": "desc"}}, "query": all([]object{
				{"term": object{fieldSource: source}}, {"range": object{"number": object{"lt": below}}},
			}),
		})
		if err != nil || len(found) == 0 {
			return nil, err
		}
		for i := range found {
			if !found[i].SetAside() {
				return &found[i], nil
			}
		}
		below = found[len(found)-1].Number
	}
}

// All gives every release in the order of their numbers.
func (c *Client) All(ctx context.Context, index string) ([]Release, error) {
	const op, page = "read releases", 1000
	if err := c.Refresh(ctx, ReleasesIndex(index)); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var releases []Release
	for after := int64(-1); ; after = releases[len(releases)-1].Number {
		found, err := c.releases(ctx, op, index, object{
			"size": page, "sort": []object{{"number": "asc"}}, "search_after": []int64{after},
		})
		if err != nil {
			return nil, err
		}
		releases = append(releases, found...)
		if len(found) < page {
			return releases, nil
		}
	}
}

// documentRoom is more than what stands beside the values of a document in an
// answer, in bytes: the names of its fields, of those that are not indexed and of
// the index, and what Elasticsearch says of it.
const documentRoom = 1 << 10

// PageDocs returns how many documents of a raw index one search may ask for, so
// that the answer has at most 16 MiB: by the longest record of all releases that
// have been planned by now. It is 0 where that is not known of every release.
func (c *Client) PageDocs(ctx context.Context, index string) (int, error) {
	releases, err := c.All(ctx, index)
	if KindOf(err) == IndexGone {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	longest := int64(0)
	for _, r := range releases {
		switch {
		case r.Longest > 0:
			longest = max(longest, r.Longest+int64(len(encode(r.Source)))+documentRoom)
		case r.Read.Length > 0: // otherwise nothing of it is indexed
			return 0, nil
		}
	}
	if longest == 0 {
		return 0, nil
	}
	return int(max(min(pageBytes/longest, maxPage), 1)), nil
}

// Get gives a release by its number, as it is now.
func (c *Client) Get(ctx context.Context, index string, number int64) (Release, error) {
	const op = "read release"
	var answer struct {
		SeqNo       int64    `json:"_seq_no"`
		PrimaryTerm int64    `json:"_primary_term"`
		Source      *Release `json:"_source"`
	}
	err := c.doJSON(ctx, op, "GET", indexPath("/", fmt.Sprintf("/_doc/%d", number), ReleasesIndex(index)), nil, &answer)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound && e.Type == "" {
		e.Reason = fmt.Sprintf("release %d is not in the registry", number)
	}
	if err == nil && answer.Source == nil {
		err = malformed(op, "an answer without release %d", number)
	}
	if err != nil {
		return Release{}, err
	}
	r := *answer.Source
	r.SeqNo, r.PrimaryTerm = answer.SeqNo, answer.PrimaryTerm
	return r, nil
}

// releases gives the releases that a search finds.
func (c *Client) releases(ctx context.Context, op, index string, query object) ([]Release, error) {
	filters := []object{isRelease}
	if narrower, ok := query["query"].(object); ok {
		filters = append(filters, narrower)
	}
	query["query"] = all(filters)
	answer, err := c.search(ctx, op, []string{ReleasesIndex(index)}, "&seq_no_primary_term=true", query)
	if err != nil {
		return nil, err
	}
	found := make([]Release, len(answer.Hits.Hits))
	for i, h := range answer.Hits.Hits {
		if err := json.Unmarshal(h.Source, &found[i]); err != nil {
			return nil, malformed(op, "release %s cannot be read: %v", h.ID, err)
		}
		found[i].SeqNo, found[i].PrimaryTerm = h.SeqNo, h.PrimaryTerm
	}
	return found, nil
}

// NextNumber gives the lowest release number above all that were ever used, also
// when the registry was lost: those in the raw index and its quarantine count.
func (c *Client) NextNumber(ctx context.Context, index string) (int64, error) {
	const op = "number release"
	highest, err := c.highestRelease(ctx, op, index)
	if err != nil {
		return 0, err
	}
	if highest >= covid.MaxRelease {
		return 0, &Error{Kind: Refused, Op: op, Reason: "there are no release numbers left; use a new index"}
	}
	return highest + 1, nil
}

// Create stores a new release. It is ErrConflict when its number was taken since
// it was read: what the caller decided in between may no longer hold.
func (c *Client) Create(ctx context.Context, index string, r Release) (Release, error) {
	return c.putRelease(ctx, "register release", index, r, "op_type=create")
}

// lastBelieved is the highest release number that is believed of a document, which may
// have been changed past the pipeline: one that used the numbers up would end all
// ingests. A release a minute gets there after 15 years, and then the registry, of
// which every number is believed, goes on.
const lastBelieved = covid.MaxRelease / 2

// highestRelease gives the highest release number that is in use, or 0.
func (c *Client) highestRelease(ctx context.Context, op, index string) (int64, error) {
	indices := ours(index)
	if err := c.refresh(ctx, indices...); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	highest := func(field string) object { return object{"max": object{"field": field}} }
	above := func(field string) object { return object{"range": object{field: object{"gt": lastBelieved}}} }
	answer, err := c.search(ctx, op, indices, "", object{
		"size":  0,
		"query": object{"bool": object{"must_not": []object{above(fieldRelease), above(fieldRetired)}}},
		"aggs":  object{"number": highest("number"), "release": highest(fieldRelease), "retired": highest(fieldRetired)},
	})
	if err != nil {
		return 0, err
	}
	var n int64
	for _, a := range answer.Aggregations {
		if a.Value != nil {
			n = max(n, int64(*a.Value))
		}
	}
	return n, nil
}

// Save stores a changed release and gives it back with its new SeqNo and
// PrimaryTerm. It is ErrConflict when the release is not as it was read: someone
// else changed it, or an earlier Save of ours whose answer was lost.
func (c *Client) Save(ctx context.Context, index string, r Release) (Release, error) {
	return c.putRelease(ctx, "save release", index, r,
		fmt.Sprintf("if_seq_no=%d&if_primary_term=%d", r.SeqNo, r.PrimaryTerm))
}

// putRelease writes a release on a condition.
func (c *Client) putRelease(ctx context.Context, op, index string, r Release, condition string) (Release, error) {
	var answer struct {
		SeqNo       *int64 `json:"_seq_no"`
		PrimaryTerm int64  `json:"_primary_term"`
	}
	path := indexPath("/", fmt.Sprintf("/_doc/%d?%s", r.Number, condition), ReleasesIndex(index))
	err := c.doJSON(ctx, op, "PUT", path, r, &answer)
	var e *Error
	if errors.As(err, &e) && e.Type == "version_conflict_engine_exception" {
		return r, fmt.Errorf("%s: %w", op, ErrConflict)
	}
	if err == nil && answer.SeqNo == nil {
		err = malformed(op, "an answer without a sequence number")
	}
	if err != nil {
		return r, err
	}
	r.SeqNo, r.PrimaryTerm = *answer.SeqNo, answer.PrimaryTerm
	return r, nil
}
