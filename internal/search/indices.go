package search

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"covidpipeline/internal/covid"
)

// The fields of a raw document besides covid.Columns.
const (
	fieldSource     = "source"     // URI of the source
	fieldRelease    = "release"    // release that wrote the values
	fieldRow        = "row"        // row of that release, from 1
	fieldRegistered = "registered" // day on which the record came into the index
	fieldRetired    = "retired"    // release that retired the document; absent while it is live
)

// QuarantineIndex names the index of quarantined records beside a raw index.
func QuarantineIndex(index string) string { return index + "-quarantine" }

// ReleasesIndex names the release registry beside a raw index.
func ReleasesIndex(index string) string { return index + "-releases" }

type object = map[string]any

// maxKeyword is the longest value that is indexed, in characters: at four bytes
// each it stays below the 32,766 bytes that a term may have. A longer value is
// kept in the document and is only not searchable.
const maxKeyword = 8191

// rawFields gives the mapping of a raw document. Values are stored as they stood
// in the source, whatever they are: what does not parse is kept and not indexed.
func rawFields() object {
	keyword := object{"type": "keyword", "ignore_above": maxKeyword}
	count := object{"type": "integer", "ignore_malformed": true}
	fields := object{
		fieldSource:     keyword,
		fieldRelease:    object{"type": "integer"},
		fieldRow:        object{"type": "long"},
		fieldRegistered: object{"type": "date", "format": "strict_date"},
		fieldRetired:    object{"type": "integer"},
	}
	for field, name := range covid.Columns {
		switch field {
		case covid.FieldDate:
			fields[name] = object{"type": "date", "format": "strict_date", "ignore_malformed": true}
		case covid.FieldTotalCases, covid.FieldNewCases, covid.FieldTotalDeaths, covid.FieldNewDeaths:
			fields[name] = count
		default:
			fields[name] = keyword
		}
	}
	return fields
}

// quarantineFields gives the mapping of a quarantined record.
func quarantineFields() object {
	keyword := object{"type": "keyword", "ignore_above": maxKeyword}
	return object{
		fieldSource: keyword, fieldRelease: object{"type": "integer"}, fieldRow: object{"type": "long"},
		"offset": object{"type": "long"}, "reason": keyword,
		"raw": object{"type": "binary"}, "truncated": object{"type": "boolean"},
	}
}

// releaseFields gives the mapping of what is searched in a release; the rest of
// it is only stored.
func releaseFields() object {
	return object{
		"number": object{"type": "long"}, fieldSource: object{"type": "keyword", "ignore_above": maxKeyword},
		"state": object{"type": "keyword"}, fieldRegistered: object{"type": "date"},
	}
}

// EnsureIndices creates the raw index with the given numbers of primary shards
// and replicas, its quarantine and its release registry where they are missing,
// and gives the UUID of the raw index. It leaves the settings of existing indices
// alone, and refuses a raw index that exists with another mapping.
//
// Each index has a template of its own name that forbids creating it by writing
// to it: a late bulk request must not bring a deleted index back.
func (c *Client) EnsureIndices(ctx context.Context, index string, shards, replicas int) (uuid string, err error) {
	const op = "create indices"
	if err := checkIndex(index); err != nil {
		return "", refusedName(op, err)
	}
	for _, i := range []struct {
		name     string
		settings object
		mappings object
	}{
		// Refreshing rarely costs a bulk load 3 % against never, and 10 to 20 % less
		// than the default does; whoever needs to see everything refreshes.
		{index, object{"number_of_shards": shards, "refresh_interval": "30s"},
			object{"dynamic": "strict", "properties": rawFields()}},
		{QuarantineIndex(index), object{"number_of_shards": 1},
			object{"dynamic": "strict", "properties": quarantineFields()}},
		{ReleasesIndex(index), object{"number_of_shards": 1},
			object{"dynamic": false, "properties": releaseFields()}},
	} {
		i.settings["number_of_replicas"] = replicas
		if err := c.ensureIndex(ctx, op, i.name, i.settings, i.mappings); err != nil {
			return "", err
		}
	}
	if err := c.checkMapping(ctx, op, index); err != nil {
		return "", err
	}
	return c.IndexUUID(ctx, index)
}

// ensureIndex writes the template of an index and creates the index from it.
func (c *Client) ensureIndex(ctx context.Context, op, name string, settings, mappings object) error {
	template := object{
		"index_patterns":    []string{name},
		"priority":          500, // above what an operator's catch-all patterns have
		"allow_auto_create": false,
		"template":          object{"settings": settings, "mappings": mappings},
	}
	if err := c.change(ctx, op, "PUT", indexPath("/_index_template/", "", name), template); err != nil {
		return err
	}
	err := c.change(ctx, op, "PUT", indexPath("/", "", name), nil)
	var e *Error
	if errors.As(err, &e) && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}

