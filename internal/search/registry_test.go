package search

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	raw(t, "PUT", "/"+ReleasesIndex(index)+"/_settings", `{"index.refresh_interval":"-1"}`) // reads must not need it
	none, err := c.Newest(t.Context(), index, "/a")
	if none != nil || err != nil {
		t.Fatalf("%+v %v", none, err)
	}
	finished := time.Date(2026, 1, 2, 3, 4, 5, 600_000, time.UTC)
	r := Release{
		Source: "/a", IndexUUID: "u", Registered: finished.Add(-time.Hour), State: StateRunning, Follow: true,
		Read:       Extent{Length: 1 << 40, Digest: "abc", Rows: 1 << 39, AtRecordEnd: true},
		Checkpoint: Position{7, 8}, Counts: Counts{1, 2, 3, 4, 5}, Retired: 6, FinishedAt: &finished,
	}
	first, err := c.CreateNext(t.Context(), index, r)
	if err != nil || first.Number != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	newest, err := c.Newest(t.Context(), index, "/a")
	if err != nil || !reflect.DeepEqual(*newest, first) {
		t.Errorf("got %+v, want %+v: %v", newest, first, err)
	}
	if other, err := c.CreateNext(t.Context(), index, Release{Source: "/b", Registered: finished}); err != nil || other.Number != 2 {
		t.Fatalf("%+v %v", other, err)
	}

	first.State, first.Checkpoint.Row = StateCompleted, 99
	saved, err := c.Save(t.Context(), index, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Save(t.Context(), index, first); !errors.Is(err, ErrConflict) {
		t.Errorf("saved from an old state: %v", err)
	}
	got, err := c.Get(t.Context(), index, 1)
	if err != nil || !reflect.DeepEqual(got, saved) || got.State != StateCompleted {
		t.Errorf("got %+v, want %+v: %v", got, saved, err)
	}
	saved.State = StateFailed
	if _, err := c.Save(t.Context(), index, saved); err != nil {
		t.Errorf("saved from the new state: %v", err)
	}
	if _, err := c.Get(t.Context(), index, 7); KindOf(err) != Refused || !strings.Contains(err.Error(), "release 7 is not in the registry") {
		t.Errorf("missing: %v", err)
	}
	all, err := c.All(t.Context(), index)
	if err != nil || len(all) != 2 || all[0].State != StateFailed || all[1].Source != "/b" {
		t.Errorf("%+v %v", all, err)
	}
	raw(t, "DELETE", "/"+ReleasesIndex(index), "")
	if _, err := c.Newest(t.Context(), index, "/a"); KindOf(err) != IndexGone {
		t.Errorf("registry gone: %v", err)
	}
	if _, err := c.CreateNext(t.Context(), index, r); KindOf(err) != IndexGone {
		t.Errorf("registry gone: %v", err)
	}
	if _, err := c.Save(t.Context(), index, saved); KindOf(err) != IndexGone {
		t.Errorf("registry gone: %v", err)
	}
}

func TestReleasesRegisteredAtOnceHaveTheirOwnNumbers(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	const n = 8
	var numbers [n]int
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r, err := c.CreateNext(t.Context(), index, Release{Source: fmt.Sprint("/", i), Registered: time.Now()})
			if err != nil {
				t.Error(err)
			}
			numbers[i] = int(r.Number)
		})
	}
	all.Wait()
	sort.Ints(numbers[:])
	check(t, "numbers", numbers, [n]int{1, 2, 3, 4, 5, 6, 7, 8})
}

// A lost registry must not lead to a number that documents or quarantined records
// have already: their versions would be taken for the same.
func TestNumbersGoOnWhenTheRegistryIsLost(t *testing.T) {
	t.Parallel()
	c := connect(t)
	for name, write := range map[string]func(index string){
		"documents": func(index string) { send(t, c, index, "/a", 41, 0, 3) },
		"quarantine": func(index string) {
			var b Body
			b.AddQuarantine(index, &Quarantined{Source: "/a", Release: 41, Row: 1})
			if _, err := c.SendBulk(t.Context(), index, &b); err != nil {
				t.Error(err)
			}
		},
		"retired": func(index string) {
			send(t, c, index, "/a", 3, 0, 3)
			if _, err := c.Retire(t.Context(), index, "/a", 41, func(int64) {}); err != nil {
				t.Error(err)
			}
		},
	} {
		index := newIndex(t, c, 2)
		write(index)
		raw(t, "DELETE", "/"+ReleasesIndex(index), "")
		if _, err := c.EnsureIndices(t.Context(), index, 2, 0); err != nil {
			t.Fatal(err)
		}
		r, err := c.CreateNext(t.Context(), index, Release{Source: "/a", Registered: time.Now()})
		if err != nil || r.Number != 42 {
			t.Errorf("%s: release %d %v", name, r.Number, err)
		}
	}
}

func TestPageDocs(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	page := func(what string, want int) {
		t.Helper()
		got, err := c.PageDocs(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		check(t, what, got, want)
	}
	register := func(read, longest int64) Release {
		t.Helper()
		r, err := c.CreateNext(t.Context(), index, Release{Source: "/a", Read: Extent{Length: read}, Longest: longest})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	page("no release", 0)
	register(0, 0)
	page("nothing is planned", 0)
	register(1000, 200)
	page("short records", maxPage)
	register(1000, 500_000)
	page("long records too", 33)
	unknown := register(1000, 0)
	page("unknown ones too", 0)
	unknown.Longest = 100 << 20
	if _, err := c.Save(t.Context(), index, unknown); err != nil {
		t.Fatal(err)
	}
	page("longer than an answer", 1)
	raw(t, "DELETE", "/"+ReleasesIndex(index), "")
	page("no registry", 0)
}

func TestADocumentCannotUseUpTheReleaseNumbers(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	for id, doc := range map[string]string{"a": `{"release":2147483647}`, "b": `{"release":7,"retired":16777215}`, "c": `{"release":9}`} {
		raw(t, "PUT", "/"+index+"/_doc/"+id, doc)
	}
	if n, err := c.NextNumber(t.Context(), index); n != 10 || err != nil {
		t.Errorf("the next release is %d, %v", n, err)
	}
}
