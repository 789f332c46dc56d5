package search

import (
	"net/http"
	"testing"

	"covidpipeline/internal/testenv"
)

// Nothing but a scratch index is ever tampered with or removed.
func TestOnlyScratchIndicesAreTamperedWith(t *testing.T) {
	t.Parallel()
	c, err := New(Config{URL: testenv.Elasticsearch(t)})
	if err != nil {
		t.Fatal(err)
	}
	index := testenv.Index(t)
	if _, err := c.EnsureIndices(t.Context(), index, 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Tamper(t.Context(), index, http.MethodDelete, "/_doc/1", nil); err == nil {
		t.Error("an index of the pipeline was tampered with")
	}
	if err := c.RemoveScratch(t.Context(), index); err == nil {
		t.Error("an index of the pipeline was removed")
	}
	scratch := index + ScratchMark + "1"
	if _, err := c.EnsureIndices(t.Context(), scratch, 1, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 { // removing it again is no error
		if err := c.RemoveScratch(t.Context(), scratch); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.IndexUUID(t.Context(), scratch); KindOf(err) != IndexGone {
		t.Errorf("the scratch index is still there: %v", err)
	}
	if _, err := c.IndexUUID(t.Context(), index); err != nil {
		t.Error(err)
	}
}
