package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
)

// answerOf is what a shard answers that holds the given documents, by sequence
// number from 1 on; with the numbers of the envelope.
func answerOf(docs ...string) string {
	var hits []string
	for i, doc := range docs {
		hits = append(hits, fmt.Sprintf(`{"_index":"i","_id":"%s","_version":%d,"_seq_no":%d,"_primary_term":1,"_score":null,"_ignored":["a","}"],"_source":%s,"sort":[%d]}`,
			keyOf(i).ID(), covid.NewVersion(2, int64(i+1)), i+1, doc, i+1))
	}
	return `{"took":3,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"max_score":null,"hits":[` +
		strings.Join(hits, ",") + "]}}"
}

// documentOf is a record as AddRecord writes it.
func documentOf(f *covid.Fields, version covid.Version, m Meta) string {
	var b Body
	b.AddRecord(keyOf(0), version, f, m)
	_, line, _ := bytes.Cut(b.buf, []byte("\n"))
	return strings.TrimSuffix(string(line), "\n")
}

func TestParseWindowReadsWhatAddRecordWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var docs []string
		var want []covid.Document
		for i := range rapid.IntRange(0, 4).Draw(t, "documents") {
			var f covid.Fields
			d := covid.Document{Key: keyOf(i), Version: covid.NewVersion(2, int64(i+1)), Row: int64(i + 1), Registered: someDay, Source: nasty().Draw(t, "source")}
			d.Release = rapid.Int64Range(1, covid.MaxRelease).Draw(t, "release")
			for j := range f {
				d.Values[j] = nasty().Draw(t, "value")
				f[j] = []byte(d.Values[j])
			}
			doc := documentOf(&f, covid.NewVersion(d.Release, d.Row), Meta{d.Source, d.Registered})
			if d.Retired = rapid.Bool().Draw(t, "retired"); d.Retired {
				d.RetiredBy = 12
				doc = strings.TrimSuffix(doc, "}") + `,"retired":12}`
			}
			if d.Problem = d.VersionProblem(); strings.Contains(d.Source, "\x00") {
				d.Problem = "source holds a NUL"
			}
			docs, want = append(docs, doc), append(want, d)
		}
		body := []byte(answerOf(docs...))
		n := 0
		err := ParseWindow(body, func(d *covid.Document, raw []byte, seqNo int64) error {
			if *d != want[n] || string(raw) != docs[n] || seqNo != int64(n+1) {
				t.Fatalf("got %+v, want %+v", *d, want[n])
			}
			again, err := ParseDocument(raw)
			again.Key, again.Version, again.Problem = d.Key, d.Version, d.Problem
			if (err != nil) != strings.Contains(d.Source, "\x00") || err == nil && again != *d {
				t.Fatalf("ParseDocument: %+v %v", again, err)
			}
			n++
			return nil
		})
		if err != nil || n != len(docs) {
			t.Fatalf("%d of %d documents: %v", n, len(docs), err)
		}
		w, _, err := newPage("op", body, pageQuery{from: 0, upTo: 100, size: 4})
		to := int64(100)
		if n == 4 { // a full page loses its last document
			n, to = 3, 3
		}
		if err != nil || w.Docs != n || w.To != to {
			t.Fatalf("page of %d: %+v %v", n, w, err)
		}
		if n > 0 && (w.Last.ID != want[n-1].Key.ID() || w.Last.SeqNo != int64(n) || w.Last.Version != int64(want[n-1].Version)) {
			t.Fatalf("last %+v", w.Last)
		}
	})
}

func TestParseWindowTakesAnyOrderAndSpace(t *testing.T) {
	doc := documentOf(fields("2022-04-24", `Do\u00f1a`), covid.NewVersion(2, 1), Meta{"/a", someDay})
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &members); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.MarshalIndent(members, "  ", "\t")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range []string{doc, string(sorted)} {
		err := ParseWindow([]byte(answerOf(d)), func(d *covid.Document, _ []byte, _ int64) error {
			n++
			check(t, "county", d.Values[covid.FieldCounty], `Do\u00f1a`)
			check(t, "cases", d.Values[covid.FieldNewCases], "-7")
			return nil
		})
		if err != nil {
			t.Errorf("%v in %s", err, d)
		}
	}
	check(t, "documents", n, 2)
}

