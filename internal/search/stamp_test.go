package search

import (
	"errors"
	"testing"

	"covidpipeline/internal/testenv"
)

func TestStamps(t *testing.T) {
	t.Parallel()
	es, index := connect(t), testenv.Index(t)
	holds := func(stamp string, want bool) {
		t.Helper()
		if held, err := es.HasStamp(t.Context(), index, stamp); held != want || err != nil {
			t.Errorf("the registry holds %q: %v, %v; want %v", stamp, held, err, want)
		}
	}
	holds("a", false) // there is no registry
	if _, err := es.EnsureIndices(t.Context(), index, 1, 0); err != nil {
		t.Fatal(err)
	}
	holds("a", false)
	raw(t, "DELETE", "/"+ReleasesIndex(index), "")
	var e *Error
	if err := es.PutStamp(t.Context(), index, "a"); !errors.As(err, &e) || e.Kind != IndexGone {
		t.Errorf("a stamp in a deleted registry: %v", err)
	}
	for range 2 {
		if err := es.EnsureRegistry(t.Context(), index); err != nil {
			t.Fatal(err)
		}
	}
	for _, stamp := range []string{"a", "b"} {
		if err := es.PutStamp(t.Context(), index, stamp); err != nil {
			t.Fatal(err)
		}
		holds(stamp, true)
	}
	if err := es.PutStamp(t.Context(), index, "a"); err == nil {
		t.Error("a stamp was written twice")
	}

	// The readers of releases do not see stamps.
	if _, err := es.Create(t.Context(), index, Release{Number: 3, Source: "/a.csv"}); err != nil {
		t.Fatal(err)
	}
	all, allErr := es.All(t.Context(), index)
	sources, sourcesErr := es.Sources(t.Context(), index)
	newest, newestErr := es.Newest(t.Context(), index, "/a.csv")
	none, noneErr := es.Newest(t.Context(), index, "")
	next, nextErr := es.NextNumber(t.Context(), index)
	if len(all) != 1 || len(sources) != 1 || newest == nil || newest.Number != 3 || none != nil || next != 4 {
		t.Errorf("all %v, sources %v, newest %v and %v, next %d", all, sources, newest, none, next)
	}
	if err := errors.Join(allErr, sourcesErr, newestErr, noneErr, nextErr); err != nil {
		t.Error(err)
	}

	for range 2 {
		if err := es.DropStamp(t.Context(), index, "a"); err != nil {
			t.Fatal(err)
		}
	}
	holds("a", false)
	holds("b", true)
}
