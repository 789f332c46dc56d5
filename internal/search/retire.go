package search

import (
	"context"
	"fmt"
)

// retirePage is how many documents are retired in one request.
const retirePage = 5000

// idlePasses is how many passes in a row may find documents and retire none. One
// can happen when someone else writes all of them at that moment.
const idlePasses = 3

// Retire marks the live documents of a source that older releases wrote as
// retired by the given release: their keys are not in it. It keeps their values
// and writes them with a version above every row of older releases and below every
// row of this one, so that whoever writes a key later wins. It gives the number of
// documents that the release has retired in all, so that a repeat gives the same.
//
// After each request progress is called with the number of documents dealt with.
func (c *Client) Retire(ctx context.Context, index, source string, release int64, progress func(done int64)) (retired int64, err error) {
	const op = "retire documents"
	filters := []object{
		{"term": object{fieldSource: source}},
		{"range": object{fieldRelease: object{"lt": release}}},
		{"bool": object{"must_not": object{"exists": object{"field": fieldRetired}}}},
	}
	// What others write meanwhile shows only at the next refresh: so until a pass
	// finds nothing.
	done, idle := int64(0), 0
	for {
		n, written, err := c.retirePass(ctx, op, index, release, filters, func(n int64) { progress(done + n) })
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		done += n
		if idle++; written > 0 {
			idle = 0
		}
		if idle == idlePasses {
			return 0, &Error{Kind: Refused, Op: op, Reason: fmt.Sprintf(
				"documents of releases before %d have higher versions than it: they are not of this pipeline", release)}
		}
	}
	return c.count(ctx, op, []string{index}, "", []object{
		{"term": object{fieldSource: source}}, {"term": object{fieldRetired: release}},
	})
}

// retirePass retires every document that matches, as of a refresh at its
// beginning, and gives how many there were and how many of them were written.
func (c *Client) retirePass(ctx context.Context, op, index string, release int64, filters []object, progress func(int64)) (done, written int64, err error) {
	state, err := c.IndexState(ctx, index)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", op, err)
	}
	if err := c.Refresh(ctx, index); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", op, err)
	}
	var body Body
	for _, shard := range state.Shards {
		q := WindowQuery{Shard: shard.Shard, From: -1, UpTo: shard.GlobalCheckpoint, Max: retirePage}
		for q.From < q.UpTo {
			w, err := c.readWindow(ctx, op, index, q, filters...)
			if err != nil {
				return done, written, err
			}
			body.Reset()
			err = eachHit(op, w.Body, func(h *hit) error {
				body.addRetired(h.id, release, w.Body[h.start:h.start+len(h.source)])
				return nil
			})
			if err != nil {
				return done, written, err
			}
			res, err := c.SendBulk(ctx, index, &body)
			if err != nil {
				return done, written, err
			}
			if len(res.Refused) > 0 {
				r := res.Refused[0]
				return done, written, failure(op, 400, r.Type, r.Reason)
			}
			done += int64(w.Docs)
			written += int64(res.Written)
			progress(done)
			q.From = w.To
		}
	}
	return done, written, nil
}
