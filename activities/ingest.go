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
}

// RegisterRelease decides which release the content of a source belongs to: the
// newest release of that source when what was read of it is still the beginning
// of the source, otherwise the next number. Repeating it is harmless: a release
// of which nothing was read yet is taken again.
func (a *Ingest) RegisterRelease(ctx context.Context, in RegisterInput) (Registered, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.register(ctx, in)
	if !in.Follow && errors.Is(err, csvfile.ErrNoHeader) {
		err = fmt.Errorf("%w: %s is empty or has no line end behind its header", csvfile.ErrHeader, in.Source)
	}
	return out, classify(err)
}

func (a *Ingest) register(ctx context.Context, in RegisterInput) (Registered, error) {
	uuid, err := a.Search.EnsureIndices(ctx, in.Index, a.Shards, a.Replicas)
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
	running, err := a.startOfSource(ctx, in.Source, &out)
	if err != nil {
		return Registered{}, err
	}
	if newest != nil && newest.IndexUUID == uuid && newest.State != search.StateFailed &&
		(!in.NewRelease || newest.Read.Length == 0) {
		same, err := a.resume(ctx, in, *newest, info.Size, running, &out)
		if err != nil || same {
			return out, err
		}
	}
	if newest != nil && newest.State == search.StateRunning {
		newest.State = search.StateFailed
		if _, err := a.Search.Save(ctx, in.Index, *newest); err != nil {
			return Registered{}, err
		}
	}
	next, err := a.Search.Create(ctx, in.Index, search.Release{
		Number: number, Source: in.Source, IndexUUID: uuid, Registered: time.Now().UTC(),
		State: search.StateRunning, Follow: in.Follow, Checkpoint: search.Position(out.From),
	})
	if err != nil {
		return Registered{}, err
	}
	out.Release = releaseOf(in.Index, next)
	return out, nil
}

func releaseOf(index string, r search.Release) Release {
	return Release{Index: index, IndexUUID: r.IndexUUID, Source: r.Source, Number: r.Number, Registered: covid.DateOf(r.Registered)}
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

// resume decides whether the source still begins with what was read under the
// release r, and if so sets out to go on from its checkpoint. running has read
// the header.
func (a *Ingest) resume(ctx context.Context, in RegisterInput, r search.Release, size int64, running hash.Hash, out *Registered) (bool, error) {
	if r.Read.Length > 0 {
		header := out.From
		if size < r.Read.Length || (size > r.Read.Length && !r.Read.AtRecordEnd) {
			return false, nil
		}
		if err := hashPart(ctx, a.Sources, running, in.Source, header.Offset, r.Checkpoint.Offset-header.Offset, nil); err != nil {
			return false, err
		}
		state, upTo, err := keepHash(running)
		if err != nil {
			return false, err
		}
		if err := hashPart(ctx, a.Sources, running, in.Source, r.Checkpoint.Offset, r.Read.Length-r.Checkpoint.Offset, nil); err != nil {
			return false, err
		}
		if digest(running) != r.Read.Digest {
			return false, nil
		}
		out.From, out.Hash, out.Digest = csvfile.Position(r.Checkpoint), state, upTo
		out.Counts = BatchCounts(r.Counts)
		out.Continued = true
	}
	out.Release = releaseOf(in.Index, r)
	if r.State == search.StateCompleted && size == r.Read.Length && !in.Follow {
		out.Nothing = true
		return true, nil
	}
	r.State, r.Follow, r.FinishedAt = search.StateRunning, in.Follow, nil
	_, err := a.Search.Save(ctx, in.Index, r)
	return true, err
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
