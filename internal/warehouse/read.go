package warehouse

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
)

// ScanRows gives every row of the warehouse, in no order, in flat memory. The
// row belongs to ScanRows and is overwritten by the next; its strings stay.
func (db *DB) ScanRows(ctx context.Context, each func(*covid.Row) error) error {
	var decoder rowDecoder
	err := db.scan(ctx, "SELECT "+columnList+" FROM covid_cases", func(rows pgx.Rows) error {
		row, err := decoder.decode(rows.RawValues())
		if err != nil {
			return err
		}
		return each(row)
	})
	if err != nil {
		return fmt.Errorf("read the rows: %w", explain(err))
	}
	return nil
}

// ScanRejects gives every reject, in no order, in flat memory. The reject and its
// document belong to ScanRejects and are overwritten by the next.
func (db *DB) ScanRejects(ctx context.Context, each func(*Reject) error) error {
	var r Reject
	err := db.scan(ctx, "SELECT key, source, release, row, date, reason, document FROM covid_rejects", func(rows pgx.Rows) error {
		err := rows.Scan((*[16]byte)(&r.Key), &r.Source, &r.Release, &r.Row, &r.Date, &r.Reason, &r.Document)
		if err != nil {
			return err
		}
		return each(&r)
	})
	if err != nil {
		return fmt.Errorf("read the rejects: %w", explain(err))
	}
	return nil
}

// scan streams the result of a statement.
func (db *DB) scan(ctx context.Context, sql string, each func(pgx.Rows) error) error {
	// When each fails, the connection is cut: pgx would read the rest of the
	// result before it could be used again.
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	rows, err := db.pool.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			cut()
			return err
		}
	}
	return rows.Err()
}

// rowDecoder decodes rows of rowColumns from PostgreSQL's binary form. It keeps
// each text once: names repeat in millions of rows.
type rowDecoder struct {
	row   covid.Row
	texts map[string]string
	err   error
}

// maxTexts is how many texts a rowDecoder keeps before it forgets them.
const maxTexts = 50_000

func (d *rowDecoder) decode(values [][]byte) (*covid.Row, error) {
	r := &d.row
	if len(values) != len(rowColumns) {
		return nil, fmt.Errorf("a row has %d columns", len(values))
	}
	copy(r.Key[:], d.fixed(values[0], len(r.Key)))
	r.Date = covid.Date(int32(binary.BigEndian.Uint32(d.fixed(values[1], 4)))) + postgresEpoch
	r.State, r.County = d.text(values[2]), d.text(values[3])
	for i, c := range [...]*covid.Count{&r.NewCases, &r.NewDeaths, &r.TotalCases, &r.TotalDeaths} {
		*c = d.count(values[4+i])
	}
	for i, s := range [...]*string{&r.Country, &r.Alpha2, &r.Alpha3, &r.FIPS, &r.Continent, &r.DataSource, &r.Source} {
		*s = d.text(values[8+i])
	}
	r.Release = int64(int32(binary.BigEndian.Uint32(d.fixed(values[15], 4))))
	r.Row = int64(binary.BigEndian.Uint64(d.fixed(values[16], 8)))
	return r, d.err
}

// fixed checks the length of a value; zeros stand in for a wrong one.
func (d *rowDecoder) fixed(value []byte, length int) []byte {
	if len(value) != length {
		d.err = fmt.Errorf("a value has %d bytes in place of %d", len(value), length)
		return make([]byte, length)
	}
	return value
}

func (d *rowDecoder) count(value []byte) covid.Count {
	if value == nil {
		return covid.Count{}
	}
	return covid.Count{N: int32(binary.BigEndian.Uint32(d.fixed(value, 4))), Known: true}
}

func (d *rowDecoder) text(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	if s, ok := d.texts[string(value)]; ok {
		return s
	}
	if d.texts == nil || len(d.texts) >= maxTexts {
		d.texts = map[string]string{}
	}
	s := string(value)
	d.texts[s] = s
	return s
}