// change changes the state of the cluster. in is nil where there is no body.
func (c *Client) change(ctx context.Context, op, method string, path path, in any) error {
	var done struct{ Acknowledged *bool }
	if err := c.doJSON(ctx, op, method, path, in, &done); err != nil {
		return err
	}
	switch {
	case done.Acknowledged == nil:
		return malformed(op, "an answer that does not say whether it was done")
	case !*done.Acknowledged:
		return &Error{Kind: Unavailable, Op: op, Reason: "the cluster did not take up the change in time"}
	}
	return nil
}

// checkMapping refuses an index that lacks one of our fields or has it with
// another type.
func (c *Client) checkMapping(ctx context.Context, op, index string) error {
	var answer map[string]struct {
		Mappings struct {
			Properties map[string]struct{ Type string }
		}
	}
	if err := c.doJSON(ctx, op, "GET", indexPath("/", "/_mapping", index), nil, &answer); err != nil {
		return err
	}
	found, ok := answer[index]
	if !ok {
		return &Error{Kind: Refused, Op: op, Reason: fmt.Sprintf("%s is an alias; give the name of an index", index)}
	}
	var wrong []string
	for name, want := range rawFields() {
		if found.Mappings.Properties[name].Type != want.(object)["type"] {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 {
		sort.Strings(wrong)
		return &Error{Kind: Refused, Op: op, Reason: fmt.Sprintf(
			"index %s exists with another mapping (%s missing or of another type); give another index name, or delete it if nothing needs it",
			index, strings.Join(wrong, ", "))}
	}
	return nil
}

// IndexUUID gives the UUID that an index got when it was created.
func (c *Client) IndexUUID(ctx context.Context, index string) (string, error) {
	const op = "read index UUID"
	var answer map[string]struct {
		Settings struct{ Index struct{ UUID string } }
	}
	if err := c.doJSON(ctx, op, "GET", indexPath("/", "/_settings?filter_path=*.settings.index.uuid", index), nil, &answer); err != nil {
		return "", err
	}
	uuid := answer[index].Settings.Index.UUID
	if uuid == "" {
		return "", malformed(op, "an answer without the UUID of index %s", index)
	}
	return uuid, nil
}

// Refresh makes everything that was written to an index visible to searches.
func (c *Client) Refresh(ctx context.Context, index string) error {
	return c.refresh(ctx, index)
}

// refresh refreshes one or more indices in one request.
func (c *Client) refresh(ctx context.Context, names ...string) error {
	const op = "refresh"
	var answer struct {
		Shards *shardCounts `json:"_shards"`
	}
	if err := c.doJSON(ctx, op, "POST", indexPath("/", "/_refresh", names...), nil, &answer); err != nil {
		return err
	}
	// Replicas without a node are in the total and do not fail.
	if s := answer.Shards; s == nil || s.Failed != 0 || s.Successful == 0 {
		return &Error{Kind: Unavailable, Op: op, Reason: "not every shard of " + strings.Join(names, ",") + " was refreshed"}
	}
	return nil
}

// shardCounts is Elasticsearch's account of the shards of a request.
type shardCounts struct{ Total, Successful, Failed int }

// CountQuery narrows a count. A nil field does not.
type CountQuery struct {
	Shard    *int   // only this shard
	MaxSeqNo *int64 // only documents whose newest version has at most this sequence number
	Retired  *bool  // only retired documents, or only live ones
}

// Count counts documents as of the last refresh. A document that was written
// again has the sequence number of its newest version only: a count up to a
// sequence number is not stable while the index is written to.
func (c *Client) Count(ctx context.Context, index string, q CountQuery) (int64, error) {
	var filters []object
	if q.MaxSeqNo != nil {
		filters = append(filters, object{"range": object{"_seq_no": object{"lte": *q.MaxSeqNo}}})
	}
	if q.Retired != nil {
		retired := object{"exists": object{"field": fieldRetired}}
		if !*q.Retired {
			retired = object{"bool": object{"must_not": retired}}
		}
		filters = append(filters, retired)
	}
	shard := ""
	if q.Shard != nil {
		shard = fmt.Sprintf("&preference=_shards:%d", *q.Shard)
	}
	return c.count(ctx, "count documents", []string{index}, shard, filters)
}

// count counts what matches every filter.
func (c *Client) count(ctx context.Context, op string, names []string, params string, filters []object) (int64, error) {
	answer, err := c.search(ctx, op, names, params, object{
		"size": 0, "track_total_hits": true, "query": all(filters),
	})
	if err != nil {
		return 0, err
	}
	return answer.Hits.Total.Value, nil
}
