package warehouse_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

const index = "cases"

// tester is a *testing.T, a *testing.B or a *rapid.T.
type tester interface {
	rapid.TB
	Context() context.Context
}

// open gives a fresh, migrated warehouse and its URL.
func open(t testing.TB) (*warehouse.DB, string) {
	t.Helper()
	url := testenv.Postgres(t)
	migrate(t, url)
	return openAt(t, url), url
}

func migrate(t testing.TB, url string) {
	t.Helper()
	if _, _, err := warehouse.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
}

func openAt(t testing.TB, url string) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// started gives a fresh warehouse with its first generation, of as many shards.
func started(t testing.TB, shards int) (*warehouse.DB, string) {
	t.Helper()
	db, url := open(t)
	begin(t, db, 0, shards)
	return db, url
}

// begin begins the generation after expected.
func begin(t tester, db *warehouse.DB, expected, shards int) {
	t.Helper()
	generation, err := db.StartGeneration(t.Context(), beginning(index, "uuid", expected, cursors(shards)))
	if err != nil || generation != expected+1 {
		t.Fatalf("generation %d, %v; want %d", generation, err, expected+1)
	}
}

// beginning is what begins the generation after expected. Each generation has a
// stamp of its own.
func beginning(rawIndex, uuid string, expected int, shards []warehouse.ShardCursor) warehouse.Beginning {
	return warehouse.Beginning{
		RawIndex: rawIndex, IndexUUID: uuid, Expected: expected, ExpectedStamp: stampOf(expected),
		Stamp: stampOf(expected + 1), Shards: shards,
	}
}

func stampOf(generation int) string { return fmt.Sprint("stamp ", generation) }

// sweep sweeps a generation in chunks of one block.
func sweep(ctx context.Context, db *warehouse.DB, rawIndex string, generation int) (rows, rejects int64, err error) {
	done, err := db.SweepGeneration(ctx, warehouse.Sweep{RawIndex: rawIndex, Generation: generation, Blocks: 1})
	return done.Rows, done.Rejects, err
}

func cursors(shards int) []warehouse.ShardCursor {
	var all []warehouse.ShardCursor
	for i := range shards {
		all = append(all, warehouse.ShardCursor{Shard: i, LastSeq: -1, HistoryUUID: fmt.Sprint("history", i), PrimaryTerm: 1})
	}
	return all
}

func key(n int) covid.Key {
	digest := sha256.Sum256(fmt.Append(nil, n))
	return covid.Key(digest[:16])
}

// row is a sound row of a key with a value.
func row(n int, cases int32) covid.Row {
	return covid.Row{
		Key: key(n), Date: 18336, State: "New Mexico", County: "Doña Ana", FIPS: "35013", Country: "United States",
		Alpha2: "US", Alpha3: "USA", Continent: "America", DataSource: "New York Times",
		NewCases: covid.Count{N: cases, Known: true}, NewDeaths: covid.Count{N: -3, Known: true}, TotalCases: covid.Count{},
		TotalDeaths: covid.Count{N: 7, Known: true}, Source: "/data/a.csv", Release: 1, Row: int64(n),
	}
}

func reject(n int, reason string) warehouse.Reject {
	return warehouse.Reject{
		Key: key(n), Source: "/data/a.csv", Release: 1, Row: int64(n), Date: "2020-02-30",
		Reason: reason, Document: []byte(`{"REPORT_DATE":"2020-02-30"}`),
	}
}

// window is a window of shard 0 in generation 1.
func window(from, to int64, rows ...covid.Row) warehouse.LoadInput {
	return warehouse.LoadInput{
		RawIndex: index, Run: 1, Generation: 1, From: from, To: to, Rows: rows,
		Last: warehouse.Anchor{ID: fmt.Sprint("doc", to), Version: to, SeqNo: to},
	}
}

func load(t tester, db *warehouse.DB, in warehouse.LoadInput) warehouse.LoadCounts {
	t.Helper()
	counts, err := db.Load(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// contents is what the warehouse holds.
type contents struct {
	rows    map[covid.Key]covid.Row
	rejects map[covid.Key]warehouse.Reject
}

func read(t tester, db *warehouse.DB) contents {
	t.Helper()
	c := contents{map[covid.Key]covid.Row{}, map[covid.Key]warehouse.Reject{}}
	err := db.ScanRows(t.Context(), func(r *covid.Row) error {
		if _, twice := c.rows[r.Key]; twice {
			return fmt.Errorf("row %s twice", r.Key.ID())
		}
		c.rows[r.Key] = *r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.ScanRejects(t.Context(), func(r *warehouse.Reject) error {
		kept := *r
		kept.Document = slices.Clone(r.Document)
		c.rejects[r.Key] = kept
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// holds checks the whole contents, and that the totals of the cursor say the same.
func holds(t tester, db *warehouse.DB, rows []covid.Row, rejects []warehouse.Reject) {
	t.Helper()
	want := contents{map[covid.Key]covid.Row{}, map[covid.Key]warehouse.Reject{}}
	for _, r := range rows {
		want.rows[r.Key] = r
	}
	for _, r := range rejects {
		want.rejects[r.Key] = r
	}
	compare(t, db, want)
}

func compare(t tester, db *warehouse.DB, want contents) {
	t.Helper()
	got := read(t, db)
	if !maps.Equal(got.rows, want.rows) {
		t.Fatalf("rows\n%+v\nwant\n%+v", got.rows, want.rows)
	}
	sameReject := func(a, b warehouse.Reject) bool {
		document := string(a.Document) == string(b.Document)
		a.Document, b.Document = nil, nil
		return document && fmt.Sprint(a) == fmt.Sprint(b)
	}
	if !maps.EqualFunc(got.rejects, want.rejects, sameReject) {
		t.Fatalf("rejects\n%+v\nwant\n%+v", got.rejects, want.rejects)
	}
	cursor := cursorOf(t, db)
	if cursor.Rows != int64(len(want.rows)) || cursor.Rejects != int64(len(want.rejects)) {
		t.Fatalf("the cursor counts %d rows and %d rejects, want %d and %d", cursor.Rows, cursor.Rejects, len(want.rows), len(want.rejects))
	}
}

func cursorOf(t tester, db *warehouse.DB) warehouse.IndexCursor {
	t.Helper()
	cursor, found, err := db.State(t.Context(), index)
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	return cursor
}

// value gives the one value of a statement.
func value[T any](t tester, url, sql string, args ...any) (v T) {
	t.Helper()
	at(t, url, func(conn *pgx.Conn) error { return conn.QueryRow(t.Context(), sql, args...).Scan(&v) })
	return v
}

func execute(t tester, url, sql string) {
	t.Helper()
	at(t, url, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), sql)
		return err
	})
}

// at does something in a connection of its own.
func at(t tester, url string, do func(*pgx.Conn) error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := do(conn); err != nil {
		t.Fatal(err)
	}
}

// asJSON shows a value in a message.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
