package search

import (
	"errors"
	"fmt"
	"time"
)

// This file holds every change that an ingest may make to a release, as functions
// without I/O: the activities apply them by compare-and-swap, and an exhaustive test
// applies them in every order.
//
// Any attempt of an activity may run late: after its workflow was terminated, or
// beside the attempt that replaced it. A release therefore has one owner, and a
// change by any other is refused; and no change takes back what is known of a
// release, since late attempts of the owner cannot be told from its timely ones.

// ErrTaken means that a release no longer is the caller's to change. The caller has
// to register again.
var ErrTaken = errors.New("the release is not this ingest's to change; register the source again")

// The states of a release.
const (
	StateRunning   = "running"
	StateCompleted = "completed"
	StateFailed    = "failed" // its number is not used again
	StateCancelled = "cancelled"
	// StateRejected is that of a release that was held and that a person rejected
	// before anything of it was read; its number is not used again.
	StateRejected = "rejected"
)

// Release is one published state of a source, as the registry holds it.
type Release struct {
	Number     int64     `json:"number"`
	Source     string    `json:"source"`     // URI
	IndexUUID  string    `json:"index_uuid"` // of the raw index that it was written to
	Registered time.Time `json:"registered"`
	State      string    `json:"state"`
	Follow     bool      `json:"follow"`
	Read       Extent    `json:"read"`
	Checkpoint Position  `json:"checkpoint"` // every batch before it is done
	Counts     Counts    `json:"counts"`
	Retired    int64     `json:"retired"` // documents that this release retired
	// Longest is the most bytes that the values of one of its records take in a
	// document. It never decreases and is stored before the record is indexed; 0 is
	// unknown, of releases of earlier versions.
	Longest    int64      `json:"longest,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	// Owner is the token of the ingest that registered the release last; empty in
	// releases of versions without owners.
	Owner string `json:"owner,omitempty"`
	// History is IndexState.History of the raw index when the release was registered;
	// empty, which is unknown, in releases of versions without it.
	History string `json:"history,omitempty"`
	// Held says why the release waits, or waited when it ended, for a person to accept
	// or reject it; empty when it does not.
	Held string `json:"held,omitempty"`

	// SeqNo and PrimaryTerm say which state of the registry's document was read;
	// Save compares them.
	SeqNo       int64 `json:"-"`
	PrimaryTerm int64 `json:"-"`
}

// Extent is what has been read of a source.
type Extent struct {
	Length      int64  `json:"length"` // bytes
	Digest      string `json:"digest"` // of those bytes
	Rows        int64  `json:"rows"`
	AtRecordEnd bool   `json:"at_record_end"` // the last byte ended a record
}

// Position is a place between two records of a source.
type Position struct {
	Offset int64 `json:"offset"` // bytes before it
	Row    int64 `json:"row"`    // rows before it
}

// Counts are the counters of an ingest. They are progress, not proof: an answer
// that was lost leaves unknown which of them its items belong to.
type Counts struct {
	Rows         int64 `json:"rows"`
	Written      int64 `json:"written"`
	AlreadyThere int64 `json:"already_there"`
	Superseded   int64 `json:"superseded"`
	Quarantined  int64 `json:"quarantined"`
}

// Claim is what an ingest registers with.
type Claim struct {
	Holder
	IndexUUID  string
	History    string
	Follow     bool // the source may grow
	NewRelease bool // begin the next release whatever the content
}

// Holder identifies the ingest that changes a release.
type Holder struct{ Source, Owner string }

// Progress is a checkpoint and the counts of the rows before it.
type Progress struct {
	Checkpoint Position
	Counts     Counts
}

// Continuable reports whether an ingest may continue the release with a source of
// that size. If Read.Length is not 0, it may only if the source also begins with the
// bytes of Read.Digest.
func (r Release) Continuable(c Claim, size int64) bool {
	switch {
	case r.Source != c.Source, r.IndexUUID != c.IndexUUID, r.State == StateFailed, r.State == StateRejected:
		return false
	case r.History != "" && r.History != c.History: // its documents may be lost
		return false
	case r.Read.Length == 0:
		return true
	case c.NewRelease:
		return false
	}
	return size == r.Read.Length || size > r.Read.Length && r.Read.AtRecordEnd
}

// Indexed reports whether all that was read of the source is indexed.
func (r Release) Indexed() bool { return r.indexedUpTo(r.Checkpoint) }

func (r Release) indexedUpTo(p Position) bool {
	if r.Read.Length == 0 { // there was no more than a header
		return p.Row == 0
	}
	return p.Offset == r.Read.Length && p.Row == r.Read.Rows
}

// Nothing reports whether an ingest has nothing to index or to complete in a release
// that it may continue. Live documents of older releases, which a late bulk request
// may have left, are for the caller to look for.
func (r Release) Nothing(c Claim, size int64) bool {
	return r.State == StateCompleted && !c.Follow && size == r.Read.Length && r.Indexed()
}

// TakeOver makes the release the claimant's, to continue at its checkpoint.
func (r Release) TakeOver(c Claim) Release {
	r.State, r.Owner, r.Follow, r.FinishedAt = StateRunning, c.Owner, c.Follow, nil
	r.History, r.Held = c.History, ""
	return r
}

// Withdraw ends a running release whose content or index is no longer there, before
// the next one is registered.
func (r Release) Withdraw() Release {
	if r.State == StateRunning {
		r.State = StateFailed
	}
	return r
}

// Plan records how far the source was read before any of it is indexed, and the
// checkpoint. read.Digest is empty when the plan found nothing behind read.Length. A
// plan that ends before what was read of the release earlier leaves that: its rows may
// be indexed. The caller has compared the two.
func (r Release) Plan(h Holder, p Progress, read Extent) (Release, error) {
	if err := r.heldBy(h); err != nil {
		return r, err
	}
	r.advance(p)
	if read.Digest != "" && read.Length >= r.Read.Length {
		// An earlier plan may have ended a record that more bytes would have made
		// another: that stays so.
		read.AtRecordEnd = read.AtRecordEnd && (r.Read.Length == 0 || r.Read.AtRecordEnd)
		r.Read = read
	}
	return r, nil
}

// Hold records why the release waits for a person, or with no reason that it does not.
func (r Release) Hold(h Holder, reason string) (Release, error) {
	if err := r.heldBy(h); err != nil {
		return r, err
	}
	r.Held = reason
	return r, nil
}

// SetAside reports whether a release was held before anything of it was read: nothing
// of it is indexed, so the release before it is still that of the source.
func (r Release) SetAside() bool { return r.Held != "" && r.Read.Length == 0 }

// Completion is how an ingest completes a release.
type Completion struct {
	Progress        // Checkpoint is the end of the source
	Digest   string // of the bytes before the end
	Retired  int64
	At       time.Time
}

// Complete ends a release of which everything is indexed. To complete it again in
// the same way changes nothing. It is refused when more was read than is indexed, as
// by a late plan that found new lines: the next registration continues there.
func (r Release) Complete(h Holder, c Completion) (Release, error) {
	again := r.State == StateCompleted && r.Holder() == h && r.Checkpoint == c.Checkpoint
	if err := r.heldBy(h); err != nil && !again {
		return r, err
	}
	if !r.indexedUpTo(c.Checkpoint) || r.Read.Length > 0 && r.Read.Digest != c.Digest {
		return r, fmt.Errorf("release %d of %s cannot be completed at byte %d: %d bytes were read: %w",
			r.Number, r.Source, c.Checkpoint.Offset, r.Read.Length, ErrTaken)
	}
	if again {
		return r, nil
	}
	r.advance(c.Progress)
	r.State, r.FinishedAt, r.Retired = StateCompleted, &c.At, c.Retired
	r.Held = ""
	return r, nil
}

// Close ends a release before its end: failed, or cancelled so that another ingest
// may continue it. One that fails while it is set aside was rejected. To close it
// again in the same way changes nothing.
func (r Release) Close(h Holder, p Progress, failed bool) (Release, error) {
	state := StateCancelled
	switch {
	case failed && r.SetAside():
		state = StateRejected
	case failed:
		state = StateFailed
	}
	if r.State == state && r.Holder() == h {
		return r, nil
	}
	if err := r.heldBy(h); err != nil {
		return r, err
	}
	r.advance(p)
	r.State = state
	return r, nil
}

// Holder returns who may change the release while it is running.
func (r Release) Holder() Holder { return Holder{Source: r.Source, Owner: r.Owner} }

func (r Release) heldBy(h Holder) error {
	switch {
	case r.Holder() != h:
		return fmt.Errorf("release %d belongs to another ingest now: %w", r.Number, ErrTaken)
	case r.State != StateRunning:
		return fmt.Errorf("release %d is %s: %w", r.Number, r.State, ErrTaken)
	}
	return nil
}

// advance moves the checkpoint, and the counts that belong to it, never back.
func (r *Release) advance(p Progress) {
	if p.Checkpoint.Offset > r.Checkpoint.Offset {
		r.Checkpoint, r.Counts = p.Checkpoint, p.Counts
	}
}
