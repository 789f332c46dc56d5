package activities

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/source"
)

// Limits are how much a release may take away without a person's word, in percent of
// its records and of the live keys of its source; 0 is DefaultLimit. At least
// limitFloor of them may go, and at most half, unless the limit is above that.
type Limits struct {
	MaxBad     float64 `json:"maxBad,omitempty"`
	MaxRetired float64 `json:"maxRetired,omitempty"`
}

const (
	// DefaultLimit is the limit of a release, in percent.
	DefaultLimit = 1.0
	limitFloor   = 100
	// topReasons is how many reasons a judgement names.
	topReasons = 5
	// maxReasons is how many different reasons are counted apart.
	maxReasons = 1000
)

// Judgement is what a release of a source would bring and take away. It refers to the
// first Length bytes of the source.
type Judgement struct {
	Records     int64         `json:"records"`
	Quarantined int64         `json:"quarantined"` // records that are no documents
	Rejected    int64         `json:"rejected"`    // documents that the warehouse does not take
	Reasons     []ReasonCount `json:"reasons,omitempty"`
	Live        int64         `json:"live"`      // keys of the source in the raw index
	Vanishing   int64         `json:"vanishing"` // those of them that the source lacks
	Length      int64         `json:"length"`
	Digest      string        `json:"digest"` // SHA-256 of these bytes, in hex
	Size        int64         `json:"size"`   // bytes of the source when it was judged
	Identity    string        `json:"identity"`
	ModTime     time.Time     `json:"modTime"`
	// Held says in a sentence what is beyond the limits; empty when nothing is.
	Held string `json:"held,omitempty"`
	// Accepted: the release is written whatever the judgement.
	Accepted bool `json:"accepted,omitempty"`
	// Again: the source was being written to, and nothing is judged.
	Again bool `json:"again,omitempty"`
}

// ReasonCount is a reason, without the value at fault, and how many records have it.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// isOf reports whether a source has not been touched since the judgement.
func (j *Judgement) isOf(info source.Info) bool {
	return info.Size == j.Size && info.Identity == j.Identity && info.ModTime.Equal(j.ModTime)
}

// beyond says what is beyond the limits, or "".
func (j *Judgement) beyond(l Limits) string {
	var why []string
	if bad := j.Quarantined + j.Rejected; float64(bad) > allowed(j.Records, l.MaxBad) {
		why = append(why, fmt.Sprintf("%d of %d records are bad (%s)", bad, j.Records, j.reasons()))
	}
	if text := vanishing(j.Vanishing, j.Live, l.MaxRetired); text != "" {
		why = append(why, text)
	}
	return strings.Join(why, "; ")
}

func (j *Judgement) reasons() string {
	var texts []string
	for _, r := range j.Reasons {
		texts = append(texts, fmt.Sprintf("%d: %s", r.Count, r.Reason))
	}
	return strings.Join(texts, ", ")
}

// vanishing says how many keys would be retired when they are more than may, or "".
func vanishing(gone, live int64, percent float64) string {
	if float64(gone) <= allowed(live, percent) {
		return ""
	}
	return fmt.Sprintf("%d of %d live keys would be retired, since the source lacks them", gone, live)
}

// allowed returns how many of n may go.
func allowed(n int64, percent float64) float64 {
	if percent == 0 {
		percent = DefaultLimit
	}
	share := percent / 100 * float64(n)
	return min(max(share, limitFloor), max(float64(n)/2, share))
}

// tally counts records.
type tally struct {
	registered covid.Date
	keys       *proof.Keys // nil when they are not compared
	keyer      covid.Keyer

	mu                             sync.Mutex
	records, quarantined, rejected int64
	reasons                        map[string]int64
}

// add counts a record. It is not for several goroutines.
func (t *tally) add(records *csvfile.Scanner, rules covid.Rules) error {
	t.records++
	if problem := records.Problem(); problem != "" {
		t.quarantined++
		t.count(problem, 1)
		return nil
	}
	fields := records.Fields()
	d := covid.Document{Registered: t.registered}
	for i, value := range fields {
		d.Values[i] = string(value)
	}
	if _, reason := rules.Clean(&d); reason != "" {
		t.rejected++
		kind, _, _ := strings.Cut(reason, ": ") // without the value
		t.count(kind, 1)
	}
	if t.keys == nil {
		return nil
	}
	return t.keys.AddNow(t.keyer.Key(fields))
}

func (t *tally) count(reason string, n int64) {
	if _, known := t.reasons[reason]; !known && len(t.reasons) >= maxReasons {
		reason = "other reasons"
	}
	t.reasons[reason] += n
}

// merge adds the counts of a part.
func (t *tally) merge(part *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records += part.records
	t.quarantined += part.quarantined
	t.rejected += part.rejected
	for reason, n := range part.reasons {
		t.count(reason, n)
	}
}

// top returns the most frequent reasons.
func (t *tally) top() []ReasonCount {
	var all []ReasonCount
	for reason, n := range t.reasons {
		all = append(all, ReasonCount{reason, n})
	}
	slices.SortFunc(all, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return all[:min(len(all), topReasons)]
}
