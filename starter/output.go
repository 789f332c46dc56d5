package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// checkedWriter remembers the first error of writing: most of what a verb prints
// goes through functions whose errors are not looked at one by one.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

// terminal returns the terminal that w writes to, or nil.
func terminal(w io.Writer) *os.File {
	if checked, ok := w.(*checkedWriter); ok {
		w = checked.Writer
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// liveLine is one line of a terminal that is drawn over and over.
type liveLine struct{ terminal *os.File }

// draw replaces the line by the first of the texts that fits the terminal, as wide
// as that is now, or by what fits of the last one: a line that wraps could not be
// drawn over.
func (l liveLine) draw(texts ...string) {
	width, _, err := term.GetSize(int(l.terminal.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	fmt.Fprintf(l.terminal, "\r\x1b[K%s", fit(width-1, texts...)) // some terminals wrap when the last column is written
}

// clear removes the line.
func (l liveLine) clear() { fmt.Fprint(l.terminal, "\r\x1b[K") }

// fit returns the first of the texts that has at most width characters, or the
// beginning of the last one with an ellipsis.
func fit(width int, texts ...string) string {
	var last []rune
	for _, text := range texts {
		if last = []rune(oneLine(text)); len(last) <= width {
			return string(last)
		}
	}
	if width < 1 {
		return ""
	}
	return string(last[:width-1]) + "…"
}
