package metabase

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A description keeps its text whatever it is, and what the mark says.
func TestMarkComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.StringMatching(`[0-9a-f]{16}`)
		m := Mark{Key: rapid.StringMatching(`[a-z_]{1,20}`).Draw(t, "key")}
		if rapid.Bool().Draw(t, "written") {
			m.Written = hash.Draw(t, "written hash")
			m.Stored = rapid.SampledFrom([]string{m.Written, hash.Draw(t, "stored hash")}).Draw(t, "stored")
		}
		text := strings.TrimSpace(rapid.String().Draw(t, "text"))
		description := m.under(text)
		got, mark := cutMark(&description)
		if got != text || mark != m {
			t.Fatalf("%q: %q with %+v, want %q with %+v", description, got, mark, text, m)
		}
	})
	if text, mark := cutMark(nil); text != "" || mark != (Mark{}) {
		t.Errorf("none: %q, %+v", text, mark)
	}
	edited := Mark{Key: "overview", Written: "0123456789abcdef", Stored: "0123456789abcdef"}.under("How many.") + " Or so."
	if text, mark := cutMark(&edited); text != edited || mark != (Mark{}) {
		t.Errorf("text behind the mark: %q, %+v", text, mark)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	old, want, other := Content{"name": "old"}, Content{"name": "new"}, Content{"name": "mine"}
	added := Content{"name": "new", "setting goal": "5"}
	marked := func(c Content) Mark { return Mark{"key", c.Hash(), c.Hash()} }
	for name, tt := range map[string]struct {
		now  Content
		mark Mark
		want Verdict
	}{
		"as wanted":                          {want, marked(want), Unchanged},
		"as wanted, without a mark":          {want, Mark{}, Unchanged},
		"as wanted, stored in another form":  {other, Mark{"key", want.Hash(), other.Hash()}, Unchanged},
		"as wanted and more":                 {added, marked(want), Extended},
		"more, stored by Metabase":           {added, Mark{"key", want.Hash(), added.Hash()}, Unchanged},
		"of an older definition":             {old, marked(old), Outdated},
		"older, stored in another form":      {other, Mark{"key", old.Hash(), other.Hash()}, Outdated},
		"not completed":                      {old, Mark{Key: "key"}, Outdated},
		"edited":                             {other, marked(want), Edited},
		"edited, of an older definition":     {other, marked(old), Edited},
		"more, of an older definition":       {added, marked(old), Edited},
		"without a mark":                     {other, Mark{}, Edited},
		"edited since stored in other form":  {old, Mark{"key", want.Hash(), other.Hash()}, Edited},
		"put back to the older one, no mark": {old, Mark{}, Edited},
	} {
		if got := Judge(tt.now, want, tt.mark); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	now, want := Content{"a": "1", "b": "2", "d": "4"}, Content{"a": "1", "b": "3", "c": "5"}
	if got := Differences(now, want); !reflect.DeepEqual(got, []Difference{{"b", "2", "3"}, {"c", "", "5"}, {"d", "4", ""}}) {
		t.Errorf("differences %v", got)
	}
	if got := Lost(now, want); !reflect.DeepEqual(got, []Difference{{"b", "2", "3"}, {"c", "", "5"}}) {
		t.Errorf("lost %v", got)
	}
	if (Content{"a": "b", "c": "d"}).Hash() == (Content{"a": "b\"=\"c", "": "d"}).Hash() {
		t.Error("two contents have one hash")
	}
}

// The forms in which versions read a query back say the same.
func TestStoredQueries(t *testing.T) {
	t.Parallel()
	const legacyTag = `{"id":"u","name":"state","display-name":"State","type":"dimension","dimension":["field",141,null],"widget-type":"string/="}`
	const tag = `{"id":"u","name":"state","display-name":"State","type":"dimension","dimension":["field",{"lib/uuid":"x"},141],"widget-type":"string/="}`
	const variable = `{"name":"n","display-name":"N","type":"number"}`
	want := Query{Database: 2, SQL: "SELECT 1", Tags: []Tag{{Name: "n", Title: "N"}, {"u", "state", "State", 141, "string/="}}}
	for name, text := range map[string]string{
		"legacy":           `{"type":"native","database":2,"native":{"query":"SELECT 1","template-tags":{"n":` + variable + `,"state":` + legacyTag + `}}}`,
		"MBQL 5":           `{"lib/type":"mbql/query","database":2,"stages":[{"lib/type":"mbql.stage/native","native":"SELECT 1","template-tags":{"n":` + variable + `,"state":` + tag + `}}]}`,
		"MBQL 5, a list":   `{"lib/type":"mbql/query","database":2,"stages":[{"native":"SELECT 1","template-tags":[` + tag + `,` + variable + `]}]}`,
		"another's tag id": `{"database":2,"native":{"query":"SELECT 1","template-tags":{"n":` + variable + `,"state":` + legacyTag + `}},"parameters":[]}`,
	} {
		var stored storedQuery
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := stored.query(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	var built storedQuery
	if err := json.Unmarshal([]byte(`{"lib/type":"mbql/query","database":2,"stages":[{"lib/type":"mbql.stage/mbql","source-table":7}]}`), &built); err != nil {
		t.Fatal(err)
	}
	if got := built.query(); got.SQL != "" || got.Tags != nil {
		t.Errorf("a query that is not SQL: %+v", got)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"status":"initializing","progress":0.4}`:                             "Metabase is initializing (40 %)",
		`{"status":"Unable to get app-db connection"}`:                         "Unable to get app-db connection",
		`{"errors":{"password":"did not match stored password"}}`:              "password: did not match stored password",
		`{"message":"Connection refused","errors":{"host":"check your host"}}`: "Connection refused, host: check your host",
		"Metabase is still initializing.\nPlease sit tight...":                 "Metabase is still initializing. Please sit tight...",
		"<html><body>502 Bad Gateway</body></html>":                            "Bad Gateway",
		"": "Bad Gateway",
	} {
		if got := failure("do it", 502, []byte(body)); got.Reason != want || got.Kind != Unavailable {
			t.Errorf("%q: %q of kind %s", body, got.Reason, got.Kind)
		}
	}
	if got := failure("do it", 400, []byte(strings.Repeat("ä", maxReason))).Reason; len(got) > maxReason+len("…") {
		t.Errorf("a reason of %d bytes", len(got))
	}
}
