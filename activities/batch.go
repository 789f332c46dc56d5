package activities

import (
	"context"
	"fmt"
	"io"
	"sync"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

// BatchInput is one batch: a range of a release's source.
type BatchInput struct {
	Release Release       `json:"release"`
	Range   csvfile.Range `json:"range"`
}

// bodies are request bodies to use again: one is as large as a batch.
var bodies = sync.Pool{New: func() any { return new(batch) }}

// batch is the requests of one range.
type batch struct {
	search.Body // sound records
	quarantine  search.Body
	keyer       covid.Keyer
	items       []item // of the sound records, in their order
}

// item is where a record lies, should Elasticsearch refuse it.
type item struct {
	row, offset int64
	length      int
}

// IndexBatch writes the records of a range to the raw index in one checked
// request, the unusable ones to the quarantine. Nothing is sent unless
// the range still has the bytes it was cut from.
func (a *Ingest) IndexBatch(ctx context.Context, in BatchInput) (BatchCounts, error) {
	defer keepAlive(ctx, silent)()
	b := bodies.Get().(*batch)
	defer bodies.Put(b)
	counts, err := a.index(ctx, in, b)
	return counts, classify(err)
}

func (a *Ingest) index(ctx context.Context, in BatchInput, b *batch) (BatchCounts, error) {
	if err := b.read(ctx, a.Sources, in); err != nil {
		return BatchCounts{}, err
	}
	var result search.BulkResult
	if len(b.items) > 0 {
		var err error
		if result, err = a.Search.SendBulk(ctx, in.Release.Index, &b.Body); err != nil {
			return BatchCounts{}, err
		}
	}
	if err := b.quarantineRefused(a.Sources, in, result.Refused); err != nil {
		return BatchCounts{}, err
	}
	if err := a.sendQuarantine(ctx, in.Release, &b.quarantine); err != nil {
		return BatchCounts{}, err
	}
	return BatchCounts{
		Rows:         int64(in.Range.Rows),
		Written:      int64(result.Written),
		AlreadyThere: int64(result.AlreadyThere),
		Superseded:   int64(result.Superseded),
		Quarantined:  int64(b.quarantine.Items()),
	}, nil
}

// read builds the requests from the range's bytes.
func (b *batch) read(ctx context.Context, from source.Roots, in BatchInput) error {
	b.Body.Reset()
	b.quarantine.Reset()
	b.items = b.items[:0]
	f, err := from.Open(in.Release.Source, in.Range.Offset)
	if err != nil {
		return err
	}
	defer f.Close()
	// The day of the batch, not of the release: a followed source lives long, and
	// its newest dates must not lie in the future of its first day.
	meta := search.Meta{Source: in.Release.Source, Registered: covid.DateOf(serverTime(ctx))}
	records := csvfile.NewScanner(f, in.Range)
	for records.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if problem := records.Problem(); problem != "" {
			b.quarantine.AddQuarantine(in.Release.Index, &search.Quarantined{
				Source: in.Release.Source, Release: in.Release.Number, Row: records.Row(), Offset: records.Offset(),
				Reason: problem, Raw: records.Raw(), Truncated: records.Truncated(),
			})
			continue
		}
		fields := records.Fields()
		b.AddRecord(b.keyer.Key(fields), covid.NewVersion(in.Release.Number, records.Row()), fields, meta)
		b.items = append(b.items, item{row: records.Row(), offset: records.Offset(), length: len(records.Raw())})
	}
	if err := records.Err(); err != nil {
		return sourceError(err)
	}
	return records.Check()
}

// quarantineRefused adds the records that Elasticsearch refused as documents.
func (b *batch) quarantineRefused(from source.Roots, in BatchInput, refused []search.RefusedItem) error {
	for _, r := range refused {
		it := b.items[r.Item]
		raw, err := readRecord(from, in.Release.Source, it)
		if err != nil {
			return err
		}
		b.quarantine.AddQuarantine(in.Release.Index, &search.Quarantined{
			Source: in.Release.Source, Release: in.Release.Number, Row: it.row, Offset: it.offset,
			Reason: fmt.Sprintf("Elasticsearch refused it: %s: %s", r.Type, r.Reason), Raw: raw,
		})
	}
	return nil
}

func readRecord(from source.Roots, uri string, it item) ([]byte, error) {
	f, err := from.Open(uri, it.offset)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, it.length)
	if _, err := io.ReadFull(f, raw); err != nil {
		return nil, sourceError(err)
	}
	return raw, nil
}

// sendQuarantine keeps the batch's unusable records. A quarantine that refuses
// one fails the batch: the record would be nowhere.
func (a *Ingest) sendQuarantine(ctx context.Context, r Release, b *search.Body) error {
	if b.Items() == 0 {
		return nil
	}
	result, err := a.Search.SendBulk(ctx, r.Index, b)
	if err == nil && len(result.Refused) > 0 {
		err = fmt.Errorf("quarantine: Elasticsearch refused %d records: %s: %s",
			len(result.Refused), result.Refused[0].Type, result.Refused[0].Reason)
	}
	return err
}
