package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"covidpipeline/internal/covid"
)

// upsert writes the rows that are new or differ and gives how many of each.
var upsert = `WITH written AS (
	INSERT INTO covid_cases AS c (` + columns + `)
	SELECT ` + columns + ` FROM load_rows
	ON CONFLICT (key) DO UPDATE SET
		date = excluded.date, state = excluded.state, county = excluded.county, new_cases = excluded.new_cases,
		new_deaths = excluded.new_deaths, total_cases = excluded.total_cases, total_deaths = excluded.total_deaths,
		country = excluded.country, alpha2 = excluded.alpha2, alpha3 = excluded.alpha3, fips = excluded.fips,
		continent = excluded.continent, data_source = excluded.data_source, source = excluded.source,
		release = excluded.release, row = excluded.row, generation = excluded.generation, loaded_at = now()
	WHERE NOT (` + strings.ReplaceAll(same, "n.", "excluded.") + `)
	RETURNING xmax = 0 AS inserted
) SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written`

func (l *loading) loadRows(ctx context.Context) error {
	if len(l.in.Rows) == 0 {
		return nil
	}
	if _, err := l.tx.Exec(ctx, tempTable); err != nil {
		return err
	}
	if _, err := l.tx.CopyFrom(ctx, pgx.Identifier{"load_rows"}, loadColumns, &rowSource{rows: l.in.Rows, generation: int32(l.in.Generation)}); err != nil {
		return err
	}
	// In a rescan a row that is still right gets the new generation and counts as
	// unchanged.
	if _, err := l.tx.Exec(ctx, `UPDATE covid_cases c SET generation = n.generation FROM load_rows n
		WHERE c.key = n.key AND c.generation <> n.generation AND `+same+`
		AND (SELECT swept < generation FROM etl_state)`); err != nil {
		return err
	}
	if err := l.tx.QueryRow(ctx, upsert).Scan(&l.counts.Inserted, &l.counts.Updated); err != nil {
		return err
	}
	l.counts.Unchanged = int64(len(l.in.Rows)) - l.counts.Inserted - l.counts.Updated
	l.rows += l.counts.Inserted
	good, err := l.tx.Exec(ctx, "DELETE FROM covid_rejects r USING load_rows n WHERE r.key = n.key")
	if err != nil {
		return err
	}
	l.rejects -= good.RowsAffected()
	return nil
}

// loadRejects moves the keys of bad versions to the rejects, with the last good
// values of those that had any.
func (l *loading) loadRejects(ctx context.Context) error {
	if len(l.in.Rejects) == 0 {
		return nil
	}
	n := len(l.in.Rejects)
	keys, documents := make([]pgtype.UUID, n), make([][]byte, n)
	reasons, dates, sources := make([]string, n), make([]string, n), make([]string, n)
	releases, rows := make([]int32, n), make([]int64, n)
	for i, r := range l.in.Rejects {
		keys[i], documents[i] = uuidOf(r.Key), r.Document
		reasons[i], dates[i], sources[i] = r.Reason, r.Date, r.Source
		releases[i], rows[i] = int32(r.Release), r.Row
	}
	var moved, added int64
	err := l.tx.QueryRow(ctx, `WITH bad AS (
			SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[])
				AS b (key, document, reason, date, source, release, row)
		), moved AS (
			DELETE FROM covid_cases c USING bad WHERE c.key = bad.key RETURNING c.key, to_jsonb(c) AS last_good
		), written AS (
			INSERT INTO covid_rejects AS r (key, document, reason, date, source, release, row, generation, last_good)
			SELECT bad.*, $8, moved.last_good FROM bad LEFT JOIN moved USING (key)
			ON CONFLICT (key) DO UPDATE SET document = excluded.document, reason = excluded.reason, date = excluded.date,
				source = excluded.source, release = excluded.release, row = excluded.row, generation = excluded.generation,
				last_good = coalesce(excluded.last_good, r.last_good), rejected_at = now()
			RETURNING xmax = 0 AS added
		) SELECT (SELECT count(*) FROM moved), count(*) FILTER (WHERE added) FROM written`,
		keys, documents, reasons, dates, sources, releases, rows, l.in.Generation).Scan(&moved, &added)
	if err != nil {
		return err
	}
	l.counts.MovedToRejects, l.counts.Rejected = moved, int64(n)-moved
	l.rows -= moved
	l.rejects += added
	return nil
}

// retire removes the keys that their source no longer has.
func (l *loading) retire(ctx context.Context) error {
	if len(l.in.Retired) == 0 {
		return nil
	}
	keys := make([]pgtype.UUID, len(l.in.Retired))
	for i, k := range l.in.Retired {
		keys[i] = uuidOf(k)
	}
	rows, err := l.tx.Exec(ctx, "DELETE FROM covid_cases WHERE key = ANY($1)", keys)
	if err != nil {
		return err
	}
	rejects, err := l.tx.Exec(ctx, "DELETE FROM covid_rejects WHERE key = ANY($1)", keys)
	if err != nil {
		return err
	}
	l.counts.Retired = int64(len(l.in.Retired))
	l.rows -= rows.RowsAffected()
	l.rejects -= rejects.RowsAffected()
	return nil
}

// record writes the window into the ledger, drops its stages and keeps the
// totals. Every shard's load changes the one row of totals: it does so last.
func (l *loading) record(ctx context.Context) error {
	l.counts.Extracted = int64(len(l.in.Rows) + len(l.in.Rejects) + len(l.in.Retired))
	c := l.counts
	if c.Extracted != c.Inserted+c.Updated+c.Unchanged+c.MovedToRejects+c.Rejected+c.Retired {
		return fmt.Errorf("the window's counts do not add up: %+v", c)
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO etl_window (generation, shard, from_seq, to_seq, run, counts, last_id, last_version, last_seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		l.in.Generation, l.in.Shard, l.in.From, l.in.To, l.in.Run, c, l.in.Last.ID, l.in.Last.Version, l.in.Last.SeqNo)
	batch.Queue("DELETE FROM etl_stage WHERE run = $1 AND shard = $2 AND from_seq = $3", l.in.Run, l.in.Shard, l.in.From)
	batch.Queue("UPDATE etl_state SET rows = rows + $2, rejects = rejects + $3 WHERE raw_index = $1", l.in.RawIndex, l.rows, l.rejects)
	return l.tx.SendBatch(ctx, batch).Close()
}

func uuidOf(k covid.Key) pgtype.UUID { return pgtype.UUID{Bytes: k, Valid: true} }

// rowSource gives rows to COPY. Values are reused from row to row.
type rowSource struct {
	rows       []covid.Row
	generation int32
	at         int
	values     [18]any
}

func (s *rowSource) Next() bool {
	s.at++
	return s.at <= len(s.rows)
}

func (s *rowSource) Err() error { return nil }

func (s *rowSource) Values() ([]any, error) {
	r := &s.rows[s.at-1]
	s.values = [18]any{
		uuidOf(r.Key), pgtype.Date{Time: r.Date.Time(), Valid: true}, text(r.State), text(r.County),
		count(r.NewCases), count(r.NewDeaths), count(r.TotalCases), count(r.TotalDeaths), r.Country,
		text(r.Alpha2), text(r.Alpha3), text(r.FIPS), text(r.Continent), text(r.DataSource), r.Source,
		int32(r.Release), r.Row, s.generation,
	}
	return s.values[:], nil
}

func text(s string) pgtype.Text       { return pgtype.Text{String: s, Valid: s != ""} }
func count(c covid.Count) pgtype.Int4 { return pgtype.Int4{Int32: c.N, Valid: c.Known} }
