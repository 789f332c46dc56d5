package activities

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

// Ingest holds what the activities of IngestWorkflow need.
type Ingest struct {
	Search  *search.Client
	Sources source.Roots // what may be read
	// Shards and Replicas are those of a raw index that does not exist yet.
	Shards, Replicas int
	// Quiet is how long nothing may have written to a source before its end is
	// believed: a release is not completed over the half of a file that a slow writer
	// has written.
	Quiet time.Duration
	// Rules are those of the transform, by which a source is judged.
	Rules covid.Rules
}

// Range and Position are those of package csvfile, under a name that workflows
// may use.
type (
	Range    = csvfile.Range
	Position = csvfile.Position
)

// Release names what an ingest writes.
type Release struct {
	Index      string     `json:"index"`
	IndexUUID  string     `json:"indexUUID"`
	Source     string     `json:"source"`
	Number     int64      `json:"number"`
	Registered covid.Date `json:"registered"` // days since 1970-01-01
	// Owner and History are those of the registration; empty in runs that began
	// before releases had them.
	Owner   string `json:"owner,omitempty"`
	History string `json:"history,omitempty"`
}

// BatchCounts says what became of rows:
// Rows = Written + AlreadyThere + Superseded + Quarantined. They are progress,
// not proof: when an answer was lost, a row counts as already there.
type BatchCounts struct {
	Rows         int64 `json:"rows"`
	Written      int64 `json:"written"`
	AlreadyThere int64 `json:"alreadyThere"`
	Superseded   int64 `json:"superseded"`
	Quarantined  int64 `json:"quarantined"`
}

// Add adds the counts of another batch.
func (c *BatchCounts) Add(o BatchCounts) {
	c.Rows += o.Rows
	c.Written += o.Written
	c.AlreadyThere += o.AlreadyThere
	c.Superseded += o.Superseded
	c.Quarantined += o.Quarantined
}

// RegisterInput asks for the release under which a source is to be ingested.
type RegisterInput struct {
	Index      string `json:"index"`
	Source     string `json:"source"`
	Follow     bool   `json:"follow"`
	NewRelease bool   `json:"newRelease"` // begin the next release whatever the content
	// Owner is a token that no other registration has, except for retries of this
	// one: it alone may change the release until the next registration.
	Owner string `json:"owner,omitempty"`
}

// Registered is the release to ingest and where to begin.
type Registered struct {
	Release Release `json:"release"`
	// Nothing is set when the newest release of the source holds its content
	// already and is complete.
	Nothing   bool             `json:"nothing"`
	Continued bool             `json:"continued"` // an earlier ingest got to From
	From      csvfile.Position `json:"from"`
	Hash      []byte           `json:"hash"` // SHA-256 state over the bytes before From
	Digest    string           `json:"digest"`
	Counts    BatchCounts      `json:"counts"` // of the rows before From
	Size      int64            `json:"size"`   // bytes of the source now
	Identity  string           `json:"identity"`
	Saved     int64            `json:"saved,omitempty"` // see Planned.Saved
}

// RegisterRelease decides which release the content of a source belongs to: the
// newest release of that source when what was read of it is still the beginning
// of the source, otherwise the next number. The release then belongs to in.Owner.
// Repeating it is harmless: a release of which nothing was read yet is taken again,
// and a late attempt conflicts with whatever was registered after its reads.
func (a *Ingest) RegisterRelease(ctx context.Context, in RegisterInput) (Registered, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.register(ctx, in)
	if !in.Follow && errors.Is(err, csvfile.ErrNoHeader) {
		err = fmt.Errorf("%w: %s is empty or has no line end behind its header", csvfile.ErrHeader, in.Source)
	}
	return out, classify(err)
}

