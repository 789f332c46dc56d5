package warehouse

import (
	"fmt"
	"slices"
)

// The model of the explorer: a raw index of one shard with its registry, a copy of
// both, a warehouse, and runs whose every exchange with a server is a step of its
// own. It decides by the functions of decisions.go. Everything is of fixed size, so
// that states can be compared and hashed.

const (
	exploredKeys   = 2
	exploredMarks  = 8 // anchors
	exploredStamps = 8 // in the registry at once
)

// rules are those that the code follows, or with less an earlier version's.
type rules struct {
	window      int  // documents
	dropAnchors bool // loads drop the anchors whose documents they load
	stamps      bool // runs stamp the registry and the warehouse before they load
	checkStamp  bool // and then look whether the registry still holds the stamp before
	endStamp    bool // runs stamp both again when they have loaded
}

var (
	current  = rules{window: 1, dropAnchors: true, stamps: true, checkStamp: true, endStamp: true}
	released = rules{window: 1} // of the version before stamps
)

type (
	document struct {
		version, seq int8 // version 0: not there
		content      int8 // of each write its own; only equality counts
		retired      bool
	}
	modelIndex struct {
		docs   [exploredKeys]document
		last   int8                 // sequence number
		stamps [exploredStamps]int8 // that the registry holds; 0 = none
	}
	anchor struct{ key, version, seq int8 } // version 0: none
	cursor struct {
		found, swept bool
		generation   int8
		last         int8 // 0 = nothing is loaded
		stamp        int8
		anchors      [exploredMarks]anchor
	}
	modelRow       struct{ content, generation int8 } // generation 0: not there
	modelWarehouse struct {
		cursor
		rows [exploredKeys]modelRow
	}
	modelRun struct {
		step     step
		cursor   cursor // as it was read
		rescan   bool
		stamped  bool // it has written a stamp into both
		ending   bool
		fresh    int8 // stamp that it writes
		gone     int8 // stamp that the registry lacked at its end
		upTo, at int8
		docs     [exploredKeys]document // of its window, which ends at to
		to       int8
		swept    int8 // keys
	}
	// world is the state of everything, and how often things may happen still.
	world struct {
		index, copied modelIndex
		hasCopy       bool
		exposed       bool // runs have read on since the copy was made, and the warehouse's stamp is in it
		wasPutBack    bool
		warehouse     modelWarehouse
		runs          [2]modelRun
		contents      int8 // handed out
		stamped       int8 // handed out
		bounds
	}
)

func (s *world) write(key int, retired bool) {
	s.index.last++
	s.contents++
	s.index.docs[key] = document{s.index.docs[key].version + 1, s.index.last, s.contents, retired}
}

func (s *world) copyIndex() {
	s.copied, s.hasCopy, s.exposed = s.index, true, false
}

func (s *world) putBack() {
	s.index, s.hasCopy, s.wasPutBack = s.copied, false, true
	s.copied = modelIndex{}
}

// asCursor and asRaw turn what a run has read into what the functions take.
func (c *cursor) asCursor() IndexCursor {
	at := ShardCursor{LastSeq: int64(c.last)}
	for _, a := range c.anchors {
		if a.version != 0 {
			at.Anchors = append(at.Anchors, a.asAnchor())
		}
	}
	return IndexCursor{IndexUUID: "u", Generation: int(c.generation), Stamp: stampName(c.stamp), Shards: []ShardCursor{at}}
}

func (c *cursor) asState() state {
	return state{rawIndex: "i", indexUUID: "u", generation: int(c.generation), stamp: stampName(c.stamp)}
}

func (a anchor) asAnchor() Anchor {
	return Anchor{ID: keyNames[a.key], Version: int64(a.version), SeqNo: int64(a.seq)}
}

var keyNames = [exploredKeys]string{"a", "b"}

func stampName(n int8) string {
	if n == 0 {
		return ""
	}
	return stampNames[n]
}

var stampNames = func() (names [64]string) {
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return names
}()

// reason returns why a run that has read this has to read everything again.
func (s *world) reason(r *modelRun) string {
	c := r.cursor.asCursor()
	raw := RawIndex{UUID: "u", Shards: []RawShard{{Checkpoint: int64(s.index.last)}}, Stamped: s.index.holds(r.cursor.stamp)}
	if reason := RescanReason(c, r.cursor.found, raw); reason != "" {
		return reason
	}
	var now []Anchor
	for _, a := range r.cursor.anchors {
		if a.version != 0 {
			d := s.index.docs[a.key]
			if d.version == 0 {
				now = append(now, Anchor{})
			} else {
				now = append(now, anchor{a.key, d.version, d.seq}.asAnchor())
			}
		}
	}
	return AnchorMoved(c.Shards[0], now)
}

func (x *modelIndex) holds(stamp int8) bool {
	return slices.Contains(x.stamps[:], stamp)
}

// putStamp writes a new stamp into the registry.
func (s *world) putStamp(r *modelRun) {
	s.stamped++
	r.fresh = s.stamped
	s.index.stamps[slices.Index(s.index.stamps[:], 0)] = r.fresh
}

// dropStamp removes a stamp from the registry.
func (s *world) dropStamp(stamp int8) {
	if i := slices.Index(s.index.stamps[:], stamp); i >= 0 {
		copy(s.index.stamps[i:], s.index.stamps[i+1:])
		s.index.stamps[exploredStamps-1] = 0
	}
}

// loadWindow does what Load does.
func (s *world) loadWindow(u rules, r *modelRun) (overtaken bool) {
	w := &s.warehouse
	if !mayLoad(place{int(w.generation), int64(w.last)}, int(r.cursor.generation), int64(r.at)) {
		return true
	}
	var last Anchor
	loaded := map[string]bool{}
	for key, d := range r.docs {
		if d.version == 0 {
			continue
		}
		loaded[keyNames[key]] = true
		if int64(d.seq) > last.SeqNo {
			last = anchor{int8(key), d.version, d.seq}.asAnchor()
		}
		w.rows[key] = modelRow{d.content, w.generation}
		if d.retired {
			w.rows[key] = modelRow{}
		}
	}
	before := w.asCursor().Shards[0].Anchors
	w.anchors = [exploredMarks]anchor{}
	for i, a := range anchorsAfter(before, last, func(a Anchor) bool { return u.dropAnchors && loaded[a.ID] }) {
		w.anchors[i] = anchor{int8(slices.Index(keyNames[:], a.ID)), int8(a.Version), int8(a.SeqNo)}
	}
	w.last, r.at, r.to, r.docs = r.to, r.to, 0, [exploredKeys]document{}
	return false
}

// isExact reports whether the warehouse holds the live documents, and nothing else.
func (s *world) isExact() bool {
	for key, d := range s.index.docs {
		row := s.warehouse.rows[key]
		if live := d.version != 0 && !d.retired; live != (row.generation != 0) || (live && row.content != d.content) {
			return false
		}
	}
	return true
}
