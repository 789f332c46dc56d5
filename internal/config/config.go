// Package config reads the settings of the programs from the environment, once,
// in their mains. Every mistake is reported together with the others.
//
// The tag desc describes a setting in the table of docs/operations.md. A secret
// has a second variable, its name with _FILE.
package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v10"
	"github.com/jackc/pgx/v5"
)

// Secret is a value that is never printed: not by fmt, not by slog, not as JSON.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[hidden]"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal gives the value itself.
func (s Secret) Reveal() string { return string(s) }

// Elasticsearch is how the raw index is reached and laid out.
type Elasticsearch struct {
	URL          string `env:"ELASTICSEARCH_URL" envDefault:"http://127.0.0.1:9200" desc:"address, http or https"`
	Username     string `env:"ELASTICSEARCH_USERNAME" desc:"log-in, with the password; or"`
	Password     Secret `env:"ELASTICSEARCH_PASSWORD" desc:"its password"`
	PasswordFile string `env:"ELASTICSEARCH_PASSWORD_FILE"`
	APIKey       Secret `env:"ELASTICSEARCH_API_KEY" desc:"an API key instead"`
	APIKeyFile   string `env:"ELASTICSEARCH_API_KEY_FILE"`
	CAFile       string `env:"ELASTICSEARCH_CA_FILE" desc:"file of certificates to trust; https only"`
	CertFile     string `env:"ELASTICSEARCH_CLIENT_CERT_FILE" desc:"file of the certificate that the programs show; https only"`
	KeyFile      string `env:"ELASTICSEARCH_CLIENT_KEY_FILE" desc:"file of its private key"`

	AllowPlaintext bool `env:"ELASTICSEARCH_ALLOW_PLAINTEXT" envDefault:"false" desc:"true: the log-in may go to another host by plain http"`

	Index    string `env:"ELASTICSEARCH_INDEX" envDefault:"usa_covid_cases" desc:"the raw index; beside it -quarantine and -releases. Of the starter's commands, which give it to the runs; the worker does what it is given"`
	Shards   int    `env:"ELASTICSEARCH_SHARDS" envDefault:"1" desc:"of a raw index that does not exist yet"`
	Replicas int    `env:"ELASTICSEARCH_REPLICAS" envDefault:"0" desc:"of a raw index that does not exist yet"`
}

// Database is how the warehouse is reached.
type Database struct {
	URL     Secret `env:"DATABASE_URL" desc:"the warehouse, postgres://user:password@host:5432/warehouse?sslmode=verify-full. For the starter's serve, cards and status a user who is only a member of covid_reader is enough"`
	URLFile string `env:"DATABASE_URL_FILE"`

	AllowPlaintext bool `env:"DATABASE_ALLOW_PLAINTEXT" envDefault:"false" desc:"true: the password may go to another host whose certificate is not verified, or without TLS"`
}

// MetabaseAddress is where a Metabase is.
type MetabaseAddress struct {
	URL string `env:"METABASE_URL" envDefault:"http://127.0.0.1:3000" desc:"of a worker: where it reaches Metabase. Of the starter, which does not: the address that it prints for people"`
}

// Metabase is how a Metabase is reached, and how it reaches the warehouse in turn.
type Metabase struct {
	MetabaseAddress
	Username        string `env:"METABASE_USERNAME" desc:"an administrator of Metabase, by e-mail address; of a new Metabase its first user"`
	Password        Secret `env:"METABASE_PASSWORD" desc:"its password"`
	PasswordFile    string `env:"METABASE_PASSWORD_FILE"`
	DatabaseURL     Secret `env:"METABASE_DATABASE_URL" desc:"the warehouse as Metabase reaches it, by a user who can only read: postgres://reader:password@host:5432/warehouse"`
	DatabaseURLFile string `env:"METABASE_DATABASE_URL_FILE"`

	AllowPlaintext bool `env:"METABASE_ALLOW_PLAINTEXT" envDefault:"false" desc:"true: the log-in may go to Metabase on another host by plain http, and Metabase may send its password to PostgreSQL on another host, whose certificate it does not verify"`
}

