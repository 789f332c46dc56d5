package dashboards

import (
	_ "embed" // the cards' SQL
	"strings"
)

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
	//go:embed top_counties.sql
	topCounties string
	//go:embed deaths_by_state.sql
	deathsByState string
	//go:embed cases_by_day.sql
	casesByDay string
	//go:embed cases_by_state.sql
	casesByState string
	//go:embed quality_by_state.sql
	qualityByState string
	//go:embed rejects_by_reason.sql
	rejectsByReason string
	//go:embed repeated_days.sql
	repeatedDays string
	//go:embed freshness.sql
	freshness string
	//go:embed etl_runs.sql
	etlRuns string

	// What some cards show a part of.
	//go:embed all_cases.sql
	allCases string
	//go:embed all_deaths.sql
	allDeaths string
)

// Cards gives the cards tab by tab, from the top left to the bottom right.
func Cards() []Card {
	return append(append(overviewCards(), trendCards()...), qualityCards()...)
}

func overviewCards() []Card {
	return []Card{
		{
			Name:        "total_records",
			Title:       "Total Covid Records count",
			Description: "How many records there are.",
			SQL:         totalRecords,
			Columns:     []Column{{"total_records", "Records", Count}},
			Chart:       Number,
			Tab:         Overview, Column: 0, Row: 0, Width: 12, Height: 4,
		},
		{
			Name:        "latest_record",
			Title:       "Latest Covid Record",
			Description: "The newest report date among them.",
			SQL:         latestRecord,
			Columns:     []Column{{"latest_record", "Report date", Day}},
			Chart:       Number,
			Tab:         Overview, Column: 12, Row: 0, Width: 12, Height: 4,
		},
		{
			Name:        "cases_by_county",
			Title:       "Total cases per county",
			Description: "The sum of new cases of the nine largest counties and of all others, a county by its FIPS, under its newest name. Records that name no county are not in it; \"Unknown\" is one in the source.",
			SQL:         "WITH counties AS (\n" + casesByCounty + ")\n" + topCounties,
			Columns:     []Column{{"county", "County", Text}, {"new_cases", "Cases", Count}},
			Chart:       Donut,
			Dimension:   "county", Measures: []string{"new_cases"},
			Sum:   "cases in counties",
			Whole: allCases, Rest: "Records that name no county hold %s cases beside these.",
			List:        casesByCounty,
			ListColumns: []Column{{"county", "County", Text}, {"state", "State", Text}, {"new_cases", "Cases", Count}},
			Tab:         Overview, Column: 0, Row: 4, Width: 12, Height: 11,
		},
		{
			Name:        "deaths_by_state",
			Title:       "Total deaths per state",
			Description: "The sum of new deaths of each state, with its country where several have one of that name. Records that name no state are not in it.",
			SQL:         deathsByState,
			Columns:     []Column{{"state", "State", Text}, {"new_deaths", "Deaths", Count}},
			Chart:       Bars,
			Dimension:   "state", Measures: []string{"new_deaths"},
			Whole: allDeaths, Rest: "Records that name no state hold %s deaths beside these.",
			Tab: Overview, Column: 12, Row: 4, Width: 12, Height: 11,
		},
		{
			Name:        "overview",
			Title:       "Covid Records Overview",
			Description: "The newest records, at most 2\u202f000. A negative count is a correction, an unknown one is not a number. A record that names no state is of a whole country.",
			SQL:         overview,
			// The page also tells the countries apart.
			Table: strings.Replace(overview, "SELECT c.date, ", "SELECT c.date, c.country, ", 1),
			TableColumns: []Column{{"date", "Report date", Day}, {"country", "Country", Text}, {"state", "State", Text}, {"county", "County", Text},
				{"new_cases", "New cases", Count}, {"new_deaths", "New deaths", Count}},
			Columns: []Column{{"date", "Report date", Day}, {"state", "State", Text}, {"county", "County", Text},
				{"new_cases", "New cases", Count}, {"new_deaths", "New deaths", Count}},
			Chart: Table,
			Whole: totalRecords, Rest: "%s older records are not listed.",
			Tab: Overview, Column: 0, Row: 15, Width: GridColumns, Height: 9,
		},
	}
}

