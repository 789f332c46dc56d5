package search

import (
	"strings"
	"testing"
)

// within are the bounds of an exploration: each for some hundred thousand states.
var within = map[string][]limits{
	"ab":  {{runs: 2, edits: 1, resets: 1}, {runs: 2, edits: 1, lates: 1}, {runs: 1, edits: 2, lates: 1}},
	"abc": {{runs: 2, edits: 2}},
}

func TestTheRegistryKeepsItsPromiseInEveryOrder(t *testing.T) {
	t.Parallel()
	for file, bounds := range within {
		for _, left := range bounds {
			x, broken, trace := explore(world{file: file, left: left}, current())
			t.Logf("%s, %+v: %d states", file, left, len(x.nodes))
			if broken != "" {
				t.Errorf("%s:\n%s", broken, strings.Join(trace, "\n"))
			}
		}
	}
}

// released are the rules before releases had owners.
func released() rules {
	return rules{
		lax: true,
		nothing: func(r Release, c Claim, size int64, _ bool) bool {
			return r.State == StateCompleted && size == r.Read.Length && !c.Follow
		},
		compare: sameAsReadAtTheEnd,
		plan: func(r Release, _ Holder, p Progress, read Extent) (Release, error) {
			r.Checkpoint = p.Checkpoint
			if read.Digest != "" && read.Length >= r.Read.Length {
				r.Read = read
			}
			return r, nil
		},
		complete: func(r Release, _ Holder, c Completion) (Release, error) {
			r.State, r.Checkpoint = StateCompleted, c.Checkpoint
			return r, nil
		},
		close: func(r Release, _ Holder, p Progress, failed bool) (Release, error) {
			r.State, r.Checkpoint = StateCancelled, p.Checkpoint
			if failed {
				r.State = StateFailed
			}
			return r, nil
		},
	}
}

// sameAsReadAtTheEnd compares only a plan that gets to the end of what was read.
func sameAsReadAtTheEnd(w *world, a *attempt) bool {
	if len(w.releases[a.number-1].Read.Digest) > int(a.end) && int(a.end) < len(w.file) {
		return true
	}
	return sameAsRead(w, a)
}

// Each rule is needed: without it the explorer finds how rows are lost, and the log
// shows the shortest way.
func TestTheExplorerFindsTheFaultOfEachMissingRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		file   string
		within limits
		weaken func(r *rules)
	}{
		{"the released rules", "ab", limits{runs: 2, edits: 1, lates: 1}, func(r *rules) { *r = released() }},
		{"the released rules, and one ingest alone", "ab", limits{runs: 1, edits: 1, lates: 1}, func(r *rules) { *r = released() }},
		{"the released rules, and resets", "ab", limits{runs: 2, edits: 1, resets: 1}, func(r *rules) { *r = released() }},
		{"any owner may plan, complete and close", "ab", limits{runs: 2, edits: 1, lates: 1}, anyOwner},
		{"a checkpoint may go back", "ab", limits{runs: 1, edits: 1, lates: 1}, func(r *rules) {
			r.plan = func(r Release, h Holder, p Progress, read Extent) (Release, error) {
				r, err := r.Plan(h, p, read)
				if err == nil {
					r.Checkpoint = p.Checkpoint
				}
				return r, err
			}
		}},
		{"a plan is compared only where it ends behind what was read", "abc", limits{runs: 2, edits: 2}, func(r *rules) {
			r.compare = sameAsReadAtTheEnd
		}},
		{"a plan is not compared with its own content", "ab", limits{runs: 1, edits: 2, lates: 1}, func(r *rules) {
			r.compare = func(w *world, a *attempt) bool {
				own := *a
				own.read = ""
				return sameAsRead(w, &own)
			}
		}},
		{"a release is complete before its end", "ab", limits{runs: 1, edits: 1, lates: 1}, func(r *rules) {
			r.complete = func(r Release, h Holder, c Completion) (Release, error) {
				if err := r.heldBy(h); err != nil {
					return r, err
				}
				r.State, r.Checkpoint = StateCompleted, c.Checkpoint
				return r, nil
			}
			r.nothing = func(r Release, c Claim, size int64, left bool) bool {
				return r.State == StateCompleted && size == r.Read.Length && !c.Follow && !left
			}
		}},
		{"documents of older releases are not looked for", "ab", limits{runs: 1, edits: 1, lates: 1}, func(r *rules) {
			r.nothing = func(r Release, c Claim, size int64, _ bool) bool { return r.Nothing(c, size) }
		}},
	} {
		rules := current()
		c.weaken(&rules)
		x, broken, trace := explore(world{file: c.file, left: c.within}, rules)
		if broken == "" {
			t.Errorf("%s: nothing found in %d states", c.name, len(x.nodes))
		}
		t.Logf("%s: %s, found among %d states:\n%s", c.name, broken, len(x.nodes), strings.Join(trace, "\n"))
	}
}

// anyOwner lets an attempt act as the owner of the release that it finds.
func anyOwner(r *rules) {
	r.plan = func(r Release, _ Holder, p Progress, read Extent) (Release, error) {
		return r.Plan(r.Holder(), p, read)
	}
	r.complete = func(r Release, _ Holder, c Completion) (Release, error) { return r.Complete(r.Holder(), c) }
	r.close = func(r Release, _ Holder, p Progress, failed bool) (Release, error) {
		return r.Close(r.Holder(), p, failed)
	}
}
