package search

import (
	"slices"
	"strings"
)

// The model of the registry's protocol: one source, its releases, the documents of
// its keys, the ingests of it and their attempts. The changes of releases are those
// of release.go; the steps around them follow the activities.
//
// A source is a string of rows of one byte each. The letter is the row's key, its
// case the row's value. There is no header, and a digest is the content itself.

// doc is the document of a key. A retired one has row 0.
type doc struct {
	release, row int8
	value        byte
}

func (d doc) live() bool { return d.row > 0 }

func (d doc) older(o doc) bool {
	return d.release < o.release || d.release == o.release && d.row < o.row
}

// kind is an activity of an ingest.
type kind int8

const (
	register kind = iota
	plan
	index
	finish
	closing
)

var activityNames = [...]string{"register", "plan", "index", "finish", "close"}

// attempt is an attempt of an activity. Between two phases anything may happen.
type attempt struct {
	kind   kind
	phase  int8
	owner  int8
	first  bool // of the first ingest
	follow bool
	failed bool   // of closing
	number int8   // release
	from   int8   // rows before the range, and the checkpoint
	known  string // the content up to from; for index up to the range's end

	// What the phases before have read.
	end    int8   // where a plan ends
	read   string // the content up to end
	next   int8   // number for a new release
	newest int8   // number of the newest release
	seq    int64  // and its sequence number
	resume bool   // the newest release is continued
}

// outcome is how a phase ended.
type outcome int8

const (
	goesOn  outcome = iota // to the next phase
	done                   // the attempt succeeded
	nothing                // a registration found nothing to do
	changed                // the source is no longer what was read
	taken                  // the release is not the owner's to change
	again                  // a conflict: the attempt is repeated
)

// run is a workflow's run.
type run struct {
	attempt // the one under way, or the last one
	started bool
	alive   bool
	ended   bool // by itself
	began   int8 // how many times it registered
}

// world is a state of everything.
type world struct {
	file     string
	seq      int64
	releases []Release // by number, from 1
	docs     [3]doc    // by key, from a
	runs     [maxRuns]run
	late     []attempt // may act at any time; nobody waits for them
	left     limits
	owners   int8
	forgot   bool // a release lost what was known of it
	stolen   bool // a release was changed by another ingest than its owner
}

// limits are how often things may still happen.
type limits struct{ runs, edits, lates, resets int8 }

// tokens are the owners' tokens, each one letter. An owner is the number of its.
const tokens = "-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

const (
	maxRuns  = 3
	maxBegan = 2 // registrations of a run
	maxRows  = 3 // of the source
)

// rules are the changes of releases, to explore others than those of release.go.
type rules struct {
	nothing  func(r Release, c Claim, size int64, left bool) bool
	compare  func(w *world, a *attempt) bool
	lax      bool // it is no fault yet to take back what is known, or to change another's release
	plan     func(r Release, h Holder, p Progress, read Extent) (Release, error)
	complete func(r Release, h Holder, c Completion) (Release, error)
	close    func(r Release, h Holder, p Progress, failed bool) (Release, error)
}

func current() rules {
	return rules{
		nothing: func(r Release, c Claim, size int64, left bool) bool { return r.Nothing(c, size) && !left },
		compare: sameAsRead, plan: Release.Plan, complete: Release.Complete, close: Release.Close,
	}
}

// planRows bounds a plan. Later plans are shorter, so that one may end before what an
// earlier ingest had read.
func (a attempt) planRows() int8 {
	if a.first {
		return maxRows
	}
	return 1
}

func (a attempt) holder() Holder { return Holder{Source: "/a", Owner: tokens[a.owner:][:1]} }

func (a attempt) claim() Claim { return Claim{Holder: a.holder(), Follow: a.follow} }

func (a attempt) progress() Progress { return Progress{Checkpoint: position(a.from)} }

func position(row int8) Position { return Position{Offset: int64(row), Row: int64(row)} }

// step does the next phase of an attempt.
func (w *world) step(a *attempt, rules rules) outcome {
	phase := a.phase
	a.phase++
	switch a.kind {
	case register:
		return w.register(a, phase, rules)
	case plan:
		return w.plan(a, phase, rules)
	case index:
		if phase == 0 {
			return w.unchanged(a.known)
		}
		for row := a.from; int(row) < len(a.known); row++ {
			w.write(doc{release: a.number, row: row + 1, value: a.known[row]})
		}
		return done
	case finish:
		return w.finish(a, phase, rules)
	default:
		return w.update(a, func(r Release) (Release, error) {
			return rules.close(r, a.holder(), a.progress(), a.failed)
		})
	}
}

func (w *world) register(a *attempt, phase int8, rules rules) outcome {
	switch phase {
	case 0: // the number is read before the decision
		a.next = int8(len(w.releases)) + 1
		return goesOn
	case 1:
		return w.decide(a, rules)
	case 2:
		if a.newest == 0 {
			return goesOn
		}
		r := w.releases[a.newest-1]
		stale := r.SeqNo != a.seq
		if a.resume {
			r = r.TakeOver(a.claim())
			a.number, a.from, a.known = a.newest, int8(r.Checkpoint.Row), r.Read.Digest[:r.Checkpoint.Row]
		} else if r.State != StateRunning && !stale {
			return goesOn
		} else {
			r = r.Withdraw()
		}
		if stale {
			return again
		}
		w.save(r)
		if a.resume {
			return done
		}
		return goesOn
	default:
		if int(a.next) <= len(w.releases) {
			return again
		}
		w.releases = append(slices.Clip(w.releases), Release{})
		w.save(Release{Number: int64(a.next), Source: "/a", Owner: a.holder().Owner, State: StateRunning, Follow: a.follow})
		a.number, a.from, a.known = a.next, 0, ""
		return done
	}
}

