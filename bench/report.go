package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report is what was measured.
type report struct {
	about   about
	seconds float64 // that all of it took
	Results []result
}

// about is what the numbers were measured with.
type about struct {
	Source        string `json:"source"`
	Rows          int    `json:"rows"` // sound records
	Cores         int    `json:"cores"`
	Elasticsearch string `json:"elasticsearch"` // version
	PostgreSQL    string `json:"postgresql"`
	Fsync         string `json:"fsync"` // of PostgreSQL: on or off
}

// result is one line of the table: the numbers of every round.
type result struct {
	What  string
	Unit  string
	Limit []float64
	Ours  []float64
	Goal  *goal
}

// goal is what a number should be.
type goal struct {
	Of    string // "ratio" or "ours"
	Op    string
	Value float64
}

func (g *goal) String() string {
	text := g.Op + " " + strconv.FormatFloat(g.Value, 'f', -1, 64)
	if g.Of == "ratio" {
		text = "ratio " + text
	}
	return text
}

func (g *goal) met(ours, ratio float64) bool {
	n := ours
	if g.Of == "ratio" {
		n = ratio
	}
	switch g.Op {
	case ">=":
		return n >= g.Value
	case "<=":
		return n <= g.Value
	case "<":
		return n < g.Value
	}
	return n == g.Value
}

func (r *result) add(limit, ours float64) {
	r.Limit, r.Ours = append(r.Limit, limit), append(r.Ours, ours)
}

// ratio is that of the medians; ok is false where there is none.
func (r *result) ratio() (ratio float64, ok bool) {
	if len(r.Limit) == 0 || len(r.Ours) == 0 || median(r.Limit) == 0 {
		return 0, false
	}
	return median(r.Ours) / median(r.Limit), true
}

func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// shown gives the median, with the spread when there are several numbers.
func shown(numbers []float64) string {
	if len(numbers) == 0 {
		return ""
	}
	text := number(median(numbers))
	if least, most := slices.Min(numbers), slices.Max(numbers); least != most {
		text += " (" + number(least) + " to " + number(most) + ")"
	}
	return text
}

// number gives three digits or more, thousands set apart.
func number(f float64) string {
	switch {
	case f == float64(int64(f)) && f < 1000:
		return fmt.Sprintf("%.0f", f)
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 1000:
		return fmt.Sprintf("%.1f", f)
	}
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return r.printJSON(w)
	}
	a := r.about
	fmt.Fprintf(w, "%s sound rows of %s; %d cores for servers and client; Elasticsearch %s, PostgreSQL %s with fsync %s; %.0f s in all\n\n",
		number(float64(a.Rows)), a.Source, a.Cores, a.Elasticsearch, a.PostgreSQL, a.Fsync, r.seconds)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "measured\tunit\tlimit\tours\tratio\tgoal\tmet")
	for _, line := range r.Results {
		ratioText, goalText, met := "", "", ""
		ratio, ok := line.ratio()
		if ok {
			ratioText = fmt.Sprintf("%.2f", ratio)
		}
		if line.Goal != nil {
			goalText, met = line.Goal.String(), "no"
			if line.Goal.met(median(line.Ours), ratio) {
				met = "yes"
			}
		}
		fmt.Fprintln(table, strings.Join([]string{line.What, line.Unit, shown(line.Limit), shown(line.Ours), ratioText, goalText, met}, "\t"))
	}
	return table.Flush()
}

func (r *report) printJSON(w io.Writer) error {
	type numbers struct {
		Median float64   `json:"median"`
		Rounds []float64 `json:"rounds"`
	}
	type line struct {
		What  string   `json:"what"`
		Unit  string   `json:"unit"`
		Limit *numbers `json:"limit,omitempty"`
		Ours  *numbers `json:"ours,omitempty"`
		Ratio *float64 `json:"ratio,omitempty"`
		Goal  string   `json:"goal,omitempty"`
		Met   *bool    `json:"met,omitempty"`
	}
	of := func(all []float64) *numbers {
		if len(all) == 0 {
			return nil
		}
		return &numbers{median(all), all}
	}
	var lines []line
	for _, res := range r.Results {
		l := line{What: strings.TrimSpace(res.What), Unit: res.Unit, Limit: of(res.Limit), Ours: of(res.Ours)}
		ratio, ok := res.ratio()
		if ok {
			l.Ratio = &ratio
		}
		if res.Goal != nil {
			met := res.Goal.met(median(res.Ours), ratio)
			l.Goal, l.Met = res.Goal.String(), &met
		}
		lines = append(lines, l)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		about
		Seconds float64 `json:"seconds"`
		Results []line  `json:"results"`
	}{r.about, r.seconds, lines})
}
