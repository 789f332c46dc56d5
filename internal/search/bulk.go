package search

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"covidpipeline/internal/covid"
)

// Body is the body of one bulk request. It keeps its memory from one use to the
// next. The zero value is ready; it is for one goroutine.
type Body struct {
	buf   []byte
	items []item
	of    []string // raw indices of the quarantined records
	meta  Meta
	tail  []byte // the end of every document of meta
	key   []byte // room for an id
}

// item is one action of a body, with the line of its document.
type item struct {
	end        int // offset behind it
	quarantine bool
}

// Meta is what the records of one release have in common.
type Meta struct {
	Source     string     // URI
	Registered covid.Date // day on which the records come into the index
}

// Reset empties the body.
func (b *Body) Reset() {
	b.buf = b.buf[:0]
	b.items = b.items[:0]
	b.of = b.of[:0]
}

// Len is the size of the body in bytes.
func (b *Body) Len() int { return len(b.buf) }

// Items is the number of actions in the body.
func (b *Body) Items() int { return len(b.items) }

// columnStart holds what stands before each value of a document.
var columnStart = func() (start [covid.NumFields]string) {
	for i, name := range covid.Columns {
		start[i] = `","` + name + `":"`
	}
	start[0] = strings.Replace(start[0], `",`, `{`, 1)
	return start
}()

// AddRecord adds a raw document with every value as it stood. Its release and row
// are those of the version. The values must be valid UTF-8.
func (b *Body) AddRecord(key covid.Key, version covid.Version, f *covid.Fields, m Meta) {
	if m != b.meta || b.tail == nil {
		b.setMeta(m)
	}
	b.addAction("", base64.RawURLEncoding.AppendEncode(b.key[:0], key[:]), int64(version))
	buf := b.buf
	for i, value := range f {
		buf = append(buf, columnStart[i]...)
		buf = appendEscaped(buf, value)
	}
	buf = append(buf, `","release":`...)
	buf = strconv.AppendInt(buf, version.Release(), 10)
	buf = append(buf, `,"row":`...)
	buf = strconv.AppendInt(buf, version.Row(), 10)
	b.buf = append(buf, b.tail...)
	b.endItem(false)
}

// setMeta prepares the part of the documents that does not change in a release.
func (b *Body) setMeta(m Meta) {
	b.meta = m
	b.tail = append(b.tail[:0], `,"source":`...)
	b.tail = append(b.tail, encode(m.Source)...)
	b.tail = append(b.tail, `,"registered":"`+m.Registered.String()+"\"}\n"...)
}

// AddQuarantine adds a quarantined record to the quarantine of a raw index, the one
// that the body is sent to. Its id is made of release and row, so that adding it
// again changes nothing.
func (b *Body) AddQuarantine(index string, q *Quarantined) {
	id := strconv.AppendInt(b.key[:0], q.Release, 10)
	id = append(id, '-')
	id = strconv.AppendInt(id, q.Row, 10)
	if !slices.Contains(b.of, index) {
		b.of = append(b.of, index)
	}
	b.addAction(QuarantineIndex(index), id, 1)
	buf := append(b.buf, `{"source":`...)
	buf = append(buf, encode(q.Source)...)
	buf = append(buf, `,"release":`...)
	buf = strconv.AppendInt(buf, q.Release, 10)
	buf = append(buf, `,"row":`...)
	buf = strconv.AppendInt(buf, q.Row, 10)
	buf = append(buf, `,"offset":`...)
	buf = strconv.AppendInt(buf, q.Offset, 10)
	buf = append(buf, `,"reason":`...)
	buf = append(buf, encode(q.Reason)...)
	buf = append(buf, `,"truncated":`...)
	buf = strconv.AppendBool(buf, q.Truncated)
	buf = append(buf, `,"raw":"`...)
	buf = base64.StdEncoding.AppendEncode(buf, q.Raw)
	b.buf = append(buf, "\"}\n"...)
	b.endItem(true)
}

// addRetired adds a raw document again, marked as retired. The source is the
// document as it is stored, and not retired. It may be another program's, with any
// id, on several lines, or with a null that says that it is not retired.
func (b *Body) addRetired(id string, release int64, source []byte) {
	b.addAction("", appendEscaped(b.key[:0], []byte(id)), int64(covid.NewVersion(release, 0)))
	if bytes.ContainsAny(source, "\n\r") || bytes.Contains(source, []byte(`"`+fieldRetired+`"`)) {
		source = withoutRetired(source)
	}
	end := len(source) - 1 // a document ends in a brace
	buf := append(b.buf, source[:end]...)
	buf = append(buf, `,"`+fieldRetired+`":`...)
	buf = strconv.AppendInt(buf, release, 10)
	b.buf = append(buf, "}\n"...)
	b.endItem(false)
}

// withoutRetired returns a document on one line and without the field retired.
func withoutRetired(source []byte) []byte {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(source, &fields); err != nil {
		return source // Elasticsearch refuses it as it is
	}
	delete(fields, fieldRetired)
	return encode(fields)
}

// addAction adds the line before a document. The index of the request is meant
// when none is given.
func (b *Body) addAction(index string, id []byte, version int64) {
	b.key = id
	buf := append(b.buf, `{"index":{`...)
	if index != "" {
		buf = append(buf, `"_index":"`+index+`",`...)
	}
	buf = append(buf, `"_id":"`...)
	buf = append(buf, id...)
	buf = append(buf, `","version":`...)
	buf = strconv.AppendInt(buf, version, 10)
	b.buf = append(buf, `,"version_type":"external"}}`+"\n"...)
}

func (b *Body) endItem(quarantine bool) {
	b.items = append(b.items, item{len(b.buf), quarantine})
}

// bytesOf gives the bytes of an item.
func (b *Body) bytesOf(i int) []byte {
	start := 0
	if i > 0 {
		start = b.items[i-1].end
	}
	return b.buf[start:b.items[i].end]
}

// mustEscape marks the bytes that JSON does not allow in a string.
var mustEscape = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// appendEscaped appends a value as the inside of a JSON string.
func appendEscaped(dst, value []byte) []byte {
	const hex = "0123456789abcdef"
	done := 0
	for i, c := range value {
		if !mustEscape[c] {
			continue
		}
		dst = append(dst, value[done:i]...)
		done = i + 1
		if c < 0x20 {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(dst, value[done:]...)
}
