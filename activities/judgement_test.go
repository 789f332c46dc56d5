package activities

import "testing"

func TestWhatMayGo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of      int64
		percent float64
		most    int64
	}{
		{0, 0, 0}, {1, 0, 0}, {2, 0, 1}, {9, 0, 4}, {150, 0, 75}, {200, 0, 100}, {5000, 0, 100}, {10_000, 0, 100},
		{10_100, 0, 101}, {1_000_000, 0, 10_000}, {1_000_000, 0.05, 500}, {1000, 20, 200}, {9, 60, 5}, {9, 100, 9}, {0, 100, 0},
	} {
		if most := allowed(c.of, c.percent); float64(c.most) > most || float64(c.most+1) <= most {
			t.Errorf("%v of %d may go at %v %%, want %d", most, c.of, c.percent, c.most)
		}
	}
}
