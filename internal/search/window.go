package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"covidpipeline/internal/covid"
)

// WindowQuery asks for the documents of one shard whose sequence numbers are in
// (From, UpTo], in their order.
type WindowQuery struct {
	Shard      int
	From, UpTo int64 // -1 is before the first number
	Max        int   // documents at most; Elasticsearch returns up to 10,000
	// Page is how many documents one search may ask for, as PageDocs returns it. 0
	// is for documents of unknown length.
	Page int

	bare bool // without the documents themselves
}

// Window is the answer to a WindowQuery.
type Window struct {
	Body []byte // the answers as they came, one after the other, for ParseWindow
	Docs int    // documents in it; may be fewer than Max though more follow
	// Last is the last of them that can be looked up again by its id; zero when
	// there is none.
	Last Location
	To   int64 // the window holds every document in (From, To]
}

// Location is where the newest version of a document is.
type Location struct {
	ID             string
	Found          bool
	Version, SeqNo int64
}

const (
	// pageBytes is the longest answer that is asked for, in bytes: Elasticsearch
	// builds an answer in its memory before it sends it.
	pageBytes = 16 << 20
	// windowBytes ends a window, in bytes: it is held several times while it is
	// staged, transformed and loaded.
	windowBytes = 16 << 20
	// maxPage is index.max_result_window, the most that a search may ask for.
	maxPage = 10_000
	// firstUnknown is the first page of documents of unknown length, which may have
	// 1 MiB each; maxUnknown is the largest, should such documents follow short ones.
	firstUnknown, maxUnknown = 16, 250
	// growth is how many times larger than a small page the next one is, if an
	// answer so much longer would fit.
	growth = 4
)

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
// The window is read in pages, so that neither a search nor the window is large,
// and may end before it has Max documents. Docs and Last are found without
// decoding the documents; ParseWindow checks the rest.
func (c *Client) ReadWindow(ctx context.Context, index string, q WindowQuery) (*Window, error) {
	return c.readWindow(ctx, "read window", index, q)
}

// readWindow reads a window of those documents that match every filter.
func (c *Client) readWindow(ctx context.Context, op, index string, q WindowQuery, filters ...object) (*Window, error) {
	return joinPages(op, q, func(p pageQuery) ([]byte, error) {
		return c.do(ctx, request{op: op, method: "POST", path: windowPath(index, q.Shard), body: pageBody(p, filters)})
	})
}

// pageQuery asks for the first documents of (from, upTo].
type pageQuery struct {
	from, upTo int64
	size       int
	bare       bool // without the documents themselves
}

func windowPath(index string, shard int) path {
	return indexPath("/", fmt.Sprintf("/_search?preference=_shards:%d&allow_partial_search_results=false"+
		"&version=true&seq_no_primary_term=true&track_total_hits=false", shard), index)
}

func pageBody(p pageQuery, filters []object) []byte {
	filters = append(filters[:len(filters):len(filters)], object{"range": object{"_seq_no": object{"gt": p.from, "lte": p.upTo}}})
	query := object{"size": p.size, "sort": []object{{"_seq_no": "asc"}}, "query": all(filters)}
	if p.bare {
		query["_source"] = false
	}
	return encode(query)
}

// joinPages reads pages until the window has no room for another one or ends. ask
// returns the answer to a page.
func joinPages(op string, q WindowQuery, ask func(pageQuery) ([]byte, error)) (*Window, error) {
	w := &Window{To: q.From}
	limit := min(q.Page, q.Max)
	size := limit
	if q.Page == 0 {
		limit, size = min(maxUnknown, q.Max), min(firstUnknown, q.Max)
	}
	for largest := 0; w.To < q.UpTo && (w.Docs == 0 || w.Docs+size <= q.Max && len(w.Body)+largest <= windowBytes); {
		page, err := readPage(op, pageQuery{from: w.To, upTo: q.UpTo, size: size, bare: q.bare}, ask)
		switch tooLong := errors.Is(err, errTooLong); {
		case tooLong && size == 1:
			// A single document that no answer can hold: that it is there must be known.
			page, err = readPage(op, pageQuery{from: w.To, upTo: q.UpTo, size: 1, bare: true}, ask)
		case size > 1 && (tooLong || isBreaker(err)):
			size = max(size/8, 1)
			continue
		}
		if err != nil {
			return nil, err
		}
		w.add(page)
		largest = max(largest, len(page.Body))
		if len(page.Body)*growth <= pageBytes {
			size = min(size*growth, limit)
		}
	}
	return w, nil
}

// isBreaker reports whether Elasticsearch had no memory for an answer.
func isBreaker(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Type == "circuit_breaking_exception"
}

// add appends a page to the window.
func (w *Window) add(page *Window) {
	if w.Body == nil {
		w.Body = page.Body
	} else {
		w.Body = append(w.Body, page.Body...)
	}
	w.Docs, w.To = w.Docs+page.Docs, page.To
	if page.Last.Found {
		w.Last = page.Last
	}
}

