package warehouse

import (
	"fmt"

	"covidpipeline/internal/covid"
)

// The decisions about the cursor are pure functions: the ETL takes them with what
// the servers answered, and the explorer takes them in every order of events.

// RawIndex is what a plan found of the raw index.
type RawIndex struct {
	UUID    string
	Shards  []RawShard // by shard number
	Stamped bool       // its registry holds the warehouse's stamp
}

// RawShard is the state of a primary shard.
type RawShard struct {
	Shard       int
	HistoryUUID string
	PrimaryTerm int64
	Checkpoint  int64 // sequence number up to which every operation is done
}

// RescanReason returns why a cursor does not fit the raw index, or "". Everything
// it compares changes when an index was deleted, restored or replaced by an older
// copy of its files. A copy keeps its UUIDs; the stamps show it, and AnchorMoved.
func RescanReason(c IndexCursor, found bool, raw RawIndex) string {
	switch {
	case !found:
		return "first load"
	case c.IndexUUID == "":
		return "manual rescan requested"
	case c.IndexUUID != raw.UUID:
		return "the raw index was made anew"
	case len(c.Shards) != len(raw.Shards):
		return "the raw index has another number of shards"
	case c.Stamp != "" && !raw.Stamped:
		return "the release registry lacks the stamp of the last run: the raw index or the warehouse is an older copy, or the registry was deleted"
	}
	for i, s := range raw.Shards {
		at := c.Shards[i]
		switch {
		case s.HistoryUUID != at.HistoryUUID:
			return fmt.Sprintf("shard %d has another history", s.Shard)
		case s.Checkpoint < at.LastSeq:
			return fmt.Sprintf("shard %d ends at %d, loaded was up to %d: the raw index is an older copy", s.Shard, s.Checkpoint, at.LastSeq)
		case s.PrimaryTerm < at.PrimaryTerm:
			return fmt.Sprintf("the primary term of shard %d decreased: the raw index is an older copy", s.Shard)
		}
	}
	return ""
}

// AnchorMoved returns why the anchors of a shard do not fit the raw index, or "".
// now holds the anchors' documents as they stand, without an ID where there is
// none. An anchor says where its document was loaded from last, so the document
// stands there still, or has been written again behind the checkpoint.
func AnchorMoved(c ShardCursor, now []Anchor) string {
	for i, was := range c.Anchors {
		again := now[i].Version > was.Version && now[i].SeqNo > c.LastSeq
		if now[i] != was && (now[i].ID != was.ID || !again) {
			return fmt.Sprintf("document %s of shard %d is not where it was loaded from: the raw index is an older copy", was.ID, c.Shard)
		}
	}
	return ""
}

// StandsStill reports whether neither the raw index nor the checkpoint moved since
// a run was planned up to these numbers. When that is so after the run's last
// window, the generation has seen every document: none was written again past the
// plan before it was read. What it has not seen is gone for good then, and may be
// removed even when the index moves on.
func StandsStill(upTo []int64, raw RawIndex, c IndexCursor) bool {
	if len(raw.Shards) != len(upTo) || len(c.Shards) != len(upTo) {
		return false
	}
	for i, n := range upTo {
		if raw.Shards[i].Checkpoint != n || c.Shards[i].LastSeq != n {
			return false
		}
	}
	return true
}

// place is where a shard's checkpoint stands.
type place struct {
	generation int
	lastSeq    int64
}

// mayLoad reports whether a window of a generation moves the checkpoint: only from
// exactly its beginning.
func mayLoad(at place, generation int, from int64) bool {
	return at == place{generation, from}
}

// anchorsAfter returns the anchors, newest first, that a shard has after a window:
// without those whose documents the window loaded, with its own last document, and
// at most 16. Each anchor so says where its document was loaded from last.
func anchorsAfter(before []Anchor, last Anchor, loaded func(Anchor) bool) []Anchor {
	var after []Anchor
	if last.ID != "" {
		after = append(after, last)
	}
	for _, a := range before {
		if len(after) < anchors && !loaded(a) {
			after = append(after, a)
		}
	}
	return after
}

// anchorKey returns the key that an anchor's document is loaded under.
func anchorKey(a Anchor) covid.Key {
	if key, err := covid.ParseID(a.ID); err == nil {
		return key
	}
	return covid.ForeignKey(a.ID)
}

// mayBegin returns ErrOvertaken unless the generation after expected may begin: the
// warehouse still is as its caller saw it. begun reports that the caller began it
// before and has not heard so.
func mayBegin(now state, b Beginning) (begun bool, err error) {
	if now.rawIndex == b.RawIndex && now.generation == b.Expected+1 && now.indexUUID == b.IndexUUID && now.stamp == b.Stamp {
		return true, nil
	}
	if err := now.belongs(b.RawIndex, b.Expected); err != nil {
		return false, err
	}
	if now.stamp != b.ExpectedStamp {
		return false, fmt.Errorf("another run stamped the warehouse: %w", ErrOvertaken)
	}
	return false, nil
}
