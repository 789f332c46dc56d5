package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// BulkResult counts what became of the items of a body:
// Written + AlreadyThere + Superseded + Quarantined + len(Refused) = Items.
type BulkResult struct {
	Written      int
	AlreadyThere int           // the index has the same version
	Superseded   int           // the index has a higher version
	Quarantined  int           // quarantined records, whether written now or earlier
	Refused      []RefusedItem // records whose document Elasticsearch does not take; to be quarantined
}

// RefusedItem is a record whose document Elasticsearch does not take.
type RefusedItem struct {
	Item         int // number of the item in the body, from 0
	Type, Reason string
}

const (
	// retryFor is how long single items are sent again before the whole batch
	// fails and its activity's retry policy takes over.
	retryFor = 5 * time.Second
	// firstPause is waited before the first repeat; every further one is twice as long.
	firstPause = 50 * time.Millisecond
	// shardTimeout is how long Elasticsearch waits for a shard that is not there.
	// Its default of a minute is longer than an activity may take.
	shardTimeout = "10s"
)

// SendBulk sends a body in one request and checks every item of the answer. Items
// that were answered with 429 or 5xx are sent again, alone, for up to five seconds.
//
// On an error some items may have been written, and which is unknown: the caller
// sends the same body again, which changes nothing where it was. Besides the kinds
// of the whole request, the error is Overloaded or Unavailable when items kept
// failing, and Blocked, IndexGone, IndexClosed, Denied or Refused when an item
// failed for a reason that is not its document's.
func (c *Client) SendBulk(ctx context.Context, index string, b *Body) (BulkResult, error) {
	const op = "index batch"
	var res BulkResult
	if b.Items() == 0 {
		return res, nil
	}
	for _, of := range b.of {
		if of != index {
			return res, refusedName(op, fmt.Errorf("the request is for index %q and holds quarantined records of %q", index, of))
		}
	}
	r := request{op: op, method: "POST", body: b.buf, ndjson: true,
		path: indexPath("/", "/_bulk?filter_path=errors,items.*.status,items.*.error&timeout="+shardTimeout, index)}
	out := make([]int, b.Items())
	for i := range out {
		out[i] = i
	}
	var repeat []byte
	for start, wait := time.Now(), firstPause; ; wait *= 2 {
		answer, err := c.do(ctx, r)
		if err != nil {
			return res, err
		}
		var again *Error
		out, again, err = res.add(op, b, out, answer)
		if err != nil || len(out) == 0 {
			return res, err
		}
		jittered := wait/2 + rand.N(wait/2)
		if time.Since(start)+jittered > retryFor {
			again.Reason = fmt.Sprintf("%d of %d items were still refused after %.0f s: %s",
				len(out), b.Items(), time.Since(start).Seconds(), again.Reason)
			return res, again
		}
		if err := pause(ctx, jittered); err != nil {
			return res, c.noAnswer(ctx, op, err)
		}
		repeat = repeat[:0]
		for _, i := range out {
			repeat = append(repeat, b.bytesOf(i)...)
		}
		r.body = repeat
	}
}

var parsers fastjson.ParserPool

// add accounts for one answer to the items of b that out numbers. It gives the
// numbers of those to send again, with the error of the last of them.
func (res *BulkResult) add(op string, b *Body, out []int, answer []byte) (again []int, last *Error, err error) {
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.ParseBytes(answer)
	if err != nil {
		return nil, nil, malformed(op, "an answer that is not JSON, or that ends in the middle")
	}
	items := v.GetArray("items")
	if len(items) != len(out) {
		return nil, nil, malformed(op, "%d items were sent and %d answered", len(out), len(items))
	}
	for n, i := range out {
		status, typ, reason := itemAnswer(items[n])
		if status == 0 {
			return nil, nil, malformed(op, "item %d was answered without a status", i)
		}
		e := res.count(op, b, i, status, typ, reason)
		switch {
		case e == nil:
		case e.Kind == Overloaded, e.Kind == Unavailable:
			again, last = append(again, i), e
		default:
			return nil, nil, e
		}
	}
	return again, last, nil
}

// itemAnswer reads the answer to an item: {"index": {"status": n, "error": {...}}}.
func itemAnswer(item *fastjson.Value) (status int, typ, reason string) {
	item.GetObject().Visit(func(_ []byte, v *fastjson.Value) {
		status = v.GetInt("status")
		typ = string(v.GetStringBytes("error", "type"))
		reason = string(v.GetStringBytes("error", "reason"))
	})
	return status, typ, reason
}

// count counts one item, or gives the error that it makes.
func (res *BulkResult) count(op string, b *Body, i, status int, typ, reason string) *Error {
	quarantine := b.items[i].quarantine
	switch {
	case status >= 200 && status < 300, status == 409:
		if quarantine {
			res.Quarantined++
			return nil
		}
		if status != 409 {
			res.Written++
			return nil
		}
		same, ok := sameVersion(reason)
		switch {
		case !ok:
			return malformed(op, "a conflict that does not say of which versions: %s", reason)
		case same:
			res.AlreadyThere++
		default:
			res.Superseded++
		}
		return nil
	case status == 400 && !quarantine && isDocumentFault(typ, reason):
		res.Refused = append(res.Refused, RefusedItem{i, typ, shorten(reason)})
		return nil
	}
	return failure(op, status, typ, reason)
}

// sameVersion reads Elasticsearch's reason for a conflict of external versions, as
// 8.19.0 words it: whether it was with the same version, and not with a higher one.
func sameVersion(reason string) (same, ok bool) {
	_, rest, ok1 := strings.Cut(reason, "current version [")
	current, rest, ok2 := strings.Cut(rest, "] is higher or equal to the one provided [")
	provided, _, ok3 := strings.Cut(rest, "]")
	return current == provided, ok1 && ok2 && ok3
}

// isDocumentFault tells whether an item was refused for what its document says.
func isDocumentFault(typ, reason string) bool {
	switch typ {
	case "document_parsing_exception", "mapper_parsing_exception":
		return true
	case "illegal_argument_exception":
		return strings.Contains(reason, "immense term")
	}
	return false
}
