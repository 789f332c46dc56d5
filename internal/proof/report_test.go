package proof

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"covidpipeline/internal/covid"
)

func TestText(t *testing.T) {
	t.Parallel()
	wrong := sound()
	wrong.raw[2] = from(OlderUnfinished, record(3, 1, 1, 30))
	wrong.warehouse = append(without(wrong.warehouse, 1), record(3, 1, 1, 30))
	books := wrong.books(t)
	books.AddLost(covid.NewVersion(2, 4), "12 fields")
	wrong.totals.Records++
	good := sound()
	for name, r := range map[string]*Report{
		"balanced":  compare(t, good.books(t), good.totals),
		"different": compare(t, books, wrong.totals),
	} {
		// The report of an activity reaches the terminal as JSON.
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var read Report
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*r, read) {
			t.Errorf("%s: JSON reads back as %+v, want %+v", name, read, *r)
		}
		golden(t, name+".json", string(text)+"\n")
		var b strings.Builder
		if err := read.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now\n%s\nwant\n%s", name, got, want)
	}
}

// One frequent kind leaves room for a rare one, and the lists stay short.
func TestExamplesOfEveryKind(t *testing.T) {
	t.Parallel()
	var w world
	w.warehouse = []Entry{record(255, 1, 2000, 1)}
	for i := range 1000 {
		e := record(0, 1, int64(i+1), 1)
		e.Key[1], e.Key[2] = byte(i), byte(i>>8)
		w.raw = append(w.raw, e)
		if e.Date += covid.Date(i + 1); i < 300 {
			e.Rejected, e.Key[0] = true, 1
			w.warehouse = append(w.warehouse, e)
		}
	}
	r := compare(t, w.books(t), w.totals)
	if len(r.Differences) != maxExamples || r.Kinds[Missing] != 1000 || r.Kinds[Extra] != 301 {
		t.Fatalf("%d examples of %v", len(r.Differences), r.Kinds)
	}
	if r.Dates.Different != 301 || len(r.Dates.Differing) != maxExamples {
		t.Fatalf("%d dates named of %d", len(r.Dates.Differing), r.Dates.Different)
	}
	named, ids := Kinds{}, map[string]bool{}
	for _, d := range r.Differences {
		named[d.Kind]++
		ids[d.ID] = true
	}
	if named[Missing] != 50 || named[Extra] != 50 || len(ids) != maxExamples {
		t.Errorf("named %v with %d ids, want 50 of each kind and none twice", named, len(ids))
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nand 1201 more\n", "\nand 201 more dates\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
}

func TestExamplesAreBounded(t *testing.T) {
	t.Parallel()
	c := comparison{found: map[Kind][]Difference{}}
	c.report.Kinds = Kinds{}
	e := record(1, 1, 1, 1)
	for range 2 * maxExamples {
		c.differ(Missing, &e, "")
		c.await(&e)
	}
	if len(c.found[Missing]) != maxExamples || len(c.report.Awaiting) != maxExamples {
		t.Errorf("%d and %d examples kept, want %d", len(c.found[Missing]), len(c.report.Awaiting), maxExamples)
	}
}
