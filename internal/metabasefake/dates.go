package metabasefake

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateCondition gives the SQL of a date's field filter.
func dateCondition(column, baseType string, value any, now time.Time) (string, error) {
	if items, ok := value.([]any); ok && len(items) == 1 {
		value = items[0]
	}
	plain, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("don't know how to parse date param '%v': it is no text", value)
	}
	from, to, err := dateRange(plain, now)
	if err != nil {
		return "", err
	}
	if baseType != "type/Date" {
		column = "CAST(" + column + " AS date)"
	}
	var parts []string
	if !from.IsZero() {
		parts = append(parts, column+" >= DATE "+quote(from.Format(time.DateOnly)))
	}
	if !to.IsZero() {
		parts = append(parts, column+" <= DATE "+quote(to.Format(time.DateOnly)))
	}
	return "(" + strings.Join(parts, " AND ") + ")", nil
}

var (
	relative = regexp.MustCompile(`^(past|next)([0-9]+)(day|week|month|quarter|year)s(~?)$`)
	whole    = regexp.MustCompile(`^(this|last)(day|week|month|quarter|year)$`)
	quarter  = regexp.MustCompile(`^Q([1-4])-([0-9]{4})$`)
)

// dateRange reads a date filter's value: its first and its last day; zero is open.
func dateRange(text string, now time.Time) (from, to time.Time, err error) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	switch {
	case text == "today":
		return today, today, nil
	case text == "yesterday":
		return today.AddDate(0, 0, -1), today.AddDate(0, 0, -1), nil
	case relative.MatchString(text):
		part := relative.FindStringSubmatch(text)
		n, _ := strconv.Atoi(part[2])
		current := 1 // the unit that is under way is left out
		if part[4] == "~" {
			current = 0
		}
		if part[1] == "past" {
			return start(today, part[3], -n), start(today, part[3], 1-current).AddDate(0, 0, -1), nil
		}
		return start(today, part[3], current), start(today, part[3], n+1).AddDate(0, 0, -1), nil
	case whole.MatchString(text):
		part := whole.FindStringSubmatch(text)
		n := map[string]int{"this": 0, "last": -1}[part[1]]
		return start(today, part[2], n), start(today, part[2], n+1).AddDate(0, 0, -1), nil
	case quarter.MatchString(text):
		part := quarter.FindStringSubmatch(text)
		q, _ := strconv.Atoi(part[1])
		year, _ := strconv.Atoi(part[2])
		first := time.Date(year, time.Month(3*q-2), 1, 0, 0, 0, 0, time.UTC)
		return first, first.AddDate(0, 3, -1), nil
	}
	if month, err := time.Parse("2006-01", text); err == nil {
		return month, month.AddDate(0, 1, -1), nil
	}
	return absolute(text)
}

// absolute reads 2024-01-01, 2024-01-01~2024-12-31, 2024-01-01~ or ~2024-12-31.
func absolute(text string) (from, to time.Time, err error) {
	first, last, isRange := strings.Cut(text, "~")
	if !isRange {
		last = first
	}
	bad := fmt.Errorf("don't know how to parse date param '%s': invalid format", text)
	if first == "" && last == "" {
		return from, to, bad
	}
	if first != "" {
		if from, err = time.Parse(time.DateOnly, first); err != nil {
			return from, to, bad
		}
	}
	if last != "" {
		if to, err = time.Parse(time.DateOnly, last); err != nil {
			return from, to, bad
		}
	}
	if !from.IsZero() && !to.IsZero() && from.After(to) {
		return from, to, bad
	}
	return from, to, nil
}

// start gives the first day of the unit that lies n units after the one of a day.
// Weeks begin on Sundays.
func start(day time.Time, unit string, n int) time.Time {
	switch unit {
	case "week":
		return day.AddDate(0, 0, 7*n-int(day.Weekday()))
	case "month":
		return time.Date(day.Year(), day.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	case "quarter":
		first := (day.Month()-1)/3*3 + 1
		return time.Date(day.Year(), first+time.Month(3*n), 1, 0, 0, 0, 0, time.UTC)
	case "year":
		return time.Date(day.Year()+n, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return day.AddDate(0, 0, n)
}
