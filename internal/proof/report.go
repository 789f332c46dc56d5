package proof

import (
	"fmt"
	"strings"
)

// maxExamples is the most differences that a report names, and the most dates
// that it lists: it must stay far below the 2 MB of a workflow's payload.
const maxExamples = 100

// NoDate is the Date of the records that have no valid report date.
const NoDate = "no valid date"

// Kind is a kind of difference.
type Kind string

// The kinds of differences. Each row of the source, each document and each row
// of the warehouse is counted under one place only; a document may however be at
// fault towards its source and towards the warehouse.
const (
	// Lost: a record of the source is neither live nor superseded nor in the quarantine.
	Lost Kind = "lost"
	// DifferentFromSource: a document has a record's version and other values.
	DifferentFromSource Kind = "different_from_source"
	// NotInSource: a document of the newest release that its source does not have.
	NotInSource Kind = "not_in_source"
	// LeftOver: a document of an older release that the newest one should have retired.
	LeftOver Kind = "left_from_older_release"
	// Missing: a live document is not in the warehouse.
	Missing Kind = "missing"
	// Different: the warehouse's row or reject has other values than the document.
	Different Kind = "different"
	// RejectedButLoaded: the warehouse has a row of values that the transform refuses.
	RejectedButLoaded Kind = "rejected_but_in_warehouse"
	// SoundButRejected: the warehouse has a reject of values that the transform accepts.
	SoundButRejected Kind = "sound_but_in_rejects"
	// RetiredButKept: the warehouse has a row or a reject of a retired document.
	RetiredButKept Kind = "retired_but_in_warehouse"
	// InBoth: the warehouse has a row and a reject of the same document.
	InBoth Kind = "in_both"
	// Extra: the warehouse has a row or a reject without a document, or twice.
	Extra Kind = "extra"
	// Twice: the raw index has the key more than once.
	Twice Kind = "twice"
	// Foreign: a document that is none of this pipeline, or that was changed past it.
	Foreign Kind = "foreign"
	// WrongID: the document's id is not the digest of its key values.
	WrongID Kind = "wrong_id"
	// UnknownSource: the document's source is not in the registry.
	UnknownSource Kind = "unknown_source"
	// UnknownRelease: the registry does not have a release that the document names,
	// or has it as one of another source.
	UnknownRelease Kind = "unknown_release"
	// BeyondRelease: the document's row is behind what its release has read, or
	// behind the end of the completed release.
	BeyondRelease Kind = "beyond_release"
	// RetiredByOther: another source retired the key of the newest record.
	RetiredByOther Kind = "retired_by_other_source"
	// WrongPlace: the source, release or row of a warehouse row or reject is neither
	// its document's nor that of an older record of the same values.
	WrongPlace Kind = "wrong_place"
	// WrongSum: a sum of the dashboards is not that of the warehouse's rows.
	WrongSum Kind = "wrong_sum"
)

// kinds is the order in which differences are told: from the source onwards.
var kinds = []Kind{Lost, DifferentFromSource, RetiredByOther, NotInSource, LeftOver, Twice,
	Foreign, WrongID, UnknownSource, UnknownRelease, BeyondRelease, Missing, Different,
	RejectedButLoaded, SoundButRejected, RetiredButKept, InBoth, Extra, WrongPlace, WrongSum}

// Kinds counts differences.
type Kinds map[Kind]int64

func (k Kinds) add(kind Kind, n int64) {
	if n > 0 {
		k[kind] += n
	}
}

// Total gives the number of differences of all kinds.
func (k Kinds) Total() int64 {
	var n int64
	for _, count := range k {
		n += count
	}
	return n
}

// Report is the result of a comparison; its JSON is what `reconcile --json`
// prints.
type Report struct {
	// Balanced: no difference of any kind, all report dates agree, and both
	// identities hold.
	Balanced   bool       `json:"balanced"`
	Source     Source     `json:"source"`
	Raw        Raw        `json:"raw"`
	Warehouse  Warehouse  `json:"warehouse"`
	Dates      Dates      `json:"dates"`
	Identities Identities `json:"identities"`
	// Kinds counts all differences; kinds that did not occur are not in it.
	Kinds Kinds `json:"kinds"`
	// Differences names up to 100 of them, some of every kind that occurred.
	Differences []Difference `json:"differences,omitempty"`
	// Awaiting names up to 100 documents that wait for the end of an unfinished
	// release: they are no differences.
	Awaiting []Difference `json:"awaiting_retirement,omitempty"`
}

// Source says where the records of the sources compared are. Each is in one of
// Live, Superseded, Quarantined, Lost, Different and RetiredByOther; Unaccounted is
// what is then left of Records.
type Source struct {
	Records     int64 `json:"records"`
	Live        int64 `json:"live"`
	Superseded  int64 `json:"superseded"`
	Quarantined int64 `json:"quarantined"`
	Lost        int64 `json:"lost"`
	Different   int64 `json:"different"`
	Unaccounted int64 `json:"unaccounted"`
	// RetiredByOther are the newest records of keys that another source retired.
	RetiredByOther int64 `json:"retired_by_other_source,omitempty"`
}

