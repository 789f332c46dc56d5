package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Stamps are what the runs of one warehouse have written into the release registry
// of its raw index, newest first. A copy of the indices takes them along: one that
// lacks a stamp was made before it.
type Stamps struct {
	Values []string

	// seqNo and primaryTerm say which state of the document was read; none when
	// primaryTerm is 0.
	seqNo, primaryTerm int64
}

// isRelease matches the releases of the registry, which holds stamps too.
var isRelease = object{"exists": object{"field": "number"}}

func stampPath(index, name string) string {
	return "/" + ReleasesIndex(index) + "/_doc/etl-" + name
}

// Stamps returns the stamps of the warehouse of that name, as they are now: none when
// they or the registry do not exist.
func (c *Client) Stamps(ctx context.Context, index, name string) (Stamps, error) {
	const op = "read the stamps of the ETL"
	var answer struct {
		SeqNo       int64 `json:"_seq_no"`
		PrimaryTerm int64 `json:"_primary_term"`
		Source      *struct {
			Stamps []string `json:"stamps"`
		} `json:"_source"`
	}
	err := c.doJSON(ctx, op, "GET", stampPath(index, name), nil, &answer)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return Stamps{}, nil
	}
	if err == nil && (answer.Source == nil || answer.PrimaryTerm == 0) {
		err = malformed(op, "an answer without the stamps %s", name)
	}
	if err != nil {
		return Stamps{}, err
	}
	return Stamps{Values: answer.Source.Stamps, seqNo: answer.SeqNo, primaryTerm: answer.PrimaryTerm}, nil
}

// PutStamps writes stamps in the place of those that were read. It returns
// ErrConflict when another run has written there meanwhile.
func (c *Client) PutStamps(ctx context.Context, index, name string, read Stamps, values []string) error {
	const op = "stamp the release registry"
	condition := fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", read.seqNo, read.primaryTerm)
	if read.primaryTerm == 0 {
		condition = "?op_type=create"
		if err := c.ensureRegistry(ctx, op, index); err != nil {
			return err
		}
	}
	err := c.doJSON(ctx, op, "PUT", stampPath(index, name)+condition, object{"stamps": values}, &struct{}{})
	var e *Error
	if errors.As(err, &e) && e.Type == "version_conflict_engine_exception" {
		return fmt.Errorf("%s: %w", op, ErrConflict)
	}
	return err
}

// ensureRegistry creates a registry that was deleted, from its template. Its
// releases come back with the next ingest, and until then the ETL works on.
func (c *Client) ensureRegistry(ctx context.Context, op, index string) error {
	err := c.change(ctx, op, "PUT", "/"+ReleasesIndex(index), object{
		"mappings": object{"dynamic": false, "properties": releaseFields()},
	})
	var e *Error
	if errors.As(err, &e) && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}
