// Package dashboards defines the cards that analysts look at: one .sql file
// each, how they are shown and which filters act on them. It is the single
// definition behind Metabase, the built-in page and `starter cards`.
package dashboards

// Chart is how a card is shown, by Metabase's names.
type Chart string

// The charts that the cards use.
const (
	Number Chart = "scalar" // one row, one column
	Table  Chart = "table"
	Bars   Chart = "row"  // horizontal bars, one a row of the result
	Donut  Chart = "pie"  // a slice a row, the total in the middle
	Line   Chart = "line" // a line a measure over the days
)

// GridColumns is the width of the dashboard's grid.
const GridColumns = 24

// Title and Description name the dashboard as a whole.
const (
	Title       = "COVID-19 activity"
	Description = "Reported cases and deaths, as loaded every hour. The filters act on every card but those that show the pipeline itself."
)

// The tabs, in their order.
const (
	Overview = "Overview"
	Trends   = "Trends"
	Quality  = "Quality"
)

// Tabs gives the tabs in their order.
func Tabs() []string { return []string{Overview, Trends, Quality} }

// Kind is what a column holds.
type Kind int

// The kinds of columns.
const (
	Text  Kind = iota
	Count      // a whole number
	Day        // a date without a time
)

// Column is a column of a card's result.
type Column struct {
	Name  string // in the result
	Title string // in a heading
	Kind  Kind
}

// Card is one card of the dashboard. Its SQL gives its rows in a fully defined
// order and reads the tables of the search path.
//
// SQL marks the places of the filters as Metabase does: [[AND {{state}}]] holds
// only when a state is chosen. Each tag stands where the table of its Filter is
// in FROM under its own name. Compile turns the text into PostgreSQL's.
type Card struct {
	Name        string // the card's key in the JSON of `starter cards`, and in addresses
	Title       string
	Description string
	SQL         string
	Columns     []Column // of the result, in their order
	Chart       Chart
	// Dimension names the column that names a bar, a slice or a point of a line;
	// Measures the columns of its numbers, one a line.
	Dimension string
	Measures  []string
	// Sum says what the number in the middle of a donut is.
	Sum string
	// Whole gives the number that the card's rows, or the sum of its first measure,
	// are a part of; Rest says what the difference is, with %s for it. "" where the
	// rows are everything.
	Whole, Rest string
	// Unfiltered says why no filter acts on the card; "" where all of them do.
	Unfiltered string
	// List is the whole list of which SQL shows the beginning, and ListColumns its
	// columns; "" where SQL shows everything.
	List        string
	ListColumns []Column
	// Table is what the built-in page and its download show in place of SQL, and
	// TableColumns its columns; "" where that is SQL. A column of countries stands in
	// for states that are unknown.
	Table        string
	TableColumns []Column
	Tab          string
	// Position and size on its tab's grid, in cells; the top left cell is 0, 0.
	Column, Row, Width, Height int
}

// Full gives the statement of all that the card is about, and its columns: what
// `starter cards` and a download give.
func (c Card) Full() (sql string, columns []Column) {
	if c.List != "" {
		return c.List, c.ListColumns
	}
	return c.SQL, c.Columns
}

// Find gives the card of that name.
func Find(name string) (Card, bool) {
	for _, c := range Cards() {
		if c.Name == name {
			return c, true
		}
	}
	return Card{}, false
}

// Filter is a choice that narrows the cards' data. Its name is the template tag
// in their SQL.
type Filter struct {
	Name, Title string
	// Type is Metabase's, of the dashboard's parameter and of the tag's widget.
	Type string
	// Table and Column are what the tag's condition is about.
	Table, Column string
}

// FilterTable is the table that every tag's condition is about.
const FilterTable = "covid_daily"

// The filters' names.
const (
	State = "state"
	Date  = "date"
)

// Filters gives the filters in their order.
func Filters() []Filter {
	return []Filter{
		{Name: State, Title: "State", Type: "string/=", Table: FilterTable, Column: "state"},
		{Name: Date, Title: "Report date", Type: "date/all-options", Table: FilterTable, Column: "date"},
	}
}
