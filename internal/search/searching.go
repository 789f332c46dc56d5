package search

import (
	"context"
	"encoding/json"
)

// searchAnswer is the answer of a search for few documents.
type searchAnswer struct {
	TimedOut *bool        `json:"timed_out"`
	Shards   *shardCounts `json:"_shards"`
	Hits     struct {
		Total struct{ Value int64 }
		Hits  []struct {
			ID          string          `json:"_id"`
			SeqNo       int64           `json:"_seq_no"`
			PrimaryTerm int64           `json:"_primary_term"`
			Source      json.RawMessage `json:"_source"`
		}
	}
	Aggregations map[string]struct {
		Value   *float64
		Buckets []struct {
			Key      string
			DocCount int64 `json:"doc_count"`
		}
	}
}

// search runs a search of one or more indices that all shards must answer
// completely. The parameters begin with an ampersand.
func (c *Client) search(ctx context.Context, op string, names []string, params string, query object) (*searchAnswer, error) {
	var answer searchAnswer
	path := indexPath("/", "/_search?allow_partial_search_results=false"+params, names...)
	if err := c.doJSON(ctx, op, "POST", path, query, &answer); err != nil {
		return nil, err
	}
	switch s := answer.Shards; {
	case answer.TimedOut == nil, s == nil:
		return nil, malformed(op, "an answer that is not one of a search")
	case *answer.TimedOut, s.Failed != 0, s.Total == 0, s.Successful != s.Total:
		return nil, &Error{Kind: Unavailable, Op: op, Reason: "not every shard answered"}
	}
	return &answer, nil
}

// all is the query for what matches every filter.
func all(filters []object) object {
	if filters == nil {
		filters = []object{}
	}
	return object{"bool": object{"filter": filters}}
}
