package warehouse_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

const (
	modelKeys   = 12
	modelShards = 3
)

// document is what the raw index holds of a key.
type document struct {
	key     int
	seq     int64
	row     covid.Row
	bad     string // why its values are refused, or ""
	retired bool
}

// model is a raw index and a warehouse as they should be, in plain maps.
type model struct {
	raw        map[int]document // by key; a key lives in shard key % modelShards
	seq        [modelShards]int64
	generation int
	last       [modelShards]int64
	want       contents
	made       map[covid.Key]int       // generation that wrote a row or reject last
	lastGood   map[covid.Key]covid.Row // of the rejects that were rows before
	loaded     []loadedWindow          // of this generation
	summed     bool                    // loads keep the sums right
	shown      map[covid.Key]covid.Row // the rows that the sums are of
}

type loadedWindow struct {
	in     warehouse.LoadInput
	counts warehouse.LoadCounts
}

func newModel() *model {
	m := &model{
		raw: map[int]document{}, generation: 1, made: map[covid.Key]int{}, lastGood: map[covid.Key]covid.Row{},
		want: contents{map[covid.Key]covid.Row{}, map[covid.Key]warehouse.Reject{}},
	}
	m.rewind()
	return m
}

func (m *model) rewind() {
	for i := range m.last {
		m.last[i] = -1
	}
	m.loaded = nil
}

// write puts a new version of a key into the raw index.
func (m *model) write(t *rapid.T) {
	n := rapid.IntRange(0, modelKeys-1).Draw(t, "key")
	d := document{key: n, row: row(n, rapid.Int32Range(0, 1).Draw(t, "new cases"))}
	d.row.NewCases.Known = rapid.Bool().Draw(t, "known")
	if !d.row.NewCases.Known {
		d.row.NewCases.N = 0
	}
	d.row.Date += covid.Date(rapid.SampledFrom([]int{0, 1, 40}).Draw(t, "day"))
	d.row.State = rapid.SampledFrom([]string{"", "Ohio", "ohio"}).Draw(t, "state")
	d.row.County = rapid.SampledFrom([]string{"", "Washington"}).Draw(t, "county")
	d.row.Release = rapid.Int64Range(1, 9).Draw(t, "release")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		d.bad = rapid.SampledFrom([]string{"bad", "worse"}).Draw(t, "reason")
	case 1:
		d.retired = true
	}
	shard := n % modelShards
	d.seq = m.seq[shard]
	m.seq[shard]++
	m.raw[n] = d
}

// next gives the next window of a shard, of at most most documents.
func (m *model) next(shard, most int) (warehouse.LoadInput, bool) {
	var docs []document
	for n, d := range m.raw {
		if n%modelShards == shard && d.seq > m.last[shard] {
			docs = append(docs, d)
		}
	}
	slices.SortFunc(docs, func(a, b document) int { return int(a.seq - b.seq) })
	in := warehouse.LoadInput{RawIndex: index, Run: 1, Generation: m.generation, Shard: shard, From: m.last[shard], To: m.seq[shard] - 1}
	if len(docs) >= most {
		docs = docs[:most]
		in.To = docs[most-1].seq
	}
	for _, d := range docs {
		switch {
		case d.retired:
			in.Retired = append(in.Retired, key(d.key))
		case d.bad != "":
			r := reject(d.key, d.bad)
			r.Release = d.row.Release
			in.Rejects = append(in.Rejects, r)
		default:
			in.Rows = append(in.Rows, d.row)
		}
	}
	return in, in.To > in.From
}

// load does naively what a load should do, document by document.
func (m *model) load(in warehouse.LoadInput) (c warehouse.LoadCounts) {
	for _, r := range in.Rows {
		old, there := m.want.rows[r.Key]
		same := old
		same.Source, same.Release, same.Row = r.Source, r.Release, r.Row
		switch {
		case !there:
			c.Inserted++
			m.want.rows[r.Key] = r
		case same != r:
			c.Updated++
			m.want.rows[r.Key] = r
		default:
			c.Unchanged++
			if m.made[r.Key] != m.generation {
				m.want.rows[r.Key] = r
			}
		}
		delete(m.want.rejects, r.Key)
		delete(m.lastGood, r.Key)
		m.made[r.Key] = m.generation
	}
	for _, r := range in.Rejects {
		if old, there := m.want.rows[r.Key]; there {
			c.MovedToRejects++
			m.lastGood[r.Key] = old
		} else {
			c.Rejected++
		}
		delete(m.want.rows, r.Key)
		m.want.rejects[r.Key] = r
		m.made[r.Key] = m.generation
	}
	for _, k := range in.Retired {
		c.Retired++
		m.forget(k)
	}
	c.Extracted = int64(len(in.Rows) + len(in.Rejects) + len(in.Retired))
	m.last[in.Shard] = in.To
	return c
}

func (m *model) forget(k covid.Key) {
	delete(m.want.rows, k)
	delete(m.want.rejects, k)
	delete(m.lastGood, k)
	delete(m.made, k)
}

// restore takes the raw index back to an older copy: some keys are not in it yet.
func (m *model) restore(t *rapid.T) {
	maps.DeleteFunc(m.raw, func(int, document) bool { return rapid.IntRange(0, 3).Draw(t, "lost") == 0 })
}

