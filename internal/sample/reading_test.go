package sample

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"covidpipeline/internal/csvfile"
)

// TestReadsAsMade reads a whole sample as the ingest does: every record is where
// it was put, the broken ones have a problem, and none of them costs another.
func TestReadsAsMade(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	var b bytes.Buffer
	if err := Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	header, err := csvfile.ReadHeader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := csvfile.Cut(bytes.NewReader(b.Bytes()[header:]), csvfile.Position{Offset: header},
		sha256.New(), csvfile.Limits{Rows: 777, Final: true})
	if err != nil {
		t.Fatal(err)
	}
	made := slices.Collect(records(rows))
	read := 0
	for _, rng := range plan.Ranges {
		scanner := csvfile.NewScanner(bytes.NewReader(b.Bytes()[rng.Offset:rng.End().Offset]), rng)
		for scanner.Next() {
			if read == len(made) {
				t.Fatalf("more than %d records", read)
			}
			want := made[read]
			read++
			if got, want := string(scanner.Raw()), want.line(); got != want {
				t.Fatalf("record %d is %q, want %q", read, got, want)
			}
			if problem := scanner.Problem(); (problem != "") != (want.fate == broken) {
				t.Errorf("record %d, %q: problem %q", read, want.line(), problem)
			}
		}
		if err := scanner.Check(); err != nil {
			t.Error(err)
		}
	}
	if read != rows {
		t.Errorf("%d records, want %d", read, rows)
	}
}
