package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ScratchMark is in the name of every index that may be tampered with and removed.
const ScratchMark = "-selftest-"

// Tamper sends one request about the documents of a scratch index, past the
// pipeline, for tests of the proof. The rest of the path stands behind the index's name.
func (c *Client) Tamper(ctx context.Context, index, method, rest string, body any) error {
	const op = "tamper with a document"
	if !strings.Contains(index, ScratchMark) {
		return refusedName(op, fmt.Errorf("%s is no scratch index", index))
	}
	var answer struct{ Result string }
	if err := c.doJSON(ctx, op, method, indexPath("/", rest, index), body, &answer); err != nil {
		return err
	}
	if answer.Result == "noop" || answer.Result == "" {
		return malformed(op, "%s %s changed nothing", method, rest)
	}
	return nil
}

// RemoveScratch deletes a scratch index with its quarantine, its registry and
// their templates, as far as they exist. It tries all of them.
func (c *Client) RemoveScratch(ctx context.Context, index string) error {
	const op = "remove scratch index"
	if !strings.Contains(index, ScratchMark) {
		return refusedName(op, fmt.Errorf("%s is no scratch index", index))
	}
	var errs []error
	for _, name := range []string{index, QuarantineIndex(index), ReleasesIndex(index)} {
		for _, of := range []fixed{"/_index_template/", "/"} {
			err := c.change(ctx, op, http.MethodDelete, indexPath(of, "", name), nil)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Status != http.StatusNotFound) {
				errs = append(errs, fmt.Errorf("delete %s%s: %w", of, name, err))
			}
		}
	}
	return errors.Join(errs...)
}
