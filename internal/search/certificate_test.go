package search

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/testenv"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, writePEM(t, "CERTIFICATE", der)}
}

func writePEM(t *testing.T, kind string, der []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a name or an address, valid until then.
func (a authority) issue(t *testing.T, name string, until time.Time) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: until.Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", encoded)
}

// guarded puts TLS before the tests' Elasticsearch and asks its clients for a
// certificate of the authority.
func guarded(t *testing.T, clients authority, server tls.Certificate) (address string) {
	t.Helper()
	u, err := url.Parse(testenv.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(u))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients below hang up on purpose
	pool := x509.NewCertPool()
	pool.AddCert(clients.cert)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t), newAuthority(t)
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	_, certFile, keyFile := ours.issue(t, "client", later)
	_, foreignCert, foreignKey := foreign.issue(t, "client", later)
	_, oldCert, oldKey := ours.issue(t, "client", past)
	good, _, _ := ours.issue(t, "127.0.0.1", later)
	old, _, _ := ours.issue(t, "127.0.0.1", past)
	wrongName, _, _ := ours.issue(t, "elsewhere.example", later)
	index := newIndex(t, connect(t), 1)
	for name, c := range map[string]struct {
		server tls.Certificate
		config Config
		reason string // "" is none
	}{
		"good":                 {good, Config{CAFile: ours.file, CertFile: certFile, KeyFile: keyFile}, ""},
		"no certificate":       {good, Config{CAFile: ours.file}, "certificate required"},
		"foreign certificate":  {good, Config{CAFile: ours.file, CertFile: foreignCert, KeyFile: foreignKey}, "certificate"},
		"expired certificate":  {good, Config{CAFile: ours.file, CertFile: oldCert, KeyFile: oldKey}, "certificate"},
		"server of another CA": {good, Config{CAFile: foreign.file, CertFile: certFile, KeyFile: keyFile}, "unknown authority"},
		"expired server":       {old, Config{CAFile: ours.file, CertFile: certFile, KeyFile: keyFile}, "expired"},
		"server's name":        {wrongName, Config{CAFile: ours.file, CertFile: certFile, KeyFile: keyFile}, "127.0.0.1"},
	} {
		c.config.URL = guarded(t, ours, c.server)
		client, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.IndexUUID(t.Context(), index)
		switch {
		case c.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.reason != "" && (KindOf(err) != Unavailable || !strings.Contains(err.Error(), c.reason)):
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
	for _, config := range []Config{
		{URL: "https://x", CertFile: certFile}, {URL: "https://x", KeyFile: keyFile}, {URL: "https://x", CertFile: certFile, KeyFile: foreignKey},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}
