package search

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"covidpipeline/internal/covid"
)

// hostile are names that are not those of one index.
var hostile = []string{
	"victim/_close?x", "a,b", "*", "vict*", "../x", "..", ".", "_all", "-x", "+x", "", "Upper", "a%2fb", "a%2Fb", "a b", "a#b", "a?b", "a\nb", "a\x00b",
	`a"b`, `a\b`, "a/b", "ä", "<a-{now/d}>", "remote:a", strings.Repeat("a", 300),
}

// withoutIndex are the methods that take no name of an index.
var withoutIndex = []string{"Address", "Nodes"}

// Every exported method that takes the name of an index refuses one that is none,
// and sends nothing. A new method is tried too: its first string is the name.
func TestHostileIndexNamesReachNoServer(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		t.Errorf("the server got %s %s", r.Method, r.RequestURI)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	client := reflect.ValueOf(c)
	tried := 0
	for i := range client.NumMethod() {
		name := client.Type().Method(i).Name
		if client.Type().Method(i).Type.NumIn() < 3 {
			if !strings.Contains(strings.Join(withoutIndex, " "), name) {
				t.Errorf("%s takes no name of an index: add it to withoutIndex", name)
			}
			continue
		}
		tried++
		for _, index := range hostile {
			results := client.Method(i).Call(arguments(t, name, client.Method(i).Type(), index))
			err, _ := results[len(results)-1].Interface().(error)
			if KindOf(err) != Refused {
				t.Errorf("%s(%q): %v; want it refused", name, index, err)
			}
		}
	}
	if tried < 17 || requests.Load() > 0 {
		t.Errorf("%d methods were tried, %d requests sent", tried, requests.Load())
	}
}

// arguments returns the arguments of a call of a method, with the name as its
// first string.
func arguments(t *testing.T, method string, of reflect.Type, index string) []reflect.Value {
	t.Helper()
	var body Body
	body.AddRecord(covid.Key{}, covid.NewVersion(1, 1), &covid.Fields{}, Meta{})
	args := []reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(index)}
	for i := 2; i < of.NumIn(); i++ {
		switch in := of.In(i); in {
		case reflect.TypeFor[*Body]():
			args = append(args, reflect.ValueOf(&body))
		case reflect.TypeFor[WindowQuery](): // an empty window needs no request
			args = append(args, reflect.ValueOf(WindowQuery{From: -1, UpTo: 1, Max: 1}))
		case reflect.TypeFor[[]string]():
			args = append(args, reflect.ValueOf([]string{"id"}))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	if of.NumIn() < 2 || of.In(1).Kind() != reflect.String {
		t.Fatalf("%s: the parameter behind the context is not the name of an index", method)
	}
	return args
}

// The quarantine of another index can be named only in the body.
func TestQuarantinedRecordsOfAnotherIndexAreNotSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the server got %s %s", r.Method, r.RequestURI)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range append(hostile, "victim") {
		var body Body
		body.AddQuarantine("ours", &Quarantined{Row: 1})
		body.AddQuarantine(other, &Quarantined{Row: 2})
		body.AddQuarantine("ours", &Quarantined{Row: 3})
		if _, err := c.SendBulk(t.Context(), "ours", &body); KindOf(err) != Refused {
			t.Errorf("quarantined records of %q: %v; want them refused", other, err)
		}
	}
}

func TestPathsAreOfCheckedNames(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 200)
	for _, names := range [][]string{{"usa_covid_cases"}, {"a.b-c_1"}, ours(longest)} {
		if p := indexPath("/", "/_search", names...); p.err != nil || p.text != "/"+strings.Join(names, ",")+"/_search" {
			t.Errorf("%q: %+v", names, p)
		}
	}
	for _, name := range hostile {
		if p := indexPath("/", "/_search", "good", name); p.err == nil || p.text != "" {
			t.Errorf("%q: %+v", name, p)
		}
	}
	if p := indexPath("/", "/_search"); p.err == nil {
		t.Errorf("no name: %+v", p)
	}
}
