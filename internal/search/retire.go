package search

import (
	"context"
	"fmt"

	"covidpipeline/internal/covid"
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
	filters := liveBefore(source, release)
	// What others write meanwhile shows only at the next refresh: so until a pass
	// finds nothing.
	page, err := c.PageDocs(ctx, index)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	done, idle := int64(0), 0
	for {
		n, written, err := c.retirePass(ctx, op, index, release, page, filters, func(n int64) { progress(done + n) })
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

// CountLeft counts the live documents of a source that releases before the given one
// wrote: a late bulk request writes some when those were retired already.
func (c *Client) CountLeft(ctx context.Context, index, source string, release int64) (int64, error) {
	const op = "count documents of older releases"
	if err := c.Refresh(ctx, index); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	return c.count(ctx, op, []string{index}, "", liveBefore(source, release))
}

// CountLive counts the live documents of a source, as of the last refresh.
func (c *Client) CountLive(ctx context.Context, index, source string) (int64, error) {
	return c.count(ctx, "count live documents", []string{index}, "", live(source))
}

// LiveKeys calls each for the key of every live document of a source, as of a refresh
// at its beginning.
func (c *Client) LiveKeys(ctx context.Context, index, source string, each func(covid.Key) error) error {
	const op = "read the keys of live documents"
	state, err := c.IndexState(ctx, index)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := c.Refresh(ctx, index); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	for _, shard := range state.Shards {
		q := WindowQuery{Shard: shard.Shard, From: -1, UpTo: shard.GlobalCheckpoint, Max: maxPage, Page: maxPage, bare: true}
		for q.From < q.UpTo {
			w, err := c.readWindow(ctx, op, index, q, live(source)...)
			if err != nil {
				return err
			}
			err = eachHit(op, w.Body, func(h *hit) error {
				key, err := covid.ParseID(h.id)
				if err != nil || h.routing != "" { // not of this pipeline: nothing retires it
					return nil //nolint:nilerr // such a document is passed over
				}
				return each(key)
			})
			if err != nil {
				return err
			}
			q.From = w.To
		}
	}
	return nil
}

// liveBefore matches the live documents of a source that releases before the given
// one wrote.
func liveBefore(source string, release int64) []object {
	return append(live(source), object{"range": object{fieldRelease: object{"lt": release}}})
}

// live matches the live documents of a source.
func live(source string) []object {
	return []object{
		{"term": object{fieldSource: source}},
		{"bool": object{"must_not": object{"exists": object{"field": fieldRetired}}}},
	}
}

// retirePass retires every document that matches, as of a refresh at its
// beginning, and gives how many there were and how many of them were written.
func (c *Client) retirePass(ctx context.Context, op, index string, release int64, page int, filters []object, progress func(int64)) (done, written int64, err error) {
	state, err := c.IndexState(ctx, index)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", op, err)
	}
	if err := c.Refresh(ctx, index); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", op, err)
	}
	var body Body
	for _, shard := range state.Shards {
		q := WindowQuery{Shard: shard.Shard, From: -1, UpTo: shard.GlobalCheckpoint, Max: retirePage, Page: page}
		for q.From < q.UpTo {
			w, err := c.readWindow(ctx, op, index, q, filters...)
			if err != nil {
				return done, written, err
			}
			body.Reset()
			err = eachHit(op, w.Body, func(h *hit) error {
				// What was routed elsewhere is not of this pipeline, and its id may be
				// that of a document that is. Nor is a document of an older release whose
				// version is above all of them: the ETL sets it aside.
				if h.routing == "" && h.source != "" && covid.Version(h.version) < covid.NewVersion(release, 0) {
					body.addRetired(h.id, release, w.Body[h.start:h.start+len(h.source)])
				}
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
			done += int64(body.Items())
			written += int64(res.Written)
			progress(done)
			q.From = w.To
		}
	}
	return done, written, nil
}
