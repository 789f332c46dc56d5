package activities

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"covidpipeline/internal/covid"
)

// testSource is a source of a self-test.
type testSource struct {
	path    string
	release int64
	records []testRecord
	taken   int // of the records, by plants
}

// testRecord is a record of a self-test.
type testRecord struct {
	values       [covid.NumFields]string
	key          covid.Key
	source       string
	release, row int64
}

// newRecord returns a record of a county that has no other.
func (t *selfTest) newRecord(county, newCases string, day int) testRecord {
	r := testRecord{values: [covid.NumFields]string{
		covid.FieldTotalCases: "1000", covid.FieldCounty: county, covid.FieldState: "Arizona",
		covid.FieldDate: covid.Date(18322 + day).String(), covid.FieldContinent: "America", covid.FieldDataSource: "Self-test",
		covid.FieldNewDeaths: "1", covid.FieldFIPS: "04005", covid.FieldAlpha3: "USA", covid.FieldCountry: "United States",
		covid.FieldAlpha2: "US", covid.FieldNewCases: newCases, covid.FieldTotalDeaths: "50",
	}}
	r.key = t.ids.key(&covid.Document{Values: r.values})
	return r
}

// The records of the first source; its last ones are rejected.
const (
	soundRecords    = 40
	rejectedRecords = 2
)

// prepare ingests and loads two sources, of which the second drops a key.
func (t *selfTest) prepare(ctx context.Context) error {
	t.first.path, t.second.path = filepath.Join(t.dir, "a.csv"), filepath.Join(t.dir, "b.csv")
	for i := range soundRecords {
		t.first.records = append(t.first.records, t.newRecord(fmt.Sprintf("Selftest A%d", i), fmt.Sprint(i), i))
	}
	for i := range rejectedRecords {
		t.first.records = append(t.first.records, t.newRecord(fmt.Sprintf("Selftest R%d", i), "3.7", i))
	}
	for i := range 3 {
		t.second.records = append(t.second.records, t.newRecord(fmt.Sprintf("Selftest B%d", i), fmt.Sprint(i), i))
	}
	if err := t.ingestSource(ctx, &t.first); err != nil {
		return err
	}
	if err := t.ingestSource(ctx, &t.second); err != nil {
		return err
	}
	t.second.records = t.second.records[:2]
	if err := t.ingestSource(ctx, &t.second); err != nil {
		return err
	}
	return t.load(ctx)
}

// ingestSource writes a source and ingests it as a release.
func (t *selfTest) ingestSource(ctx context.Context, s *testSource) error {
	lines := []string{strings.Join(covid.Columns[:], ",")}
	for _, r := range s.records {
		lines = append(lines, strings.Join(r.values[:], ","))
	}
	if err := os.WriteFile(s.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("%w: write a source of the self-test: %w", errProof, err)
	}
	registered, err := t.ingest.register(ctx, RegisterInput{Index: t.index, Source: s.path})
	if err != nil {
		return err
	}
	plan, err := t.ingest.plan(ctx, PlanInput{
		Release: registered.Release, From: registered.From, Hash: registered.Hash, Identity: registered.Identity,
		BatchRows: len(s.records), Checkpoint: registered.From,
	})
	if err != nil {
		return err
	}
	var counts BatchCounts
	for _, rng := range plan.Ranges {
		indexed, err := t.ingest.index(ctx, BatchInput{Release: registered.Release, Range: rng}, new(batch))
		if err != nil {
			return err
		}
		counts.Add(indexed)
	}
	s.release = registered.Release.Number
	for i := range s.records {
		s.records[i].source, s.records[i].release, s.records[i].row = s.path, s.release, int64(i+1)
	}
	_, err = t.ingest.finish(ctx, FinishInput{Release: registered.Release, End: plan.End, Digest: plan.Digest, Counts: counts},
		new(atomic.Int64), new(atomic.Int64))
	return err
}

// load runs the steps of the ETL. Its error is errCounts when the run notices
// that the raw index and the warehouse differ.
func (t *selfTest) load(ctx context.Context) error {
	plan, err := t.etl.planExtract(ctx, PlanExtractInput{Index: t.index})
	if err != nil {
		return err
	}
	for _, s := range plan.Shards {
		for from := s.From; from < s.UpTo; {
			w, err := t.etl.extract(ctx, WindowInput{Index: t.index, Run: plan.Run, Shard: s.Shard, From: from, UpTo: s.UpTo})
			if err != nil {
				return err
			}
			if _, err := t.etl.transform(ctx, TransformInput{Run: plan.Run, Shard: s.Shard, From: from}); err != nil {
				return err
			}
			_, err = t.etl.load(ctx, LoadInput{Index: t.index, Run: plan.Run, Generation: plan.Generation, Shard: s.Shard, From: from, Window: w})
			if err != nil {
				return err
			}
			from = w.To
		}
	}
	_, err = t.etl.finish(ctx, FinishETLInput{Index: t.index, Plan: plan})
	return err
}

// prove compares the scratch data as ReconcileWorkflow does.
func (t *selfTest) prove(ctx context.Context) (Compared, error) {
	snapshot, err := t.proof.snapshot(ctx, SnapshotInput{Index: t.index})
	if err != nil {
		return Compared{}, err
	}
	c := comparing{Reconcile: t.proof, in: CompareInput{Index: t.index, Snapshot: snapshot}}
	out, err := c.compare(ctx)
	if err == nil && out.Moved {
		err = fmt.Errorf("%w: %s was changed during the self-test: run it again", errProof, t.index)
	}
	return out, err
}