// readPage reads one page. When it is full and all its documents have the same
// sequence number, it reads the documents of that number instead: they are as many
// as the shards that were shrunk to this one.
func readPage(op string, p pageQuery, ask func(pageQuery) ([]byte, error)) (*Window, error) {
	body, err := ask(p)
	if err != nil {
		return nil, err
	}
	page, same, err := newPage(op, body, p)
	if err != nil || page.Docs > 0 || same < 0 {
		return page, err
	}
	p.from, p.upTo, p.size = same-1, same, maxPage
	if body, err = ask(p); err != nil {
		return nil, err
	}
	if page, same, err = newPage(op, body, p); err == nil && same >= 0 && page.Docs == 0 {
		err = &Error{Kind: Refused, Op: op, Reason: fmt.Sprintf("%d documents have the sequence number %d: use an index that was shrunk from fewer shards", p.size, same)}
	}
	return page, err
}

// newPage checks an answer and finds how many documents it has and the last one.
//
// An index that was shrunk has sequence numbers more than once, and a full page
// may hold some documents of its last number only: it loses these and ends at the
// number before. When that leaves nothing, same is the number of all of them;
// otherwise it is -1.
func newPage(op string, body []byte, p pageQuery) (page *Window, same int64, err error) {
	s := string(body[:min(len(body), maxEnvelope)])
	envelope := parser{s: s}
	if err := envelope.openHits(op); err != nil {
		return nil, -1, err
	}
	start := envelope.i
	page = &Window{Body: body, Docs: bytes.Count(body[start:], []byte(hitStart)), To: p.upTo}
	if page.Docs == 0 {
		if string(body[start:]) != answerEnd {
			return nil, -1, malformed(op, "an answer that ends in the middle")
		}
		return page, -1, nil
	}
	if page.Docs > p.size {
		return nil, -1, malformed(op, "%d documents where at most %d were asked for", page.Docs, p.size)
	}
	end := len(body) - len(answerEnd)
	if end < start || string(body[end:]) != answerEnd {
		return nil, -1, malformed(op, "an answer that ends in the middle")
	}
	last := tail{op: op, body: body, start: start, end: end}
	h, err := last.hit()
	if err != nil {
		return nil, -1, err
	}
	if h.seqNo <= p.from || h.seqNo > p.upTo {
		return nil, -1, malformed(op, "document %s has sequence number %d outside of (%d, %d]", h.id, h.seqNo, p.from, p.upTo)
	}
	if h.source == "" && !p.bare {
		return nil, -1, malformed(op, "document %s without its source", h.id)
	}
	if page.Docs == p.size {
		return page.cutLast(&last, h.seqNo)
	}
	return page, -1, page.setLast(&last, h)
}

// cutLast cuts the documents of the last number off a page. last has taken the
// last of them.
func (w *Window) cutLast(last *tail, number int64) (page *Window, same int64, err error) {
	for dropped := 1; last.more(); dropped++ {
		end := last.end
		h, err := last.hit()
		if err != nil {
			return nil, -1, err
		}
		if h.seqNo > number {
			return nil, -1, malformed(last.op, "document %s is not in the order of sequence numbers", h.id)
		}
		if h.seqNo < number {
			w.Body = append(w.Body[:end], answerEnd...)
			w.Docs, w.To = w.Docs-dropped, number-1
			return w, -1, w.setLast(last, h)
		}
	}
	return &Window{}, number, nil
}

// setLast sets Last to h, or to the next document before it that has an id of this
// pipeline and lies in the shard that the id alone leads to.
func (w *Window) setLast(last *tail, h hit) error {
	for {
		if _, err := covid.ParseID(h.id); err == nil && h.routing == "" {
			w.Last = Location{ID: strings.Clone(h.id), Found: true, Version: h.version, SeqNo: h.seqNo}
			return nil
		}
		if !last.more() {
			return nil
		}
		var err error
		if h, err = last.hit(); err != nil {
			return err
		}
	}
}

// tail takes the hits of an answer from its end.
type tail struct {
	op         string
	body       []byte
	start, end int // the hits that are left: body[start:end]
}

func (t *tail) more() bool { return t.end > t.start }

// hit takes the last hit that is left.
func (t *tail) hit() (h hit, err error) {
	i := bytes.LastIndex(t.body[t.start:t.end], []byte(hitStart))
	if i < 0 {
		return h, malformed(t.op, "an answer that is not one of a search")
	}
	begin := t.start + i
	p := parser{s: string(t.body[begin:t.end])}
	if h, err = p.hit(t.op); err != nil {
		return h, err
	}
	if p.i != len(p.s) || i > 0 && t.body[begin-1] != ',' {
		return h, malformed(t.op, "an answer that ends in the middle")
	}
	t.end = max(begin-1, t.start) // without the comma
	return h, nil
}
