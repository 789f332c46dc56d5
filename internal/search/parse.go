package search

import (
	"encoding/json"
	"math"
	"strings"
)

// maxEnvelope is more than what stands before the first hit of an answer, in bytes.
const maxEnvelope = 4096

// parser reads the JSON of a search's answer. It is made for what Elasticsearch
// writes and takes no more: it does not check the inside of what it skips.
type parser struct {
	s string
	i int // next byte
}

// hit is one document of an answer.
type hit struct {
	id             string
	version, seqNo int64
	routing        string // where it lies if its id does not say it; "" otherwise
	source         string // the document as it is stored; "" when it was not asked for
	start          int    // its place in the answer
}

// openHits reads the envelope of an answer up to its first hit, and checks that
// its one shard answered completely.
func (p *parser) openHits(op string) error {
	inTime, whole := false, false
	for ok := p.take('{'); ok; ok = p.take(',') {
		switch name, _ := p.name(); name {
		case "timed_out":
			if inTime = p.literal("false"); !inTime {
				p.skip()
			}
		case "_shards":
			whole = p.oneShard()
		case "hits":
			if !inTime || !whole {
				return &Error{Kind: Unavailable, Op: op, Reason: "the shard did not answer, or not in time"}
			}
			return p.openList(op)
		default:
			p.skip()
		}
	}
	return malformed(op, "an answer that is not one of a search")
}

// oneShard tells whether one shard was asked and answered.
func (p *parser) oneShard() bool {
	counts := map[string]int64{}
	for ok := p.take('{'); ok; ok = p.take(',') {
		name, _ := p.name()
		if n, ok := p.number(); ok {
			counts[name] = n
		} else { // the list of failures
			p.skip()
		}
	}
	failed, ok := counts["failed"]
	return p.take('}') && ok && failed == 0 && counts["total"] == 1 && counts["successful"] == 1
}

// openList goes to the first element of the list of hits.
func (p *parser) openList(op string) error {
	for ok := p.take('{'); ok; ok = p.take(',') {
		if name, _ := p.name(); name == "hits" && p.take('[') {
			return nil
		}
		p.skip()
	}
	return malformed(op, "an answer that is not one of a search")
}

// hit reads one hit.
func (p *parser) hit(op string) (h hit, err error) {
	h.version, h.seqNo = -1, -1
	good := true
	for ok := p.take('{'); ok; ok = p.take(',') {
		name, _ := p.name()
		switch name {
		case "_id":
			h.id, ok = p.str()
		case "_version":
			h.version, ok = p.number()
		case "_seq_no":
			h.seqNo, ok = p.number()
		case "_routing":
			h.routing, ok = p.str()
		case "_source":
			p.space()
			h.start = p.i
			ok = p.skip()
			h.source = p.s[h.start:p.i]
		default:
			ok = p.skip()
		}
		good = good && ok
	}
	if !p.take('}') || !good || h.id == "" || h.version < 0 || h.seqNo < 0 || len(h.source) == 1 {
		return h, malformed(op, "document %q cannot be read: the answer has an unknown form or ends in the middle", shorten(h.id))
	}
	return h, nil
}

// space goes behind white space.
func (p *parser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\r' || p.s[p.i] == '\t') {
		p.i++
	}
}

// take goes behind c if it is next.
func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	if p.i < len(p.s) && p.s[p.i] <= ' ' {
		p.space()
		return p.i < len(p.s) && p.s[p.i] == c && p.take(c)
	}
	return false
}

// literal goes behind word if it is next.
func (p *parser) literal(word string) bool {
	p.space()
	if !strings.HasPrefix(p.s[p.i:], word) {
		return false
	}
	p.i += len(word)
	return true
}

// name reads the name of a member, with its colon.
func (p *parser) name() (string, bool) {
	s, ok := p.str()
	return s, ok && p.take(':')
}

// str reads a string. Without escapes it is a part of p.s.
func (p *parser) str() (string, bool) {
	if !p.take('"') {
		return "", false
	}
	start := p.i
	n := strings.IndexByte(p.s[start:], '"')
	if n < 0 {
		p.i = len(p.s)
		return "", false
	}
	if v := p.s[start : start+n]; strings.IndexByte(v, '\\') < 0 {
		p.i = start + n + 1
		return v, true
	}
	p.i = start - 1
	p.skip()
	var v string
	err := json.Unmarshal([]byte(p.s[start-1:p.i]), &v)
	return v, err == nil
}

// number reads an integer.
func (p *parser) number() (int64, bool) {
	p.space()
	i, negative := p.i, false
	if i < len(p.s) && p.s[i] == '-' {
		i, negative = i+1, true
	}
	var n int64
	first := i
	for ; i < len(p.s) && p.s[i]-'0' <= 9; i++ {
		d := int64(p.s[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if i == first || i < len(p.s) && strings.IndexByte(".eE", p.s[i]) >= 0 {
		return 0, false
	}
	p.i = i
	if negative {
		n = -n
	}
	return n, true
}

// skip goes behind one value, whatever it is.
func (p *parser) skip() bool {
	p.space()
	depth := 0
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch c {
		case '"':
			if !p.skipString() {
				return false
			}
		case '{', '[':
			depth++
			p.i++
		case '}', ']':
			depth--
			p.i++
		default:
			p.i++
			if depth > 0 || p.i < len(p.s) && !isDelimiter(p.s[p.i]) {
				continue
			}
		}
		if depth <= 0 {
			return depth == 0
		}
	}
	return false
}

func isDelimiter(c byte) bool { return c <= ' ' || c == ',' || c == '}' || c == ']' }

// skipString goes behind a string.
func (p *parser) skipString() bool {
	p.i++
	for {
		n := strings.IndexByte(p.s[p.i:], '"')
		if n < 0 {
			p.i = len(p.s)
			return false
		}
		escapes := 0
		for escapes < n && p.s[p.i+n-1-escapes] == '\\' {
			escapes++
		}
		p.i += n + 1
		if escapes%2 == 0 {
			return true
		}
	}
}
