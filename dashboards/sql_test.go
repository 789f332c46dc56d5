package dashboards_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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
		{country: "United States", state: "Missouri", county: "St. Louis city", fips: "29510"},
		{country: "United States", state: "Missouri", county: "St. Louis City", fips: "29510"},
		{country: "United States", state: "Missouri", county: "St. Louis", fips: "29189"},
		{country: "United States", state: "Missouri", county: "joplin"},
		{country: "United States", state: "Missouri", county: "Joplin", fips: "29997"},
		{country: "United States", state: "Ohio", county: "unknown", fips: "39999"},
		{country: "United States", state: "Alaska", county: "Lake and Peninsula", fips: "02164"},
		{country: "United States", state: "Alaska", county: "Lake and Peninsula", fips: "02997"},
		{country: "United States", state: "Alaska", county: "Lake And Peninsula"},
		{country: "United States", state: "Alaska", county: "Elsewhere", fips: "39167"}, // a FIPS of Ohio
		{country: "Brazil", state: "Amazonas"},
		{country: "Peru", state: "Amazonas", county: "Lima"},
		{country: "Colombia", state: "Amazonas", county: "Lima"},
		{country: "Colombia", state: "Amazonas", county: "Lima", fips: "123"},
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
		// April is whole, but for the first of May and the last days of March.
		r.date = day(2022, 3, 29+random.IntN(34))
		if r.county == "d'Aragon" {
			r.date = day(2022, 4, 1) // a county of one day
		}
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
	for _, column := range []string{"cases.country", "cases.state", "cases.county", "cases.fips", "daily.country", "daily.state", "monthly.country", "monthly.state", "monthly.county"} {
		table, column, _ := strings.Cut(column, ".")
		if _, err := conn.Exec(t.Context(), "ALTER TABLE covid_"+table+" ALTER "+column+` TYPE text COLLATE "und-x-icu"`); err != nil {
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

// migrated gives a fresh warehouse, as the reader sees it, and its owner's URL.
func migrated(t *testing.T) (*warehouse.DB, string) {
	t.Helper()
	url := testenv.Postgres(t)
	if _, _, err := warehouse.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := warehouse.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, url
}

// run gives a statement's rows, one line of text each.
func run(t *testing.T, db *warehouse.DB, sql string, want []dashboards.Column, choice dashboards.Choice) []string {
	t.Helper()
	sql, args, err := dashboards.Compile(sql, choice)
	if err != nil {
		t.Fatal(err)
	}
	columns, rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	var names []string
	for _, c := range want {
		names = append(names, c.Name)
	}
	if !slices.Equal(columns, names) {
		t.Errorf("columns %q, want %q", columns, names)
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

// choices are settings of the filters, each of another kind.
func choices() map[string]dashboards.Choice {
	return map[string]dashboards.Choice{
		"all":            {},
		"a state":        {States: []string{"New Mexico"}},
		"states":         {States: []string{"Ohio", "Guam", "Puerto Rico"}},
		"no state":       {NoState: true},
		"a state, none":  {States: []string{"New Mexico"}, NoState: true, Since: day(2022, 4, 3), Till: day(2022, 4, 17)},
		"unknown counts": {States: []string{"Puerto Rico"}},
		"nothing":        {States: []string{"Atlantis"}},
		"several":        {States: []string{"Amazonas", "Missouri"}, Since: day(2022, 4, 3), Till: day(2022, 4, 30)},
		"a month":        {Since: day(2022, 4, 1), Till: day(2022, 4, 30)},
		"over months":    {Since: day(2022, 3, 30), Till: day(2022, 5, 1)},
		"some days":      {Since: day(2022, 4, 3), Till: day(2022, 4, 17)},
		"most days":      {Since: day(2022, 4, 4), Till: day(2022, 4, 29)},
		"one day":        {Since: day(2022, 4, 3), Till: day(2022, 4, 3)},
		"no day":         {Since: day(2023, 4, 3), Till: day(2023, 4, 3)},
		"since":          {Since: day(2022, 4, 29)},
		"till":           {Till: day(2022, 4, 2)},
		"both":           {States: []string{"New York", "Ohio"}, Since: day(2022, 3, 31), Till: day(2022, 4, 30)},
	}
}

// Each card gives what is computed from the records without SQL, whatever is
// chosen.
func TestCards(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	all := records()
	insert(t, url, all)
	for name, choice := range choices() {
		w := world{all: all, shared: sharedStates(all), choice: choice}
		for _, c := range dashboards.Cards() {
			want := w.card(c.Name)
			if want == nil {
				continue // TestRejects and TestPipeline have those
			}
			same(t, name+": "+c.Title, run(t, db, c.SQL, c.Columns, choice), want())
			if c.List != "" {
				same(t, name+": all of "+c.Title, run(t, db, c.List, c.ListColumns, choice), w.counties())
			}
			if c.Table != "" {
				same(t, name+": "+c.Title+" on the page", run(t, db, c.Table, c.TableColumns, choice), w.overviewWithCountries())
			}
			if c.Whole != "" {
				same(t, name+": what "+c.Title+" is a part of", run(t, db, c.Whole, wholeColumns(c), choice), []string{line(w.whole(c))})
			}
		}
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: row %d is %s, want %s", what, i, got[i], want[i])
			return
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
		case "freshness":
			want = []string{line(nil, nil, nil, nil, nil, nil)}
		}
		for _, choice := range choices() {
			same(t, c.Title, run(t, db, c.SQL, c.Columns, choice), want)
		}
	}
}

// A reject is found by the state and the day that its raw document gives.
func TestRejects(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	insert(t, url, records())
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	const blank, ahead = "COUNTRY_SHORT_NAME is blank", "REPORT_DATE lies more than 2 days after the day it was ingested"
	for i, r := range []struct{ reason, date, document string }{
		{blank, "2022-04-03", `{"PROVINCE_STATE_NAME": " new york "}`},
		{blank, " 2022-04-04", `{"PROVINCE_STATE_NAME": "Ohio"}`},
		{blank, "2022-04-05", `{"PROVINCE_STATE_NAME": null}`},
		{ahead + ` (2022-05-01): "2099-01-01"`, "2099-01-01", `{"PROVINCE_STATE_NAME": "Ohio"}`},
		{ahead + ` (2022-05-02): "2099-02-02"`, "2099-02-02", `{"PROVINCE_STATE_NAME": "O\\u0000hio"}`},
		{`REPORT_DATE is not a date (YYYY-MM-DD): "x: \"y"`, "2022-02-30", `{`},
	} {
		if _, err := conn.Exec(t.Context(), `INSERT INTO covid_rejects (key, reason, date, document, source, release, row, generation)
			VALUES (gen_random_uuid(), $1, $2, $3, 's', 1, $4, 1)`, r.reason, r.date, []byte(r.document), i); err != nil {
			t.Fatal(err)
		}
	}
	card, _ := dashboards.Find("rejects_by_reason")
	for name, tt := range map[string]struct {
		choice dashboards.Choice
		want   []string
	}{
		"all":      {dashboards.Choice{}, []string{line(blank, 3), line(ahead, 2), line("REPORT_DATE is not a date (YYYY-MM-DD)", 1)}},
		"a state":  {dashboards.Choice{States: []string{"Ohio"}}, []string{line(blank, 1), line(ahead, 1)}},
		"a day":    {dashboards.Choice{Till: day(2022, 4, 4)}, []string{line(blank, 2)}},
		"both":     {dashboards.Choice{States: []string{"New York"}, Since: day(2022, 4, 3), Till: day(2022, 4, 3)}, []string{line(blank, 1)}},
		"no state": {dashboards.Choice{NoState: true}, []string{line(blank, 1), line("REPORT_DATE is not a date (YYYY-MM-DD)", 1)}},
		"nothing":  {dashboards.Choice{States: []string{"Guam"}}, nil},
	} {
		same(t, name, run(t, db, card.SQL, card.Columns, tt.choice), tt.want)
	}
}

// The cards of the pipeline say the same whatever is chosen.
func TestPipeline(t *testing.T) {
	t.Parallel()
	db, url := migrated(t)
	insert(t, url, records())
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 6500, 7);
		INSERT INTO etl_run (workflow_id, run_id, state, started_at, finished_at, counts) VALUES
		('w', 'a', 'completed', '2022-05-01 10:00:00+00', '2022-05-01 12:00:30+02',
			'{"loaded": {"extracted": 9, "inserted": 4, "updated": 2, "rejected": 1, "movedToRejects": 2}}'),
		('w', 'b', 'failed', '2022-05-01 11:00:00+00', '2022-05-01 11:00:01+00', '{}')`); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	behind := int(now.Truncate(24*time.Hour).Sub(day(2022, 5, 1)).Hours() / 24)
	minutes := int(now.Sub(time.Date(2022, 5, 1, 10, 0, 30, 0, time.UTC)).Minutes())
	freshness, _ := dashboards.Find("freshness")
	runs, _ := dashboards.Find("etl_runs")
	for _, choice := range choices() {
		got := run(t, db, freshness.SQL, freshness.Columns, choice)
		want := func(minutes, behind int) []string {
			return []string{line("2022-05-01", behind, "2022-05-01 10:00", minutes, 6500, 7)}
		}
		// A minute or midnight may have passed in between.
		if !slices.Equal(got, want(minutes, behind)) && !slices.Equal(got, want(minutes+1, behind)) && !slices.Equal(got, want(minutes+1, behind+1)) {
			t.Errorf("%s: %q, want %q", freshness.Title, got, want(minutes, behind))
		}
		same(t, runs.Title, run(t, db, runs.SQL, runs.Columns, choice), []string{
			line("2022-05-01 11:00", "failed", 1, 0, 0, 0, 0), line("2022-05-01 10:00", "completed", 30, 9, 4, 2, 3)})
	}
}
