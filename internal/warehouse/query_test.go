package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	load(t, db, window(-1, 0, row(1, 1)))
	columns, rows, err := db.Query(t.Context(), `SELECT date, county, NULL AS nothing, 7::smallint AS small, sum(new_cases) AS sum,
		count(*) AS n, sum(new_cases::bigint) AS whole, 9223372036854775808 AS big, 0.25 AS part, 1.5::real AS f, true AS b, $1::text AS argument
		FROM covid_cases GROUP BY date, county`, "x")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("date county nothing small sum n whole big part f b argument"); !slices.Equal(columns, want) {
		t.Errorf("columns %q, want %q", columns, want)
	}
	day := time.Date(2020, 3, 15, 0, 0, 0, 0, time.UTC)
	want := []any{day, "Doña Ana", nil, int64(7), int64(1), int64(1), int64(1), float64(1 << 63), 0.25, 1.5, true, "x"}
	if len(rows) != 1 || !slices.Equal(rows[0], want) {
		t.Errorf("rows %#v, want %#v", rows, want)
	}
	if columns, rows, err := db.Query(t.Context(), "SELECT date FROM covid_cases WHERE false"); err != nil || len(rows) != 0 || !slices.Equal(columns, []string{"date"}) {
		t.Errorf("without rows: %q, %v, %v", columns, rows, err)
	}
}

func TestQueryRefuses(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for sql, part := range map[string]string{
		"SELECT key FROM covid_cases UNION SELECT gen_random_uuid()": "column key",
		"DELETE FROM covid_cases":                                    "read-only",
		"SELECT nothing FROM covid_cases":                            "nothing",
		"SELECT FROM nowhere":                                        "nowhere",
	} {
		if _, _, err := db.Query(t.Context(), sql); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := db.Query(ctx, "SELECT pg_sleep(20)::text"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, warehouse.ErrUnavailable) {
		t.Errorf("out of time: %v", err)
	}
	if _, rows, err := db.Query(t.Context(), "SELECT 1 AS n"); err != nil || len(rows) != 1 {
		t.Errorf("after all these: %v, %v", rows, err)
	}
}

// Rows come one after the other, on one state, and an error ends them without the rest.
func TestScanAndStream(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	numbers := warehouse.Statement{SQL: "SELECT n::bigint FROM generate_series(1, $1::int) n", Args: []any{1000}}
	var seen []int64
	err := db.Stream(t.Context(), numbers, func(row []any) error { seen = append(seen, row[0].(int64)); return nil })
	if err != nil || len(seen) != 1000 || !slices.IsSorted(seen) {
		t.Errorf("%d rows, %v", len(seen), err)
	}
	var of [2]int
	err = db.Scan(t.Context(), func(i int, _ []any) error { of[i]++; return nil }, numbers, warehouse.Statement{SQL: "SELECT '\\x00ff'::bytea"})
	if err != nil || of != [2]int{1000, 1} {
		t.Errorf("%v, %v", of, err)
	}
	enough := errors.New("enough")
	endless := warehouse.Statement{SQL: "SELECT repeat('x', 1000) FROM generate_series(1, 10000) a, generate_series(1, 10000) b"}
	for name, read := range map[string]func(func([]any) error) error{
		"stream": func(each func([]any) error) error { return db.Stream(t.Context(), endless, each) },
		"scan": func(each func([]any) error) error {
			return db.Scan(t.Context(), func(_ int, row []any) error { return each(row) }, endless)
		},
	} {
		n := 0
		if err := read(func([]any) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
	}
	if _, rows, err := db.Query(t.Context(), "SELECT 1 AS n"); err != nil || len(rows) != 1 {
		t.Errorf("after all these: %v, %v", rows, err)
	}
}

// A statement that the server stops is no sign that the server is away.
func TestQueryStoppedByTheServer(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db := openAt(t, url)
	const slow = "SELECT pg_sleep(20)::text AS slow_query_of_the_test"
	stopped := make(chan error)
	go func() {
		_, _, err := db.Query(t.Context(), slow)
		stopped <- err
	}()
	eventually(t, func(context.Context) error {
		if value[int](t, url, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query = $1 AND state = 'active'", slow) == 0 {
			return errors.New("the statement does not run")
		}
		return nil
	})
	if err := <-stopped; err == nil || errors.Is(err, warehouse.ErrUnavailable) || !strings.Contains(err.Error(), "may take 30s") {
		t.Errorf("stopped: %v", err)
	}
}

func TestScanEndsEarly(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	var rows []covid.Row
	for i := range 2000 {
		rows = append(rows, row(i, 1))
	}
	in := window(-1, 2000, rows...)
	in.Rejects = []warehouse.Reject{reject(-1, "bad"), reject(-2, "bad")}
	load(t, db, in)
	enough := errors.New("enough")
	n := 0
	if err := db.ScanRows(t.Context(), func(*covid.Row) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("rows: %d, %v", n, err)
	}
	if err := db.ScanRejects(t.Context(), func(*warehouse.Reject) error { n++; return enough }); !errors.Is(err, enough) || n != 2 {
		t.Errorf("rejects: %d, %v", n, err)
	}
	if n := len(read(t, db).rows); n != 2000 {
		t.Errorf("then %d rows", n)
	}
	execute(t, url, "ALTER TABLE covid_cases ALTER new_cases TYPE bigint")
	if err := openAt(t, url).ScanRows(t.Context(), func(*covid.Row) error { return nil }); err == nil || !strings.Contains(err.Error(), "8 bytes") {
		t.Errorf("a column of another type: %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	db := openAt(t, testenv.Postgres(t))
	if _, _, err := db.State(t.Context(), index); !errors.Is(err, warehouse.ErrNotMigrated) {
		t.Errorf("no tables: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	nobody := fmt.Sprintf("postgres://u:geheim@%s/d?sslmode=disable", listener.Addr())
	for _, url := range []string{nobody, "postgres://u:geheim@h:port/d", "postgres://u:geheim@h/d?sslmode=perhaps"} {
		_, openErr := warehouse.Open(t.Context(), url)
		_, _, migrateErr := warehouse.Migrate(t.Context(), url)
		for _, err := range []error{openErr, migrateErr} {
			if err == nil || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: %v", url, err)
			}
			if errors.Is(err, warehouse.ErrUnavailable) != (url == nobody) {
				t.Errorf("%s is unavailable: %v", url, err)
			}
		}
	}
}