func (m *model) sweep() (rows, rejects int64) {
	for k, generation := range m.made {
		if generation == m.generation {
			continue
		}
		if _, isRow := m.want.rows[k]; isRow {
			rows++
		} else {
			rejects++
		}
		m.forget(k)
	}
	return rows, rejects
}

// TestLoadsAreTheModel runs random sequences of windows, repeats, late attempts,
// rescans and sweeps and compares counts and contents with the model's.
func TestLoadsAreTheModel(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrate(t, url)
	db := openAt(t, url)
	rapid.Check(t, func(rt *rapid.T) {
		execute(rt, url, "TRUNCATE covid_cases, covid_rejects, etl_state, etl_checkpoint, etl_window")
		begin(rt, db, 0, modelShards)
		m := newModel()
		shard := rapid.IntRange(0, modelShards-1)
		loadNext := func(rt *rapid.T, s, most int) bool {
			in, some := m.next(s, most)
			if !some {
				return false
			}
			got := load(rt, db, in)
			if want := m.load(in); got != want {
				rt.Fatalf("window %s\ncounts %s\n  want %s", asJSON(in), asJSON(got), asJSON(want))
			}
			m.loaded = append(m.loaded, loadedWindow{in, got})
			return true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": m.write,
			"write much": func(rt *rapid.T) {
				for range rapid.IntRange(2, 9).Draw(rt, "writes") {
					m.write(rt)
				}
			},
			"load": func(rt *rapid.T) { loadNext(rt, shard.Draw(rt, "shard"), rapid.IntRange(1, 5).Draw(rt, "most")) },
			"repeat": func(rt *rapid.T) {
				if len(m.loaded) == 0 {
					rt.Skip()
				}
				w := rapid.SampledFrom(m.loaded).Draw(rt, "window")
				if got := load(rt, db, w.in); got != w.counts {
					rt.Fatalf("repeated: %s, want %s", asJSON(got), asJSON(w.counts))
				}
			},
			"elsewhere": func(rt *rapid.T) {
				s := shard.Draw(rt, "shard")
				in := warehouse.LoadInput{RawIndex: index, Generation: m.generation, Shard: s, From: m.last[s] + 1, To: m.last[s] + 2, Rows: []covid.Row{row(s, 5)}}
				if _, err := db.Load(rt.Context(), in); !errors.Is(err, warehouse.ErrOvertaken) {
					rt.Fatalf("a window elsewhere: %v", err)
				}
			},
			"rescan": func(rt *rapid.T) {
				m.restore(rt)
				begin(rt, db, m.generation, modelShards)
				m.generation++
				m.summed = m.summed && len(m.want.rows) > 0
				m.rewind()
			},
			"sum": func(rt *rapid.T) {
				sum(rt, db, m.generation)
				m.summed = true
			},
			"to the end, and sweep": func(rt *rapid.T) {
				for s := range modelShards {
					for loadNext(rt, s, 4) {
					}
				}
				rows, rejects, err := sweep(rt.Context(), db, index, m.generation)
				if wantRows, wantRejects := m.sweep(); err != nil || rows != wantRows || rejects != wantRejects {
					rt.Fatalf("swept %d, %d, %v; want %d, %d", rows, rejects, err, wantRows, wantRejects)
				}
				m.isTheIndex(rt)
			},
			"": func(rt *rapid.T) {
				compare(rt, db, m.want)
				m.compareLastGood(rt, db)
				m.compareSums(rt, db)
				for s, c := range cursorOf(rt, db).Shards {
					if c.LastSeq != m.last[s] {
						rt.Fatalf("shard %d is at %d, want %d", s, c.LastSeq, m.last[s])
					}
				}
			},
		})
	})
}

// isTheIndex checks the promise: every raw document is a row, a reject or
// retired, with the document's values.
func (m *model) isTheIndex(t *rapid.T) {
	for n, d := range m.raw {
		r, isRow := m.want.rows[key(n)]
		_, isReject := m.want.rejects[key(n)]
		r.Source, r.Release, r.Row = d.row.Source, d.row.Release, d.row.Row
		good := !d.retired && d.bad == ""
		if isRow != good || isReject != (!d.retired && d.bad != "") || (good && r != d.row) {
			t.Fatalf("document %+v: row %v %+v, reject %v", d, isRow, r, isReject)
		}
	}
	live := 0
	for _, d := range m.raw {
		if !d.retired {
			live++
		}
	}
	if len(m.want.rows)+len(m.want.rejects) != live {
		t.Fatalf("%d rows and %d rejects, the index has %d live documents", len(m.want.rows), len(m.want.rejects), live)
	}
}

func (m *model) compareLastGood(t *rapid.T, db *warehouse.DB) {
	_, rows, err := db.Query(t.Context(), `SELECT replace(key::text, '-', ''), coalesce((last_good->>'new_cases')::int, 0)
		FROM covid_rejects WHERE last_good IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]int32{}, map[string]int32{}
	for _, r := range rows {
		got[r[0].(string)] = int32(r[1].(int64))
	}
	for k, r := range m.lastGood {
		want[fmt.Sprintf("%x", k)] = r.NewCases.N
	}
	if !maps.Equal(got, want) {
		t.Fatalf("last good values %v, want %v", got, want)
	}
}