// Raw says where the documents of the raw index are. Each is in one of
// Warehouse, Rejected, Retired, Missing, Different and Misplaced.
type Raw struct {
	Documents int64 `json:"documents"`
	Warehouse int64 `json:"warehouse"`
	Rejected  int64 `json:"rejected"`
	Retired   int64 `json:"retired"`
	Missing   int64 `json:"missing"`
	Different int64 `json:"different"`
	Misplaced int64 `json:"misplaced"`
	// What the documents are to the sources compared.
	NotInSource           int64 `json:"not_in_source"`
	LeftFromOlderReleases int64 `json:"left_from_older_releases"`
	AwaitingRetirement    int64 `json:"awaiting_retirement"`
	OfOtherSources        int64 `json:"of_other_sources"`
}

// Warehouse counts what the warehouse holds; Extra is rows and rejects that no
// document accounts for.
type Warehouse struct {
	Rows    int64 `json:"rows"`
	Rejects int64 `json:"rejects"`
	Extra   int64 `json:"extra"`
}

// Dates compares the sides by report date; Differing lists the first 100 dates
// that differ.
type Dates struct {
	Compared  int64            `json:"compared"`
	Different int64            `json:"different"`
	Differing []DateDifference `json:"differing,omitempty"`
}

// DateDifference is a report date on which sides differ. Source and RawCompared
// must agree (what should be live of the sources compared, and what is), and so
// must Raw and Warehouse (all sources; rows and rejects).
type DateDifference struct {
	Date        string `json:"date"` // YYYY-MM-DD or NoDate
	Source      Tally  `json:"source"`
	RawCompared Tally  `json:"raw_compared"`
	Raw         Tally  `json:"raw"`
	Warehouse   Tally  `json:"warehouse"`
}

// Tally is one side of a report date. Unknown counts add nothing to the sums,
// and rejected records only count and add to the digest: the sum modulo 2^128
// of the hashes of the records' values, 32 hexadecimal digits.
type Tally struct {
	Count     int64  `json:"count"`
	NewCases  int64  `json:"new_cases"`
	NewDeaths int64  `json:"new_deaths"`
	Digest    string `json:"digest"`
}

// Identities are the two equations with their numbers; where one does not hold,
// it ends with what is wrong.
type Identities struct {
	Source string `json:"source"`
	Raw    string `json:"raw"`
}

// Difference names one difference. Release and row are those of the record or
// document at fault; row 0 is the release's retirement of the key.
type Difference struct {
	Kind    Kind   `json:"kind"`
	ID      string `json:"id,omitempty"` // of the document; a record lost before it had a key has none
	Release int64  `json:"release"`
	Row     int64  `json:"row"`
	Date    string `json:"date,omitempty"`
	Detail  string `json:"detail"`
}

func (c *comparison) differ(kind Kind, e *Entry, detail string) {
	c.report.Kinds.add(kind, 1)
	if len(c.found[kind]) < maxExamples {
		c.found[kind] = append(c.found[kind], example(kind, e, detail))
	}
}

func (c *comparison) await(e *Entry) {
	if len(c.report.Awaiting) < maxExamples {
		c.report.Awaiting = append(c.report.Awaiting, example(LeftOver, e,
			"the newest release of its source is not finished"))
	}
}

func example(kind Kind, e *Entry, detail string) Difference {
	d := Difference{Kind: kind, ID: e.Key.ID(), Release: e.Version.Release(), Row: e.Version.Row(), Detail: shorten(detail)}
	if e.HasDate {
		d.Date = e.Date.String()
	}
	return d
}

// maxDetail bounds a sentence, in bytes: it may quote ids and paths of any length.
const maxDetail = 700

// shorten cuts a sentence that quotes more than there is room for.
func shorten(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	return strings.ToValidUTF8(s[:maxDetail], "") + "..."
}

// finish draws the report's conclusions.
func (c *comparison) finish() *Report {
	r := &c.report
	s := &r.Source
	s.Unaccounted = s.Records - s.Live - s.Superseded - s.Quarantined - s.Lost - s.Different - s.RetiredByOther
	r.Dates = c.dates.report()
	r.Differences = c.examples()
	r.Identities = Identities{Source: s.identity(), Raw: r.Raw.identity()}
	r.Balanced = r.Kinds.Total() == 0 && r.Dates.Different == 0 && s.Unaccounted == 0
	return r
}

// examples takes one of each kind in turn until there are maxExamples, so that
// a frequent kind does not hide a rare one.
func (c *comparison) examples() []Difference {
	taken := map[Kind]int{}
	for total, more := 0, true; more; {
		more = false
		for _, kind := range kinds {
			if total < maxExamples && taken[kind] < len(c.found[kind]) {
				taken[kind]++
				total++
				more = true
			}
		}
	}
	var all []Difference
	for _, kind := range kinds {
		all = append(all, c.found[kind][:taken[kind]]...)
	}
	return all
}

func (s *Source) identity() string {
	return fmt.Sprintf("%d source records = %d live in the raw index + %d superseded + %d quarantined",
		s.Records, s.Live, s.Superseded, s.Quarantined) +
		wrong(s.Lost, "lost") + wrong(s.Different, "different") +
		wrong(s.RetiredByOther, "retired by another source") + wrong(s.Unaccounted, "unaccounted for")
}

func (r *Raw) identity() string {
	return fmt.Sprintf("%d raw documents = %d warehouse rows + %d rejected + %d retired",
		r.Documents, r.Warehouse, r.Rejected, r.Retired) +
		wrong(r.Missing, "missing") + wrong(r.Different, "different") + wrong(r.Misplaced, "misplaced")
}

func wrong(n int64, what string) string {
	switch {
	case n > 0:
		return fmt.Sprintf(" + %d %s", n, what)
	case n < 0:
		return fmt.Sprintf(" - %d %s", -n, what)
	}
	return ""
}
