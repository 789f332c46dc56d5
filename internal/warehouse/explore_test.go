package warehouse

import (
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"time"
)

// The explorer takes every order of events that its bounds allow: writes to the
// raw index, runs of the ETL exchange by exchange, two at once, their crashes, a
// copy of index and registry, and the copy put back. It then lets one run go
// undisturbed and checks the promise: the warehouse holds the live documents, and
// nothing else. The run after that finds nothing to do, and a rescan has a cause.
//
// One order is left out, because no stamp can show it: a copy that is made while a
// run is at work, and put back before that run ends or another begins.

// bounds are how often what may happen.
type bounds struct{ writes, starts, atOnce, crashes, copies, retries int8 }

// explorer walks breadth first, so that the first trace it finds is the shortest.
type explorer struct {
	rules
	bounds
	seed  maphash.Seed
	seen  map[uint64]struct{} // hashes: that one of a million states is taken for another is less likely than 1 in 10 million
	trail []trail
}

// trail is how a state was reached.
type trail struct {
	from int32
	did  string
}

type reached struct {
	world
	trail int32
}

// explore returns the shortest trace to a broken promise, or "".
func explore(u rules, b bounds) (states int, trace string) {
	e := explorer{rules: u, bounds: b, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, trail: []trail{{from: -1}}}
	start := world{bounds: b}
	for frontier := []reached{{start, 0}}; len(frontier) > 0; {
		var next []reached
		for _, at := range frontier {
			broken := ""
			e.each(at.world, func(did string, to world, wrong string) {
				to.relabel()
				hash := maphash.Comparable(e.seed, to)
				if _, there := e.seen[hash]; broken != "" || (there && wrong == "") {
					return
				}
				e.seen[hash] = struct{}{}
				e.trail = append(e.trail, trail{at.trail, did})
				here := int32(len(e.trail) - 1)
				if wrong == "" {
					wrong = e.promise(to)
				}
				if wrong != "" {
					broken = e.trace(here) + "then: " + wrong
					return
				}
				next = append(next, reached{to, here})
			})
			if broken != "" {
				return len(e.seen), broken
			}
		}
		frontier = next
	}
	return len(e.seen), ""
}

func (e *explorer) trace(at int32) string {
	var did []string
	for ; at > 0; at = e.trail[at].from {
		did = append([]string{e.trail[at].did}, did...)
	}
	return strings.Join(did, "\n") + "\n"
}

// each yields what can happen next. wrong says what must not have.
func (e *explorer) each(s world, yield func(did string, to world, wrong string)) {
	active := int8(0)
	free := -1
	for i := range s.runs {
		if s.runs[i].step == idle {
			if free < 0 {
				free = i
			}
			continue
		}
		active++
		to, wrong := s, ""
		if to.advance(e.rules, i) && !s.wasPutBack {
			wrong = "everything is read again without a cause"
		}
		if to.retries >= 0 {
			yield(runNames[i]+stepNames[s.runs[i].step], to, wrong)
		}
		if s.crashes > 0 {
			to := s
			to.runs[i] = modelRun{}
			to.crashes--
			yield(runNames[i]+"crashes", to, "")
		}
	}
	if s.starts > 0 && active < e.atOnce {
		to := s
		to.runs[free].step = readCursor
		to.starts--
		yield(runNames[free]+"starts", to, "")
	}
	for key := range keyNames {
		if key > 0 && s.index.docs[key-1].version == 0 {
			break // one key is like the other
		}
		for _, retired := range []bool{false, true} {
			if s.writes == 0 || (retired && (s.index.docs[key].version == 0 || s.index.docs[key].retired)) {
				continue
			}
			to := s
			to.write(key, retired)
			to.writes--
			yield(map[bool]string{false: "write ", true: "retire "}[retired]+keyNames[key], to, "")
		}
	}
	if s.copies > 0 {
		to := s
		to.copyIndex()
		to.copies--
		yield("copy index and registry", to, "")
	}
	if s.hasCopy && !s.exposed {
		to := s
		to.putBack()
		yield("put the copy back", to, "")
	}
}

var runNames = [...]string{"run 1 ", "run 2 "}

