package warehouse_test

import (
	"errors"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

func TestServerTellsWhetherTheTablesAreThere(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db, err := warehouse.New(url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.Server(t.Context())
	if err != nil || s.Schema != 0 || s.SchemaWanted < 2 || s.DatabaseBytes < 1<<20 || !strings.Contains(s.Version, ".") {
		t.Fatalf("before: %+v %v", s, err)
	}
	_, version, err := warehouse.Migrate(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := db.Server(t.Context()); err != nil || s.Schema != version || s.SchemaWanted != version {
		t.Errorf("after: %+v %v, want version %d", s, err, version)
	}
}

func TestNewDoesNotConnect(t *testing.T) {
	t.Parallel()
	db, err := warehouse.New("postgres://user:secret-word@127.0.0.1:1/warehouse")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Address() != "127.0.0.1:1" {
		t.Errorf("address %s", db.Address())
	}
	_, err = db.Server(t.Context())
	if !errors.Is(err, warehouse.ErrUnavailable) || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("%v", err)
	}
	_, err = warehouse.New("postgres://user:secret-word@host:notaport/db")
	if err == nil || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("%v", err)
	}
}

// A person reads each reason once, on one line, and without the password.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("role", "no_such_role")
	u.RawQuery = query.Encode()
	withoutRole := u.String()
	query.Set("role", "covid_reader")
	query.Set("timezone", "Nowhere")
	u.RawQuery = query.Encode()
	if _, err := warehouse.Open(t.Context(), u.String()); err == nil || errors.Is(err, warehouse.ErrNotMigrated) {
		t.Errorf("a time zone that does not exist: %v", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	u.Path, u.RawQuery = "/no_such_database", ""
	for address, want := range map[string]error{
		"postgres://user:secret-word@" + silent.Addr().String() + "/warehouse?connect_timeout=1": warehouse.ErrUnavailable,
		"postgres://user:secret-word@127.0.0.1:1/warehouse":                                      warehouse.ErrUnavailable,
		withoutRole: warehouse.ErrNotMigrated,
		u.String():  warehouse.ErrDenied,
	} {
		_, err := warehouse.Open(t.Context(), address)
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		if text := err.Error(); strings.Contains(text, "\n") || strings.Count(text, "dial error") > 1 || strings.Contains(text, "secret-word") {
			t.Errorf("%q", text)
		}
	}
}

func TestRejectReasons(t *testing.T) {
	t.Parallel()
	db, _ := started(t, 1)
	if total, reasons, err := db.RejectReasons(t.Context(), 2); err != nil || total != 0 || len(reasons) != 0 {
		t.Fatalf("without rejects: %d %+v %v", total, reasons, err)
	}
	w := window(-1, 10)
	for n, reason := range []string{"b", "a", "c", "c", "b", "c"} {
		w.Rejects = append(w.Rejects, reject(n, reason))
	}
	load(t, db, w)
	total, reasons, err := db.RejectReasons(t.Context(), 2)
	if err != nil || total != 6 || !reflect.DeepEqual(reasons, []warehouse.ReasonCount{{Reason: "c", Count: 3}, {Reason: "b", Count: 2}}) {
		t.Errorf("%d %+v %v", total, reasons, err)
	}
}
