package warehouse_test

import (
	"fmt"
	"strings"
	"testing"

	"covidpipeline/internal/warehouse"

	"covidpipeline/internal/testenv"
)

// A window of large rejects costs little beside the rejects themselves.
func TestMemoryOfLoadingRejects(t *testing.T) {
	db, _ := started(t, 1)
	in := window(-1, 0)
	for n := range 16 {
		r := reject(n+1, "bad")
		r.Document = []byte(`{"NOTE":"` + strings.Repeat(fmt.Sprint(n%10), 1<<20) + `"}`)
		in.Rejects = append(in.Rejects, r)
	}
	in.Rejects = append(in.Rejects, reject(17, "bad"), reject(18, "bad"))
	var counts warehouse.LoadCounts
	grown := testenv.PeakHeap(func() { counts = load(t, db, in) })
	if counts.Rejected != 18 || len(read(t, db).rejects) != 18 {
		t.Errorf("%+v", counts)
	}
	t.Logf("16 MB of rejects: %d kB more", grown>>10)
	if grown > 32<<20 {
		t.Errorf("loading 16 MB of rejects took %d MB more", grown>>20)
	}
}
