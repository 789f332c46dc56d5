package warehouse_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

// group is what a row of a summary stands for: a day and a state, or a month, a
// place.
type group struct{ day, country, state, county, fips string }

// sums are a row of a summary.
type sums struct{ records, cases, knownCases, deaths, knownDeaths int64 }

// compareSums compares the summaries with the sums of the model's rows: while a
// first load is at its first run, of those that were there before it, which are none.
func (m *model) compareSums(t tester, db *warehouse.DB) {
	t.Helper()
	if m.summed {
		m.shown = maps.Clone(m.want.rows)
	}
	daily, monthly := map[group]sums{}, map[group]sums{}
	for _, r := range m.shown {
		day := group{day: r.Date.String(), state: r.State}
		if r.State != "" {
			day.country = r.Country
		}
		add(daily, day, r)
		add(monthly, group{r.Date.String()[:7] + "-01", r.Country, r.State, r.County, r.FIPS}, r)
	}
	for g, s := range monthly {
		s.deaths, s.knownDeaths = 0, 0
		monthly[g] = s
	}
	compareSummary(t, db, "SELECT date::text, country, state, '', '', records, new_cases, known_cases, new_deaths, known_deaths FROM covid_daily", daily)
	compareSummary(t, db, "SELECT month::text, country, state, county, fips, records, new_cases, known_cases, 0::bigint, 0::bigint FROM covid_monthly", monthly)
	if made, wrong := wrongSums(t, db); made != m.summed || len(wrong) > 0 {
		t.Errorf("made %t, want %t; wrong %q", made, m.summed, wrong)
	}
}

func sum(t tester, db *warehouse.DB, generation int) {
	t.Helper()
	if err := db.Sum(t.Context(), index, generation); err != nil {
		t.Fatal(err)
	}
}

func add(summary map[group]sums, g group, r covid.Row) {
	s := summary[g]
	s.records++
	if r.NewCases.Known {
		s.cases, s.knownCases = s.cases+int64(r.NewCases.N), s.knownCases+1
	}
	if r.NewDeaths.Known {
		s.deaths, s.knownDeaths = s.deaths+int64(r.NewDeaths.N), s.knownDeaths+1
	}
	summary[g] = s
}

func compareSummary(t tester, db *warehouse.DB, sql string, want map[group]sums) {
	t.Helper()
	_, rows, err := db.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	got := map[group]sums{}
	for _, r := range rows {
		text := func(i int) string { s, _ := r[i].(string); return s }
		g := group{text(0), text(1), text(2), text(3), text(4)}
		if _, twice := got[g]; twice {
			t.Fatalf("%+v is there twice", g)
		}
		got[g] = sums{r[5].(int64), r[6].(int64), r[7].(int64), r[8].(int64), r[9].(int64)}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%s\n%+v\nwant\n%+v", sql, got, want)
	}
}

// differences counts the rows of the summaries that are not the sums of the
// table, and the sums that are no row.
const differences = `WITH daily AS (
	SELECT date, state, CASE WHEN state IS NOT NULL THEN country END AS country, count(*) AS records, coalesce(sum(new_cases), 0) AS new_cases,
		count(new_cases) AS known_cases, coalesce(sum(new_deaths), 0) AS new_deaths, count(new_deaths) AS known_deaths
	FROM covid_cases GROUP BY 1, 2, 3
), monthly AS (
	SELECT date_trunc('month', date::timestamp)::date AS month, country, state, county, fips, count(*) AS records, coalesce(sum(new_cases), 0) AS new_cases,
		count(new_cases) AS known_cases FROM covid_cases GROUP BY 1, 2, 3, 4, 5
), kept_daily AS (SELECT date, state, country, records, new_cases, known_cases, new_deaths, known_deaths FROM covid_daily),
kept_monthly AS (SELECT month, country, state, county, fips, records, new_cases, known_cases FROM covid_monthly)
SELECT (SELECT count(*) FROM ((TABLE daily EXCEPT ALL TABLE kept_daily) UNION ALL (TABLE kept_daily EXCEPT ALL TABLE daily)) d)
	+ (SELECT count(*) FROM ((TABLE monthly EXCEPT ALL TABLE kept_monthly) UNION ALL (TABLE kept_monthly EXCEPT ALL TABLE monthly)) m)
	+ (SELECT count(*) FROM ((SELECT * FROM covid_daily_now() EXCEPT ALL TABLE covid_daily) UNION ALL (TABLE covid_daily EXCEPT ALL SELECT * FROM covid_daily_now())) d)
	+ (SELECT count(*) FROM ((SELECT * FROM covid_monthly_now() EXCEPT ALL TABLE covid_monthly) UNION ALL (TABLE covid_monthly EXCEPT ALL SELECT * FROM covid_monthly_now())) m)`

