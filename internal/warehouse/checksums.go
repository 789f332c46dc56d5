package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
)

// WrongSum is a sum of the dashboards that is not that of the rows.
type WrongSum struct {
	Table                        string     // covid_daily or covid_monthly
	Date                         covid.Date // the day, or the first day of the month
	Country, State, County, FIPS *string
	// Stored is what the table holds, Counted what the rows make; NewDeaths and
	// KnownDeaths are 0 in covid_monthly, which has none.
	Stored, Counted Sums
}

// Sums are the sums of a day, country and state, or of a month and place.
type Sums struct{ Records, NewCases, KnownCases, NewDeaths, KnownDeaths int64 }

// String names the sum and what is wrong with it.
func (w *WrongSum) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s", w.Table, w.Date)
	for _, part := range [...]struct {
		name  string
		value *string
	}{{"country", w.Country}, {"state", w.State}, {"county", w.County}, {"FIPS", w.FIPS}} {
		if part.value != nil {
			fmt.Fprintf(&b, ", %s %q", part.name, *part.value)
		}
	}
	for _, n := range [...]struct {
		name            string
		stored, counted int64
	}{
		{"records", w.Stored.Records, w.Counted.Records},
		{"new cases", w.Stored.NewCases, w.Counted.NewCases},
		{"known new cases", w.Stored.KnownCases, w.Counted.KnownCases},
		{"new deaths", w.Stored.NewDeaths, w.Counted.NewDeaths},
		{"known new deaths", w.Stored.KnownDeaths, w.Counted.KnownDeaths},
	} {
		if n.stored != n.counted {
			fmt.Fprintf(&b, ", %d %s in place of %d", n.stored, n.name, n.counted)
		}
	}
	return b.String()
}

// sumColumns are the sums of both tables; covid_monthly has no deaths.
var sumColumns = []string{"records", "new_cases", "known_cases", "new_deaths", "known_deaths"}

const (
	dailySums   = "records, new_cases, known_cases, new_deaths, known_deaths"
	monthlySums = "records, new_cases, known_cases, 0 AS new_deaths, 0 AS known_deaths"
)

// wrongSums sets the sums of both tables against what the rows make and returns the
// groups that differ.
var wrongSums = `WITH sides AS (
	SELECT true AS counted, 'covid_daily' AS place, date AS day, country, state, NULL AS county, NULL AS fips, ` + dailySums + ` FROM covid_daily_now()
	UNION ALL
	SELECT true, 'covid_monthly', month, country, state, county, fips, ` + monthlySums + ` FROM covid_monthly_now()
	UNION ALL
	SELECT false, 'covid_daily', date, country, state, NULL, NULL, ` + dailySums + ` FROM covid_daily
	UNION ALL
	SELECT false, 'covid_monthly', month, country, state, county, fips, ` + monthlySums + ` FROM covid_monthly
), pairs AS (
	SELECT place, day, country, state, county, fips,
		ARRAY[` + listed(sumColumns, "coalesce(sum(%) FILTER (WHERE NOT counted), 0)::bigint", ", ") + `] AS stored,
		ARRAY[` + listed(sumColumns, "coalesce(sum(%) FILTER (WHERE counted), 0)::bigint", ", ") + `] AS counted
	FROM sides GROUP BY place, day, country, state, county, fips
)
SELECT place, day - date '1970-01-01', country, state, county, fips, stored, counted FROM pairs
WHERE stored <> counted ORDER BY place, day, country, state, county, fips`

// CheckSums recomputes the sums of the dashboards from covid_cases and calls each
// for those that differ, by table and date. It reports false, and compares nothing,
// while the sums are not made yet: that is the end of the first load.
func (db *DB) CheckSums(ctx context.Context, each func(*WrongSum)) (made bool, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// What the groups need beyond this goes to the server's disk.
		if _, err := tx.Exec(ctx, "SET LOCAL work_mem = '64MB'"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT coalesce(bool_and(summed), true) FROM etl_state").Scan(&made); err != nil || !made {
			return err
		}
		rows, err := tx.Query(ctx, wrongSums)
		if err != nil {
			return err
		}
		var w WrongSum
		var stored, counted []int64
		_, err = pgx.ForEachRow(rows, []any{&w.Table, (*int32)(&w.Date), &w.Country, &w.State, &w.County, &w.FIPS, &stored, &counted}, func() error {
			w.Stored, w.Counted = sumsOf(stored), sumsOf(counted)
			each(&w)
			return nil
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("recompute the sums of the dashboards: %w", explain(err))
	}
	return made, nil
}

func sumsOf(n []int64) Sums {
	return Sums{Records: n[0], NewCases: n[1], KnownCases: n[2], NewDeaths: n[3], KnownDeaths: n[4]}
}
