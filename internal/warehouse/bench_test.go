package warehouse_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// benchRows is the number of rows of a window: what the pipeline loads at once.
const benchRows = 10_000

// BenchmarkLoad measures windows of 10,000 rows, rows/s: into a growing table,
// and over rows of which all, one in a hundred or none has another value.
// -benchtime=30x gives 300,000 rows.
func BenchmarkLoad(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		db, _ := started(b, 1)
		loadWindows(b, db, 0, 0)
	})
	for _, of := range []int{1, 100, benchRows + 1} {
		b.Run(fmt.Sprintf("1 in %d changed", of), func(b *testing.B) {
			db, _ := started(b, 1)
			loadWindows(b, db, 0, 0)
			loadWindows(b, db, b.N, of)
		})
	}
}

// BenchmarkBare is the measure of BenchmarkLoad: the same rows by COPY and INSERT
// ON CONFLICT into a table of five columns, without checkpoint, totals or ledger.
func BenchmarkBare(b *testing.B) {
	for _, rounds := range []int{1, 2} {
		b.Run([]string{"", "first", "all changed"}[rounds], func(b *testing.B) {
			url := testenv.Postgres(b)
			at(b, url, func(conn *pgx.Conn) error {
				_, err := conn.Exec(b.Context(), `CREATE TABLE bare (date date, state text, county text, new_cases int, new_deaths int, PRIMARY KEY (date, state, county));
					CREATE TEMP TABLE incoming (LIKE bare) ON COMMIT DELETE ROWS`)
				for round := 0; err == nil && round < rounds; round++ {
					b.ResetTimer()
					for n := 0; err == nil && n < b.N; n++ {
						b.StopTimer()
						rows := windowRows(n)
						b.StartTimer()
						err = loadBare(b, conn, rows, int32(round))
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "rows/s")
				return err
			})
		})
	}
}

func loadBare(b *testing.B, conn *pgx.Conn, rows []covid.Row, deaths int32) error {
	return pgx.BeginFunc(b.Context(), conn, func(tx pgx.Tx) error {
		source := pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			return []any{rows[i].Date.Time(), rows[i].State, rows[i].County, rows[i].NewCases.N, deaths}, nil
		})
		if _, err := tx.CopyFrom(b.Context(), pgx.Identifier{"incoming"}, []string{"date", "state", "county", "new_cases", "new_deaths"}, source); err != nil {
			return err
		}
		_, err := tx.Exec(b.Context(), `INSERT INTO bare SELECT * FROM incoming ON CONFLICT (date, state, county)
			DO UPDATE SET new_cases = excluded.new_cases, new_deaths = excluded.new_deaths`)
		return err
	})
}

// loadWindows loads b.N windows behind a sequence number; in every of-th row
// the total differs from what windowRows gives. The last call's time counts.
func loadWindows(b *testing.B, db *warehouse.DB, behind, of int) {
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		rows := windowRows(n)
		for i := of - 1; of > 0 && i < len(rows); i += of {
			rows[i].TotalCases.N++
		}
		b.StartTimer()
		load(b, db, window(int64(behind+n)-1, int64(behind+n), rows...))
	}
	b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "rows/s")
}

// windowRows are the rows of the n-th window: a county's days, then the next
// county's, as in the real file.
func windowRows(n int) []covid.Row {
	rows := make([]covid.Row, benchRows)
	for i := range rows {
		at := n*benchRows + i
		r := row(at, int32(at%97))
		r.Date = covid.Date(18300 + at%1000)
		r.County, r.FIPS = fmt.Sprint("County ", at/1000), fmt.Sprintf("%05d", at/1000)
		r.TotalCases = covid.Count{N: int32(at), Known: true}
		rows[i] = r
	}
	return rows
}

// BenchmarkScanRows measures the reading of 300,000 rows, rows/s.
func BenchmarkScanRows(b *testing.B) {
	const windows = 30
	db, _ := started(b, 1)
	for n := range windows {
		load(b, db, window(int64(n)-1, int64(n), windowRows(n)...))
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := db.ScanRows(b.Context(), func(*covid.Row) error { n++; return nil }); err != nil || n != windows*benchRows {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N*windows*benchRows)/b.Elapsed().Seconds(), "rows/s")
}
