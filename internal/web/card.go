package web

import (
	"context"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/go-analyze/charts"

	"covidpipeline/dashboards"
	"covidpipeline/internal/warehouse"
)

// cardView is a card with its data as the template shows it.
type cardView struct {
	dashboards.Card
	CSV     string // the download's address
	Rows    [][]cell
	Total   int // rows of the result
	Value   cell
	Figures []template.HTML
	Slices  []sliceView
	Bars    []barView
	Pages   pagesView
	Left    string // what the card leaves out, in words
	Hidden  string // how many bars are not drawn, in words
	More    string // an address with more of it
}

// cell is a value as text; Class says how its column stands.
type cell struct {
	Text, Class string
	Unknown     bool
}

// pagesView leads through a long table.
type pagesView struct {
	First, Last, Number, Count int
	Previous, Next             string
}

// sliceView is a slice of a donut and its line in the legend.
type sliceView struct {
	Slot  int
	Label string
	Value cell
	Share string
}

// barView is a bar: from a place to a place of a thousand.
type barView struct {
	Label    string
	Value    cell
	From, To int
	Negative bool
}

// Width gives a bar's length.
func (b barView) Width() int { return b.To - b.From }

func (c *cardView) read(ctx context.Context, db *warehouse.DB, choice dashboards.Choice, number int) error {
	sql := c.SQL
	if c.Table != "" {
		sql = c.Table
	}
	statements := []string{sql}
	if c.Whole != "" {
		statements = append(statements, c.Whole)
	}
	kept, whole := c.keeper(number), any(nil)
	err := scan(ctx, db, c.Card, choice, func(i int, row []any) error {
		if i == 0 {
			kept.add(row)
		} else {
			whole = row[0]
		}
		return nil
	}, statements...)
	if err != nil {
		return err
	}
	rows, query := kept.rows, queryOf(choice)
	c.CSV, c.Total = address("/cards/"+c.Name+".csv", query), kept.total
	if c.Name == "rejects_by_reason" {
		c.More = address("/rejects", query)
	}
	if c.Whole != "" {
		c.leave(kept, whole)
	}
	switch c.Chart {
	case dashboards.Number:
		c.Value = cell{Unknown: true}
		if len(rows) > 0 {
			c.Value = cellOf(rows[0][0], c.Columns[0].Kind)
		}
	case dashboards.Donut:
		err = c.donut(rows)
	case dashboards.Bars:
		c.bars(rows)
		if more := kept.total - len(rows); more > 0 {
			c.Hidden = "and " + grouped(int64(more)) + " more: the CSV has them all."
		}
	case dashboards.Line:
		err = c.lines(rows)
	case dashboards.Table:
		if kept.total > rowsShown {
			query.Set(tabParam, c.Tab)
			c.Pages = pagesOf(kept.total, number, func(n int) string {
				return address("/", with(query, pageParam, fmt.Sprint(n))) + "#" + c.Name
			})
		}
		if c.Table != "" {
			c.Rows = tellCountries(rows, c.TableColumns)
		} else {
			c.Rows = cellsOf(rows, c.Columns)
		}
	}
	return err
}

// tellCountries gives the cells of rows that have a country, which stands in for a
// state that is unknown.
func tellCountries(rows [][]any, columns []dashboards.Column) [][]cell {
	at := func(name string) int {
		return slices.IndexFunc(columns, func(c dashboards.Column) bool { return c.Name == name })
	}
	country, state := at("country"), at("state")
	all := cellsOf(rows, columns)
	for i, cells := range all {
		if cells[state].Unknown {
			cells[state] = cell{Text: cells[country].Text, Class: "country"}
		}
		all[i] = slices.Delete(cells, country, country+1)
	}
	return all
}

// scan runs statements of a card with the filters, on one state of the warehouse: a
// load may commit at any moment. It calls each with every row and the number of its
// statement.
func scan(ctx context.Context, db *warehouse.DB, card dashboards.Card, choice dashboards.Choice, each func(int, []any) error, sql ...string) error {
	var statements []warehouse.Statement
	for _, text := range sql {
		s, err := statementOf(card, choice, text)
		if err != nil {
			return err
		}
		statements = append(statements, s)
	}
	if err := db.Scan(ctx, each, statements...); err != nil {
		return fmt.Errorf("card %q: %w", card.Title, err)
	}
	return nil
}

func statementOf(card dashboards.Card, choice dashboards.Choice, sql string) (warehouse.Statement, error) {
	compiled, args, err := dashboards.Compile(sql, choice)
	if err != nil {
		return warehouse.Statement{}, fmt.Errorf("card %q: %w", card.Title, err)
	}
	return warehouse.Statement{SQL: compiled, Args: args}, nil
}

