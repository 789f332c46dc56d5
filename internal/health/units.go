package health

import (
	"fmt"
	"strings"
	"time"
)

// ago gives how long ago a time was, as "40 s", "12 min", "3 h" or "5 days".
func (s Status) ago(t time.Time) string { return Span(s.CheckedAt.Sub(t)) }

// Span gives a length of time roughly, as "40 s", "12 min", "3 h" or "5 days".
func Span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Size gives bytes as MiB, GiB or TiB.
func Size(bytes int64) string {
	value, unit := float64(bytes)/(1<<20), "MiB"
	for _, next := range []string{"GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + unit
}