func trendCards() []Card {
	return []Card{
		{
			Name:        "cases_by_day",
			Title:       "New cases over time",
			Description: "New cases of each report date in all countries and states together, or in those that are chosen, and a seventh of those of the seven days up to it.",
			SQL:         casesByDay,
			Columns:     []Column{{"date", "Report date", Day}, {"new_cases", "New cases", Count}, {"seven_day_average", "7-day average", Count}},
			Chart:       Line,
			Dimension:   "date", Measures: []string{"new_cases", "seven_day_average"},
			Tab: Trends, Column: 0, Row: 0, Width: GridColumns, Height: 9,
		},
		{
			Name:        "cases_by_state",
			Title:       "Total cases per state",
			Description: "The states by the sum of their new cases, highest first. Records that name no state are not in it.",
			SQL:         casesByState,
			Columns:     []Column{{"state", "State", Text}, {"new_cases", "Cases", Count}},
			Chart:       Bars,
			Dimension:   "state", Measures: []string{"new_cases"},
			Whole: allCases, Rest: "Records that name no state hold %s cases beside these.",
			Tab: Trends, Column: 0, Row: 9, Width: GridColumns, Height: 12,
		},
	}
}

// ofThePipeline is why no filter acts on the cards that show the pipeline, which
// has no state and no report date.
const ofThePipeline = "No filter acts on it: it shows the pipeline as a whole."

// ofTheLastRun is why no filter acts on what the end of a run finds in the whole
// warehouse.
const ofTheLastRun = "No filter acts on it: the end of each run finds it in the whole warehouse."

func qualityCards() []Card {
	return []Card{
		{
			Name:        "freshness",
			Title:       "Data freshness",
			Description: "How old the data is, and how much of it was rejected. " + ofThePipeline,
			SQL:         freshness,
			Columns: []Column{{"newest_record", "Newest record", Day}, {"days_behind", "Days behind today", Count},
				{"last_load_utc", "Last load (UTC)", Text}, {"minutes_since", "Minutes since", Count},
				{"records", "Records", Count}, {"rejected", "Rejected", Count}},
			Chart:      Table,
			Unfiltered: ofThePipeline,
			Tab:        Quality, Column: 0, Row: 0, Width: GridColumns, Height: 3,
		},
		{
			Name:        "quality_by_state",
			Title:       "Records and unknown counts per state",
			Description: "The days that each state reported, and how many of its records leave a count blank. Records that name no state come last.",
			SQL:         qualityByState,
			Columns: []Column{{"state", "State", Text}, {"records", "Records", Count}, {"first_day", "First day", Day},
				{"last_day", "Last day", Day}, {"unknown_cases", "Unknown cases", Count}, {"unknown_deaths", "Unknown deaths", Count}},
			Chart: Table,
			Tab:   Quality, Column: 0, Row: 3, Width: 14, Height: 10,
		},
		{
			Name:        "rejects_by_reason",
			Title:       "Rejected records by reason",
			Description: "Records whose values the transform refused. They are not part of any other number. A filter finds those whose state and day some record of the warehouse has too.",
			SQL:         rejectsByReason,
			Columns:     []Column{{"reason", "Reason", Text}, {"records", "Records", Count}},
			Chart:       Table,
			Tab:         Quality, Column: 14, Row: 3, Width: 10, Height: 10,
		},
		{
			Name:        "etl_runs",
			Title:       "Runs of the hourly job",
			Description: "The newest 25 runs. " + ofThePipeline,
			SQL:         etlRuns,
			Columns: []Column{{"started_utc", "Started (UTC)", Text}, {"result", "Result", Text}, {"seconds", "Seconds", Count},
				{"extracted", "Extracted", Count}, {"inserted", "Inserted", Count}, {"updated", "Updated", Count}, {"rejected", "Rejected", Count}},
			Chart:      Table,
			Unfiltered: ofThePipeline,
			Tab:        Quality, Column: 0, Row: 13, Width: GridColumns, Height: 8,
		},
		{
			Name:        "repeated_days",
			Title:       "Days that count more than once",
			Description: "Places of which some day stands more than once, each time with another FIPS or without one: in every sum such a day counts more than once. " + ofTheLastRun,
			SQL:         repeatedDays,
			Columns: []Column{{"county", "County", Text}, {"state", "State", Text}, {"country", "Country", Text}, {"fips", "FIPS", Text},
				{"days", "Days", Count}, {"first_day", "First day", Day}, {"last_day", "Last day", Day}},
			Chart:      Table,
			Unfiltered: ofTheLastRun,
			Tab:        Quality, Column: 0, Row: 21, Width: GridColumns, Height: 6,
		},
	}
}
