package warehouse_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

func wrongSums(t tester, db *warehouse.DB) (made bool, wrong []string) {
	t.Helper()
	made, err := db.CheckSums(t.Context(), func(w *warehouse.WrongSum) { wrong = append(wrong, w.String()) })
	if err != nil {
		t.Fatal(err)
	}
	return made, wrong
}

func TestCheckSums(t *testing.T) {
	t.Parallel()
	db, url := started(t, 1)
	plain, bare, unknown := row(1, 5), row(2, 7), row(3, 0)
	bare.State, bare.County = "", ""
	unknown.NewCases, unknown.NewDeaths = covid.Count{}, covid.Count{}
	load(t, db, window(-1, 9, plain, bare, unknown))
	if made, wrong := wrongSums(t, db); made || len(wrong) != 0 {
		t.Errorf("before the sums are made: made %t, wrong %q", made, wrong)
	}
	if _, err := db.SweepGeneration(t.Context(), warehouse.Sweep{RawIndex: index, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	sum(t, db, 1)
	if made, wrong := wrongSums(t, db); !made || len(wrong) != 0 {
		t.Fatalf("made %t, wrong %q", made, wrong)
	}
	execute(t, url, "UPDATE covid_daily SET new_cases = new_cases + 1, known_deaths = 0 WHERE state IS NULL")
	execute(t, url, "DELETE FROM covid_monthly")
	execute(t, url, "INSERT INTO covid_daily VALUES ('2021-01-02', 'Iowa', 1, 2, 1, 0, 0, 'United States')")
	_, wrong := wrongSums(t, db)
	want := []string{
		`covid_daily of 2020-03-15, 8 new cases in place of 7, 0 known new deaths in place of 1`,
		`covid_daily of 2021-01-02, country "United States", state "Iowa", 1 records in place of 0, 2 new cases in place of 0, 1 known new cases in place of 0`,
		`covid_monthly of 2020-03-01, country "United States", state "New Mexico", county "Doña Ana", FIPS "35013", 0 records in place of 2, 0 new cases in place of 5, 0 known new cases in place of 1`,
		`covid_monthly of 2020-03-01, country "United States", FIPS "35013", 0 records in place of 1, 0 new cases in place of 7, 0 known new cases in place of 1`,
	}
	if strings.Join(wrong, "\n") != strings.Join(want, "\n") {
		t.Errorf("wrong sums:\n%s\nwant\n%s", strings.Join(wrong, "\n"), strings.Join(want, "\n"))
	}
}

func TestScratch(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	if err := db.Tamper(t.Context(), "DELETE FROM covid_cases"); err == nil {
		t.Error("a warehouse that is no scratch was tampered with")
	}
	name := fmt.Sprint(time.Now().UnixNano())
	scratch, err := db.Scratch(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scratch.Close)
	if _, err := scratch.StartGeneration(t.Context(), warehouse.Beginning{RawIndex: index, IndexUUID: "uuid", Stamp: "first", Shards: cursors(1)}); err != nil {
		t.Error(err)
	}
	if err := scratch.Tamper(t.Context(), "UPDATE etl_state SET rows = 7"); err != nil {
		t.Error(err)
	}
	if err := scratch.Tamper(t.Context(), "DELETE FROM covid_cases"); err == nil {
		t.Error("no error where no row is changed")
	}
	if _, found, err := db.State(t.Context(), index); err != nil || found {
		t.Errorf("the scratch warehouse is not apart: %v, %v", found, err)
	}
	if _, err := db.Scratch(t.Context(), name); err == nil {
		t.Error("a scratch schema was made twice")
	}
	for range 2 { // dropping it again is no error
		if err := db.DropScratch(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if _, err := scratch.StartGeneration(t.Context(), warehouse.Beginning{RawIndex: index, IndexUUID: "uuid", Expected: 1, ExpectedStamp: "first", Stamp: "next", Shards: cursors(1)}); err == nil {
		t.Error("the scratch schema is still there")
	}
}