// Missing names the variables without which no dashboard can be provisioned.
func (m Metabase) Missing() []string {
	var names []string
	for name, set := range map[string]bool{
		"METABASE_USERNAME": m.Username != "", "METABASE_PASSWORD": m.Password != "", "METABASE_DATABASE_URL": m.DatabaseURL != "",
	} {
		if !set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Source is how sources are read.
type Source struct {
	Roots []string      `env:"SOURCE_ROOTS" desc:"absolute folders, separated by commas: only files below them are read. Default: the folder that the worker is started in, in containers /data"`
	Quiet time.Duration `env:"SOURCE_QUIET" envDefault:"3s" desc:"how long nothing may have written to a source that is not followed before its release is completed"`
}

// Log is how a program logs.
type Log struct {
	Level  string `env:"LOG_LEVEL" envDefault:"INFO" desc:"DEBUG, INFO, WARN or ERROR"`
	Format string `env:"LOG_FORMAT" envDefault:"text" desc:"text, or json for collectors"`
}

// Worker is all that a worker is told.
type Worker struct {
	Elasticsearch
	Database
	Metabase Metabase
	Source
	Log
}

// Starter is what the operator's command is told. Verbs that do not reach the
// warehouse work without DATABASE_URL.
type Starter struct {
	Elasticsearch
	Database
	Metabase MetabaseAddress
}

// LoadWorker reads a worker's settings. The error names every mistake, a line
// each.
func LoadWorker() (Worker, error) {
	var w Worker
	errs := parse(&w)
	errs = append(errs, w.Elasticsearch.check()...)
	errs = append(errs, w.Database.check()...)
	errs = append(errs, w.Metabase.check()...)
	errs = append(errs, w.checkSourceRoots()...)
	if w.Database.URL == "" && w.URLFile == "" {
		errs = append(errs, errors.New("DATABASE_URL (or DATABASE_URL_FILE) is not set: the address of the warehouse, postgres://user@host:5432/warehouse"))
	}
	if w.Quiet < 0 {
		errs = append(errs, fmt.Errorf("SOURCE_QUIET is %s: a duration such as 3s, or 0s for no wait", w.Quiet))
	}
	if err := new(slog.Level).UnmarshalText([]byte(w.Level)); err != nil {
		errs = append(errs, fmt.Errorf("LOG_LEVEL is %q: it is DEBUG, INFO, WARN or ERROR", w.Level))
	}
	if w.Format != "text" && w.Format != "json" {
		errs = append(errs, fmt.Errorf("LOG_FORMAT is %q: it is text or json", w.Format))
	}
	return w, together(errs)
}

// checkSourceRoots sets the default, and refuses what is not the path of a folder.
func (w *Worker) checkSourceRoots() (errs []error) {
	if len(w.Roots) == 0 {
		here, err := os.Getwd()
		switch {
		case err != nil:
			return []error{fmt.Errorf("SOURCE_ROOTS is not set, and the working folder is not known: %w", err)}
		case here == "/": // as of a service that is told no folder
			return []error{errors.New("SOURCE_ROOTS is not set, and the working folder is /, which holds every file: name the folders that sources are read from")}
		}
		w.Roots = []string{here}
	}
	for i, folder := range w.Roots {
		folder = strings.TrimSpace(folder)
		if !filepath.IsAbs(folder) {
			errs = append(errs, fmt.Errorf("SOURCE_ROOTS has %q: give absolute paths of folders, separated by commas", folder))
		}
		w.Roots[i] = folder
	}
	return errs
}

// LoadStarter reads the settings of the operator's command.
func LoadStarter() (Starter, error) {
	var s Starter
	errs := parse(&s)
	errs = append(errs, s.Elasticsearch.check()...)
	errs = append(errs, s.Database.check()...)
	errs = append(errs, s.Metabase.check())
	return s, together(errs)
}

func parse(into any) []error {
	err := env.Parse(into)
	var all env.AggregateError
	if errors.As(err, &all) {
		return all.Errors
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// indexName holds the index names this pipeline takes: what Elasticsearch
// allows (lower case, no leading - _ +, none of \ / * ? " < > | space , # :),
// without the wild cards that would reach other indices.
var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,199}$`)

// ownPart is what the names of the indices beside a raw index have: its quarantine,
// its registry and those that a self-test makes.
var ownPart = regexp.MustCompile(`-quarantine$|-releases$|-selftest-`)

func (e *Elasticsearch) check() []error {
	errs := []error{checkAddress("ELASTICSEARCH", e.URL, "http://127.0.0.1:9200")}
	if !indexName.MatchString(e.Index) {
		errs = append(errs, fmt.Errorf("ELASTICSEARCH_INDEX is %q: lower-case letters, digits, . _ - and at most 200 characters", e.Index))
	}
	if taken := ownPart.FindString(e.Index); taken != "" {
		errs = append(errs, fmt.Errorf("ELASTICSEARCH_INDEX is %q: names with %s are those of the pipeline's own indices, use another", e.Index, taken))
	}
	if e.Shards < 1 || e.Shards > 1024 {
		errs = append(errs, fmt.Errorf("ELASTICSEARCH_SHARDS is %d: from 1 to 1024", e.Shards))
	}
	if e.Replicas < 0 || e.Replicas > 10 {
		errs = append(errs, fmt.Errorf("ELASTICSEARCH_REPLICAS is %d: from 0 to 10", e.Replicas))
	}
	errs = append(errs, fromFile("ELASTICSEARCH_PASSWORD", &e.Password, e.PasswordFile))
	errs = append(errs, fromFile("ELASTICSEARCH_API_KEY", &e.APIKey, e.APIKeyFile))
	if e.APIKey != "" && (e.Username != "" || e.Password != "") {
		errs = append(errs, errors.New("ELASTICSEARCH_API_KEY and ELASTICSEARCH_USERNAME or _PASSWORD are both set: use one way to log in"))
	}
	if (e.Username == "") != (e.Password == "") {
		errs = append(errs, errors.New("ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD go together: one of them is missing"))
	}
	if e.Password != "" || e.APIKey != "" {
		errs = append(errs, checkEncrypted("ELASTICSEARCH", e.URL, e.AllowPlaintext))
	}
	return append(errs, e.checkCertificates()...)
}

func (e *Elasticsearch) checkCertificates() (errs []error) {
	for _, f := range []struct{ name, path string }{
		{"ELASTICSEARCH_CA_FILE", e.CAFile}, {"ELASTICSEARCH_CLIENT_CERT_FILE", e.CertFile}, {"ELASTICSEARCH_CLIENT_KEY_FILE", e.KeyFile},
	} {
		if f.path != "" && !isHTTPS(e.URL) {
			errs = append(errs, fmt.Errorf("%s is set and ELASTICSEARCH_URL is plain http, which uses no certificates: use https, or remove %[1]s", f.name))
		}
	}
	if e.CAFile != "" {
		if _, err := os.ReadFile(e.CAFile); err != nil {
			errs = append(errs, fmt.Errorf("ELASTICSEARCH_CA_FILE: %w", err))
		}
	}
	switch {
	case (e.CertFile == "") != (e.KeyFile == ""):
		errs = append(errs, errors.New("ELASTICSEARCH_CLIENT_CERT_FILE and ELASTICSEARCH_CLIENT_KEY_FILE go together: one of them is missing"))
	case e.CertFile != "":
		if _, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile); err != nil {
			errs = append(errs, fmt.Errorf("ELASTICSEARCH_CLIENT_CERT_FILE and ELASTICSEARCH_CLIENT_KEY_FILE: %w", err))
		}
	}
	return errs
}

func (d *Database) check() []error {
	if err := fromFile("DATABASE_URL", &d.URL, d.URLFile); err != nil {
		return []error{err}
	}
	if d.URL == "" {
		return nil
	}
	// pgx's own error would repeat the address and so could show a password.
	config, err := pgx.ParseConfig(d.URL.Reveal())
	if err != nil {
		return []error{errors.New("DATABASE_URL is not an address such as postgres://user:password@host:5432/warehouse?sslmode=verify-full, or names a file that cannot be read")}
	}
	return []error{checkVerified(config, d.AllowPlaintext)}
}

func (m MetabaseAddress) check() error {
	return checkAddress("METABASE", m.URL, "http://127.0.0.1:3000")
}

func (m *Metabase) check() []error {
	errs := []error{m.MetabaseAddress.check()}
	errs = append(errs, fromFile("METABASE_PASSWORD", &m.Password, m.PasswordFile))
	if m.Password != "" {
		errs = append(errs, checkEncrypted("METABASE", m.URL, m.AllowPlaintext))
	}
	if err := fromFile("METABASE_DATABASE_URL", &m.DatabaseURL, m.DatabaseURLFile); err != nil {
		return append(errs, err)
	}
	if m.DatabaseURL != "" {
		c, err := m.Connection()
		errs = append(errs, err)
		if err == nil {
			errs = append(errs, c.checkEncrypted(m.AllowPlaintext))
		}
	}
	return errs
}

// Connection takes METABASE_DATABASE_URL apart: Metabase wants each part by
// itself. Nothing comes from PostgreSQL's own variables, which Metabase does not see.
func (m Metabase) Connection() (Connection, error) {
	malformed := errors.New("METABASE_DATABASE_URL is not an address such as postgres://reader:password@host:5432/warehouse, with host and port as Metabase sees them")
	u, err := url.Parse(m.DatabaseURL.Reveal())
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.User == nil {
		return Connection{}, malformed // the parser's own error would show the password
	}
	c := Connection{Host: u.Hostname(), Port: 5432, Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username()}
	password, _ := u.User.Password()
	c.Password = Secret(password)
	if port := u.Port(); port != "" {
		if c.Port, err = strconv.Atoi(port); err != nil {
			return Connection{}, malformed
		}
	}
	if c.Host == "" || c.Database == "" || c.User == "" {
		return Connection{}, malformed
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Connection{}, malformed
	}
	if err := checkParameters(parameters); err != nil {
		return Connection{}, err
	}
	c.SSL = parameters.Get("sslmode") == "require"
	return c, nil
}

// Connection is how Metabase reaches the warehouse. SSL false is without SSL
// only where the server has none: Metabase tries both.
type Connection struct {
	Host, Database, User string
	Port                 int
	Password             Secret
	SSL                  bool
}

// fromFile reads a secret from its file. White space around it is not part of
// it: editors and `echo` end files with a newline.
func fromFile(name string, into *Secret, path string) error {
	if path == "" {
		return nil
	}
	if *into != "" {
		return fmt.Errorf("%s and %s_FILE are both set: use one", name, name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	*into = Secret(strings.TrimSpace(string(b)))
	if *into == "" {
		return fmt.Errorf("%s_FILE: the file %s is empty", name, path)
	}
	return nil
}

func together(errs []error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	return fmt.Errorf("the configuration has mistakes:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
}

// Logger gives a logger that writes to standard error as the settings say.
func (l Log) Logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // LoadWorker refuses such a setting
	}
	opts := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
