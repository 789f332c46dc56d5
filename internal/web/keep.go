package web

import (
	"slices"
	"strings"
	"unicode/utf8"

	"covidpipeline/dashboards"
)

// What a page shows at most, whatever the warehouse holds: so its size is bounded.
const (
	rowsShown    = 50   // rows of a table
	barsShown    = 500  // bars of a card
	optionsShown = 1000 // names that a filter offers
	textShown    = 200  // characters of a text in a cell
	nameShown    = 100  // characters of a name that a filter offers
)

// keeper keeps of a card's rows, which it is given one after the other, those that
// its page shows.
type keeper struct {
	page    int // of a table, from 1; 0 keeps the first rows
	most    int // how many rows are kept without pages
	measure int // the column that sum adds up; -1 is none
	rows    [][]any
	total   int
	sum     int64
}

func (c *cardView) keeper(page int) *keeper {
	k := &keeper{most: barsShown, measure: -1}
	switch c.Chart {
	case dashboards.Table:
		k.page = page
	case dashboards.Line:
		k.most = maxDays
	}
	if len(c.Measures) > 0 {
		k.measure = slices.IndexFunc(c.Columns, func(one dashboards.Column) bool { return one.Name == c.Measures[0] })
	}
	return k
}

// maxDays is how many days a line is drawn over: thirty years.
const maxDays = 30 * 366

// add keeps a row if it is on the page. Of a page behind the last one the last one is
// kept.
func (k *keeper) add(row []any) {
	if k.measure >= 0 {
		n, _ := row[k.measure].(int64)
		k.sum += n
	}
	at := k.total
	k.total++
	switch {
	case k.page == 0 && at >= k.most, k.page > 0 && at/rowsShown >= k.page:
		return
	case k.page > 0 && at%rowsShown == 0:
		k.rows = k.rows[:0]
	}
	for i, v := range row {
		if text, ok := v.(string); ok {
			row[i] = shorten(text, textShown)
		}
	}
	k.rows = append(k.rows, row)
}

// shorten cuts a text to a number of characters. What it cuts off is free to go: the
// rest is a copy.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := 0
	for range most {
		_, size := utf8.DecodeRuneInString(text[end:])
		if end += size; end >= len(text) {
			return text
		}
	}
	return strings.Clone(text[:end]) + "\u2026"
}
