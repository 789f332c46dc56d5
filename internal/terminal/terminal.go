// Package terminal writes text for people, parts of which come from files and
// servers, so that it cannot act on the terminal: clear it, change its title, hide
// or reorder what it shows.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer passes text on with its control characters shown as escapes such as
// \u001b, which JSON reads as the same characters. It is safe for concurrent use.
type Writer struct {
	to io.Writer

	mu   sync.Mutex
	held []byte // the beginning of a character whose end has not been written yet
	err  error  // the first that a write returned
}

// New returns a Writer to an output.
func New(to io.Writer) *Writer { return &Writer{to: to} }

// Write writes text. The number that it returns is that of bytes of p.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.held, p...)
	end := wholeCharacters(text)
	w.held = append([]byte(nil), text[end:]...)
	if err := w.write(text[:end]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what looked like the beginning of a character and was none. It
// returns the first error of all writes.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) > 0 {
		_ = w.write(w.held) // kept in w.err
		w.held = nil
	}
	return w.err
}

func (w *Writer) write(text []byte) error {
	_, err := io.WriteString(w.to, Escape(string(text)))
	if w.err == nil {
		w.err = err
	}
	return err
}

// wholeCharacters returns the length of text without a character at its end that
// is not complete.
func wholeCharacters(text []byte) int {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

// Escape returns text as a Writer shows it: line ends and tabs stay, other control
// characters, characters that reorder a line and what is not UTF-8 become escapes.
func Escape(text string) string {
	if strings.IndexFunc(text, acts) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case acts(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// acts reports whether a terminal does something else than to show the character:
// the controls of C0 and C1, and Unicode's embeddings, overrides and isolates of
// the direction of writing.
func acts(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Of returns the terminal that an output is, or that a Writer writes to; nil is none.
// What is written to it directly acts on it.
func Of(out io.Writer) *os.File {
	if w, ok := out.(*Writer); ok {
		out = w.to
	}
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}
