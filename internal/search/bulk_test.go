package search

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
)

// nasty draws valid UTF-8 full of what JSON, Unicode and lines stumble over.
func nasty() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{
			`"`, `\`, `\"`, `\u0041`, "\x00", "\x01", "\x1f", "\t", "\r\n", "\x7f", "\u2028", "\u2029", "\ufeff", "\U0001F9A0",
			"ñ", "{", "}", hitStart, `","release":7,"x":"`, "</script>", "a",
		}), 0, 8).Draw(t, "parts")
		return strings.Join(parts, "")
	}))
}

func TestBodyIsTheValuesAsTheyStood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Body
		var f covid.Fields
		values := rapid.SliceOfN(nasty(), covid.NumFields, covid.NumFields).Draw(t, "values")
		for i, v := range values {
			f[i] = []byte(v)
		}
		m := Meta{Source: nasty().Draw(t, "source"), Registered: someDay}
		version := covid.NewVersion(rapid.Int64Range(1, covid.MaxRelease).Draw(t, "release"), rapid.Int64Range(1, covid.MaxRow).Draw(t, "row"))
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			b.Reset()
			b.AddRecord(keyOf(1), version, &f, m)
			b.AddQuarantine("idx", &Quarantined{Source: m.Source, Release: version.Release(), Row: version.Row(), Offset: 5,
				Reason: values[0], Raw: []byte(values[1] + "\xff"), Truncated: true})
		}
		if b.Items() != 2 || b.Len() != len(b.buf) {
			t.Fatalf("%d items in %d bytes", b.Items(), b.Len())
		}
		lines := bytes.Split(b.buf, []byte("\n"))
		if len(lines) != 5 || len(lines[4]) != 0 {
			t.Fatalf("%d lines", len(lines))
		}
		var action struct {
			Index struct {
				Index       string `json:"_index"`
				ID          string `json:"_id"`
				Version     int64  `json:"version"`
				VersionType string `json:"version_type"`
			}
		}
		unmarshal(t, lines[0], &action)
		if a := action.Index; a.Index != "" || a.ID != keyOf(1).ID() || a.Version != int64(version) || a.VersionType != "external" {
			t.Fatalf("action %+v", a)
		}
		var doc map[string]any
		unmarshal(t, lines[1], &doc)
		for i, name := range covid.Columns {
			if doc[name] != values[i] {
				t.Fatalf("%s is %q, was %q", name, doc[name], values[i])
			}
		}
		if len(doc) != covid.NumFields+4 || doc["source"] != m.Source || doc["registered"] != "2022-04-29" ||
			doc["release"] != float64(version.Release()) || doc["row"] != float64(version.Row()) {
			t.Fatalf("document %v", doc)
		}
		unmarshal(t, lines[2], &action)
		if a := action.Index; a.Index != "idx-quarantine" || a.Version != 1 || a.VersionType != "external" {
			t.Fatalf("action %+v", a)
		}
		var q Quarantined
		unmarshal(t, lines[3], &q)
		if q.Source != m.Source || q.Reason != values[0] || string(q.Raw) != values[1]+"\xff" || !q.Truncated || q.Row != version.Row() {
			t.Fatalf("quarantined %+v", q)
		}
	})
}

func unmarshal(t *rapid.T, line []byte, v any) {
	if !utf8.Valid(line) {
		t.Fatalf("not UTF-8: %q", line)
	}
	if err := json.Unmarshal(line, v); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
}

func TestBodyOfTwoReleases(t *testing.T) {
	var b Body
	for i, m := range []Meta{{"/a", someDay}, {"/b", someDay}, {"/b", someDay + 1}} {
		b.Reset()
		b.AddRecord(keyOf(i), covid.NewVersion(1, 1), fields("2022-04-24", "x"), m)
		_, doc, _ := bytes.Cut(bytes.TrimSpace(b.buf), []byte("\n"))
		d, err := ParseDocument(doc)
		if err != nil || d.Source != m.Source || d.Registered != m.Registered {
			t.Errorf("%+v: %+v %v", m, d, err)
		}
	}
}

func TestRetiredKeepsTheDocument(t *testing.T) {
	var b, again Body
	b.AddRecord(keyOf(1), covid.NewVersion(3, 9), fields("2022-04-24", `}"\`), Meta{Source: "/a", Registered: someDay})
	_, line, _ := bytes.Cut(b.buf, []byte("\n"))
	source := bytes.TrimSuffix(line, []byte("\n"))
	again.addRetired(keyOf(1).ID(), 4, source)
	action, line, _ := bytes.Cut(again.buf, []byte("\n"))
	want := strings.TrimSuffix(string(source), "}") + `,"retired":4}` + "\n"
	check(t, "document", string(line), want)
	if version := covid.NewVersion(4, 0); !strings.Contains(string(action), `"version":2199023255552,`) || version <= covid.NewVersion(3, covid.MaxRow) {
		t.Errorf("version in %s", action)
	}
	d, err := ParseDocument([]byte(strings.TrimSpace(string(line))))
	if err != nil || !d.Retired || d.Release != 3 || d.Row != 9 || d.Values[covid.FieldCounty] != `}"\` {
		t.Errorf("%+v %v", d, err)
	}
}

func TestBodyNeedsNoMemory(t *testing.T) {
	var b Body
	f, m := fields("2022-04-24", `Doña "Ana"`), Meta{Source: "/data/a.csv", Registered: someDay}
	add := func() {
		b.Reset()
		for i := range 100 {
			b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, m)
		}
	}
	add()
	if n := testing.AllocsPerRun(10, add); n != 0 {
		t.Errorf("%v allocations for 100 records", n)
	}
}

func BenchmarkAddRecord(b *testing.B) {
	var body Body
	f, m := fields("2022-04-24", "Coconino"), Meta{Source: "/data/a.csv", Registered: someDay}
	const records = 5000
	for b.Loop() {
		body.Reset()
		for i := range records {
			body.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, m)
		}
	}
	b.SetBytes(int64(body.Len()))
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
	b.ReportMetric(float64(body.Len()/records), "B/doc")
	b.ReportAllocs()
}

func BenchmarkAddQuarantine(b *testing.B) {
	var body Body
	q := Quarantined{Source: "/data/a.csv", Release: 1, Row: 2, Reason: "12 fields", Raw: bytes.Repeat([]byte("x,"), 1<<18)}
	b.SetBytes(int64(base64.StdEncoding.EncodedLen(len(q.Raw))))
	for b.Loop() {
		body.Reset()
		body.AddQuarantine("i", &q)
	}
}
