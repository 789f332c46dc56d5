package metabasefake

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

var itoa = strconv.Itoa

// gone as a change takes a key away.
type gone struct{}

// with gives a copy of a JSON object with values changed: pairs of a path such as
// "tabs/0/name" and a value.
func with(t *testing.T, original object, changes ...any) object {
	t.Helper()
	var copied object
	if err := json.Unmarshal(text(original), &copied); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		path := strings.Split(changes[i].(string), "/")
		var place any = copied
		if len(path) > 1 {
			place = below(t, copied, strings.Join(path[:len(path)-1], "/"))
		}
		last := path[len(path)-1]
		switch place := place.(type) {
		case object:
			place[last] = changes[i+1]
			if changes[i+1] == (gone{}) {
				delete(place, last)
			}
		case []any:
			n, err := strconv.Atoi(last)
			if err != nil {
				t.Fatalf("%s: %v", changes[i], err)
			}
			place[n] = changes[i+1]
		default:
			t.Fatalf("there is no %s", changes[i])
		}
	}
	return copied
}

// below gives what lies at a path, whose parts are divided by / or by dots.
func below(t *testing.T, value any, path string) any {
	t.Helper()
	if path == "" {
		return value
	}
	divider := "."
	if strings.Contains(path, "/") {
		divider = "/"
	}
	for _, part := range strings.Split(path, divider) {
		switch inner := value.(type) {
		case object:
			value = inner[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(inner) {
				t.Fatalf("%s: there is no %s", path, part)
			}
			value = inner[n]
		default:
			t.Fatalf("%s: there is no %s", path, part)
		}
	}
	return value
}