// Shards that load the same days, states and counties at once neither wait for
// each other for ever nor lose a sum.
func TestSumsOfShardsSideBySide(t *testing.T) {
	t.Parallel()
	const shards, windows = 4, 12
	db, url := started(t, shards)
	sum(t, db, 1)
	var all sync.WaitGroup
	for shard := range shards {
		all.Go(func() {
			for n := range windows {
				in := window(int64(n)-1, int64(n))
				in.Shard = shard
				for i := range 60 {
					// Windows change the rows of the window before, refuse some, retire some.
					r := row(shard*1000+(n/2)*60+i, int32(n))
					r.Date, r.State = covid.Date(18300+(i*7+shard)%40), fmt.Sprint("State ", (i*5+n)%3)
					r.County = strings.Repeat("long ", (i%2)*300) + fmt.Sprint("County ", i%4)
					switch (i + n) % 7 {
					case 5:
						bad := reject(0, "bad")
						bad.Key = r.Key
						in.Rejects = append(in.Rejects, bad)
					case 6:
						in.Retired = append(in.Retired, r.Key)
					default:
						in.Rows = append(in.Rows, r)
					}
				}
				if _, err := db.Load(t.Context(), in); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := value[int64](t, url, differences); n != 0 {
		t.Errorf("%d sums differ from the rows", n)
	}
	if n := value[int64](t, url, "SELECT count(*) FROM covid_daily"); n == 0 {
		t.Error("there are no sums")
	}
}

// The lowest count that a row can hold can be taken out of the sums again.
func TestSumsOfExtremes(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	sum(t, db, 1)
	low, high := row(1, math.MinInt32), row(2, math.MaxInt32)
	low.NewDeaths.N, high.NewDeaths.N = math.MinInt32, math.MaxInt32
	load(t, db, window(-1, 0, low, high))
	for i := range int32(2) { // once changed, once gone
		low.NewCases.N += i
		in := window(int64(i), int64(i)+1, low)
		if i == 1 {
			in.Rows, in.Retired = nil, []covid.Key{key(1)}
		}
		load(t, db, in)
		if n := value[int64](t, url, differences); n != 0 {
			t.Errorf("%d sums differ from the rows", n)
		}
	}
	load(t, db, window(2, 3, row(2, 0)))
	if n := value[int64](t, url, differences); n != 0 {
		t.Errorf("%d sums differ from the rows", n)
	}
}

// The sums of a generation that is no longer the newest are nobody's to make.
func TestSumOvertaken(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	if err := db.Sum(t.Context(), index, 1); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("an empty warehouse: %v", err)
	}
	begin(t, db, 0, 1)
	begin(t, db, 1, 1)
	if err := db.Sum(t.Context(), index, 1); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("an older generation: %v", err)
	}
	if err := db.Sum(t.Context(), "other", 2); !errors.Is(err, warehouse.ErrOtherIndex) {
		t.Errorf("another index: %v", err)
	}
	sum(t, db, 2)
	sum(t, db, 2)
}

const hasIndex = "SELECT to_regclass('covid_cases_day') IS NOT NULL"

// The index of days comes with the sums, and again when somebody has removed it; the
// longest names fit into it.
func TestIndexOfDays(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	long := row(1, 1)
	long.State, long.County = noise(1), noise(2)
	load(t, db, window(-1, 0, long))
	if value[bool](t, url, hasIndex) {
		t.Error("the first load keeps the index")
	}
	sum(t, db, 1)
	if !value[bool](t, url, hasIndex) {
		t.Error("the end of the first load made no index")
	}
	execute(t, url, "DROP INDEX covid_cases_day")
	sum(t, db, 1)
	if !value[bool](t, url, hasIndex) {
		t.Error("the index was not made again")
	}
	long = row(2, 1)
	long.State, long.County = noise(3), noise(4)
	load(t, db, window(0, 1, long))
}

// noise gives the longest name, which cannot be compressed.
func noise(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, covid.MaxKeyField)
	for i := range b {
		b[i] = byte(random.IntN(94) + 33)
	}
	return string(b)
}

// sumMigrations are the migrations that make the sums, the newest first.
var sumMigrations = []string{"00006_places.sql", "00004_days.sql", "00003_summaries.sql"}

// down takes the newest of the migrations of the sums back, and returns what makes
// them again, in its order.
func down(t *testing.T, url string, newest int) (ups []string) {
	t.Helper()
	for _, name := range sumMigrations[:newest] {
		migration, err := os.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		up, down, _ := strings.Cut(string(migration), "-- +goose Down")
		execute(t, url, down)
		ups = append([]string{up}, ups...)
	}
	return ups
}

// A warehouse of any version before, with rows, gets the sums of its rows.
func TestSumsOfAnOlderWarehouse(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	sum(t, db, 1)
	rows := windowRows(0)[:500]
	for i := range 40 { // of two countries, without a county, without a state, a day twice
		r := &rows[i]
		r.Date = rows[i%10].Date
		switch i / 10 {
		case 1:
			r.Country = "Mexico"
		case 2:
			r.County, r.FIPS = "", ""
		case 3:
			r.County, r.State, r.FIPS, r.Country = "", "", "", "Peru"
		}
	}
	rows[0].FIPS, rows[40].FIPS, rows[40].Date, rows[40].County = "", "00000", rows[0].Date, rows[0].County
	load(t, db, window(-1, 5, rows...))
	const repeated = "SELECT coalesce(sum(days), 0)::bigint FROM covid_repeats"
	if n := value[int64](t, url, repeated); n != 0 {
		t.Errorf("%d days stand more than once before the end of a run", n)
	}
	for newest := 1; newest <= len(sumMigrations); newest++ {
		for _, up := range down(t, url, newest) {
			execute(t, url, up)
		}
		if n := value[int64](t, url, differences); n != 0 {
			t.Errorf("%d sums differ from the rows", n)
		}
		if n := value[int64](t, url, repeated); n != 1 {
			t.Errorf("%d days stand more than once", n)
		}
		if !value[bool](t, url, "SELECT summed FROM etl_state") {
			t.Error("the loads after it would not keep the sums")
		}
		if !value[bool](t, url, hasIndex) {
			t.Error("the index of days is not there")
		}
	}
	rows[3].NewCases.N++
	load(t, db, window(5, 6, rows[3]))
	if n := value[int64](t, url, differences); n != 0 {
		t.Errorf("a load after it leaves %d sums that differ from the rows", n)
	}
	execute(t, url, "TRUNCATE covid_cases")
	if n := value[int64](t, url, "SELECT count(*) FROM covid_daily") + value[int64](t, url, "SELECT count(*) FROM covid_monthly") + value[int64](t, url, repeated); n != 0 {
		t.Errorf("an emptied table has %d sums", n)
	}
}

// A warehouse whose first load has not ended keeps no sums after the migration
// either, and gets them at the end of that load.
func TestMigrationWithinTheFirstLoad(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	load(t, db, window(-1, 5, windowRows(0)[:50]...))
	for _, up := range down(t, url, 1) {
		execute(t, url, up)
	}
	if value[bool](t, url, "SELECT summed FROM etl_state") || value[int64](t, url, "SELECT count(*) FROM covid_daily") != 0 {
		t.Error("the migration made the sums")
	}
	sum(t, db, 1)
	if n := value[int64](t, url, differences); n != 0 {
		t.Errorf("%d sums differ from the rows", n)
	}
}
