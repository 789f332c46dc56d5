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

// readSources adds every record of the sources compared, as far as they are
// indexed.
func (c *comparing) readSources(ctx context.Context) error {
	for i := range c.compared {
		r := &c.compared[i]
		if err := c.readSource(ctx, *r); err != nil {
			return err
		}
		info, err := c.Sources.Stat(r.Source)
		if err != nil {
			return err
		}
		if err := c.judgeRelease(ctx, r, info.Size); err != nil {
			return err
		}
	}
	return nil
}

// judgeRelease names what of a source is not proved, the source having size bytes.
func (c *comparing) judgeRelease(ctx context.Context, r *SourceRelease, size int64) error {
	indexed, again := r.Checkpoint, "`starter ingest --source "+r.Source+"`"
	switch {
	case r.completed() && (indexed.Offset < r.Read.Offset || indexed.Row < r.Read.Row):
		c.problems.addf("release %d of %s is completed at row %d, byte %d, and row %d, byte %d had been read: the rows between are not indexed; run %s",
			r.Number, r.Source, indexed.Row, indexed.Offset, r.Read.Row, r.Read.Offset, again)
	case r.completed() && size > indexed.Offset:
		c.problems.addf("%s has %d bytes that no ingest has read: run %s", r.Source, size-indexed.Offset, again)
	case r.completed():
	case r.State != search.StateRunning:
		c.problems.addf("release %d of %s is not complete: only its first %d rows are indexed; run %s", r.Number, r.Source, indexed.Row, again)
	default:
		runs, err := c.Running(ctx, c.in.Index, r.Source)
		if err != nil {
			return fmt.Errorf("%w whether the ingest of %s runs: %w", errTemporal, r.Source, err)
		}
		switch {
		case !runs && r.Follow:
			c.problems.addf("release %d of %s is open and no ingest works on it: only its first %d rows are indexed, %d bytes are behind them; run `starter ingest --follow --source %s`",
				r.Number, r.Source, indexed.Row, max(size-indexed.Offset, 0), r.Source)
		case !runs:
			c.problems.addf("release %d of %s is not complete: only its first %d rows are indexed; run %s", r.Number, r.Source, indexed.Row, again)
		case !r.Follow:
			c.problems.addf("release %d of %s is not complete: only its first %d rows are indexed; run `starter reconcile` again after its ingest", r.Number, r.Source, indexed.Row)
		}
	}
	return nil
}

// leaveOut takes the sources out of the comparison of which a newer release is held or
// was rejected: their files no longer have the content that is indexed. It returns a
// sentence for each. A file that has that content again is compared.
func (c *comparing) leaveOut(ctx context.Context) (notes []string, err error) {
	var compared []SourceRelease
	for _, r := range c.compared {
		if r.SetAside > 0 {
			same, err := c.isContent(ctx, &r)
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
	c.compared = compared
	return notes, nil
}

// isContent reports whether a source has the very content that a release was made of.
func (c *comparing) isContent(ctx context.Context, r *SourceRelease) (bool, error) {
	info, err := c.Sources.Stat(r.Source)
	if errors.Is(err, source.ErrNotHere) || err == nil && info.Size != r.length() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.Read.Offset == 0 {
		return true, nil // no more than a header
	}
	err = checkPart(ctx, c.Sources, sha256.New(), r.Source, 0, r.Read.Offset, r.Digest)
	if errors.Is(err, csvfile.ErrChanged) {
		return false, nil
	}
	return err == nil, err
}

// readSource adds the records of one source up to its checkpoint, and checks
// that the source still is what was ingested.
func (c *comparing) readSource(ctx context.Context, r SourceRelease) error {
	f, err := c.Sources.Open(r.Source, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	whole := sha256.New()
	header, err := csvfile.ReadHeader(f)
	if err != nil {
		return sourceError(err)
	}
	if err := hashPart(ctx, c.Sources, whole, r.Source, 0, header, nil); err != nil {
		return err
	}
	if r.Checkpoint.Offset > header {
		body, err := c.Sources.Open(r.Source, header)
		if err != nil {
			return err
		}
		defer body.Close()
		indexed := csvfile.Range{Offset: header, Length: r.Checkpoint.Offset - header, FirstRow: 1, Rows: int(r.Checkpoint.Row)}
		if err := c.readRecords(ctx, r, io.TeeReader(io.LimitReader(body, indexed.Length), whole), indexed); err != nil {
			return err
		}
	}
	if r.Read.Offset > r.Checkpoint.Offset {
		if err := hashPart(ctx, c.Sources, whole, r.Source, r.Checkpoint.Offset, r.Read.Offset-r.Checkpoint.Offset, nil); err != nil {
			return err
		}
	}
	if r.Read.Offset > 0 && digest(whole) != r.Digest {
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
	number := c.registry.numbers[r.Source]
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
			e.Source = number
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
