package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Each mistake names what the text must hold; "" is none.
func TestCredentialsLeaveThisMachineOnlyVerifiedAndEncrypted(t *testing.T) {
	cert, key := certificate(t)
	const es, db = "ELASTICSEARCH_URL", "DATABASE_URL"
	for _, c := range []struct {
		mistake  string
		settings []string
	}{
		{"", []string{es + "=http://elastic.example:9200"}}, // no log-in to show
		{"ELASTICSEARCH_ALLOW_PLAINTEXT", []string{es + "=http://elastic.example:9200", "ELASTICSEARCH_API_KEY=pass-word"}},
		{"ELASTICSEARCH_ALLOW_PLAINTEXT", []string{es + "=http://10.0.0.1:9200", "ELASTICSEARCH_USERNAME=u", "ELASTICSEARCH_PASSWORD=pass-word"}},
		{"ELASTICSEARCH_ALLOW_PLAINTEXT", []string{es + "=http://localhost.example:9200", "ELASTICSEARCH_API_KEY=pass-word"}},
		{"", []string{es + "=http://10.0.0.1:9200", "ELASTICSEARCH_API_KEY=pass-word", "ELASTICSEARCH_ALLOW_PLAINTEXT=true"}},
		{"", []string{es + "=https://10.0.0.1:9200", "ELASTICSEARCH_API_KEY=pass-word"}},
		{"", []string{es + "=http://127.8.8.8:9200", "ELASTICSEARCH_API_KEY=pass-word"}},
		{"", []string{es + "=http://[::1]:9200", "ELASTICSEARCH_API_KEY=pass-word"}},
		{"", []string{es + "=http://LocalHost:9200", "ELASTICSEARCH_API_KEY=pass-word"}},

		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u:pass-word@db/w"}},
		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u:pass-word@db/w?sslmode=disable"}},
		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u:pass-word@db/w?sslmode=require"}},
		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u:pass-word@db/w?sslmode=verify-ca"}}, // any authority of the system
		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u:pass-word@127.0.0.1,db/w?sslmode=disable"}},
		{"DATABASE_ALLOW_PLAINTEXT", []string{db + "=postgres://u@db/w?sslmode=require", "PGPASSWORD=pass-word"}},
		{"", []string{db + "=postgres://u@db/w?sslmode=disable"}}, // no password to show
		{"", []string{db + "=postgres://u:pass-word@db/w?sslmode=verify-full"}},
		{"", []string{db + "=postgres://u:pass-word@db/w?sslmode=verify-ca&sslrootcert=" + cert}},
		{"", []string{db + "=postgres://u:pass-word@db/w?sslmode=disable", "DATABASE_ALLOW_PLAINTEXT=true"}},
		{"", []string{db + "=postgres://u:pass-word@%2Fvar%2Frun/w"}},
		{"", []string{db + "=postgres://u:pass-word@localhost,127.0.0.1,[::1]/w?sslmode=disable"}},

		{"METABASE_ALLOW_PLAINTEXT", []string{"METABASE_URL=http://metabase:3000", "METABASE_PASSWORD=pass-word"}},
		{"METABASE_ALLOW_PLAINTEXT", []string{"METABASE_DATABASE_URL=postgres://u:pass-word@db/w?sslmode=require"}},
		{"sslmode=verify-full", []string{"METABASE_DATABASE_URL=postgres://u:pass-word@db/w?sslmode=verify-full", "METABASE_ALLOW_PLAINTEXT=true"}},
		{"the parameter sslrootcert", []string{"METABASE_DATABASE_URL=postgres://u:pass-word@127.0.0.1/w?sslrootcert=" + cert}},
		{"", []string{"METABASE_URL=http://metabase:3000", "METABASE_PASSWORD=pass-word", "METABASE_DATABASE_URL=postgres://u:pass-word@db/w", "METABASE_ALLOW_PLAINTEXT=true"}},
		{"", []string{"METABASE_URL=https://metabase", "METABASE_PASSWORD=pass-word", "METABASE_DATABASE_URL=postgres://u:pass-word@localhost/w"}},

		{"ELASTICSEARCH_CA_FILE", []string{es + "=http://127.0.0.1:9200", "ELASTICSEARCH_CA_FILE=" + cert}},
		{"ELASTICSEARCH_CLIENT_CERT_FILE", []string{es + "=http://127.0.0.1:9200", "ELASTICSEARCH_CLIENT_CERT_FILE=" + cert, "ELASTICSEARCH_CLIENT_KEY_FILE=" + key}},
		{"go together", []string{es + "=https://h:9200", "ELASTICSEARCH_CLIENT_CERT_FILE=" + cert}},
		{"go together", []string{es + "=https://h:9200", "ELASTICSEARCH_CLIENT_KEY_FILE=" + key}},
		{"ELASTICSEARCH_CLIENT_KEY_FILE", []string{es + "=https://h:9200", "ELASTICSEARCH_CLIENT_CERT_FILE=" + cert, "ELASTICSEARCH_CLIENT_KEY_FILE=" + cert}},
		{"", []string{es + "=https://h:9200", "ELASTICSEARCH_CA_FILE=" + cert, "ELASTICSEARCH_CLIENT_CERT_FILE=" + cert, "ELASTICSEARCH_CLIENT_KEY_FILE=" + key}},
	} {
		t.Run("", func(t *testing.T) {
			unset(t)
			t.Setenv(db, "postgres://127.0.0.1/w")
			for _, setting := range c.settings {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			_, err := LoadWorker()
			if (err == nil) != (c.mistake == "") || err != nil && !strings.Contains(err.Error(), c.mistake) {
				t.Errorf("%q: %v, want %q", c.settings, err, c.mistake)
			}
			if err != nil && (strings.Contains(err.Error(), "pass-word") || strings.Contains(err.Error(), "sslmode=disable")) {
				t.Errorf("%q: %v", c.settings, err)
			}
		})
	}
}

func TestPlaintextMistakesAreReportedTogether(t *testing.T) {
	unset(t)
	t.Setenv("ELASTICSEARCH_URL", "http://es:9200")
	t.Setenv("ELASTICSEARCH_API_KEY", "pass-word")
	t.Setenv("DATABASE_URL", "postgres://u:pass-word@db/w")
	t.Setenv("METABASE_URL", "http://metabase:3000")
	t.Setenv("METABASE_PASSWORD", "pass-word")
	_, err := LoadWorker()
	for _, part := range []string{"ELASTICSEARCH_ALLOW_PLAINTEXT=true", "DATABASE_ALLOW_PLAINTEXT=true", "METABASE_ALLOW_PLAINTEXT=true", "use https", "sslmode=verify-full"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not in:\n%v", part, err)
		}
	}
}
