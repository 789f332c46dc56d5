package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Address is that of Elasticsearch, without credentials, for messages.
func (c *Client) Address() string { return c.address }

// Node is one node of the cluster.
type Node struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Disks   []Disk `json:"disks"`
}

// Disk is one data path of a node, in bytes. The last three are how much must be
// free: Elasticsearch works them out from its watermark settings, whether set or
// default, share, size or head room. They are 0 where a node does not say.
type Disk struct {
	Path      string `json:"path"`
	Total     int64  `json:"total"`
	Available int64  `json:"available"`
	Low       int64  `json:"low"`   // below it no replicas come to the node
	High      int64  `json:"high"`  // below it shards are moved away
	Flood     int64  `json:"flood"` // below it its indices become read-only
}

// Nodes gives the nodes of the cluster by their names.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	const op = "read nodes"
	var info struct {
		Nodes map[string]struct{ Name, Version string }
	}
	if err := c.doJSON(ctx, op, "GET", pathOf("/_nodes?filter_path=nodes.*.name,nodes.*.version"), nil, &info); err != nil {
		return nil, err
	}
	var stats struct {
		Nodes map[string]struct {
			FS struct {
				Data []struct {
					Path      string
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
					Low       int64 `json:"low_watermark_free_space_in_bytes"`
					High      int64 `json:"high_watermark_free_space_in_bytes"`
					Flood     int64 `json:"flood_stage_free_space_in_bytes"`
				}
			}
		}
	}
	if err := c.doJSON(ctx, op, "GET", pathOf("/_nodes/stats/fs?filter_path=nodes.*.fs.data"), nil, &stats); err != nil {
		return nil, err
	}
	if len(info.Nodes) == 0 {
		return nil, malformed(op, "an answer without nodes")
	}
	nodes := make([]Node, 0, len(info.Nodes))
	for id, n := range info.Nodes {
		node := Node{Name: n.Name, Version: n.Version}
		for _, d := range stats.Nodes[id].FS.Data {
			node.Disks = append(node.Disks, Disk(d))
		}
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, nil
}

// ours names a raw index and the two beside it.
func ours(index string) []string {
	return []string{index, QuarantineIndex(index), ReleasesIndex(index)}
}

// Health gives the health of the raw index, its quarantine and its registry, each
// green, yellow (a replica is missing) or red (a primary is missing). An index
// that does not exist is not in it.
func (c *Client) Health(ctx context.Context, index string) (map[string]string, error) {
	var answer struct {
		Indices map[string]struct{ Status string }
	}
	// A name without a wild card would make the request wait for the index.
	path := indexPath("/_cluster/health/", "*?level=indices&filter_path=indices.*.status", index)
	if err := c.doJSON(ctx, "read index health", "GET", path, nil, &answer); err != nil {
		return nil, err
	}
	health := map[string]string{}
	for _, name := range ours(index) {
		if found, ok := answer.Indices[name]; ok {
			health[name] = found.Status
		}
	}
	return health, nil
}

// Block is what keeps an index, or the whole cluster, from being used.
type Block struct {
	Index  string `json:"index"` // "" is the cluster
	Reason string `json:"reason"`
	// Disk tells that Elasticsearch set it since the disk is full. It removes it by
	// itself when the disk is below the high watermark again.
	Disk bool `json:"disk"`
}

// diskBlock is the number of index.blocks.read_only_allow_delete.
const diskBlock = "12"

// Blocks gives the blocks on the cluster, the raw index, its quarantine and its
// registry, by index.
func (c *Client) Blocks(ctx context.Context, index string) ([]Block, error) {
	type described map[string]struct{ Description string }
	var answer struct {
		Blocks struct {
			Global  described
			Indices map[string]described
		}
	}
	path := indexPath("/_cluster/state/blocks/", "?ignore_unavailable=true&filter_path=blocks", ours(index)...)
	if err := c.doJSON(ctx, "read index blocks", "GET", path, nil, &answer); err != nil {
		return nil, err
	}
	var blocks []Block
	add := func(name string, found described) {
		for id, b := range found {
			blocks = append(blocks, Block{Index: name, Reason: shorten(b.Description), Disk: id == diskBlock})
		}
	}
	add("", answer.Blocks.Global)
	for _, name := range ours(index) {
		add(name, answer.Blocks.Indices[name])
	}
	slices.SortFunc(blocks, func(a, b Block) int {
		return cmp.Or(strings.Compare(a.Index, b.Index), strings.Compare(a.Reason, b.Reason))
	})
	return blocks, nil
}

// Sources gives the newest release of each source, the newest first, at most 100.
// Rejected releases changed nothing and are left out.
func (c *Client) Sources(ctx context.Context, index string) ([]Release, error) {
	const op = "read the newest releases"
	if err := c.Refresh(ctx, ReleasesIndex(index)); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return c.releases(ctx, op, index, object{
		"size": 100, "sort": []object{{"number": "desc"}}, "collapse": object{"field": fieldSource},
		"query": object{"bool": object{"must_not": object{"term": object{"state": StateRejected}}}},
	})
}

// ReasonCount is a reason and how often it stands.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// QuarantineReasons counts the quarantined records as of the last refresh, and
// gives the most frequent reasons, at most n.
func (c *Client) QuarantineReasons(ctx context.Context, index string, n int) (total int64, reasons []ReasonCount, err error) {
	answer, err := c.search(ctx, "count quarantine", []string{QuarantineIndex(index)}, "", object{
		"size": 0, "track_total_hits": true,
		"aggs": object{"reasons": object{"terms": object{"field": "reason", "size": n}}},
	})
	if err != nil {
		return 0, nil, err
	}
	for _, b := range answer.Aggregations["reasons"].Buckets {
		reasons = append(reasons, ReasonCount{Reason: b.Key, Count: b.DocCount})
	}
	return answer.Hits.Total.Value, reasons, nil
}

// CountAbove counts the documents of a shard whose newest version has a higher
// sequence number than last, as of the last refresh.
func (c *Client) CountAbove(ctx context.Context, index string, shard int, last int64) (int64, error) {
	return c.count(ctx, "count documents", []string{index}, fmt.Sprintf("&preference=_shards:%d", shard),
		[]object{{"range": object{"_seq_no": object{"gt": last}}}})
}
