package terminal

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Doña Ana\t1\n":                "Doña Ana\t1\n",
		"\x1b]0;title\a\x1b[2J":        `\u001b]0;title\u0007\u001b[2J`,
		"a\rb\x00\x7f":                 `a\u000db\u0000\u007f`,
		"\u0085\u009b31m":              `\u0085\u009b31m`,
		"\u202egnp.exe\u2066x\u2069":   `\u202egnp.exe\u2066x\u2069`,
		"\xff\x9b\xc3":                 `\xff\x9b\xc3`,
		"\uFFFD stays":                 "\uFFFD stays",
		"family 👨\u200d👩, עברית stays": "family 👨\u200d👩, עברית stays",
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A character may come in several writes.
func TestWriterInPieces(t *testing.T) {
	t.Parallel()
	const text = "Doña 👍 \u202e \x1b \xff \xe2\x82"
	for size := 1; size <= len(text); size++ {
		var b strings.Builder
		w := New(&b)
		for from := 0; from < len(text); from += size {
			piece := text[from:min(from+size, len(text))]
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if want := `Doña 👍 \u202e \u001b \xff \xe2\x82`; b.String() != want {
			t.Errorf("in pieces of %d: %q", size, b.String())
		}
	}
	if _, err := New(failing{}).Write([]byte("x")); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, iotest.ErrTimeout }

// JSON that passes a Writer means the same.
func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for r := range rune(0x2070) {
		if utf8.ValidRune(r) {
			all.WriteRune(r)
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(New(&b))
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all.String()); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back != all.String() {
		t.Errorf("%v", err)
	}
	if strings.IndexFunc(b.String(), acts) >= 0 {
		t.Error("JSON holds control characters")
	}
	if Of(New(&b)) != nil || Of(&b) != nil {
		t.Error("a buffer is a terminal")
	}
}
