package dashboards_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"covidpipeline/dashboards"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"

	"github.com/jackc/pgx/v5"
)

// record is a row of the warehouse as far as the cards can see it. Empty text
// and nil counts are unknown.
type record struct {
	key                          [16]byte
	date                         time.Time
	country, state, county, fips string
	newCases, newDeaths          *int32
	uncounted                    bool // the place never has counts
}

// records are more than the overview shows, with much that is equal or unknown:
// counties of one name in several states, countries without states, a county
// without a state, totals that tie, and names whose order depends on the
// collation.
func records() []record {
	places := []record{
		{country: "United States", state: "New York", county: "Washington", fips: "36115"},
		{country: "United States", state: "Ohio", county: "Washington", fips: "39167"},
		{country: "United States", state: "Ohio", county: "Unknown"},
		{country: "United States", state: "New York", county: "Unknown"},
		{country: "United States", state: "New Mexico", county: "Doña Ana", fips: "35013"},
		{country: "United States", state: "New Mexico", county: "De Baca", fips: "35011"},
		{country: "United States", state: "New Mexico", county: "Dona Ana", fips: "35013"},
		{country: "United States", state: "New Mexico", county: "Doña Ana"},
		{country: "United States", state: "New Mexico", county: "d'Aragon"},
		{country: "United States", state: "Guam"},
		{country: "United States", state: "Puerto Rico", county: "never", fips: "72001", uncounted: true},
		{country: "United States", state: "Puerto Rico", county: "Never too", fips: "72003", uncounted: true},
		{country: "Netherlands", state: "de Oost", county: "never", uncounted: true},
		{country: "Korea, North"},
		{country: "Namibia"},
		{country: "eSwatini"},
		{country: "Nowhere", county: "Without State"},
	}
	random := rand.New(rand.NewPCG(1, 2))
	count := func() *int32 {
		if random.IntN(4) == 0 {
			return nil
		}
		n := random.Int32N(7) - 2
		return &n
	}
	var all []record
	for i := range 6500 {
		r := places[i%len(places)]
		r.date = time.Date(2022, 4, 29-random.IntN(9), 0, 0, 0, 0, time.UTC)
		if !r.uncounted {
			r.newCases, r.newDeaths = count(), count()
		}
		digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		copy(r.key[:], digest[:])
		all = append(all, r)
	}
	return all
}

func insert(t *testing.T, url string, all []record) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	// The order of the cards must not hang on a database's collation.
	for _, column := range []string{"country", "state", "county", "fips"} {
		if _, err := conn.Exec(t.Context(), `ALTER TABLE covid_cases ALTER `+column+` TYPE text COLLATE "und-x-icu"`); err != nil {
			t.Fatal(err)
		}
	}
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"covid_cases"},
		[]string{"key", "date", "country", "state", "county", "fips", "new_cases", "new_deaths",
			"source", "release", "row", "generation", "loaded_at"},
		pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
			r := &all[i]
			return []any{r.key, r.date, r.country, text(r.state), text(r.county), text(r.fips), r.newCases, r.newDeaths,
				"/data/activity.csv", 1, i + 1, 1, time.Now()}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
}

// migrated gives a fresh warehouse and its URL.
func migrated(t *testing.T) (*warehouse.DB, string) {
	t.Helper()
	url := testenv.Postgres(t)
	if _, _, err := warehouse.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := warehouse.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, url
}

// run gives a card's rows, one line of text each.
func run(t *testing.T, db *warehouse.DB, c dashboards.Card) []string {
	t.Helper()
	columns, rows, err := db.Query(t.Context(), c.SQL)
	if err != nil {
		t.Fatalf("%s: %v", c.Title, err)
	}
	if !slices.Equal(columns, c.Columns) {
		t.Errorf("%s: columns %q, want %q", c.Title, columns, c.Columns)
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		for j, value := range row {
			if day, ok := value.(time.Time); ok {
				row[j] = day.Format(time.DateOnly)
			}
		}
		lines[i] = line(row...)
	}
	return lines
}

