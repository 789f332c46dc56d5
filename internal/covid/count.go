package covid

import (
	"errors"
	"math"
)

var (
	errNotWhole   = errors.New("not a whole number")
	errOutOfRange = errors.New("beyond what a 32-bit number holds")
)

// parseCount reads an optional sign and ASCII digits. Unlike strconv it takes
// no underscores, and unlike Elasticsearch's coercion neither 3.7 nor 1e3.
func parseCount(s string) (int32, error) {
	digits, negative := s, false
	if s[0] == '-' || s[0] == '+' {
		digits, negative = s[1:], s[0] == '-'
	}
	if digits == "" {
		return 0, errNotWhole
	}
	n, outOfRange := int64(0), false
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, errNotWhole
		}
		if !outOfRange {
			n = n*10 + int64(c-'0')
			outOfRange = n > -math.MinInt32
		}
	}
	if negative {
		n = -n
	}
	if outOfRange || n > math.MaxInt32 {
		return 0, errOutOfRange
	}
	return int32(n), nil
}
