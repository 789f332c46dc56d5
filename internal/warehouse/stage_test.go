package warehouse_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"covidpipeline/internal/warehouse"
)

func stage(run int64, body string) warehouse.Stage {
	return warehouse.Stage{Run: run, Shard: 2, From: 10, Step: warehouse.StepExtract, To: 20, Meta: []byte(`{"docs":1}`), Body: []byte(body)}
}

func put(t testing.TB, db *warehouse.DB, s warehouse.Stage) warehouse.Stage {
	t.Helper()
	stored, err := db.PutStage(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestStageIsWrittenOnce(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	big := stage(1, string(bytes.Repeat([]byte{0, 1, 254}, 1<<20)))
	put(t, db, big)
	late := stage(1, "late")
	late.To, late.Meta = 15, []byte(`{"docs":2}`)
	if got := put(t, db, late); got.To != 20 || string(got.Meta) != `{"docs":1}` || got.Body != nil {
		t.Errorf("a late attempt is told of (..., %d], %s", got.To, got.Meta)
	}
	got, err := db.GetStage(t.Context(), 1, 2, 10, warehouse.StepExtract)
	if err != nil || got.To != 20 || string(got.Meta) != `{"docs":1}` || !bytes.Equal(got.Body, big.Body) {
		t.Errorf("the stage is (..., %d], %s, %d bytes, %v", got.To, got.Meta, len(got.Body), err)
	}
	for _, other := range []warehouse.Stage{
		{Run: 2, Shard: 2, From: 10, Step: 1}, {Run: 1, Shard: 1, From: 10, Step: 1}, {Run: 1, Shard: 2, From: 9, Step: 1}, {Run: 1, Shard: 2, From: 10, Step: 2},
	} {
		if _, err := db.GetStage(t.Context(), other.Run, other.Shard, other.From, other.Step); !errors.Is(err, warehouse.ErrStageMissing) {
			t.Errorf("%+v: %v", other, err)
		}
	}
}

// Attempts that stage the same window at once all learn of the same one, also
// while stages go.
func TestStageRace(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	for range 10 {
		var wg sync.WaitGroup
		told := make([]warehouse.Stage, 4)
		for i := range told {
			s := stage(1, fmt.Sprint(i))
			s.To = int64(100 + i)
			wg.Go(func() { told[i] = put(t, db, s) })
		}
		wg.Wait()
		got, err := db.GetStage(t.Context(), 1, 2, 10, warehouse.StepExtract)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range told {
			if s.To != got.To || string(got.Body) != fmt.Sprint(got.To-100) {
				t.Errorf("attempt %d was told %d, the stage is %d: %s", i, s.To, got.To, got.Body)
			}
		}
		wg.Go(func() { execute(t, url, "DELETE FROM etl_stage") })
		for range 5 {
			put(t, db, stage(1, "again"))
		}
		wg.Wait()
		execute(t, url, "DELETE FROM etl_stage")
	}
}

func TestSweepStages(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	var runs []int64
	for i := range 5 {
		run, err := db.BeginRun(t.Context(), "etl", fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
		put(t, db, stage(run, "x"))
	}
	put(t, db, stage(runs[4]+1, "of no run"))
	for i, state := range []warehouse.RunState{warehouse.RunCompleted, warehouse.RunFailed, warehouse.RunOvertaken} {
		if err := db.FinishRun(t.Context(), runs[i], state, warehouse.RunCounts{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, url, fmt.Sprint("UPDATE etl_stage SET staged_at = now() - interval '121 minutes' WHERE run = ", runs[3]))
	execute(t, url, fmt.Sprint("UPDATE etl_stage SET staged_at = now() - interval '119 minutes' WHERE run = ", runs[4]))
	if n, err := db.SweepStages(t.Context()); err != nil || n != 5 {
		t.Errorf("swept %d, %v; want 5", n, err)
	}
	if left := value[int64](t, url, "SELECT run FROM etl_stage"); left != runs[4] {
		t.Errorf("the stage of run %d is left, want that of %d", left, runs[4])
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	begin := func(workflow, run string) int64 {
		t.Helper()
		id, err := db.BeginRun(t.Context(), workflow, run)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second := begin("etl", "a"), begin("etl", "b")
	if again := begin("etl", "a"); again != first || second <= first || begin("other", "a") == first {
		t.Errorf("runs %d and %d, the first again %d", first, second, again)
	}
	counts := warehouse.RunCounts{Windows: 2, Planned: 10, Swept: 1, Loaded: warehouse.LoadCounts{Extracted: 9, Inserted: 4, Updated: 5}}
	if err := db.FinishRun(t.Context(), first, warehouse.RunFailed, counts, "the index is gone"); err != nil {
		t.Fatal(err)
	}
	if err := db.FinishRun(t.Context(), first, warehouse.RunCompleted, warehouse.RunCounts{}, ""); err != nil {
		t.Fatal(err)
	}
	runs, err := db.RecentRuns(t.Context(), 10)
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if r := runs[2]; r.ID != first || r.State != warehouse.RunFailed || r.Counts != counts || r.Error != "the index is gone" ||
		r.WorkflowID != "etl" || r.RunID != "a" || r.FinishedAt == nil || r.FinishedAt.Before(r.StartedAt) {
		t.Errorf("first run %+v", r)
	}
	if r := runs[1]; r.ID != second || r.State != warehouse.RunRunning || r.FinishedAt != nil || r.Counts != (warehouse.RunCounts{}) {
		t.Errorf("second run %+v", r)
	}
	if newest, err := db.RecentRuns(t.Context(), 1); err != nil || len(newest) != 1 || newest[0].ID != runs[0].ID {
		t.Errorf("the newest is %+v, %v", newest, err)
	}
	if err := db.FinishRun(t.Context(), second, "lost", counts, ""); err == nil {
		t.Error("a state that is none was stored")
	}
}
