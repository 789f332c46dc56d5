package search

import (
	"errors"
	"testing"

	"covidpipeline/internal/covid"
)

func TestAHeldReleaseIsSetAsideUntilItIsRead(t *testing.T) {
	t.Parallel()
	h := Holder{Source: "/a", Owner: "first"}
	r := Release{Number: 2, Source: "/a", IndexUUID: "i", Owner: "first", State: StateRunning}
	if _, err := r.Hold(Holder{Source: "/a", Owner: "second"}, "much"); !errors.Is(err, ErrTaken) {
		t.Errorf("held by another ingest: %v", err)
	}
	held, err := r.Hold(h, "much")
	if err != nil || !held.SetAside() || r.SetAside() {
		t.Errorf("%+v, %v", held, err)
	}
	rejected, err := held.Close(h, Progress{}, true)
	if err != nil || rejected.State != StateRejected || !rejected.SetAside() || rejected.Continuable(Claim{Holder: h, IndexUUID: "i"}, 9) {
		t.Errorf("rejected: %+v, %v", rejected, err)
	}
	if again, err := rejected.Close(h, Progress{}, true); err != nil || again != rejected {
		t.Errorf("rejected again: %+v, %v", again, err)
	}
	if _, err := rejected.Plan(h, Progress{}, Extent{Length: 9, Digest: "d"}); !errors.Is(err, ErrTaken) {
		t.Errorf("a plan of a rejected release: %v", err)
	}
	if taken := held.TakeOver(Claim{Holder: h}); taken.Held != "" {
		t.Errorf("taken over: %+v", taken)
	}
	if failed, err := r.Close(h, Progress{}, true); err != nil || failed.State != StateFailed {
		t.Errorf("failed: %+v, %v", failed, err)
	}
}

func TestTheReleaseInEffect(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	if r, err := c.Effective(t.Context(), index, "/a"); r != nil || err != nil {
		t.Errorf("of no release: %+v, %v", r, err)
	}
	for i := int64(1); i <= 14; i++ {
		r := Release{Number: i, Source: "/a", State: StateCompleted}
		if i > 2 {
			r.State, r.Held = StateRejected, "much"
		}
		if _, err := c.Create(t.Context(), index, r); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := c.Effective(t.Context(), index, "/a"); err != nil || r == nil || r.Number != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if all, err := c.Sources(t.Context(), index); err != nil || len(all) != 1 || all[0].Number != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestLiveKeysOfASource(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 2)
	var body Body
	var fields covid.Fields
	key := func(i int) covid.Key { return covid.Key{byte(i), 7} }
	for i := range 40 {
		body.AddRecord(key(i), covid.NewVersion(1, int64(i+1)), &fields, Meta{Registered: someDay, Source: map[bool]string{true: "/a", false: "/b"}[i < 30]})
	}
	if _, err := c.SendBulk(t.Context(), index, &body); err != nil {
		t.Fatal(err)
	}
	body.Reset()
	for i := range 10 {
		body.AddRecord(key(i), covid.NewVersion(2, int64(i+1)), &fields, Meta{Registered: someDay, Source: "/a"})
	}
	if _, err := c.SendBulk(t.Context(), index, &body); err != nil {
		t.Fatal(err)
	}
	found := map[covid.Key]int{}
	each := func(k covid.Key) error { found[k]++; return nil }
	if err := c.LiveKeys(t.Context(), index, "/a", each); err != nil || len(found) != 30 || found[key(29)] != 1 {
		t.Errorf("%d keys, %v", len(found), err)
	}
	if _, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	clear(found)
	if err := c.LiveKeys(t.Context(), index, "/a", each); err != nil || len(found) != 10 {
		t.Errorf("%d keys after the others were retired, %v", len(found), err)
	}
	if n, err := c.CountLive(t.Context(), index, "/a"); n != 10 || err != nil {
		t.Errorf("%d live, %v", n, err)
	}
}
