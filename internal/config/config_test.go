package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unset takes away what the tests' own environment may hold.
func unset(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ELASTICSEARCH_URL", "ELASTICSEARCH_INDEX", "ELASTICSEARCH_USERNAME", "ELASTICSEARCH_PASSWORD",
		"ELASTICSEARCH_PASSWORD_FILE", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_API_KEY_FILE", "ELASTICSEARCH_CA_FILE",
		"ELASTICSEARCH_SHARDS", "ELASTICSEARCH_REPLICAS", "DATABASE_URL", "DATABASE_URL_FILE", "METABASE_URL", "METABASE_USERNAME", "METABASE_PASSWORD", "METABASE_PASSWORD_FILE", "METABASE_DATABASE_URL",
		"METABASE_DATABASE_URL_FILE", "SOURCE_ROOTS", "LOG_LEVEL", "LOG_FORMAT", "ELASTICSEARCH_CLIENT_CERT_FILE", "ELASTICSEARCH_CLIENT_KEY_FILE",
		"ELASTICSEARCH_ALLOW_PLAINTEXT", "DATABASE_ALLOW_PLAINTEXT", "METABASE_ALLOW_PLAINTEXT", "PGSSLMODE", "PGSSLROOTCERT", "PGHOST", "PGPASSWORD"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDefaults(t *testing.T) {
	unset(t)
	s, err := LoadStarter()
	if err != nil {
		t.Fatal(err)
	}
	if s.Elasticsearch.URL != "http://127.0.0.1:9200" || s.Index != "usa_covid_cases" || s.Shards != 1 || s.Replicas != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	unset(t)
	for name, value := range map[string]string{
		"ELASTICSEARCH_URL": "localhost:9200", "ELASTICSEARCH_INDEX": "Upper", "ELASTICSEARCH_SHARDS": "none",
		"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_CA_FILE": "/does/not/exist", "LOG_FORMAT": "xml", "LOG_LEVEL": "loud", "SOURCE_ROOTS": "/data,,here",
	} {
		t.Setenv(name, value)
	}
	_, err := LoadWorker()
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, part := range []string{"ELASTICSEARCH_URL", "ELASTICSEARCH_INDEX", "Shards", "ELASTICSEARCH_PASSWORD", "ELASTICSEARCH_CA_FILE",
		"DATABASE_URL", "LOG_FORMAT", "LOG_LEVEL", `SOURCE_ROOTS has ""`, `SOURCE_ROOTS has "here"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not in:\n%v", part, err)
		}
	}
}

// A raw index with such a name would be the quarantine or the registry of another.
func TestTheNamesOfOtherIndicesAreRefused(t *testing.T) {
	unset(t)
	for name, good := range map[string]bool{
		"cases": true, "cases-releases-2026": true, "quarantine": true, "cases.selftest": true,
		"cases-quarantine": false, "cases-releases": false, "cases-selftest-1": false, "-releases": false,
	} {
		t.Setenv("ELASTICSEARCH_INDEX", name)
		if _, err := LoadStarter(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "ELASTICSEARCH_INDEX") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsComeFromFilesWithoutTheirNewline(t *testing.T) {
	unset(t)
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://u:pass-word@localhost/db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATABASE_URL_FILE", path)
	w, err := LoadWorker()
	if err != nil || w.Database.URL.Reveal() != "postgres://u:pass-word@localhost/db" {
		t.Fatalf("%q, %v", w.Database.URL.Reveal(), err)
	}
	t.Setenv("DATABASE_URL", "postgres://h/db")
	if _, err := LoadWorker(); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("both set: %v", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	unset(t)
	t.Setenv("DATABASE_URL", "postgres://u:pass-word@127.0.0.1/db")
	t.Setenv("ELASTICSEARCH_API_KEY", "pass-word")
	w, err := LoadWorker()
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("start", "config", w, "url", w.Database.URL)
	encoded, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{logged.String(), string(encoded), fmt.Sprintf("%v %+v %#v %s", w, w, w, w.APIKey)} {
		if strings.Contains(shown, "pass-word") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
	t.Setenv("DATABASE_URL", "postgres://u:pass-word@h:port/db")
	if _, err := LoadWorker(); err == nil || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("%v", err)
	}
}

func TestAnAddressWithAUserIsRefused(t *testing.T) {
	unset(t)
	t.Setenv("ELASTICSEARCH_URL", "https://elastic:pass-word@h:9200")
	if _, err := LoadStarter(); err == nil || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("%v", err)
	}
}

func TestSourceRoots(t *testing.T) {
	unset(t)
	t.Setenv("DATABASE_URL", "postgres://h/db")
	here := t.TempDir()
	t.Chdir(here)
	for set, want := range map[string][]string{"": {here}, "/data": {"/data"}, "/data, /srv/covid files/": {"/data", "/srv/covid files/"}, "/": {"/"}} {
		t.Setenv("SOURCE_ROOTS", set)
		if w, err := LoadWorker(); err != nil || !slices.Equal(w.Roots, want) {
			t.Errorf("SOURCE_ROOTS=%q: %q, %v; want %q", set, w.Roots, err, want)
		}
	}
	t.Chdir("/")
	t.Setenv("SOURCE_ROOTS", "")
	if _, err := LoadWorker(); err == nil || !strings.Contains(err.Error(), "SOURCE_ROOTS is not set") {
		t.Errorf("started in /: %v", err)
	}
}

func TestMetabase(t *testing.T) {
	unset(t)
	t.Setenv("DATABASE_URL", "postgres://h/db")
	w, err := LoadWorker()
	if err != nil || w.Metabase.URL != "http://127.0.0.1:3000" || len(w.Metabase.Missing()) != 3 {
		t.Fatalf("%+v, %v", w.Metabase, err)
	}
	t.Setenv("METABASE_USERNAME", "admin@example.com")
	t.Setenv("METABASE_PASSWORD", "pass-word")
	t.Setenv("METABASE_ALLOW_PLAINTEXT", "true")
	for address, want := range map[string]Connection{
		"postgres://reader:p%40ss@db:5433/warehouse":          {"db", "warehouse", "reader", 5433, "p@ss", false},
		"postgresql://reader@db/warehouse?sslmode=prefer":     {"db", "warehouse", "reader", 5432, "", false},
		"postgres://reader:x@[::1]/warehouse?sslmode=require": {"::1", "warehouse", "reader", 5432, "x", true},
	} {
		t.Setenv("METABASE_DATABASE_URL", address)
		s, err := LoadWorker()
		if err != nil || len(s.Metabase.Missing()) > 0 {
			t.Fatalf("%s: %v, missing %q", address, err, s.Metabase.Missing())
		}
		if got, err := s.Metabase.Connection(); err != nil || got != want {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
	for _, address := range []string{"postgres://db/warehouse", "postgres://u:pass-word@/w", "postgres://u:pass-word@db", "mysql://u:pass-word@db/w", "postgres://u:pass-word@db:x/w",
		"postgres://reader:pass-word@db/warehouse?sslmode=verify-full", "postgres://reader:pass-word@db/warehouse?sslmode=verify-ca",
		"postgres://reader:pass-word@db/warehouse?sslmode=require&sslrootcert=ca.pem", "postgres://reader:pass-word@db/warehouse?sslmode=perhaps"} {
		t.Setenv("METABASE_DATABASE_URL", address)
		if _, err := LoadWorker(); err == nil || !strings.Contains(err.Error(), "METABASE_DATABASE_URL") || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
