package search

import (
	"fmt"
	"strings"

	"covidpipeline/internal/covid"
)

// ParseWindow decodes the body of a window and calls each for every document in
// the order of their sequence numbers. raw is the document as it is stored, a part
// of body. d is overwritten by the next document; its strings stay good.
//
// A document that is not one of AddRecord's, or that was changed since, has a
// Problem, until the pipeline retires it; its Key is covid.ForeignKey where its id
// does not lead to it. An answer that is not whole is Malformed. An error of each
// ends the decoding and is returned as it is.
func ParseWindow(body []byte, each func(d *covid.Document, raw []byte, seqNo int64) error) error {
	const op = "parse window"
	var d covid.Document
	registered := knownDate{}
	return eachHit(op, body, func(h *hit) error {
		d = covid.Document{Version: covid.Version(h.version)}
		problem := tooLongToRead
		if h.source != "" {
			problem = parseDocument(h.source, &d, &registered)
		}
		var err error
		if d.Key, err = covid.ParseID(h.id); err != nil {
			d.Key, problem = covid.ForeignKey(h.id), err.Error()
		}
		if h.routing != "" {
			// Another document may have its id in the shard that the id leads to.
			d.Key = covid.ForeignKey(h.id + " routed by " + h.routing)
			problem = fmt.Sprintf("it was routed by %q", shorten(h.routing))
		}
		if problem == "" {
			problem = d.VersionProblem()
		}
		if problem != "" && !d.RetiredByPipeline() {
			d.Problem = problem
		}
		return each(&d, body[h.start:h.start+len(h.source)], h.seqNo)
	})
}

// tooLongToRead is the problem of a document that no answer can hold.
const tooLongToRead = "it is over 64 MiB, too long to be read"

// ParseDocument decodes one raw document as it is stored, the raw of ParseWindow.
// Its Key and Version are not in it and stay zero.
func ParseDocument(source []byte) (covid.Document, error) {
	var d covid.Document
	if problem := parseDocument(string(source), &d, &knownDate{}); problem != "" {
		return d, malformed("parse document", "it is not one of this pipeline: %s", problem)
	}
	return d, nil
}

// eachHit calls each for every hit of one or more answers to searches of one shard,
// and checks that each answer is whole. An error of each is returned as it is.
func eachHit(op string, body []byte, each func(h *hit) error) error {
	for p := (parser{s: string(body)}); ; {
		if err := p.eachHit(op, each); err != nil || p.i == len(p.s) {
			return err
		}
	}
}

// eachHit reads one answer.
func (p *parser) eachHit(op string, each func(h *hit) error) error {
	if err := p.openHits(op); err != nil {
		return err
	}
	var h hit
	for more := !p.take(']'); more; {
		var err error
		if h, err = p.hit(op); err != nil {
			return err
		}
		if err := each(&h); err != nil {
			return err
		}
		if more = p.take(','); !more && !p.take(']') {
			return malformed(op, "an answer that ends in the middle")
		}
	}
	if !p.literal("}}") {
		return malformed(op, "an answer that ends in the middle")
	}
	return nil
}

// otherFields are the fields of a raw document besides covid.Columns. The first
// otherRequired of them are in every document.
var otherFields = [...]string{fieldRelease, fieldRow, fieldSource, fieldRegistered, fieldRetired}

const otherRequired = 4

// fieldNumber maps the names of a raw document's fields to their places in its
// text: those of covid.Columns, then otherFields.
var fieldNumber = func() map[string]int {
	m := map[string]int{}
	for i, name := range covid.Columns {
		m[name] = i
	}
	for i, name := range otherFields {
		m[name] = covid.NumFields + i
	}
	return m
}()

// parseDocument reads a raw document and returns the first thing that is wrong with
// it, or "". It reads on behind a value that is wrong, as the rest says where the
// document belongs.
func parseDocument(s string, d *covid.Document, registered *knownDate) (problem string) {
	p := parser{s: s}
	wrong := func(text string) {
		if problem == "" {
			problem = text
		}
	}
	seen, next := 0, 0 // bits of the fields there were; the field that AddRecord writes next
	for ok := p.take('{'); ok; ok = p.take(',') {
		name, ok := p.name()
		if !ok {
			return "it is no JSON object"
		}
		if next >= covid.NumFields || name != covid.Columns[next] {
			if next, ok = fieldNumber[name]; !ok {
				wrong(fmt.Sprintf("unknown field %q", shorten(name)))
				p.skip()
				continue
			}
		}
		value := p.i
		if seen&(1<<next) != 0 {
			wrong(name + " twice")
			p.skip()
		} else if !p.field(next, d, registered) {
			wrong(name + " has a value of the wrong type")
			p.i = value
			p.skip()
		}
		seen |= 1 << next
		next++
	}
	if !p.take('}') || p.i != len(p.s) {
		return "it is no JSON object"
	}
	for i := range covid.NumFields + otherRequired {
		if seen&(1<<i) == 0 {
			wrong("no " + nameOf(i))
		}
	}
	if strings.IndexByte(d.Source, 0) >= 0 {
		wrong(fieldSource + " holds a NUL")
	}
	return problem
}

// nameOf returns the name of a field by its place.
func nameOf(i int) string {
	if i < covid.NumFields {
		return covid.Columns[i]
	}
	return otherFields[i-covid.NumFields]
}

// field reads the value of a field and reports whether it has the right type.
func (p *parser) field(i int, d *covid.Document, registered *knownDate) (ok bool) {
	switch nameOf(i) {
	case fieldRelease:
		d.Release, ok = p.number()
	case fieldRow:
		d.Row, ok = p.number()
	case fieldSource:
		d.Source, ok = p.str()
	case fieldRegistered:
		var day string
		if day, ok = p.str(); ok {
			d.Registered, ok = registered.parse(day)
		}
	case fieldRetired:
		d.RetiredBy, ok = p.number()
		d.Retired = ok
	default:
		d.Values[i], ok = p.str()
	}
	return ok
}

// knownDate remembers the last date that was parsed: whole windows have the same.
type knownDate struct {
	text string
	date covid.Date
}

func (k *knownDate) parse(s string) (covid.Date, bool) {
	if s != k.text {
		date, err := covid.ParseDate(s)
		if err != nil {
			return 0, false
		}
		k.text, k.date = s, date
	}
	return k.date, true
}