// decide compares the source with the newest release.
func (w *world) decide(a *attempt, rules rules) outcome {
	a.newest = int8(len(w.releases))
	if a.newest == 0 {
		return goesOn
	}
	r, size := w.releases[a.newest-1], int64(len(w.file))
	a.seq = r.SeqNo
	a.resume = r.Continuable(a.claim(), size) && strings.HasPrefix(w.file, r.Read.Digest)
	if a.resume && rules.nothing(r, a.claim(), size, w.leftBefore(a.newest)) {
		return nothing
	}
	return goesOn
}

func (w *world) leftBefore(release int8) bool {
	return slices.ContainsFunc(w.docs[:], func(d doc) bool { return d.live() && d.release < release })
}

func (w *world) plan(a *attempt, phase int8, rules rules) outcome {
	if phase == 0 {
		if len(w.file) < int(a.from) {
			return changed
		}
		a.end = min(int8(len(w.file)), a.from+a.planRows())
		a.read = a.known + w.file[a.from:a.end]
		return goesOn
	}
	read := Extent{Length: int64(a.end), Rows: int64(a.end), AtRecordEnd: true}
	if a.end > a.from {
		read.Digest = a.read
	}
	if !rules.compare(w, a) {
		return changed
	}
	return w.update(a, func(r Release) (Release, error) { return rules.plan(r, a.holder(), a.progress(), read) })
}

// sameAsRead compares source, plan and what was read before, as the activity does.
func sameAsRead(w *world, a *attempt) bool {
	before := w.releases[a.number-1].Read.Digest
	if before == "" || len(before) < int(a.from) {
		return true
	}
	source := a.known + w.file[min(int(a.from), len(w.file)):]
	return strings.HasPrefix(source, before) && (len(before) == int(a.from) || strings.HasPrefix(source, a.read))
}

func (w *world) finish(a *attempt, phase int8, rules rules) outcome {
	complete := func(r Release) (Release, error) {
		return rules.complete(r, a.holder(), Completion{Progress: a.progress(), Digest: a.known})
	}
	switch phase {
	case 0:
		return w.unchanged(a.known)
	case 1:
		r := w.releases[a.number-1]
		if _, err := complete(r); err != nil {
			return taken
		}
		if r.State == StateCompleted {
			return done
		}
		return goesOn
	case 2:
		for _, d := range w.docs {
			if d.live() && d.release < a.number {
				w.write(doc{release: a.number, value: d.value})
			}
		}
		return goesOn
	default:
		return w.update(a, complete)
	}
}

func (w *world) unchanged(known string) outcome {
	if strings.HasPrefix(w.file, known) {
		return goesOn
	}
	return changed
}

// write writes a document unless the key has a newer one.
func (w *world) write(d doc) {
	if at := keyNumber(d.value); w.docs[at].older(d) {
		w.docs[at] = d
	}
}

func keyNumber(row byte) int { return int(row|0x20) - 'a' }

func (w *world) update(a *attempt, change func(Release) (Release, error)) outcome {
	before := w.releases[a.number-1]
	r, err := change(before)
	if err != nil {
		return taken
	}
	r.FinishedAt = nil // it differs by its address alone
	if r != before {
		w.stolen = w.stolen || before.Holder() != a.holder()
		w.save(r)
	}
	return done
}

func (w *world) save(r Release) {
	w.seq++
	r.SeqNo = w.seq
	before := w.releases[r.Number-1]
	w.forgot = w.forgot || r.Checkpoint.Row < before.Checkpoint.Row || r.Read.Rows < before.Read.Rows
	w.releases = slices.Clone(w.releases)
	w.releases[r.Number-1] = r
}

// advance does the next phase of a run and what its workflow does then.
func (w *world) advance(r *run, rules rules) {
	before := r.attempt
	switch w.step(&r.attempt, rules) {
	case goesOn:
	case again:
		r.attempt = before.afresh()
	case done:
		w.proceed(r)
	case nothing:
		r.alive, r.ended = false, true
	case changed:
		r.to(closing)
		r.failed = true
	case taken:
		if r.kind == closing { // the refusal is harmless
			w.begin(r)
			return
		}
		r.to(closing)
		r.failed = false
	}
}

// proceed is what a workflow does after an activity.
func (w *world) proceed(r *run) {
	switch r.kind {
	case register:
		r.to(plan)
	case plan:
		if r.end > r.from {
			known := r.read
			r.to(index)
			r.known = known
		} else if r.follow {
			r.to(plan)
		} else {
			r.to(finish)
		}
	case index:
		r.from = int8(len(r.known))
		r.to(plan)
	case finish:
		r.alive, r.ended = false, true
	case closing:
		w.begin(r)
	}
}

// begin registers with a new token, or gives up: the bound of the exploration.
func (w *world) begin(r *run) {
	if r.began == maxBegan {
		r.alive = false
		return
	}
	r.began++
	w.owners++
	r.attempt = attempt{kind: register, owner: w.owners, first: r.first, follow: r.follow}
}

// to starts the first attempt of another activity.
func (r *run) to(k kind) {
	a := r.afresh()
	a.kind = k
	r.attempt = a
}

// afresh is a new attempt with the same input.
func (a attempt) afresh() attempt {
	return attempt{kind: a.kind, owner: a.owner, first: a.first, follow: a.follow, failed: a.failed, number: a.number, from: a.from, known: a.known}
}
