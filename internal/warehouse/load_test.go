package warehouse_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

func TestLoadKeepsEveryValue(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	full := row(1, math.MaxInt32)
	full.NewDeaths.N, full.TotalCases = math.MinInt32, covid.Count{N: 0, Known: true}
	full.Date, full.Release, full.Row = 9000, covid.MaxRelease, covid.MaxRow
	empty := covid.Row{Key: key(2), Date: -1, Country: "Namibia", Alpha2: "NA", Source: "/b", Release: 1, Row: 1}
	long := row(3, 1)
	long.County = strings.Repeat("ñ", 200_000)
	rejects := []warehouse.Reject{
		reject(4, `PEOPLE_DEATH_NEW_COUNT is not a whole number: "1e3"`),
		{Key: key(5), Source: "/b", Release: covid.MaxRelease, Row: covid.MaxRow, Reason: "r", Document: []byte{0, 255, '{'}},
	}
	in := window(-1, 4, full, empty, long)
	in.Rejects = rejects
	if got, want := load(t, db, in), (warehouse.LoadCounts{Extracted: 5, Inserted: 3, Rejected: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	holds(t, db, []covid.Row{full, empty, long}, rejects)
}

func TestLoadWritesWhatDiffers(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	a := row(1, 10)
	load(t, db, window(-1, 0, a))
	place := value[string](t, url, "SELECT ctid::text || xmax FROM covid_cases")

	same := a
	same.Release, same.Row, same.Source = 2, 77, "/data/b.csv"
	if got, want := load(t, db, window(0, 1, same)), (warehouse.LoadCounts{Extracted: 1, Unchanged: 1}); got != want {
		t.Errorf("equal values: %+v, want %+v", got, want)
	}
	if now := value[string](t, url, "SELECT ctid::text || xmax FROM covid_cases"); now != place {
		t.Errorf("a row of equal values was written or locked: it was at %s, is at %s", place, now)
	}
	holds(t, db, []covid.Row{a}, nil)

	// Every value counts as a difference, unknown and known zero too.
	to := int64(1)
	last := a
	for name, change := range map[string]func(*covid.Row){
		"date": func(r *covid.Row) { r.Date++ }, "state": func(r *covid.Row) { r.State = "" }, "county": func(r *covid.Row) { r.County = "x" },
		"fips": func(r *covid.Row) { r.FIPS = "1" }, "country": func(r *covid.Row) { r.Country = "x" }, "alpha2": func(r *covid.Row) { r.Alpha2 = "" },
		"alpha3": func(r *covid.Row) { r.Alpha3 = "x" }, "continent": func(r *covid.Row) { r.Continent = "x" }, "data source": func(r *covid.Row) { r.DataSource = "x" },
		"new cases": func(r *covid.Row) { r.NewCases.N++ }, "new deaths": func(r *covid.Row) { r.NewDeaths = covid.Count{} },
		"total cases": func(r *covid.Row) { r.TotalCases.Known = true }, "total deaths": func(r *covid.Row) { r.TotalDeaths.N = 0 },
	} {
		changed := last
		change(&changed)
		changed.Release, changed.Row = changed.Release+1, to
		if got, want := load(t, db, window(to, to+1, changed)), (warehouse.LoadCounts{Extracted: 1, Updated: 1}); got != want {
			t.Errorf("another %s: %+v, want %+v", name, got, want)
		}
		holds(t, db, []covid.Row{changed}, nil)
		last, to = changed, to+1
	}
}

func TestKeyTurnsBadAndGood(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	to := int64(-1)
	step := func(in warehouse.LoadInput, want warehouse.LoadCounts) {
		t.Helper()
		in.RawIndex, in.Run, in.Generation, in.From, in.To = index, 1, 1, to, to+1
		want.Extracted = 1
		if got := load(t, db, in); got != want {
			t.Fatalf("window %d: %s, want %s", to+1, asJSON(got), asJSON(want))
		}
		to++
	}
	rows := func(r ...covid.Row) warehouse.LoadInput { return warehouse.LoadInput{Rows: r} }
	bad := func(r ...warehouse.Reject) warehouse.LoadInput { return warehouse.LoadInput{Rejects: r} }
	gone := warehouse.LoadInput{Retired: []covid.Key{key(1)}}
	lastGood := func(want string) {
		t.Helper()
		got := value[*string](t, url, "SELECT last_good->>'new_cases' FROM covid_rejects")
		if shown := asJSON(got); shown != want {
			t.Fatalf("last good new cases %s, want %s", shown, want)
		}
	}

	step(bad(reject(1, "never good")), warehouse.LoadCounts{Rejected: 1})
	lastGood(`null`)
	step(rows(row(1, 10)), warehouse.LoadCounts{Inserted: 1})
	holds(t, db, []covid.Row{row(1, 10)}, nil)
	step(bad(reject(1, "bad")), warehouse.LoadCounts{MovedToRejects: 1})
	holds(t, db, nil, []warehouse.Reject{reject(1, "bad")})
	lastGood(`"10"`)
	step(bad(reject(1, "bad again")), warehouse.LoadCounts{Rejected: 1})
	holds(t, db, nil, []warehouse.Reject{reject(1, "bad again")})
	lastGood(`"10"`)
	step(rows(row(1, 11)), warehouse.LoadCounts{Inserted: 1})
	holds(t, db, []covid.Row{row(1, 11)}, nil)
	step(gone, warehouse.LoadCounts{Retired: 1})
	holds(t, db, nil, nil)
	step(gone, warehouse.LoadCounts{Retired: 1})
	step(rows(row(1, 12)), warehouse.LoadCounts{Inserted: 1})
	step(bad(reject(1, "bad")), warehouse.LoadCounts{MovedToRejects: 1})
	step(gone, warehouse.LoadCounts{Retired: 1})
	holds(t, db, nil, nil)
	step(bad(reject(1, "back, and bad")), warehouse.LoadCounts{Rejected: 1})
	lastGood(`null`)
	holds(t, db, nil, []warehouse.Reject{reject(1, "back, and bad")})
}

func TestLoadRepeated(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	first := window(-1, 5, row(1, 10), row(2, 20))
	first.Rejects = []warehouse.Reject{reject(3, "bad")}
	counts := load(t, db, first)
	load(t, db, window(5, 9, row(1, 11)))
	stored, loaded, err := db.Loaded(t.Context(), first)
	if err != nil || !loaded || stored != counts {
		t.Errorf("the ledger gives %+v, %v, %v; want %+v", stored, loaded, err, counts)
	}
	// Whatever a late attempt brings along, the window is loaded.
	first.Rows[1].NewCases.N = 99
	if again := load(t, db, first); again != counts {
		t.Errorf("repeated: %+v, want %+v", again, counts)
	}
	holds(t, db, []covid.Row{row(1, 11), row(2, 20)}, []warehouse.Reject{reject(3, "bad")})
	if at := cursorOf(t, db).Shards[0].LastSeq; at != 9 {
		t.Errorf("the checkpoint is at %d, want 9", at)
	}
}

func TestLoadElsewhereIsOvertaken(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	load(t, db, window(-1, 5, row(1, 10)))
	elsewhere := map[string]warehouse.LoadInput{
		"before the checkpoint":       window(-1, 4, row(1, 66)),
		"behind the checkpoint":       window(6, 7, row(1, 66)),
		"the same begin, another end": window(-1, 6, row(1, 66)),
	}
	in := window(5, 6, row(1, 66))
	in.Generation = 2
	elsewhere["another generation"] = in
	in = window(5, 6, row(1, 66))
	in.Shard = 1
	elsewhere["a shard that is not there"] = in
	for name, in := range elsewhere {
		if counts, err := db.Load(t.Context(), in); !errors.Is(err, warehouse.ErrOvertaken) {
			t.Errorf("%s: %+v, %v", name, counts, err)
		}
		if _, loaded, err := db.Loaded(t.Context(), in); loaded || err != nil {
			t.Errorf("%s: loaded %v, %v", name, loaded, err)
		}
	}
	holds(t, db, []covid.Row{row(1, 10)}, nil)
	in = window(5, 6, row(1, 66))
	in.RawIndex = "other"
	if _, err := db.Load(t.Context(), in); !errors.Is(err, warehouse.ErrOtherIndex) {
		t.Errorf("another index: %v", err)
	}
	holds(t, db, []covid.Row{row(1, 10)}, nil)
}

func TestLoadIntoAnEmptyWarehouse(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	if _, err := db.Load(t.Context(), window(-1, 5, row(1, 10))); !errors.Is(err, warehouse.ErrOvertaken) {
		t.Errorf("load without a generation: %v", err)
	}
}

func TestLoadRefusesWhatIsNoWindow(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	twice := window(-1, 5, row(1, 1), row(2, 2), row(1, 3))
	both := window(-1, 5, row(1, 1))
	both.Rejects = []warehouse.Reject{reject(1, "bad")}
	gone := window(-1, 5, row(1, 1))
	gone.Retired = []covid.Key{key(1)}
	for name, tt := range map[string]struct {
		in   warehouse.LoadInput
		want string
	}{
		"a key twice":        {twice, key(1).ID() + " twice"},
		"a row and a reject": {both, key(1).ID() + " twice"},
		"a row and retired":  {gone, key(1).ID() + " twice"},
		"empty":              {window(-1, -1), "ends behind its beginning"},
		"backwards":          {window(-1, -2), "ends behind its beginning"},
	} {
		if counts, err := db.Load(t.Context(), tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v", name, counts, err)
		}
	}
	if at := cursorOf(t, db).Shards[0].LastSeq; at != -1 {
		t.Errorf("the checkpoint is at %d, want -1", at)
	}
	holds(t, db, nil, nil)
	// Documents that were written again leave a window without any.
	none := window(-1, 5)
	none.Last = warehouse.Anchor{}
	if got := load(t, db, none); got != (warehouse.LoadCounts{}) {
		t.Errorf("a window without documents: %+v", got)
	}
	if s := cursorOf(t, db).Shards[0]; s.LastSeq != 5 || len(s.Anchors) != 0 {
		t.Errorf("after it: %+v", s)
	}
}

// A load that fails in its middle leaves nothing behind.
func TestLoadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	execute(t, url, "ALTER TABLE etl_window ADD CONSTRAINT fails CHECK (to_seq <> 5)")
	if _, err := db.PutStage(t.Context(), warehouse.Stage{Run: 1, From: -1, Step: warehouse.StepTransform, To: 5, Meta: []byte("{}"), Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	in := window(-1, 5, row(1, 1))
	in.Rejects = []warehouse.Reject{reject(2, "bad")}
	if _, err := db.Load(t.Context(), in); err == nil {
		t.Fatal("the load did not fail")
	}
	holds(t, db, nil, nil)
	if at := cursorOf(t, db).Shards[0].LastSeq; at != -1 {
		t.Errorf("the checkpoint is at %d, want -1", at)
	}
	if _, err := db.GetStage(t.Context(), 1, 0, -1, warehouse.StepTransform); err != nil {
		t.Errorf("the stage: %v", err)
	}
	execute(t, url, "ALTER TABLE etl_window DROP CONSTRAINT fails")
	if got, want := load(t, db, in), (warehouse.LoadCounts{Extracted: 2, Inserted: 1, Rejected: 1}); got != want {
		t.Errorf("again: %+v, want %+v", got, want)
	}
	if _, err := db.GetStage(t.Context(), 1, 0, -1, warehouse.StepTransform); !errors.Is(err, warehouse.ErrStageMissing) {
		t.Errorf("the stage of the loaded window: %v", err)
	}
}

// Two runs planned the same range and cut it differently: of all windows that
// begin at the checkpoint exactly one wins.
func TestLoadersRace(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	const loaders, rounds = 4, 15
	at := int64(-1)
	for round := range rounds {
		var wg sync.WaitGroup
		counts, errs := make([]warehouse.LoadCounts, loaders), make([]error, loaders)
		for i := range loaders {
			// Two of each length: twins that bring the same window.
			in := window(at, at+1+int64(i/2), row(1, int32(round*10+i/2)), row(2+i/2, 1))
			wg.Go(func() { counts[i], errs[i] = db.Load(t.Context(), in) })
		}
		wg.Wait()
		cursor := cursorOf(t, db)
		winner := int(cursor.Shards[0].LastSeq - at - 1)
		if winner != 0 && winner != 1 {
			t.Fatalf("round %d: the checkpoint is at %d, it was at %d", round, cursor.Shards[0].LastSeq, at)
		}
		for i := range loaders {
			if i/2 == winner {
				if errs[i] != nil || counts[i] != counts[winner*2] {
					t.Errorf("round %d: a winner's loader has %+v, %v; its twin %+v", round, counts[i], errs[i], counts[winner*2])
				}
			} else if !errors.Is(errs[i], warehouse.ErrOvertaken) {
				t.Errorf("round %d: a loser has %+v, %v", round, counts[i], errs[i])
			}
		}
		if got := read(t, db).rows[key(1)].NewCases.N; got != int32(round*10+winner) {
			t.Fatalf("round %d: window %d won, the row has %d", round, winner, got)
		}
		at = cursor.Shards[0].LastSeq
	}
}

// The shards of a run load side by side into the same tables and totals.
func TestShardsLoadSideBySide(t *testing.T) {
	t.Parallel()
	const shards, windows, docs = 4, 6, 200
	db, _ := started(t, shards)
	var wg sync.WaitGroup
	for shard := range shards {
		wg.Go(func() {
			for w := range windows {
				in := window(int64(w*docs)-1, int64((w+1)*docs)-1)
				in.Shard = shard
				for i := range docs {
					n := shard*1000 + (w*docs/2 + i) // every second window's half is there already
					if i%10 == 3 {
						in.Rejects = append(in.Rejects, reject(n, "bad"))
					} else {
						in.Rows = append(in.Rows, row(n, int32(w)))
					}
				}
				if _, err := db.Load(t.Context(), in); err != nil {
					t.Error(fmt.Errorf("shard %d: %w", shard, err))
					return
				}
			}
		})
	}
	wg.Wait()
	c := read(t, db)
	cursor := cursorOf(t, db)
	if cursor.Rows != int64(len(c.rows)) || cursor.Rejects != int64(len(c.rejects)) || len(c.rows)+len(c.rejects) != shards*(windows+1)*docs/2 {
		t.Errorf("the tables hold %d and %d, the totals say %d and %d", len(c.rows), len(c.rejects), cursor.Rows, cursor.Rejects)
	}
}

func TestRejectOfAnUnstorableDate(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	in := window(-1, 0)
	r := reject(1, "bad")
	r.Date = "2020\x00-01\xff"
	in.Rejects = []warehouse.Reject{r}
	load(t, db, in)
	r.Date = "2020\uFFFD-01\uFFFD"
	holds(t, db, nil, []warehouse.Reject{r})
}

// A document that is not the pipeline's may say anything of itself.
func TestRejectsOfForeignDocuments(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	in := window(-1, 9, row(1, 1))
	load(t, db, in)
	foreign := warehouse.Reject{Key: key(1), Source: "a\x00b", Release: 1 << 40, Row: -1, Date: "\xff\x00", Reason: "foreign: \x00\xff", Document: []byte{}}
	in = window(9, 19)
	in.Rejects = []warehouse.Reject{foreign}
	if got := load(t, db, in); got.MovedToRejects != 1 || got.Rejected != 0 {
		t.Errorf("%+v", got)
	}
	err := db.ScanRejects(t.Context(), func(r *warehouse.Reject) error {
		if r.Key != foreign.Key || r.Release != 0 || r.Row != -1 || len(r.Document) != 0 {
			t.Errorf("%+v", r)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for reason, want := range map[string]int64{"foreign": 1, "oreign": 0, "": 1, "%": 0} {
		if n, err := db.CountRejects(t.Context(), reason); err != nil || n != want {
			t.Errorf("%q: %d %v", reason, n, err)
		}
	}
}
