package main

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"covidpipeline/internal/terminal"
)

// liveLine is one line of a terminal that is drawn over and over.
type liveLine struct{ screen *os.File }

// draw replaces the line by the first of the texts that fits the terminal, as wide
// as that is now, or by what fits of the last one: a line that wraps could not be
// drawn over.
func (l liveLine) draw(texts ...string) {
	width, _, err := term.GetSize(int(l.screen.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	fmt.Fprintf(l.screen, "\r\x1b[K%s", fit(width-1, texts...)) // some terminals wrap when the last column is written
}

// clear removes the line.
func (l liveLine) clear() { fmt.Fprint(l.screen, "\r\x1b[K") }

// fit returns the first of the texts that has at most width characters, or the
// beginning of the last one with an ellipsis.
func fit(width int, texts ...string) string {
	var last []rune
	for _, text := range texts {
		if last = []rune(oneLine(terminal.Escape(text))); len(last) <= width {
			return string(last)
		}
	}
	if width < 1 {
		return ""
	}
	return string(last[:width-1]) + "…"
}
