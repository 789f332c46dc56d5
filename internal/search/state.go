package search

import (
	"context"
	"strconv"
	"strings"
)

// IndexState is what a reader must know of an index to read on where it stopped.
type IndexState struct {
	UUID   string       // given when the index was created
	Shards []ShardState // one a shard, in the order of their numbers
}

// ShardState is the state of a primary shard.
type ShardState struct {
	Shard       int
	HistoryUUID string // changes when the shard's history was cut, as by a forced allocation
	PrimaryTerm int64  // grows with every primary; a restored copy may go back
	// GlobalCheckpoint is the number up to which every operation is done for good;
	// -1 when there was none.
	GlobalCheckpoint int64
}

// History returns the history UUIDs of all shards as one text.
func (s IndexState) History() string {
	uuids := make([]string, len(s.Shards))
	for i, shard := range s.Shards {
		uuids[i] = shard.HistoryUUID
	}
	return strings.Join(uuids, ",")
}

// IndexState reads the state of every primary shard. It is Unavailable when one
// does not report.
func (c *Client) IndexState(ctx context.Context, index string) (IndexState, error) {
	const op = "read index state"
	terms, uuid, err := c.primaryTerms(ctx, op, index)
	if err != nil {
		return IndexState{}, err
	}
	type shard struct {
		Routing struct{ Primary bool }
		Commit  struct {
			UserData struct {
				HistoryUUID string `json:"history_uuid"`
			} `json:"user_data"`
		}
		SeqNo struct {
			GlobalCheckpoint *int64 `json:"global_checkpoint"`
		} `json:"seq_no"`
	}
	var stats struct {
		Indices map[string]struct {
			UUID   string
			Shards map[string][]shard
		}
	}
	path := indexPath("/", "/_stats?level=shards&filter_path=indices.*.uuid,indices.*.shards.*.routing.primary,"+
		"indices.*.shards.*.commit.user_data.history_uuid,indices.*.shards.*.seq_no", index)
	if err := c.doJSON(ctx, op, "GET", path, nil, &stats); err != nil {
		return IndexState{}, err
	}
	found := stats.Indices[index]
	if found.UUID != uuid {
		return IndexState{}, &Error{Kind: Unavailable, Op: op, Reason: "index " + index + " changes or does not report"}
	}
	state := IndexState{UUID: uuid}
	for n, term := range terms {
		s := ShardState{Shard: n, PrimaryTerm: term, GlobalCheckpoint: -2}
		for _, held := range found.Shards[strconv.Itoa(n)] {
			if held.Routing.Primary && held.SeqNo.GlobalCheckpoint != nil {
				s.HistoryUUID, s.GlobalCheckpoint = held.Commit.UserData.HistoryUUID, *held.SeqNo.GlobalCheckpoint
			}
		}
		// -2 is also how a shard says that it does not know yet.
		if s.GlobalCheckpoint < -1 || s.HistoryUUID == "" {
			return IndexState{}, &Error{Kind: Unavailable, Op: op,
				Reason: "shard " + strconv.Itoa(n) + " of index " + index + " does not report its state"}
		}
		state.Shards = append(state.Shards, s)
	}
	return state, nil
}

// primaryTerms gives the primary term of every shard by its number.
func (c *Client) primaryTerms(ctx context.Context, op, index string) (terms []int64, uuid string, err error) {
	var state struct {
		Metadata struct {
			Indices map[string]struct {
				PrimaryTerms map[string]int64 `json:"primary_terms"`
				Settings     struct{ Index struct{ UUID string } }
			}
		}
	}
	path := indexPath("/_cluster/state/metadata/", "?allow_no_indices=false"+
		"&filter_path=metadata.indices.*.primary_terms,metadata.indices.*.settings.index.uuid", index)
	if err := c.doJSON(ctx, op, "GET", path, nil, &state); err != nil {
		return nil, "", err
	}
	found, ok := state.Metadata.Indices[index]
	if !ok || len(found.PrimaryTerms) == 0 || found.Settings.Index.UUID == "" {
		return nil, "", malformed(op, "an answer without the primary terms of index %s", index)
	}
	for n := range len(found.PrimaryTerms) {
		term, ok := found.PrimaryTerms[strconv.Itoa(n)]
		if !ok {
			return nil, "", malformed(op, "an answer without the primary term of shard %d", n)
		}
		terms = append(terms, term)
	}
	return terms, found.Settings.Index.UUID, nil
}

// Locate finds documents by their ids, in that order. It sees what was written
// without a refresh.
func (c *Client) Locate(ctx context.Context, index string, ids []string) ([]Location, error) {
	const op = "locate documents"
	if len(ids) == 0 {
		return nil, nil
	}
	var answer struct {
		Docs []struct {
			ID      string `json:"_id"`
			Found   *bool
			Version int64 `json:"_version"`
			SeqNo   int64 `json:"_seq_no"`
			Error   *struct{ Type, Reason string }
		}
	}
	if err := c.doJSON(ctx, op, "POST", indexPath("/", "/_mget?_source=false", index), object{"ids": ids}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Docs) != len(ids) {
		return nil, malformed(op, "%d documents were asked for and %d answered", len(ids), len(answer.Docs))
	}
	locations := make([]Location, len(ids))
	for i, d := range answer.Docs {
		switch {
		case d.Error != nil:
			// An item has no status of its own; what is not about the index passes.
			return nil, failure(op, 503, d.Error.Type, d.Error.Reason)
		case d.ID != ids[i], d.Found == nil:
			return nil, malformed(op, "the answer is not about document %s", ids[i])
		}
		locations[i] = Location{ID: d.ID, Found: *d.Found, Version: d.Version, SeqNo: d.SeqNo}
	}
	return locations, nil
}
