package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
)

// Reject is a sound record whose values the transform refused.
type Reject struct {
	Key          covid.Key
	Source       string
	Release, Row int64
	Date         string // REPORT_DATE as it stood
	Reason       string
	Document     []byte // the raw document's _source
}

// LoadInput is one window, ready to load. A key occurs in it once.
type LoadInput struct {
	RawIndex   string
	Run        int64
	Generation int
	Shard      int
	From, To   int64 // the window is (From, To]
	Rows       []covid.Row
	Rejects    []Reject
	Retired    []covid.Key
	Last       Anchor // the window's last document; zero when it has none
}

// LoadCounts says what became of a window's documents:
// Extracted = Inserted + Updated + Unchanged + MovedToRejects + Rejected + Retired.
type LoadCounts struct {
	Extracted      int64 `json:"extracted"`
	Inserted       int64 `json:"inserted"`
	Updated        int64 `json:"updated"`   // values differed
	Unchanged      int64 `json:"unchanged"` // same values
	MovedToRejects int64 `json:"movedToRejects"`
	Rejected       int64 `json:"rejected"` // without a row to move
	Retired        int64 `json:"retired"`
}

// Add adds the counts of another window.
func (c *LoadCounts) Add(o LoadCounts) {
	c.Extracted += o.Extracted
	c.Inserted += o.Inserted
	c.Updated += o.Updated
	c.Unchanged += o.Unchanged
	c.MovedToRejects += o.MovedToRejects
	c.Rejected += o.Rejected
	c.Retired += o.Retired
}

// Load writes a window and moves its shard's checkpoint from From to To, in one
// transaction. A window that is already loaded gives its stored counts;
// ErrOvertaken when the checkpoint is elsewhere.
func (db *DB) Load(ctx context.Context, in LoadInput) (counts LoadCounts, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		l := loading{tx: tx, in: in}
		counts, err = l.load(ctx)
		return err
	})
	if err != nil {
		return LoadCounts{}, fmt.Errorf("load shard %d (%d, %d]: %w", in.Shard, in.From, in.To, explain(err))
	}
	return counts, nil
}

// Loaded looks a window up in the ledger: the counts of an attempt that had
// committed it but whose answer was lost. Of in it reads Generation, Shard, From
// and To.
func (db *DB) Loaded(ctx context.Context, in LoadInput) (counts LoadCounts, loaded bool, err error) {
	counts, loaded, err = inLedger(ctx, db.pool, in)
	if err != nil {
		return counts, false, fmt.Errorf("look a window up: %w", explain(err))
	}
	return counts, loaded, nil
}

func inLedger(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, in LoadInput) (counts LoadCounts, loaded bool, err error) {
	err = q.QueryRow(ctx, "SELECT counts FROM etl_window WHERE generation = $1 AND shard = $2 AND from_seq = $3 AND to_seq = $4",
		in.Generation, in.Shard, in.From, in.To).Scan(&counts)
	if errors.Is(err, pgx.ErrNoRows) {
		return counts, false, nil
	}
	return counts, err == nil, err
}

// loading is one load's transaction.
type loading struct {
	tx            pgx.Tx
	in            LoadInput
	counts        LoadCounts
	rows, rejects int64 // more or fewer in the tables
}

func (l *loading) load(ctx context.Context) (LoadCounts, error) {
	// The checkpoint's row is locked from here on: a late attempt or another run
	// that loads the same window waits, and then finds it moved.
	tag, err := l.tx.Exec(ctx, "UPDATE etl_checkpoint SET last_seq = $4 WHERE shard = $1 AND generation = $2 AND last_seq = $3",
		l.in.Shard, l.in.Generation, l.in.From, l.in.To)
	if err != nil {
		return LoadCounts{}, err
	}
	if tag.RowsAffected() == 0 {
		counts, loaded, err := inLedger(ctx, l.tx, l.in)
		if err == nil && !loaded {
			err = ErrOvertaken
		}
		return counts, err
	}
	for _, step := range []func(context.Context) error{l.loadRows, l.loadRejects, l.retire, l.record} {
		if err := step(ctx); err != nil {
			return LoadCounts{}, err
		}
	}
	return l.counts, nil
}

// loadColumns are the columns that a load writes, in the order of rowValues.
var loadColumns = []string{"key", "date", "state", "county", "new_cases", "new_deaths", "total_cases", "total_deaths", "country",
	"alpha2", "alpha3", "fips", "continent", "data_source", "source", "release", "row", "generation"}

const (
	tempTable = `CREATE TEMP TABLE IF NOT EXISTS load_rows (key uuid, date date, state text, county text, new_cases integer,
		new_deaths integer, total_cases integer, total_deaths integer, country text, alpha2 text, alpha3 text, fips text,
		continent text, data_source text, source text, release integer, row bigint, generation integer) ON COMMIT DELETE ROWS`

	columns = `key, date, state, county, new_cases, new_deaths, total_cases, total_deaths, country, alpha2, alpha3, fips,
		continent, data_source, source, release, row, generation`

	// same compares the values of a row c with those of a new one n. Where the row
	// came from is no value: a new release of the same values writes nothing.
	same = `(c.date, c.state, c.county, c.new_cases, c.new_deaths, c.total_cases, c.total_deaths, c.country, c.alpha2, c.alpha3,
		c.fips, c.continent, c.data_source) IS NOT DISTINCT FROM (n.date, n.state, n.county, n.new_cases, n.new_deaths, n.total_cases,
		n.total_deaths, n.country, n.alpha2, n.alpha3, n.fips, n.continent, n.data_source)`
)
