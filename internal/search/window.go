package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// WindowQuery asks for the documents of one shard whose sequence numbers are in
// (From, UpTo], in their order.
type WindowQuery struct {
	Shard      int
	From, UpTo int64 // -1 is before the first number
	Max        int   // documents at most; Elasticsearch gives up to 10,000
}

// Window is the answer to a WindowQuery.
type Window struct {
	Body []byte   // the answer as it came, for ParseWindow
	Docs int      // documents in it; may be fewer than Max though more follow
	Last Location // the last of them; zero when there is none
	To   int64    // the window holds every document in (From, To]
}

// Location is where the newest version of a document is.
type Location struct {
	ID             string
	Found          bool
	Version, SeqNo int64
}

// hitStart is how every hit of a search begins. It stands nowhere else: inside a
// string its quotes are escaped, and the strict mapping lets no document hold an
// object.
const hitStart = `{"_index":"`

// answerEnd is how an answer to a search ends.
const answerEnd = "]}}"

// ReadWindow reads a window as of the last refresh. To read without loss, read the
// shard's global checkpoint first, refresh second, and ask up to that checkpoint:
// nothing can appear below it later.
//
// Documents so large that Max of them do not fit into an answer come in a smaller
// window. Docs and Last are found without decoding the documents; ParseWindow
// checks the rest.
func (c *Client) ReadWindow(ctx context.Context, index string, q WindowQuery) (*Window, error) {
	return c.readWindow(ctx, "read window", index, q)
}

// readWindow reads a window of those documents that match every filter.
func (c *Client) readWindow(ctx context.Context, op, index string, q WindowQuery, filters ...object) (*Window, error) {
	for {
		body, err := c.do(ctx, request{op: op, method: "POST", path: windowPath(index, q.Shard), body: windowBody(q, filters)})
		if err == nil {
			return newWindow(op, body, q)
		}
		var e *Error
		tooLarge := errors.As(err, &e) && (errors.Is(err, errTooLong) || e.Type == "circuit_breaking_exception")
		if !tooLarge || q.Max == 1 {
			return nil, err
		}
		q.Max = max(q.Max/8, 1)
	}
}

func windowPath(index string, shard int) path {
	return indexPath("/", fmt.Sprintf("/_search?preference=_shards:%d&allow_partial_search_results=false"+
		"&version=true&seq_no_primary_term=true&track_total_hits=false", shard), index)
}

func windowBody(q WindowQuery, filters []object) []byte {
	filters = append(filters, object{"range": object{"_seq_no": object{"gt": q.From, "lte": q.UpTo}}})
	return encode(object{"size": q.Max, "sort": []object{{"_seq_no": "asc"}}, "query": all(filters)})
}

// newWindow checks an answer and finds how many documents it has and the last one.
func newWindow(op string, body []byte, q WindowQuery) (*Window, error) {
	s := string(body[:min(len(body), maxEnvelope)])
	p := parser{s: s}
	if err := p.openHits(op); err != nil {
		return nil, err
	}
	hits := body[p.i:]
	w := &Window{Body: body, Docs: bytes.Count(hits, []byte(hitStart)), To: q.UpTo}
	if w.Docs == 0 {
		if string(hits) != answerEnd {
			return nil, malformed(op, "an answer that ends in the middle")
		}
		return w, nil
	}
	if w.Docs > q.Max {
		return nil, malformed(op, "%d documents where at most %d were asked for", w.Docs, q.Max)
	}
	last := string(hits[bytes.LastIndex(hits, []byte(hitStart)):])
	p = parser{s: last}
	h, err := p.hit(op)
	if err != nil {
		return nil, err
	}
	if last[p.i:] != answerEnd {
		return nil, malformed(op, "an answer that ends in the middle")
	}
	if h.seqNo <= q.From || h.seqNo > q.UpTo {
		return nil, malformed(op, "document %s has sequence number %d outside of (%d, %d]", h.id, h.seqNo, q.From, q.UpTo)
	}
	w.Last = Location{ID: strings.Clone(h.id), Found: true, Version: h.version, SeqNo: h.seqNo}
	if w.Docs == q.Max {
		w.To = h.seqNo
	}
	return w, nil
}