func (a *Ingest) register(ctx context.Context, in RegisterInput) (Registered, error) {
	claim, err := a.claim(ctx, in)
	if err != nil {
		return Registered{}, err
	}
	info, err := a.Sources.Stat(in.Source)
	if err != nil {
		return Registered{}, err
	}
	// The number is read before the decision: when another attempt has registered
	// meanwhile, Create is refused and the decision is made anew.
	number, err := a.Search.NextNumber(ctx, in.Index)
	if err != nil {
		return Registered{}, err
	}
	newest, err := a.Search.Newest(ctx, in.Index, in.Source)
	if err != nil {
		return Registered{}, err
	}
	out := Registered{Size: info.Size, Identity: info.Identity}
	continued, err := a.continuable(ctx, in, claim, newest, &out)
	if err != nil {
		return Registered{}, err
	}
	if continued != nil {
		if err := a.reject(ctx, in.Index, newest, continued); err != nil {
			return Registered{}, err
		}
		return out, a.resume(ctx, in.Index, claim, *continued, &out)
	}
	if newest != nil && newest.State == search.StateRunning {
		if _, err := a.Search.Save(ctx, in.Index, newest.Withdraw()); err != nil {
			return Registered{}, err
		}
	}
	next, err := a.Search.Create(ctx, in.Index, search.Release{
		Number: number, Source: in.Source, IndexUUID: claim.IndexUUID, Registered: serverTime(ctx), Owner: claim.Owner, History: claim.History,
		State: search.StateRunning, Follow: in.Follow, Checkpoint: search.Position(out.From),
	})
	out.hold(in.Index, next)
	return out, err
}

// reject ends a release that was set aside when the one in effect continues.
func (a *Ingest) reject(ctx context.Context, index string, newest, continued *search.Release) error {
	if newest == continued || newest.State == search.StateRejected {
		return nil
	}
	newest.State = search.StateRejected
	_, err := a.Search.Save(ctx, index, *newest)
	return err
}

// continuable sets out to the place where the source goes on, and returns the release
// that continues there, or nil: the newest one, or the one in effect when the newest
// was set aside and the source has the content of before again.
func (a *Ingest) continuable(ctx context.Context, in RegisterInput, claim search.Claim, newest *search.Release, out *Registered) (*search.Release, error) {
	candidates := []*search.Release{newest}
	if newest != nil && newest.SetAside() {
		before, err := a.Search.Effective(ctx, in.Index, in.Source)
		if err != nil {
			return nil, err
		}
		candidates = []*search.Release{before, newest}
	}
	for _, r := range candidates {
		running, err := a.startOfSource(ctx, in.Source, out)
		if err != nil {
			return nil, err
		}
		if r == nil || !r.Continuable(claim, out.Size) {
			continue
		}
		same, err := sameBeginning(ctx, a.Sources, in.Source, *r, running, out)
		if err != nil {
			return nil, err
		}
		if same {
			return r, nil
		}
	}
	return nil, nil
}

// claim makes the indices where they are missing and identifies them.
func (a *Ingest) claim(ctx context.Context, in RegisterInput) (search.Claim, error) {
	if _, err := a.Search.EnsureIndices(ctx, in.Index, a.Shards, a.Replicas); err != nil {
		return search.Claim{}, err
	}
	state, err := a.Search.IndexState(ctx, in.Index)
	return search.Claim{
		Holder:    search.Holder{Source: in.Source, Owner: in.Owner},
		IndexUUID: state.UUID, History: state.History(), Follow: in.Follow, NewRelease: in.NewRelease,
	}, err
}

// serverTime returns when the activity started by the clock of the Temporal server.
// Dates are judged by it: a worker whose clock is behind would reject the newest
// ones.
func serverTime(ctx context.Context) time.Time {
	return activity.GetInfo(ctx).StartedTime.UTC()
}

func releaseOf(index string, r search.Release) Release {
	return Release{Index: index, IndexUUID: r.IndexUUID, Source: r.Source, Number: r.Number, Registered: covid.DateOf(r.Registered)}
}

// hold sets the release as it was read or written last.
func (r *Registered) hold(index string, release search.Release) {
	r.Release, r.Saved = releaseOf(index, release), release.SeqNo
	r.Release.Owner, r.Release.History = release.Owner, release.History
}