func TestParseWindowNamesTheForeignDocument(t *testing.T) {
	good := documentOf(fields("2022-04-24", "Pima"), covid.NewVersion(2, 1), Meta{"/a", someDay})
	change := func(from, to string) string {
		t.Helper()
		if !strings.Contains(good, from) {
			t.Fatalf("no %s in %s", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	for problem, doc := range map[string]string{
		"no COUNTY_NAME":                               change(`"COUNTY_NAME":"Pima",`, ""),
		"no registered":                                change(`,"registered":"2022-04-29"`, ""),
		"registered has a value":                       change("2022-04-29", "2022-02-30"),
		"row has a value of the wrong type":            change(`"row":1`, `"row":1.5`),
		"release has a value":                          change(`"release":2`, `"release":"2"`),
		"PEOPLE_DEATH_NEW_COUNT has a value":           change(`_NEW_COUNT":"0"`, `_NEW_COUNT":0`),
		"source has a value":                           change(`"source":"/a"`, `"source":["/a"]`),
		"retired has a value":                          change(`"row":1`, `"row":1,"retired":null`),
		`unknown field "x"`:                            change(`"row":1`, `"row":1,"x":{"y":[]}`),
		"row twice":                                    change(`"row":1`, `"row":1,"row":1`),
		"it is no JSON object":                         `[]`,
		"PEOPLE_POSITIVE_NEW_CASES_COUNT has a value ": change(`_NEW_CASES_COUNT":"-7"`, `_NEW_CASES_COUNT":null`),
	} {
		docs := parsed(t, answerOf(good, doc))
		if len(docs) != 2 || docs[0].Problem != "" || !strings.Contains(docs[1].Problem, problem) || docs[1].Key != keyOf(1) {
			t.Errorf("%s: %+v", problem, docs)
		}
	}
	docs := parsed(t, strings.ReplaceAll(answerOf(good), keyOf(0).ID(), "another-pipeline"))
	if len(docs) != 1 || !strings.Contains(docs[0].Problem, "another-pipeline") || docs[0].Key != covid.ForeignKey("another-pipeline") {
		t.Errorf("foreign id: %+v", docs)
	}
}

// A change past the pipeline, as by _update, raises the document's version by one.
func TestParseWindowNamesTheChangedDocument(t *testing.T) {
	v := covid.NewVersion(2, 5)
	good := documentOf(fields("2022-04-24", "Pima"), v, Meta{"/a", someDay})
	retired := strings.Replace(good, `"row":5`, `"row":5,"retired":3`, 1)
	for _, test := range []struct {
		doc     string
		version covid.Version
		sound   bool
	}{
		{good, v, true}, {retired, covid.NewVersion(3, 0), true},
		{good, v + 1, false}, {good, covid.NewVersion(3, 0), false},
		{retired, v, false}, {retired, v + 1, false}, {retired, covid.NewVersion(3, 1), false},
		{strings.Replace(good, `"row":5`, `"row":0`, 1), covid.NewVersion(2, 0), false},
		{strings.Replace(good, `"row":5`, `"row":-1`, 1), covid.NewVersion(2, 4), false},
		{strings.Replace(good, `"row":5`, `"row":5,"retired":2`, 1), covid.NewVersion(2, 0), false},
	} {
		first := fmt.Sprintf(`"_version":%d,`, covid.NewVersion(2, 1))
		docs := parsed(t, strings.Replace(answerOf(test.doc), first, fmt.Sprintf(`"_version":%d,`, test.version), 1))
		if len(docs) != 1 || (docs[0].Problem == "") != test.sound || docs[0].Version != test.version {
			t.Errorf("version %d of %s: %+v", test.version, test.doc, docs)
		}
	}
}

func parsed(t *testing.T, answer string) (docs []covid.Document) {
	t.Helper()
	if err := ParseWindow([]byte(answer), func(d *covid.Document, _ []byte, _ int64) error { docs = append(docs, *d); return nil }); err != nil {
		t.Fatal(err)
	}
	return docs
}

func TestEveryCutOfAnAnswerIsFound(t *testing.T) {
	doc := documentOf(fields("2022-04-24", `a"]}}`), covid.NewVersion(2, 1), Meta{"/a", someDay})
	whole := answerOf(doc, doc)
	none := func(*covid.Document, []byte, int64) error { return nil }
	for i := range whole {
		if err := ParseWindow([]byte(whole[:i]), none); err == nil {
			t.Fatalf("cut at %d of %d and not noticed", i, len(whole))
		}
		if w, _, err := newPage("op", []byte(whole[:i]), pageQuery{upTo: 9, size: 9}); err == nil {
			t.Fatalf("cut at %d of %d and not noticed: %+v", i, len(whole), w)
		}
	}
	if err := ParseWindow([]byte(whole+" x"), none); err == nil {
		t.Error("something behind the answer is not noticed")
	}
}

func TestIncompleteSearchesAreRefused(t *testing.T) {
	whole := answerOf()
	for from, to := range map[string]string{
		`"timed_out":false`: `"timed_out":true`,
		`"total":1`:         `"total":0`,
		`"successful":1`:    `"successful":0`,
		`"failed":0`:        `"failed":1,"failures":[{"shard":0,"reason":{"type":"x"}}]`,
	} {
		body := []byte(strings.Replace(whole, from, to, 1))
		_, _, err := newPage("op", body, pageQuery{upTo: 9, size: 9})
		if KindOf(err) != Unavailable || KindOf(ParseWindow(body, nil)) != Unavailable {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, body := range []string{"", "{}", "null", "[]", `{"hits":{"hits":[]}}`, `{"acknowledged":true}`, "<html>", `{"timed_out":false`} {
		if _, _, err := newPage("op", []byte(body), pageQuery{size: 9}); err == nil {
			t.Errorf("accepted %s", body)
		}
		if err := ParseWindow([]byte(body), nil); err == nil {
			t.Errorf("accepted %s", body)
		}
	}
}

func TestWindowOutOfItsRangeIsRefused(t *testing.T) {
	doc := documentOf(fields("2022-04-24", "Pima"), covid.NewVersion(2, 1), Meta{"/a", someDay})
	body := []byte(answerOf(doc, doc))
	for _, p := range []pageQuery{{from: 2, upTo: 9, size: 9}, {from: 0, upTo: 1, size: 9}, {from: 0, upTo: 9, size: 1}} {
		if _, _, err := newPage("op", body, p); KindOf(err) != Malformed {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// FuzzParseWindow: whatever comes, there is no panic, and what is taken is what
// encoding/json reads.
func FuzzParseWindow(f *testing.F) {
	doc := documentOf(fields("2022-04-24", `Do\u00f1a "\ud83e\udda0"`), covid.NewVersion(2, 1), Meta{"/a", someDay})
	f.Add([]byte(answerOf()))
	f.Add([]byte(answerOf(doc, doc)))
	f.Add([]byte(strings.ReplaceAll(answerOf(doc), ",", " ,\n")))
	f.Fuzz(func(t *testing.T, body []byte) {
		var docs []covid.Document
		err := ParseWindow(body, func(d *covid.Document, _ []byte, _ int64) error { docs = append(docs, *d); return nil })
		_, _, _ = newPage("op", body, pageQuery{upTo: 9, size: 9})
		if err != nil || !json.Valid(body) || !utf8.Valid(body) {
			return
		}
		var slow struct {
			Hits struct {
				Hits []struct {
					ID     string         `json:"_id"`
					Source map[string]any `json:"_source"`
				}
			}
		}
		if json.Unmarshal(body, &slow) != nil || len(slow.Hits.Hits) != len(docs) {
			return // a member that stands twice, or in other case: never written by Elasticsearch
		}
		for i, d := range docs {
			for j, name := range covid.Columns {
				if s, _ := slow.Hits.Hits[i].Source[name].(string); s != d.Values[j] {
					t.Errorf("%s: %q, encoding/json reads %q", name, d.Values[j], s)
				}
			}
		}
	})
}

func BenchmarkParseWindow(b *testing.B) {
	var docs []string
	for i := range 10000 {
		docs = append(docs, documentOf(fields("2022-04-24", fmt.Sprint("County ", i)), covid.NewVersion(2, int64(i+1)), Meta{"/data/a.csv", someDay}))
	}
	body := []byte(answerOf(docs...))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		n := 0
		if err := ParseWindow(body, func(*covid.Document, []byte, int64) error { n++; return nil }); err != nil || n != len(docs) {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(len(docs))*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

func BenchmarkNewPage(b *testing.B) {
	doc := documentOf(fields("2022-04-24", "Pima"), covid.NewVersion(2, 1), Meta{"/data/a.csv", someDay})
	docs := make([]string, 10000)
	for i := range docs {
		docs[i] = doc
	}
	body := []byte(answerOf(docs...))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := newPage("op", bytes.Clone(body), pageQuery{size: 10000, upTo: 10000}); err != nil {
			b.Fatal(err)
		}
	}
}
