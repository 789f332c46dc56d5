package covid

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDateOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		time time.Time
		want Date
	}{
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(1970, 1, 1, 23, 59, 59, 999_999_999, time.UTC), 0},
		{time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), -1},
		{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), -1},
		{time.Date(1969, 12, 30, 23, 59, 59, 0, time.UTC), -2},
		{time.Date(2022, 4, 29, 13, 0, 0, 0, time.FixedZone("", -11*60*60)), 19112}, // the 30th in UTC
	} {
		if got := DateOf(tt.time); got != tt.want {
			t.Errorf("DateOf(%s) = %d, want %d", tt.time, got, tt.want)
		}
	}
}

func TestDateReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := Date(rapid.Int32Range(-719_528, 2_932_896).Draw(t, "day")) // years 0 to 9999
		if got := DateOf(d.Time()); got != d {
			t.Fatalf("DateOf(%s) = %d, want %d", d.Time(), got, d)
		}
		if got, err := ParseDate(d.String()); err != nil || got != d {
			t.Fatalf("ParseDate(%q) = %d, %v; want %d", d, got, err, d)
		}
	})
}

func TestParseDateRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "2022-02-30", "2021-02-29", "2022-13-01", "2022-00-10", "2022-04-00", "2022-4-29",
		"22-04-29", "2022/04/29", "04/29/2022", "2022-04-29T00:00:00", "2022-04-29 ", "20220429", "٢٠٢٢-٠٤-٢٩",
	} {
		if d, err := ParseDate(s); err == nil {
			t.Errorf("ParseDate(%q) = %s, want an error", s, d)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("2022-04-29")
	f.Add("2022-02-30")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDate(s); err == nil && d.String() != s {
			t.Fatalf("ParseDate(%q) gives %s", s, d)
		}
	})
}
