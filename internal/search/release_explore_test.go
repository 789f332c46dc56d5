package search

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// explorer visits every state that can be reached, the nearest first.
type explorer struct {
	rules rules
	seen  map[string]bool
	queue []world
	nodes []node // of the queue's worlds, in their order
	sound map[string]bool
}

// node is how a world was reached.
type node struct {
	from int
	what string
}

// explore returns a promise that is broken and the steps that lead there, or "".
func explore(w world, rules rules) (x *explorer, broken string, trace []string) {
	x = &explorer{rules: rules, seen: map[string]bool{}, sound: map[string]bool{}}
	x.add(w, -1, "")
	for at := 0; at < len(x.queue); at++ {
		w := x.queue[at]
		x.queue[at] = world{}
		if broken := x.broken(w); broken != "" {
			for n := at; n > 0; n = x.nodes[n].from {
				trace = append(trace, x.nodes[n].what)
			}
			slices.Reverse(trace)
			return x, broken, trace
		}
		x.expand(w, at)
	}
	return x, "", nil
}

func (x *explorer) add(w world, from int, what string) {
	slices.SortFunc(w.late, func(a, b attempt) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	if key := string(w.key(nil)); !x.seen[key] {
		x.seen[key] = true
		x.queue = append(x.queue, w)
		x.nodes = append(x.nodes, node{from, what})
	}
}

// expand adds every state that is one step away.
func (x *explorer) expand(w world, at int) {
	for i, r := range w.runs {
		name := fmt.Sprintf("ingest %d", i+1)
		if !r.started {
			if !slices.ContainsFunc(w.runs[:i], func(r run) bool { return r.alive }) {
				x.start(w, at, i, name)
			}
			break
		}
		if !r.alive {
			x.reset(w, at, i, name)
			continue
		}
		next := w
		next.advance(&next.runs[i], x.rules)
		x.add(next, at, fmt.Sprintf("%s: %s, phase %d", name, kindNames_[r.kind], r.phase))
		x.interrupt(w, at, i, name)
	}
	for i, a := range w.late {
		next := w
		next.late = slices.Clone(w.late)
		if next.step(&next.late[i], x.rules) != goesOn {
			next.late = slices.Delete(next.late, i, i+1)
		}
		x.add(next, at, fmt.Sprintf("late attempt: %s of token %d, phase %d", kindNames_[a.kind], a.owner, a.phase))
	}
	if w.left.edits > 0 {
		for _, file := range []string{w.file + "c", w.file + "A", "b", "Ab"} {
			if file != w.file && len(file) <= 4 {
				next := w
				next.left.edits--
				next.file = file
				x.add(next, at, fmt.Sprintf("the source becomes %q", file))
			}
		}
	}
}

func (x *explorer) start(w world, at, i int, name string) {
	for _, follow := range []bool{false, true} {
		if follow && i > 0 {
			continue
		}
		next := w
		r := &next.runs[i]
		r.started, r.alive, r.follow = true, true, follow
		next.begin(r)
		x.add(next, at, fmt.Sprintf("%s is started, follow %v", name, follow))
	}
}

// reset takes an ended run back to before its last step but one or its last.
func (x *explorer) reset(w world, at, i int, name string) {
	if !w.runs[i].ended || w.runs[i].kind != finish || w.left.resets == 0 ||
		slices.ContainsFunc(w.runs[:], func(r run) bool { return r.alive }) {
		return
	}
	for _, k := range []kind{plan, finish} {
		next := w
		next.left.resets--
		r := &next.runs[i]
		r.alive, r.ended, r.began = true, false, 1
		r.to(k)
		x.add(next, at, fmt.Sprintf("%s is reset to before %s", name, kindNames_[k]))
	}
}

// interrupt is what operators and faults do to a run that is alive.
func (x *explorer) interrupt(w world, at, i int, name string) {
	r := w.runs[i]
	next := w
	next.runs[i].alive = false
	x.add(next, at, name+" is terminated between its steps")
	if w.left.lates > 0 {
		held := w
		held.left.lates--
		held.late = append(slices.Clip(w.late), r.attempt)
		stopped := held
		stopped.runs[i].alive = false
		x.add(stopped, at, fmt.Sprintf("%s is terminated in %s", name, kindNames_[r.kind]))
		held.runs[i].attempt = r.afresh()
		x.add(held, at, fmt.Sprintf("%s: %s is suspended and tried again", name, kindNames_[r.kind]))
	}
	if r.follow && r.kind == plan {
		next := w
		next.runs[i].follow = false
		next.runs[i].to(plan)
		x.add(next, at, name+" is to finish")
	}
	if r.kind == plan || r.kind == index {
		next := w
		next.runs[i].to(closing)
		next.runs[i].began = maxBegan // it is cancelled: it does not begin anew
		x.add(next, at, name+" is cancelled")
	}
}

// broken returns which promise does not hold, or "".
func (x *explorer) broken(w world) string {
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
func (x *explorer) stuck(w world) string {
	w.runs, w.late = [maxRuns]run{}, nil
	key := string(w.key(nil))
	if x.sound[key] {
		return ""
	}
	x.sound[key] = true
	r := &w.runs[0]
	r.alive = true
	w.owners = 100
	w.begin(r)
	const enough = 100
	for range enough {
		w.advance(r, x.rules)
		if !r.alive {
			break
		}
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

// key encodes what makes a state another one.
func (w *world) key(b []byte) []byte {
	b = append(b, w.file...)
	b = append(b, 0, byte(w.left.edits), byte(w.left.lates), byte(w.left.resets), byte(len(w.releases)))
	for _, r := range w.releases {
		b = append(b, r.State[0], r.State[1], flag(r.Follow), byte(r.Checkpoint.Row), byte(r.Read.Rows))
		b = append(b, r.Owner...)
		b = append(b, 0)
		b = append(b, r.Read.Digest...)
		b = append(b, 0)
	}
	for _, d := range w.docs {
		b = append(b, byte(d.release), byte(d.row), d.value)
	}
	for _, r := range w.runs {
		b = append(b, flag(r.started), flag(r.alive), flag(r.ended), byte(r.began))
		if r.alive || r.ended && r.kind == finish && w.left.resets > 0 {
			b = w.attemptKey(b, r.attempt)
		}
	}
	for _, a := range w.late {
		b = w.attemptKey(b, a)
	}
	return b
}

func (w *world) attemptKey(b []byte, a attempt) []byte {
	b = append(b, byte(a.kind), byte(a.phase), byte(a.owner), flag(a.follow), flag(a.failed), byte(a.number), byte(a.from), byte(a.end), byte(a.next), byte(a.newest), flag(a.resume))
	fresh := a.newest > 0 && w.releases[a.newest-1].SeqNo == a.seq
	b = append(b, flag(fresh))
	b = append(b, a.known...)
	b = append(b, 0)
	return append(append(b, a.read...), 0)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

var _ = binary.LittleEndian

func TestTheRegistryKeepsItsPromiseInEveryOrder(t *testing.T) {
	w := world{file: "ab", left: limits{edits: 2, lates: 1, resets: 1}}
	x, broken, trace := explore(w, current())
	t.Logf("%d states", len(x.nodes))
	if broken != "" {
		t.Errorf("%s\n%s", broken, strings.Join(trace, "\n"))
	}
}