// startOfSource checks the header and sets the position behind it.
func (a *Ingest) startOfSource(ctx context.Context, uri string, out *Registered) (hash.Hash, error) {
	f, err := a.Sources.Open(uri, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	length, err := csvfile.ReadHeader(f)
	if err != nil {
		return nil, sourceError(err)
	}
	running := sha256.New()
	if err := hashPart(ctx, a.Sources, running, uri, 0, length, nil); err != nil {
		return nil, err
	}
	out.From = csvfile.Position{Offset: length}
	out.Hash, out.Digest, err = keepHash(running)
	return running, err
}

// sameBeginning reports whether the source still begins with what was read under the
// release r, and if so sets out to continue at its checkpoint. running has read the
// header.
func sameBeginning(ctx context.Context, from source.Roots, uri string, r search.Release, running hash.Hash, out *Registered) (bool, error) {
	if r.Read.Length == 0 {
		return true, nil
	}
	header := out.From
	if err := hashPart(ctx, from, running, uri, header.Offset, r.Checkpoint.Offset-header.Offset, nil); err != nil {
		return false, err
	}
	state, upTo, err := keepHash(running)
	if err != nil {
		return false, err
	}
	if err := hashPart(ctx, from, running, uri, r.Checkpoint.Offset, r.Read.Length-r.Checkpoint.Offset, nil); err != nil {
		return false, err
	}
	if digest(running) != r.Read.Digest {
		return false, nil
	}
	out.From, out.Hash, out.Digest = csvfile.Position(r.Checkpoint), state, upTo
	out.Counts = BatchCounts(r.Counts)
	out.Continued = true
	return true, nil
}

// resume takes the release r over, unless there is nothing to do in it: neither a row
// to index nor a document of an older release, written late, to retire.
func (a *Ingest) resume(ctx context.Context, index string, claim search.Claim, r search.Release, out *Registered) error {
	if r.Nothing(claim, out.Size) {
		left, err := a.Search.CountLeft(ctx, index, r.Source, r.Number)
		if err != nil {
			return err
		}
		if out.Nothing = left == 0; out.Nothing {
			out.hold(index, r)
			return a.fillHistory(ctx, index, claim, r)
		}
	}
	taken, err := a.Search.Save(ctx, index, r.TakeOver(claim))
	out.hold(index, taken)
	return err
}

// fillHistory sets the history of a release of a version that recorded none.
func (a *Ingest) fillHistory(ctx context.Context, index string, claim search.Claim, r search.Release) error {
	if r.History != "" {
		return nil
	}
	r.History = claim.History
	_, err := a.Search.Save(ctx, index, r)
	return err
}

// keepHash gives the state of a hash, to go on with later, and its digest so far.
func keepHash(running hash.Hash) (state []byte, soFar string, err error) {
	if state, err = running.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return nil, "", fmt.Errorf("keep the digest of the source: %w", err)
	}
	return state, digest(running), nil
}

// takeUpHash goes on with a state that keepHash gave.
func takeUpHash(state []byte) (hash.Hash, error) {
	running := sha256.New()
	if err := running.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("take up the digest of the source: %w", err)
	}
	return running, nil
}

func digest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// hashPart feeds length bytes of a source to h. A source that ends before is
// changed: its size has been looked at.
func hashPart(ctx context.Context, from source.Roots, h hash.Hash, uri string, offset, length int64, done *atomic.Int64) error {
	if length == 0 {
		return nil
	}
	f, err := from.Open(uri, offset)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	for left := length; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(f, buf[:min(left, int64(len(buf)))])
		h.Write(buf[:n])
		left -= int64(n)
		if done != nil {
			done.Add(int64(n))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: %s ends at byte %d, %d were read before", csvfile.ErrChanged, uri, offset+length-left, offset+length)
		}
		if err != nil {
			return sourceError(err)
		}
	}
	return nil
}

// sourceError marks an error of reading as the source's unless it says more.
func sourceError(err error) error {
	if errors.Is(err, csvfile.ErrHeader) || errors.Is(err, csvfile.ErrNoHeader) || errors.Is(err, csvfile.ErrChanged) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errSource, err)
}
