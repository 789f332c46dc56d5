package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"covidpipeline/internal/covid"
)

// ErrConflict means that a release was changed by someone else since it was read.
var ErrConflict = errors.New("the release was changed meanwhile; read it again")

// The states of a release.
const (
	StateRunning   = "running"
	StateCompleted = "completed"
	StateFailed    = "failed"
	StateCancelled = "cancelled"
)

// Release is one published state of a source, as the registry holds it.
type Release struct {
	Number     int64      `json:"number"`
	Source     string     `json:"source"`     // URI
	IndexUUID  string     `json:"index_uuid"` // of the raw index that it was written to
	Registered time.Time  `json:"registered"`
	State      string     `json:"state"`
	Follow     bool       `json:"follow"`
	Read       Extent     `json:"read"`
	Checkpoint Position   `json:"checkpoint"` // every batch before it is done
	Counts     Counts     `json:"counts"`
	Retired    int64      `json:"retired"` // documents that this release retired
	FinishedAt *time.Time `json:"finished_at,omitempty"`

	// SeqNo and PrimaryTerm say which state of the registry's document was read;
	// Save compares them.
	SeqNo       int64 `json:"-"`
	PrimaryTerm int64 `json:"-"`
}

// Extent is what has been read of a source.
type Extent struct {
	Length      int64  `json:"length"` // bytes
	Digest      string `json:"digest"` // of those bytes
	Rows        int64  `json:"rows"`
	AtRecordEnd bool   `json:"at_record_end"` // the last byte ended a record
}

// Position is a place between two records of a source.
type Position struct {
	Offset int64 `json:"offset"` // bytes before it
	Row    int64 `json:"row"`    // rows before it
}

// Counts are the counters of an ingest. They are progress, not proof: an answer
// that was lost leaves unknown which of them its items belong to.
type Counts struct {
	Rows         int64 `json:"rows"`
	Written      int64 `json:"written"`
	AlreadyThere int64 `json:"already_there"`
	Superseded   int64 `json:"superseded"`
	Quarantined  int64 `json:"quarantined"`
}

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

// Get gives a release by its number, as it is now.
func (c *Client) Get(ctx context.Context, index string, number int64) (Release, error) {
	const op = "read release"
	var answer struct {
		SeqNo       int64    `json:"_seq_no"`
		PrimaryTerm int64    `json:"_primary_term"`
		Source      *Release `json:"_source"`
	}
	err := c.doJSON(ctx, op, "GET", fmt.Sprintf("/%s/_doc/%d", ReleasesIndex(index), number), nil, &answer)
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
	answer, err := c.search(ctx, op, "/"+ReleasesIndex(index), "&seq_no_primary_term=true", query)
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

// highestRelease gives the highest release number that is in use, or 0.
func (c *Client) highestRelease(ctx context.Context, op, index string) (int64, error) {
	indices := index + "," + QuarantineIndex(index) + "," + ReleasesIndex(index)
	if err := c.Refresh(ctx, indices); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	highest := func(field string) object { return object{"max": object{"field": field}} }
	answer, err := c.search(ctx, op, "/"+indices, "", object{
		"size": 0,
		"aggs": object{"number": highest("number"), "release": highest(fieldRelease), "retired": highest(fieldRetired)},
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
	path := "/" + ReleasesIndex(index) + "/_doc/" + strconv.FormatInt(r.Number, 10) + "?" + condition
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
