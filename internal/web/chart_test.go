package web

import "testing"

func TestShort(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0", 999: "999", 1000: "1 k", 1100: "1.1 k", 999_600: "999.6 k", 4_400_000: "4.4 M", -20_000: "\u221220 k", -5: "\u22125", 2e9: "2 B",
	} {
		if got := short(value); got != want {
			t.Errorf("%v is %q, want %q", value, got, want)
		}
	}
}
