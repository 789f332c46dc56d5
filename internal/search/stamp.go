package search

import (
	"context"
	"errors"
	"net/http"
)

// A run of the ETL writes stamps, documents of their own, into the release registry.
// A copy of the indices takes them along: one that lacks a stamp was made before it.

// isRelease matches the releases of the registry, which holds stamps too.
var isRelease = object{"exists": object{"field": "number"}}

func stampPath(index, stamp, query string) path {
	return indexPath("/", "/_doc/etl-"+stamp+query, ReleasesIndex(index))
}

// PutStamp writes a stamp, which no run has written before.
func (c *Client) PutStamp(ctx context.Context, index, stamp string) error {
	return c.doJSON(ctx, "stamp the release registry", "PUT", stampPath(index, stamp, "?op_type=create"), object{"stamp": stamp}, &struct{}{})
}

// HasStamp reports whether the registry holds a stamp, as it is now. One that does
// not exist holds none.
func (c *Client) HasStamp(ctx context.Context, index, stamp string) (bool, error) {
	const op = "read a stamp of the release registry"
	var answer struct{ Found bool }
	err := c.doJSON(ctx, op, "GET", stampPath(index, stamp, "?_source=false"), nil, &answer)
	if isMissing(err) {
		return false, nil
	}
	if err == nil && !answer.Found {
		err = malformed(op, "an answer that is not about the stamp %s", stamp)
	}
	return err == nil, err
}

// DropStamp removes a stamp that another has replaced.
func (c *Client) DropStamp(ctx context.Context, index, stamp string) error {
	err := c.doJSON(ctx, "remove a stamp of the release registry", "DELETE", stampPath(index, stamp, ""), nil, &struct{}{})
	if isMissing(err) {
		return nil
	}
	return err
}

// isMissing reports whether a document or its index does not exist.
func isMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// EnsureRegistry creates a release registry that was deleted. Its releases come back
// with the next ingest, and until then the ETL works on.
func (c *Client) EnsureRegistry(ctx context.Context, index string) error {
	err := c.change(ctx, "create the release registry", "PUT", indexPath("/", "", ReleasesIndex(index)), object{
		"mappings": object{"dynamic": false, "properties": releaseFields()},
	})
	var e *Error
	if errors.As(err, &e) && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}
