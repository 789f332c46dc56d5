// Package dashboards defines the cards that analysts look at: one .sql file
// each, and how they are shown. It is the single definition behind Metabase,
// the built-in page and `starter cards`.
package dashboards

import _ "embed" // the cards' SQL

// Chart is how a card is shown, by Metabase's names.
type Chart string

// The charts that the cards use.
const (
	Number Chart = "scalar" // one row, one column
	Table  Chart = "table"
	Bars   Chart = "row" // horizontal bars, one a row of the result
)

// GridColumns is the width of the dashboard's grid.
const GridColumns = 24

// Card is one card of the dashboard. Its SQL reads the table covid_cases of the
// search path, takes no parameters and gives its rows in a fully defined order.
type Card struct {
	Name        string // the card's key in the JSON of `starter cards`
	Title       string
	Description string
	SQL         string
	Columns     []string // of the result, in their order
	Chart       Chart
	// Category and Value are the columns of Bars.
	Category, Value string
	// Position and size on the grid, in cells; the top left cell is 0, 0.
	Column, Row, Width, Height int
}

// The cards' files, embedded one by one so that a missing one does not compile.
var (
	//go:embed total_records.sql
	totalRecords string
	//go:embed latest_record.sql
	latestRecord string
	//go:embed overview.sql
	overview string
	//go:embed cases_by_county.sql
	casesByCounty string
	//go:embed deaths_by_state.sql
	deathsByState string
)

// Cards gives the cards from the top left to the bottom right.
func Cards() []Card {
	return []Card{
		{
			Name:        "total_records",
			Title:       "Total Covid Records count",
			Description: "How many records the warehouse holds.",
			SQL:         totalRecords,
			Columns:     []string{"total_records"},
			Chart:       Number,
			Column:      0, Row: 0, Width: 12, Height: 4,
		},
		{
			Name:        "latest_record",
			Title:       "Latest Covid Record",
			Description: "The newest report date of any record.",
			SQL:         latestRecord,
			Columns:     []string{"latest_record"},
			Chart:       Number,
			Column:      12, Row: 0, Width: 12, Height: 4,
		},
		{
			Name:        "overview",
			Title:       "Covid Records Overview",
			Description: "The newest 2,000 records. Negative counts are corrections; a blank is unknown.",
			SQL:         overview,
			Columns:     []string{"date", "state", "county", "new_cases", "new_deaths"},
			Chart:       Table,
			Column:      0, Row: 4, Width: GridColumns, Height: 9,
		},
		{
			// A table and not bars: a bar is named by one column, and only county
			// and state together name a county.
			Name:        "cases_by_county",
			Title:       "Total cases per county",
			Description: "The sum of new cases of each county, over all dates.",
			SQL:         casesByCounty,
			Columns:     []string{"county", "state", "new_cases"},
			Chart:       Table,
			Column:      0, Row: 13, Width: 12, Height: 12,
		},
		{
			Name:        "deaths_by_state",
			Title:       "Total deaths per state",
			Description: "The sum of new deaths of each state, over all dates.",
			SQL:         deathsByState,
			Columns:     []string{"state", "new_deaths"},
			Chart:       Bars,
			Category:    "state", Value: "new_deaths",
			Column: 12, Row: 13, Width: 12, Height: 12,
		},
	}
}