// promise returns what is broken when from here on one run after the other goes
// undisturbed. A state in which runs are at work is left to when they have ended.
func (e *explorer) promise(s world) string {
	for _, r := range s.runs {
		if r.step != idle {
			return ""
		}
	}
	if began := s.undisturbed(e.rules); began && !s.wasPutBack {
		return "an undisturbed run reads everything again without a cause"
	}
	if !s.isExact() {
		return fmt.Sprintf("after an undisturbed run the index has %+v and the warehouse %+v", s.index.docs, s.warehouse.rows)
	}
	before := s.warehouse.cursor
	if began := s.undisturbed(e.rules); began {
		return "a run with nothing new reads everything again"
	}
	if s.warehouse.cursor != before {
		return "a run with nothing new moved the cursor"
	}
	return ""
}

// undisturbed does a whole run.
func (s *world) undisturbed(u rules) (began bool) {
	s.runs[0].step = readCursor
	for s.runs[0].step != idle {
		began = s.advance(u, 0) || began
	}
	return began
}

// relabel numbers contents and stamps in the order in which they stand, since only
// their equality counts: states that differ in nothing else become one.
func (s *world) relabel() {
	var contents, stamps labels
	for _, docs := range [][]document{s.index.docs[:], s.copied.docs[:], s.runs[0].docs[:], s.runs[1].docs[:]} {
		for i := range docs {
			contents.set(&docs[i].content)
		}
	}
	for i := range s.warehouse.rows {
		contents.set(&s.warehouse.rows[i].content)
	}
	stamps.set(&s.warehouse.stamp)
	for _, held := range [][]int8{s.index.stamps[:], s.copied.stamps[:]} {
		for i := range held {
			stamps.set(&held[i])
		}
	}
	for i := range s.runs {
		r := &s.runs[i]
		stamps.set(&r.cursor.stamp)
		stamps.set(&r.fresh)
		stamps.set(&r.gone)
	}
	s.contents, s.stamped = contents.n, stamps.n
}

type labels struct {
	of [64]int8
	n  int8
}

func (l *labels) set(label *int8) {
	if *label == 0 {
		return
	}
	if l.of[*label] == 0 {
		l.n++
		l.of[*label] = l.n
	}
	*label = l.of[*label]
}

func TestExploreCursor(t *testing.T) {
	t.Parallel()
	wide := current
	wide.window = 2
	for name, tt := range map[string]struct {
		rules
		bounds
	}{
		"one run at a time":       {current, bounds{writes: 3, starts: 2, atOnce: 1, crashes: 1, copies: 1}},
		"longer, without a crash": {current, bounds{writes: 4, starts: 3, atOnce: 1, copies: 1}},
		"two documents a window":  {wide, bounds{writes: 3, starts: 2, atOnce: 1, copies: 1}},
		"two runs at once":        {current, bounds{writes: 2, starts: 2, atOnce: 2, retries: 2}},
		"two runs and a copy":     {current, bounds{writes: 2, starts: 2, atOnce: 2, copies: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			states, trace := explore(tt.rules, tt.bounds)
			t.Logf("%d states in %s", states, time.Since(begun))
			if trace != "" {
				t.Error(trace)
			}
		})
	}
}

// Less than the rules of today breaks the promise: the explorer finds how.
func TestExploreFindsTheFaultsOf(t *testing.T) {
	t.Parallel()
	without := func(change func(*rules)) rules {
		u := current
		change(&u)
		return u
	}
	for name, tt := range map[string]struct {
		rules
		bounds
		want string
	}{
		"the version before stamps, by its anchors": {released,
			bounds{writes: 2, starts: 1, atOnce: 1}, "reads everything again"},
		"no stamps": {without(func(u *rules) { u.stamps, u.endStamp = false, false }),
			bounds{writes: 3, starts: 2, atOnce: 1, copies: 1}, "after an undisturbed run"},
		"no anchors dropped": {without(func(u *rules) { u.dropAnchors = false }),
			bounds{writes: 2, starts: 1, atOnce: 1}, "reads everything again"},
		"no stamp at the end": {without(func(u *rules) { u.endStamp = false }),
			bounds{writes: 3, starts: 2, atOnce: 1, copies: 1}, "after an undisturbed run"},
		"no look for the stamp before": {without(func(u *rules) { u.checkStamp = false }),
			bounds{writes: 3, starts: 3, atOnce: 1, copies: 1}, "after an undisturbed run"},
	} {
		t.Run(name, func(t *testing.T) {
			states, trace := explore(tt.rules, tt.bounds)
			t.Logf("%d states\n%s", states, trace)
			if !strings.Contains(trace, tt.want) {
				t.Errorf("no trace to %q was found", tt.want)
			}
		})
	}
}
