package metabase

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Content is what a card or a dashboard says, apart from ids that Metabase
// gives: values as text by their names. Two that are equal look the same to
// whoever opens them, in whatever form Metabase stores them.
type Content map[string]string

// Hash gives 16 hexadecimal digits that stand for the content.
func (c Content) Hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(h, "%q=%q\n", name, c[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Difference is a value that is not the wanted one; "" is none.
type Difference struct {
	Name string `json:"name"`
	Now  string `json:"now"`
	Want string `json:"want"`
}

// Differences gives what is not as wanted, by name.
func Differences(now, want Content) []Difference {
	all := maps.Clone(now)
	maps.Copy(all, want)
	var out []Difference
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if now[name] != want[name] {
			out = append(out, Difference{Name: name, Now: now[name], Want: want[name]})
		}
	}
	return out
}

// Lost gives what is wanted and not there, or is otherwise. What is there beyond
// it, such as defaults that Metabase adds, does not count.
func Lost(now, want Content) []Difference {
	return slices.DeleteFunc(Differences(now, want), func(d Difference) bool {
		_, wanted := want[d.Name]
		return !wanted
	})
}

// settingsPrefix is before the names of visualization settings in a Content.
const settingsPrefix = "setting "

// IsSetting tells whether a value is a visualization setting: how something is
// drawn, not what it says.
func (d Difference) IsSetting() bool { return strings.HasPrefix(d.Name, settingsPrefix) }

func (c Content) addSettings(settings map[string]any) {
	for key, value := range settings {
		c[settingsPrefix+key] = compact(value)
	}
}

// compact gives a value as JSON with sorted keys.
func compact(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// Mark is what an object of ours carries at the end of its description: which
// one it is, however a person renames it, and what it said when it was written,
// so that a change of ours and an edit by a person can be told apart.
type Mark struct {
	Key     string // "" where there is none
	Written string // Hash of the content that was wanted; "" while it is being made
	Stored  string // Hash of what Metabase made of it; mostly the same
}

// markText is how a mark stands in a description.
var markText = regexp.MustCompile("\n*_Written by `starter dashboard apply` \\((\\w+)(?: ([0-9a-f]{16}))?(?: as ([0-9a-f]{16}))?\\)_\\s*$")

// under gives a description with the mark below its text.
func (m Mark) under(text string) string {
	parts := m.Key
	if m.Written != "" {
		parts += " " + m.Written
	}
	if m.Stored != m.Written {
		parts += " as " + m.Stored
	}
	return strings.TrimSpace(text + "\n\n_Written by `starter dashboard apply` (" + parts + ")_")
}

// cutMark takes a description apart.
func cutMark(description *string) (text string, m Mark) {
	if description == nil {
		return "", Mark{}
	}
	found := markText.FindStringSubmatchIndex(*description)
	if found == nil {
		return *description, Mark{}
	}
	part := func(i int) string {
		if found[2*i] < 0 {
			return ""
		}
		return (*description)[found[2*i]:found[2*i+1]]
	}
	m = Mark{Key: part(1), Written: part(2), Stored: part(3)}
	if m.Stored == "" {
		m.Stored = m.Written
	}
	return (*description)[:found[0]], m
}

// Verdict is what is to be done with an object that is there.
type Verdict int

// The verdicts.
const (
	Unchanged Verdict = iota // it says what is wanted
	Extended                 // it does, and something was added, by Metabase or a person
	Outdated                 // it says what was once written, which is no longer wanted
	Edited                   // a person has changed it
)

// Judge tells whether what is there says what is wanted, and if not, who
// changed: the definition or a person.
func Judge(now, want Content, m Mark) Verdict {
	hash := now.Hash()
	switch {
	case hash == want.Hash(),
		m.Written == want.Hash() && hash == m.Stored:
		return Unchanged
	case m.Written == want.Hash() && len(Lost(now, want)) == 0:
		return Extended
	case m.Key != "" && (m.Written == "" || hash == m.Stored):
		return Outdated
	}
	return Edited
}
