package search

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// explorer visits every state that can be reached, the nearest first.
type explorer struct {
	rules rules
	seen  map[string]bool
	sound map[string]bool // what stuck has looked at
	queue []world
	nodes []node // of the queue's worlds, in their order
	at    int    // the world that is being expanded
}

// node is how a world was reached.
type node struct {
	from int
	what event
}

// event is one thing that happened.
type event struct {
	what  string
	run   int // 0 for the first ingest, -1 for none
	kind  kind
	phase int8
	file  string
}

func (e event) String() string {
	s := e.what
	if e.run >= 0 {
		s = fmt.Sprintf("ingest %d %s", e.run+1, s)
	}
	return strings.NewReplacer("ACTIVITY", activityNames[e.kind], "PHASE", fmt.Sprint(e.phase), "FILE", e.file).Replace(s)
}

// explore returns the first promise that is broken, with the events that lead there.
func explore(w world, rules rules) (x *explorer, broken string, trace []string) {
	x = &explorer{rules: rules, seen: map[string]bool{}, sound: map[string]bool{}}
	x.add(w, event{})
	for ; x.at < len(x.queue); x.at++ {
		w := x.queue[x.at]
		x.queue[x.at] = world{} // its memory is not needed any more
		if broken := x.broken(&w); broken != "" {
			for n := x.at; n > 0; n = x.nodes[n].from {
				trace = append(trace, x.nodes[n].what.String())
			}
			slices.Reverse(trace)
			return x, broken, trace
		}
		x.expand(&w)
	}
	return x, "", nil
}

func (x *explorer) add(w world, what event) {
	key := w.key()
	if x.seen[key] {
		return
	}
	x.seen[key] = true
	x.queue = append(x.queue, w)
	x.nodes = append(x.nodes, node{x.at, what})
}

// expand adds every state that is one event away.
func (x *explorer) expand(w *world) {
	running := slices.ContainsFunc(w.runs[:], func(r run) bool { return r.alive })
	for i := range w.runs {
		switch r := &w.runs[i]; {
		case r.alive:
			next := *w
			next.advance(&next.runs[i], x.rules)
			x.add(next, event{what: "does ACTIVITY, phase PHASE", run: i, kind: r.kind, phase: r.phase})
			x.interrupt(w, i)
		case !r.started && !running && w.left.runs > 0:
			x.start(w, i)
			running = true // the next one is not to start
		case r.ended && r.kind == finish && !running && w.left.resets > 0:
			x.reset(w, i)
		}
	}
	for i, a := range w.late {
		next := *w
		next.late = slices.Clone(w.late)
		if next.step(&next.late[i], x.rules) != goesOn {
			next.late = slices.Delete(next.late, i, i+1)
		}
		x.add(next, event{what: "a late attempt does ACTIVITY, phase PHASE", run: -1, kind: a.kind, phase: a.phase})
	}
	if w.left.edits > 0 {
		x.edit(w)
	}
}

func (x *explorer) start(w *world, i int) {
	for _, follow := range []bool{false, true} {
		if follow && i > 0 {
			continue
		}
		next := *w
		next.left.runs--
		r := &next.runs[i]
		r.started, r.alive, r.first, r.follow = true, true, i == 0, follow
		next.begin(r)
		x.add(next, event{what: map[bool]string{false: "is started", true: "is started to follow"}[follow], run: i})
	}
}

// edit appends a row, of a new key or a known one, or rewrites the source: its first row
// gets another value, or the one it had, or is dropped.
func (x *explorer) edit(w *world) {
	for _, file := range []string{w.file + "c", w.file + "A", string(w.file[0]^0x20) + w.file[1:], w.file[1:]} {
		if file != "" && len(file) <= maxRows {
			next := *w
			next.left.edits--
			next.file = file
			x.add(next, event{what: "the source becomes FILE", run: -1, file: file})
		}
	}
}

// reset takes an ended run back to before its last plan or its completion.
func (x *explorer) reset(w *world, i int) {
	for _, k := range []kind{plan, finish} {
		next := *w
		next.left.resets--
		r := &next.runs[i]
		r.alive, r.ended, r.began = true, false, 1
		r.to(k)
		x.add(next, event{what: "is reset to before ACTIVITY", run: i, kind: k})
	}
}

// interrupt is what operators and faults do to a run that is alive.
func (x *explorer) interrupt(w *world, i int) {
	r := w.runs[i]
	next := *w
	next.runs[i].alive = false
	x.add(next, event{what: "is terminated before ACTIVITY", run: i, kind: r.kind})
	if w.left.lates > 0 {
		held := *w
		held.left.lates--
		held.late = append(slices.Clip(w.late), r.attempt)
		stopped := held
		stopped.runs[i].alive = false
		x.add(stopped, event{what: "is terminated during ACTIVITY", run: i, kind: r.kind})
		held.runs[i].attempt = r.afresh()
		x.add(held, event{what: "tries ACTIVITY again, an attempt is late", run: i, kind: r.kind})
	}
	if r.kind == plan && r.follow {
		next := *w
		next.runs[i].follow = false
		next.runs[i].to(plan)
		x.add(next, event{what: "is told to finish", run: i})
	}
	if r.kind == plan || r.kind == index {
		next := *w
		next.runs[i].to(closing)
		next.runs[i].began = maxBegan // it does not register again
		x.add(next, event{what: "is cancelled", run: i})
	}
}