// leave says how much the rows leave of what they are a part of.
func (c *cardView) leave(kept *keeper, whole any) {
	rest, _ := whole.(int64)
	if kept.measure < 0 {
		rest -= int64(kept.total)
	} else {
		rest -= kept.sum
	}
	if rest != 0 {
		c.Left = fmt.Sprintf(c.Rest, grouped(rest))
	}
}

func pagesOf(total, number int, address func(int) string) pagesView {
	count := (total + rowsShown - 1) / rowsShown
	number = min(number, count)
	p := pagesView{First: (number-1)*rowsShown + 1, Last: min(number*rowsShown, total), Number: number, Count: count}
	if number > 1 {
		p.Previous = address(number - 1)
	}
	if number < count {
		p.Next = address(number + 1)
	}
	return p
}

// donut draws what is above 0; the legend has all of it.
func (c *cardView) donut(rows [][]any) error {
	var total int64
	var values []float64
	for _, row := range rows {
		n, _ := row[1].(int64)
		total += n
	}
	for i, row := range rows {
		label, _ := row[0].(string)
		v := sliceView{Slot: i, Label: label, Value: cellOf(row[1], dashboards.Count)}
		if label == "Other" {
			v.Slot = slots - 1
		}
		n, _ := row[1].(int64)
		if total > 0 && !v.Value.Unknown {
			v.Share = fmt.Sprintf("%.1f %%", 100*float64(n)/float64(total))
		}
		// A value that is left out keeps its place, so that colours stay in step.
		values = append(values, float64(max(n, 0)))
		c.Slices = append(c.Slices, v)
	}
	if total <= 0 {
		return nil
	}
	figure, err := donut(c.Name, c.Title, fmt.Sprintf("A donut of %d slices, %s in all. The table beside it has the numbers.", len(rows), grouped(total)),
		grouped(total), c.Sum, values)
	c.Figures = []template.HTML{figure}
	return err
}

// bars lays the bars out between the lowest and the highest value, 0 included.
func (c *cardView) bars(rows [][]any) {
	var low, high int64
	for _, row := range rows {
		n, _ := row[1].(int64)
		low, high = min(low, n), max(high, n)
	}
	place := func(n int64) int {
		if high == low {
			return 0
		}
		return int(float64(n-low) / float64(high-low) * 1000)
	}
	for _, row := range rows {
		label, _ := row[0].(string)
		n, _ := row[1].(int64)
		b := barView{Label: label, Value: cellOf(row[1], dashboards.Count), From: place(min(n, 0)), To: place(max(n, 0)), Negative: n < 0}
		c.Bars = append(c.Bars, b)
	}
}

// lines draws the measures over the days, once wide and once for a phone. A day
// without a row has its place too: days are as far apart as they are.
func (c *cardView) lines(rows [][]any) error {
	c.Rows = cellsOf(rows, c.Columns)
	if len(rows) < 2 {
		return nil
	}
	const day = 24 * time.Hour
	first, last := rows[0][0].(time.Time), rows[len(rows)-1][0].(time.Time)
	days := make([]string, last.Sub(first)/day+1)
	for i := range days {
		days[i] = first.Add(time.Duration(i) * day).Format(time.DateOnly)
	}
	series := make([][]float64, len(c.Measures))
	for j := range series {
		series[j] = slices.Repeat([]float64{charts.GetNullValue()}, len(days))
		for _, row := range rows {
			if n, known := row[1+j].(int64); known {
				series[j][row[0].(time.Time).Sub(first)/day] = float64(n)
			}
		}
	}
	text := fmt.Sprintf("%s from %s to %s. The table below has the numbers.", c.Description, days[0], days[len(days)-1])
	wide, err := lines(c.Name, c.Title, text, 1180, 330, 8, days, series)
	if err != nil {
		return err
	}
	narrow, err := lines(c.Name+"-phone", c.Title, text, 380, 300, 3, days, series)
	c.Figures = []template.HTML{wide, narrow}
	return err
}

func cellsOf(rows [][]any, columns []dashboards.Column) [][]cell {
	all := make([][]cell, len(rows))
	for i, row := range rows {
		all[i] = make([]cell, len(row))
		for j, v := range row {
			all[i][j] = cellOf(v, columns[j].Kind)
		}
	}
	return all
}

func cellOf(value any, kind dashboards.Kind) cell {
	c := cell{Class: map[dashboards.Kind]string{dashboards.Count: "number", dashboards.Day: "day"}[kind]}
	switch v := value.(type) {
	case nil:
		c.Unknown = true
	case int64:
		c.Text = grouped(v)
	case time.Time:
		c.Text = v.Format(time.DateOnly)
	default:
		c.Text = fmt.Sprint(v)
	}
	return c
}

// thin separates groups of digits: a narrow space at which no line breaks.
const thin = "\u202f"

// grouped writes a number with its digits in groups of three.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "\u2212", digits[1:]
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, groups...), thin)
}