// line is a row as text; nil is an unknown value.
func line(values ...any) string { return fmt.Sprintf("%v", values) }

// Each card gives what is computed from the records without SQL.
func TestCards(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	all := records()
	insert(t, url, all)
	want := map[string][]string{
		"total_records":   {line(len(all))},
		"latest_record":   {line("2022-04-29")},
		"overview":        overview(all),
		"cases_by_county": casesByCounty(all),
		"deaths_by_state": deathsByState(all),
	}
	for _, c := range dashboards.Cards() {
		got := run(t, db, c)
		if len(got) != len(want[c.Name]) || len(got) == 0 {
			t.Errorf("%s: %d rows, want %d", c.Title, len(got), len(want[c.Name]))
			continue
		}
		for i := range got {
			if got[i] != want[c.Name][i] {
				t.Errorf("%s: row %d is %s, want %s", c.Title, i, got[i], want[c.Name][i])
				break
			}
		}
	}
}

func TestCardsOfAnEmptyWarehouse(t *testing.T) {
	t.Parallel()
	db, _ := migrated(t)
	for _, c := range dashboards.Cards() {
		var want []string
		switch c.Name {
		case "total_records":
			want = []string{line(0)}
		case "latest_record":
			want = []string{line(nil)}
		}
		if got := run(t, db, c); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.Title, got, want)
		}
	}
}

func overview(all []record) []string {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b record) int {
		return cmp.Or(b.date.Compare(a.date), emptyLast(a.state, b.state), emptyLast(a.county, b.county),
			cmp.Compare(a.country, b.country), emptyLast(a.fips, b.fips), slices.Compare(a.key[:], b.key[:]))
	})
	var lines []string
	for _, r := range sorted[:2000] {
		lines = append(lines, line(r.date.Format(time.DateOnly), known(r.state), known(r.county), value(r.newCases), value(r.newDeaths)))
	}
	return lines
}

// place is a county, or with the county empty a state.
type place struct{ county, state string }

func casesByCounty(all []record) []string {
	sums := sumsBy(all, func(r record) (place, *int32) { return place{r.county, r.state}, r.newCases })
	var lines []string
	for _, s := range sums {
		if s.county != "" {
			lines = append(lines, line(s.county, known(s.state), s.value()))
		}
	}
	return lines
}

func deathsByState(all []record) []string {
	sums := sumsBy(all, func(r record) (place, *int32) { return place{state: r.state}, r.newDeaths })
	var lines []string
	for _, s := range sums {
		if s.state != "" {
			lines = append(lines, line(s.state, s.value()))
		}
	}
	return lines
}

type sum struct {
	place
	n       int64
	counted bool
}

func (s sum) value() any {
	if !s.counted {
		return nil
	}
	return s.n
}

// sumsBy adds up the known counts of each place, highest first.
func sumsBy(all []record, of func(record) (place, *int32)) []sum {
	totals := map[place]*sum{}
	for _, r := range all {
		p, n := of(r)
		if totals[p] == nil {
			totals[p] = &sum{place: p}
		}
		if n != nil {
			totals[p].n += int64(*n)
			totals[p].counted = true
		}
	}
	var sums []sum
	for _, s := range totals {
		sums = append(sums, *s)
	}
	slices.SortFunc(sums, func(a, b sum) int {
		if a.counted != b.counted {
			if a.counted {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.n, a.n), emptyLast(a.state, b.state), emptyLast(a.county, b.county))
	})
	return sums
}

func emptyLast(a, b string) int {
	if (a == "") != (b == "") {
		if a == "" {
			return 1
		}
		return -1
	}
	return cmp.Compare(a, b)
}

func known(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func value(n *int32) any {
	if n == nil {
		return nil
	}
	return *n
}
