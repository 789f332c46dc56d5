package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

// leaveOut takes the sources out of the comparison of which a newer release is held or
// was rejected: their files no longer have the content that is indexed. It returns a
// sentence for each. A file that has that content again is compared.
func (c *comparing) leaveOut(ctx context.Context) (notes []string, err error) {
	var compared []SourceRelease
	for _, r := range c.in.Snapshot.Releases {
		if r.SetAside > 0 {
			same, err := isContent(ctx, r)
			if err != nil {
				return nil, err
			}
			if !same {
				notes = append(notes, fmt.Sprintf("%s is not compared: its content is that of release %d, which is held or was rejected; release %d is in effect",
					r.Source, r.SetAside, r.Number))
				continue
			}
		}
		compared = append(compared, r)
	}
	c.in.Snapshot.Releases = compared
	return notes, nil
}

// isContent reports whether a source has the very content that a release was made of.
func isContent(ctx context.Context, r SourceRelease) (bool, error) {
	info, err := source.Stat(r.Source)
	if errors.Is(err, source.ErrNotHere) || err == nil && info.Size != r.length() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.Read == 0 {
		return true, nil // no more than a header
	}
	err = checkPart(ctx, sha256.New(), r.Source, 0, r.Read, r.Digest)
	if errors.Is(err, csvfile.ErrChanged) {
		return false, nil
	}
	return err == nil, err
}

// readSource adds the records of one source up to its checkpoint, and checks
// that the source still is what was ingested.
func (c *comparing) readSource(ctx context.Context, r SourceRelease) error {
	f, err := source.Open(r.Source, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	whole := sha256.New()
	header, err := csvfile.ReadHeader(f)
	if err != nil {
		return sourceError(err)
	}
	if err := hashPart(ctx, whole, r.Source, 0, header, nil); err != nil {
		return err
	}
	if r.Checkpoint.Offset > header {
		body, err := source.Open(r.Source, header)
		if err != nil {
			return err
		}
		defer body.Close()
		indexed := csvfile.Range{Offset: header, Length: r.Checkpoint.Offset - header, FirstRow: 1, Rows: int(r.Checkpoint.Row)}
		if err := c.readRecords(ctx, r, io.TeeReader(io.LimitReader(body, indexed.Length), whole), indexed); err != nil {
			return err
		}
	}
	if r.Read > r.Checkpoint.Offset {
		if err := hashPart(ctx, whole, r.Source, r.Checkpoint.Offset, r.Read-r.Checkpoint.Offset, nil); err != nil {
			return err
		}
	}
	if r.Read > 0 && digest(whole) != r.Digest {
		return fmt.Errorf("%w: %s no longer has the content that release %d was made of: ingest it again", csvfile.ErrChanged, r.Source, r.Number)
	}
	return nil
}

// readRecords adds the records of a range: those that the quarantine does not
// hold as records, a broken one among them as lost.
func (c *comparing) readRecords(ctx context.Context, r SourceRelease, from io.Reader, rng csvfile.Range) error {
	next, stop := iter.Pull2(c.quarantined(ctx, r))
	defer stop()
	held, err, more := next()
	records := csvfile.NewScanner(from, rng)
	var keyer covid.Keyer
	for records.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.totals.Records++
		c.sourceRead.Add(1)
		for more && err == nil && held.Row < records.Row() {
			held, err, more = next()
		}
		if err != nil {
			return err
		}
		inQuarantine := more && held.Row == records.Row() && bytes.Equal(held.Raw, records.Raw())
		version := covid.NewVersion(r.Number, records.Row())
		switch problem := records.Problem(); {
		case inQuarantine:
			c.totals.Quarantined++
		case problem != "":
			c.books.AddLost(version, problem)
		default:
			d := documentOf(r, records, &keyer)
			e := proof.OfDocument(&d, c.Rules)
			if err := c.books.AddSource(&e); err != nil {
				return fmt.Errorf("%w: %w", errProof, err)
			}
		}
	}
	if err := records.Err(); err != nil {
		return sourceError(err)
	}
	if n := records.Rows(); n != rng.Rows {
		return fmt.Errorf("%w: %s has %d rows up to the checkpoint, the registry says %d", csvfile.ErrChanged, r.Source, n, rng.Rows)
	}
	return nil
}

// documentOf gives a record in the form of the document that it should be.
func documentOf(r SourceRelease, records *csvfile.Scanner, keyer *covid.Keyer) covid.Document {
	fields := records.Fields()
	d := covid.Document{
		Key: keyer.Key(fields), Version: covid.NewVersion(r.Number, records.Row()), Release: r.Number, Row: records.Row(),
		Source: r.Source, Registered: r.Registered,
	}
	for i, value := range fields {
		d.Values[i] = string(value)
	}
	return d
}

var errEnough = errors.New("enough")

// quarantined gives what the quarantine holds of a release, in the order of
// its rows.
func (c *comparing) quarantined(ctx context.Context, r SourceRelease) iter.Seq2[search.Quarantined, error] {
	return func(yield func(search.Quarantined, error) bool) {
		err := c.Search.Quarantined(ctx, r.Index, r.Source, r.Number, func(q *search.Quarantined) error {
			if !yield(*q, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(search.Quarantined{}, err)
		}
	}
}
