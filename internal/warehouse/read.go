package warehouse

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"covidpipeline/internal/covid"
)

// ScanRows gives every row of the warehouse, in no order, in flat memory. The
// row belongs to ScanRows and is overwritten by the next; its strings stay.
func (db *DB) ScanRows(ctx context.Context, each func(*covid.Row) error) error {
	rows, err := db.pool.Query(ctx, "SELECT "+columns+" FROM covid_cases")
	if err != nil {
		return fmt.Errorf("read the rows: %w", explain(err))
	}
	var r covid.Row
	var key pgtype.UUID
	var date pgtype.Date
	var texts [7]pgtype.Text
	var counts [4]pgtype.Int4
	var generation int32
	into := []any{&key, &date, &texts[0], &texts[1], &counts[0], &counts[1], &counts[2], &counts[3], &r.Country,
		&texts[2], &texts[3], &texts[4], &texts[5], &texts[6], &r.Source, &r.Release, &r.Row, &generation}
	_, err = pgx.ForEachRow(rows, into, func() error {
		r.Key, r.Date = key.Bytes, covid.DateOf(date.Time)
		r.State, r.County, r.Alpha2, r.Alpha3, r.FIPS = texts[0].String, texts[1].String, texts[2].String, texts[3].String, texts[4].String
		r.Continent, r.DataSource = texts[5].String, texts[6].String
		for i, c := range []*covid.Count{&r.NewCases, &r.NewDeaths, &r.TotalCases, &r.TotalDeaths} {
			*c = covid.Count{N: counts[i].Int32, Known: counts[i].Valid}
		}
		return each(&r)
	})
	if err != nil {
		return fmt.Errorf("read the rows: %w", explain(err))
	}
	return nil
}

// ScanRejects gives every reject, in no order, in flat memory.
func (db *DB) ScanRejects(ctx context.Context, each func(*Reject) error) error {
	rows, err := db.pool.Query(ctx, "SELECT key, source, release, row, date, reason, document FROM covid_rejects")
	if err != nil {
		return fmt.Errorf("read the rejects: %w", explain(err))
	}
	var r Reject
	var key pgtype.UUID
	_, err = pgx.ForEachRow(rows, []any{&key, &r.Source, &r.Release, &r.Row, &r.Date, &r.Reason, &r.Document}, func() error {
		r.Key = key.Bytes
		return each(&r)
	})
	if err != nil {
		return fmt.Errorf("read the rejects: %w", explain(err))
	}
	return nil
}
