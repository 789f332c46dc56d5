package search

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
)

// shard is what a shard of a shrunk index holds: numbers may be there more than
// once.
type shard struct {
	ids     []string // in the order of their numbers
	numbers []int64
	asked   []int
}

// answer is what the shard answers to a page.
func (s *shard) answer(p pageQuery) ([]byte, error) {
	s.asked = append(s.asked, p.size)
	var hits []string
	for i, n := range s.numbers {
		if n > p.from && n <= p.upTo && len(hits) < p.size {
			hits = append(hits, fmt.Sprintf(`{"_index":"i","_id":"%s","_version":%d,"_seq_no":%d,"_primary_term":1,"_score":null,"_source":{},"sort":[%d]}`,
				s.ids[i], n, n, n))
		}
	}
	return []byte(`{"took":3,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"max_score":null,"hits":[` +
		strings.Join(hits, ",") + "]}}"), nil
}

// Windows one after the other hold every document once, whichever numbers are
// there more than once and wherever a page ends.
func TestWindowsOfNumbersThatAreThereTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s shard
		s.numbers = rapid.SliceOfN(rapid.Int64Range(0, 30), 0, 60).Draw(t, "numbers")
		sort.Slice(s.numbers, func(i, j int) bool { return s.numbers[i] < s.numbers[j] })
		for i := range s.numbers {
			id := keyOf(i).ID()
			if rapid.IntRange(0, 9).Draw(t, "foreign") == 0 {
				id = fmt.Sprint("foreign ", i)
			}
			s.ids = append(s.ids, id)
		}
		upTo := rapid.Int64Range(-1, 35).Draw(t, "up to")
		q := WindowQuery{From: -1, UpTo: upTo, Max: rapid.IntRange(1, 20).Draw(t, "max"), Page: rapid.IntRange(0, 20).Draw(t, "page")}
		next := 0
		for q.From < upTo {
			s.asked = nil
			w, err := joinPages("op", q, s.answer)
			if err != nil {
				t.Fatal(err)
			}
			if w.To <= q.From || w.To > upTo {
				t.Fatalf("a window (%d, %d]", q.From, w.To)
			}
			docs, last := 0, Location{}
			err = ParseWindow(w.Body, func(_ *covid.Document, _ []byte, seqNo int64) error {
				if seqNo != s.numbers[next] {
					t.Fatalf("document %d has number %d, want %d", next, seqNo, s.numbers[next])
				}
				if !strings.HasPrefix(s.ids[next], "foreign") {
					last = Location{ID: s.ids[next], Found: true, Version: seqNo, SeqNo: seqNo}
				}
				if seqNo <= q.From || seqNo > w.To {
					t.Fatalf("number %d in the window (%d, %d]", seqNo, q.From, w.To)
				}
				docs, next = docs+1, next+1
				return nil
			})
			if err != nil || docs != w.Docs || last != w.Last {
				t.Fatalf("%d documents and %+v, the window says %d and %+v: %v", docs, last, w.Docs, w.Last, err)
			}
			for _, size := range s.asked {
				if size > q.Max && size != maxPage || q.Page > 0 && size > q.Page && size != maxPage {
					t.Fatalf("a search of %d", size)
				}
			}
			q.From = w.To
		}
		if next < len(s.numbers) && s.numbers[next] <= upTo {
			t.Fatalf("the windows end before document %d", next)
		}
	})
}

// Documents of unknown length are read in pages that grow.
func TestPagesOfUnknownDocuments(t *testing.T) {
	var s shard
	for i := range 3000 {
		s.numbers, s.ids = append(s.numbers, int64(i)), append(s.ids, keyOf(i).ID())
	}
	w, err := joinPages("op", WindowQuery{From: -1, UpTo: math.MaxInt32, Max: 10_000}, s.answer)
	if err != nil || w.Docs != 3000 {
		t.Fatalf("%+v %v", w, err)
	}
	check(t, "searches", fmt.Sprint(s.asked), "[16 64"+strings.Repeat(" 250", 12)+"]")
}

// A page that is too long for an answer is asked for again, smaller; a document
// that is too long by itself is known to be there.
func TestPagesThatAreTooLong(t *testing.T) {
	s := shard{numbers: []int64{3, 4, 5}, ids: []string{keyOf(3).ID(), keyOf(4).ID(), keyOf(5).ID()}}
	ask := func(p pageQuery) ([]byte, error) {
		body, err := s.answer(p)
		if strings.Contains(string(body), keyOf(4).ID()) {
			if !p.bare {
				return nil, &Error{Kind: Refused, err: errTooLong}
			}
			body = []byte(strings.ReplaceAll(string(body), `"_source":{},`, ""))
		}
		return body, err
	}
	var problems []string
	w, err := joinPages("op", WindowQuery{From: -1, UpTo: 9, Max: 10_000, Page: 10_000}, ask)
	if err == nil {
		err = ParseWindow(w.Body, func(d *covid.Document, raw []byte, _ int64) error {
			problems = append(problems, d.Problem)
			check(t, "bytes", len(raw) == 0, d.Problem == tooLongToRead)
			return nil
		})
	}
	if err != nil || w.Docs != 3 || len(problems) != 3 || problems[1] != tooLongToRead || w.To != 9 {
		t.Fatalf("%+v %q %v", w, problems, err)
	}
	check(t, "searches", fmt.Sprint(s.asked), "[10000 1250 156 19 2 1 10000 4 1 1 10000 4]")
}
