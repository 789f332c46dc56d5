package warehouse

import "slices"

// step is what a run does next.
type step int8

const (
	idle step = iota
	readCursor
	readIndex
	stampIndex
	checkStamp
	stampWarehouse
	dropStamp
	extract
	load
	checkStill
	sweepChunk
)

var stepNames = [...]string{"idle", "reads the cursor", "reads the index", "stamps the registry", "looks for the stamp before", "stamps the warehouse",
	"drops the stamp before", "extracts", "loads", "checks that all stands still", "sweeps"}

// advance takes the next step of a run, one exchange with a server. began reports
// that it began a rescan of a warehouse that had been loaded before.
func (s *world) advance(u rules, i int) (began bool) {
	r, w := &s.runs[i], &s.warehouse
	switch r.step {
	case readCursor:
		r.cursor, r.step = w.cursor, readIndex
		if r.ending {
			r.step = stampIndex
			if r.gone != 0 && w.stamp == r.gone {
				s.end(u, r)
			}
		}
	case readIndex:
		s.plan(u, r)
	case stampIndex:
		s.putStamp(r)
		r.step = stampWarehouse
		if u.checkStamp && !r.rescan && r.cursor.stamp != 0 {
			r.step = checkStamp
		}
	case checkStamp:
		r.step = stampWarehouse
		if !s.index.holds(r.cursor.stamp) {
			s.lookAgain(r)
			if r.ending {
				r.gone = r.cursor.stamp
			}
		}
	case stampWarehouse:
		return s.stampWarehouse(u, r)
	case dropStamp:
		s.dropStamp(r.cursor.stamp)
		r.step = readCursor
		if r.ending {
			s.end(u, r)
		}
	case extract:
		s.extract(u, r)
	case load:
		if overtaken := s.loadWindow(u, r); overtaken {
			*r = modelRun{}
		} else {
			r.goOn()
		}
	case checkStill, sweepChunk:
		s.sweep(u, r)
	}
	return false
}

// lookAgain lets a run begin again because another was faster, or a copy put back.
func (s *world) lookAgain(r *modelRun) {
	r.step, r.fresh = readCursor, 0
	s.retries--
}

// plan decides what a run does after its look, as planning.look.
func (s *world) plan(u rules, r *modelRun) {
	r.rescan, r.upTo = s.reason(r) != "", s.index.last
	s.readOn(r)
	switch {
	case r.rescan && !u.stamps:
		r.step = stampWarehouse
	case r.rescan, u.stamps && r.upTo > r.cursor.last && !r.stamped:
		r.step = stampIndex
	default:
		r.begin(r.cursor.last)
	}
}

// readOn notes that a run reads the index when there is a copy of it that was made
// in the middle of the run: it holds the stamp.
func (s *world) readOn(r *modelRun) {
	s.exposed = s.exposed || (s.hasCopy && r.stamped && s.copied.holds(s.warehouse.stamp))
}

// begin begins to load behind a sequence number.
func (r *modelRun) begin(at int8) {
	r.at, r.fresh = at, 0
	r.goOn()
}

func (r *modelRun) goOn() {
	r.step = extract
	if r.at == r.upTo {
		r.step = checkStill
	}
}

// stampWarehouse stores the stamp, with a new generation when the run is a rescan.
func (s *world) stampWarehouse(u rules, r *modelRun) (began bool) {
	w, seen := &s.warehouse, r.cursor
	if r.rescan {
		_, err := mayBegin(w.asState(), Beginning{
			RawIndex: "i", IndexUUID: "u", Expected: int(seen.generation), ExpectedStamp: stampName(seen.stamp), Stamp: stampName(r.fresh),
		})
		if err != nil {
			s.lookAgain(r)
			return false
		}
		began = w.found
		w.cursor = cursor{found: true, generation: seen.generation + 1}
	} else if w.generation != seen.generation || w.stamp != seen.stamp {
		s.lookAgain(r)
		return false
	}
	if !u.stamps {
		r.cursor = w.cursor
		r.begin(0)
		return began
	}
	w.stamp, r.stamped, s.exposed = r.fresh, true, s.exposed && s.copied.holds(r.fresh)
	r.step = dropStamp
	if seen.stamp == 0 {
		r.step = readCursor
	}
	return began
}

// extract reads the next window.
func (s *world) extract(u rules, r *modelRun) {
	var behind []int8
	for _, d := range s.index.docs {
		if d.version != 0 && d.seq > r.at && d.seq <= r.upTo {
			behind = append(behind, d.seq)
		}
	}
	slices.Sort(behind)
	r.to = r.upTo
	if len(behind) >= u.window {
		r.to = behind[u.window-1]
	}
	for key, d := range s.index.docs {
		if d.version != 0 && d.seq > r.at && d.seq <= r.to {
			r.docs[key] = d
		}
	}
	r.step = load
	s.readOn(r)
}

// sweep takes a step of the sweep: the check, a row, or the end.
func (s *world) sweep(u rules, r *modelRun) {
	w := &s.warehouse
	still := func() bool {
		return StandsStill([]int64{int64(r.upTo)}, RawIndex{Shards: []RawShard{{Checkpoint: int64(s.index.last)}}}, w.asCursor())
	}
	switch {
	case w.generation != r.cursor.generation:
		*r = modelRun{}
	case w.swept, r.step == checkStill && !still():
		s.loaded(u, r)
	case r.step == checkStill:
		r.step = sweepChunk
	case r.swept < exploredKeys:
		if row := &w.rows[r.swept]; row.generation < w.generation {
			*row = modelRow{}
		}
		r.swept++
	case slices.ContainsFunc(w.rows[:], func(row modelRow) bool { return row.generation != 0 && row.generation < w.generation }):
		r.swept = 0
	default:
		w.swept = true
		s.loaded(u, r)
	}
}

// loaded goes on when a run has loaded and swept what it can.
func (s *world) loaded(u rules, r *modelRun) {
	if u.endStamp && r.stamped {
		*r = modelRun{step: readCursor, stamped: true, ending: true}
		return
	}
	s.end(u, r)
}

// end ends a run well.
func (s *world) end(u rules, r *modelRun) {
	if !u.endStamp && r.stamped {
		s.exposed = false
	}
	*r = modelRun{}
}