// broken returns which promise does not hold, or "".
func (x *explorer) broken(w *world) string {
	switch {
	case w.forgot && !x.rules.lax:
		return "a checkpoint went back, or what was read was forgotten"
	case w.stolen && !x.rules.lax:
		return "a release was changed by another ingest than its owner"
	}
	for _, r := range w.releases {
		if r.Checkpoint.Row > r.Read.Rows {
			return fmt.Sprintf("release %d: checkpoint %d, read %d", r.Number, r.Checkpoint.Row, r.Read.Rows)
		}
		for row := range int8(r.Checkpoint.Row) {
			want := doc{release: int8(r.Number), row: row + 1, value: r.Read.Digest[row]}
			if w.docs[keyNumber(want.value)].older(want) {
				return fmt.Sprintf("release %d: row %d is before the checkpoint and not indexed", r.Number, row+1)
			}
		}
	}
	ask := attempt{kind: register}
	if w.decide(&ask, x.rules) == nothing {
		if problem := w.inexact(); problem != "" {
			return "an ingest has nothing to do and " + problem
		}
	}
	return x.stuck(w)
}

// inexact says how the live documents differ from the source.
func (w *world) inexact() string {
	var want [3]doc
	for row, value := range []byte(w.file) {
		want[keyNumber(value)] = doc{release: int8(len(w.releases)), row: int8(row) + 1, value: value}
	}
	for i, d := range w.docs {
		if d.live() != want[i].live() || d.live() && d != want[i] {
			return fmt.Sprintf("key %c is %v, not %v", 'a'+i, d, want[i])
		}
	}
	return ""
}

// stuck says why an ingest that nothing disturbs does not complete the source.
func (x *explorer) stuck(before *world) string {
	w := world{file: before.file, seq: before.seq, releases: before.releases, docs: before.docs, owners: int8(len(tokens)) - maxBegan - 1}
	key := w.key()
	if x.sound[key] {
		return ""
	}
	x.sound[key] = true
	r := &w.runs[0]
	r.alive = true
	w.begin(r)
	for steps := 0; r.alive; steps++ {
		if steps == 100 {
			return "a new ingest does not end"
		}
		w.advance(r, x.rules)
	}
	ask := attempt{kind: register}
	if !r.ended || w.decide(&ask, x.rules) != nothing {
		return "a new ingest does not complete the source"
	}
	if problem := w.inexact(); problem != "" {
		return "a new ingest ends and " + problem
	}
	return ""
}

// key encodes what makes a state another one. Tokens count by where they are the same.
func (w *world) key() string {
	e := encoder{w: w, b: make([]byte, 0, 256)}
	e.text(w.file)
	e.add(flag(w.forgot), flag(w.stolen), w.left.runs, w.left.edits, w.left.lates, w.left.resets)
	for _, r := range w.releases {
		e.b = append(e.b, r.State[:2]...)
		e.add(flag(r.Follow), int8(r.Checkpoint.Row), e.token(int8(strings.Index(tokens, r.Owner))))
		e.text(r.Read.Digest)
	}
	for _, d := range w.docs {
		e.add(d.release, d.row, int8(d.value))
	}
	for _, r := range w.runs {
		switch {
		case r.alive:
			e.add(1, r.began)
			e.attempt(r.attempt)
		case r.ended && r.kind == finish && w.left.resets > 0:
			e.add(2)
			e.attempt(r.attempt)
		default:
			e.add(3, flag(r.started))
		}
	}
	// The late attempts are a set.
	begin := len(e.b)
	var late [][]byte
	for _, a := range w.late {
		e.attempt(a)
		late = append(late, slices.Clone(e.b[begin:]))
		e.b = e.b[:begin]
	}
	slices.SortFunc(late, bytes.Compare)
	return string(append(e.b, bytes.Join(late, nil)...))
}

type encoder struct {
	w     *world
	b     []byte
	known []int8 // tokens in the order of their appearance
}

func (e *encoder) add(values ...int8) {
	for _, v := range values {
		e.b = append(e.b, byte(v))
	}
}

func (e *encoder) text(s string) { e.b = append(append(e.b, s...), 0) }

func (e *encoder) token(owner int8) int8 {
	at := slices.Index(e.known, owner)
	if at < 0 {
		at = len(e.known)
		e.known = append(e.known, owner)
	}
	return int8(at)
}

func (e *encoder) attempt(a attempt) {
	fresh := a.newest > 0 && e.w.releases[a.newest-1].SeqNo == a.seq
	e.add(int8(a.kind), a.phase, e.token(a.owner), flag(a.first), flag(a.follow), flag(a.failed), a.number, a.from,
		a.end, a.next, a.newest, flag(a.resume), flag(fresh))
	e.text(a.known)
	e.text(a.read)
}

func flag(b bool) int8 {
	if b {
		return 1
	}
	return 0
}
