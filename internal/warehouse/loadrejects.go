package warehouse

import (
	"context"
	"fmt"
	"strings"

	"covidpipeline/internal/covid"
)

// moveRows moves the keys of bad versions to the rejects, with the last good
// values of those that had any.
const moveRows = `WITH bad AS (
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
	RETURNING xmax = 0 AS added -- 0 in a row that is new
) SELECT (SELECT count(*) FROM moved), count(*) FILTER (WHERE added) FROM written`

// chunkBytes is how many bytes of documents a statement carries: pgx holds all of its
// arguments, encoded, beside the documents themselves.
const chunkBytes = 1 << 20

func (l *loading) loadRejects(ctx context.Context) error {
	for left := l.in.Rejects; len(left) > 0; {
		n, bytes := 0, 0
		for n < len(left) && (n == 0 || bytes+len(left[n].Document) <= chunkBytes) {
			bytes += len(left[n].Document)
			n++
		}
		if err := l.loadChunk(ctx, left[:n]); err != nil {
			return err
		}
		left = left[n:]
	}
	return nil
}

func (l *loading) loadChunk(ctx context.Context, rejects []Reject) error {
	n := len(rejects)
	keys, documents := make([][16]byte, n), make([][]byte, n)
	reasons, dates, sources := make([]string, n), make([]string, n), make([]string, n)
	releases, rows := make([]int32, n), make([]int64, n)
	for i, r := range rejects {
		keys[i], documents[i] = r.Key, r.Document
		reasons[i], dates[i], sources[i] = storable(r.Reason), storable(r.Date), storable(r.Source)
		releases[i], rows[i] = releaseOf(&r), r.Row
	}
	var moved, added int64
	err := l.tx.QueryRow(ctx, moveRows, keys, documents, reasons, dates, sources, releases, rows, l.in.Generation).Scan(&moved, &added)
	if err != nil {
		return err
	}
	l.counts.MovedToRejects += moved
	l.counts.Rejected += int64(n) - moved
	l.rows -= moved
	l.rejects += added
	return nil
}

// releaseOf returns the release of a reject, or 0 when it is none: a document that
// was changed past the pipeline may say anything.
func releaseOf(r *Reject) int32 {
	if r.Release < 0 || r.Release > covid.MaxRelease {
		return 0
	}
	return int32(r.Release)
}

// storable replaces what a text of PostgreSQL cannot hold. The document keeps
// what stood there.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// CountRejects counts the rejects whose reason begins with the text.
func (db *DB) CountRejects(ctx context.Context, reason string) (n int64, err error) {
	err = db.pool.QueryRow(ctx, "SELECT count(*) FROM covid_rejects WHERE starts_with(reason, $1)", reason).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count rejects: %w", explain(err))
	}
	return n, nil
}

// retire removes the keys that their source no longer has.
func (l *loading) retire(ctx context.Context) error {
	if len(l.in.Retired) == 0 {
		return nil
	}
	keys := make([][16]byte, len(l.in.Retired))
	for i, k := range l.in.Retired {
		keys[i] = k
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
