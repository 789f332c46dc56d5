package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// checkAddress refuses what is no address of a server, or holds a log-in. The
// server's variables begin with its name.
func checkAddress(server, address, example string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("%s_URL is not an http or https address such as %s", server, example)
	case u.User != nil:
		return fmt.Errorf("%[1]s_URL holds a user: set %[1]s_USERNAME and %[1]s_PASSWORD instead", server)
	}
	return nil
}

// checkEncrypted refuses to send a log-in by plain http to another host.
func checkEncrypted(server, address string, allowed bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || isLocal(u.Hostname()) || allowed {
		return nil // what is no address is reported by checkAddress
	}
	return fmt.Errorf("%[1]s_URL is plain http, which would show the log-in to the network on the way to %[2]s: use https, or set %[1]s_ALLOW_PLAINTEXT=true if that network is private", server, u.Hostname())
}

// isHTTPS reports whether an address is one of https, or none that could be read:
// that mistake is reported by itself.
func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err != nil || u.Scheme != "http"
}

// isLocal reports whether a connection to the host stays on this machine: the host
// is a loopback address, localhost, or the folder of a Unix socket.
func isLocal(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasPrefix(host, "/") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// checkVerified refuses to send PostgreSQL's password to a host that has not proved
// to be the right one. It looks at every way that pgx would try.
func checkVerified(config *pgx.ConnConfig, allowed bool) error {
	if config.Password == "" || allowed {
		return nil
	}
	var open []string
	add := func(host string, c *tls.Config) {
		if !isLocal(host) && !verifies(c) && !slices.Contains(open, host) {
			open = append(open, host)
		}
	}
	add(config.Host, config.TLSConfig)
	for _, f := range config.Fallbacks {
		add(f.Host, f.TLSConfig)
	}
	if len(open) == 0 {
		return nil
	}
	return fmt.Errorf("DATABASE_URL would send its password to %s without checking the server's certificate: add sslmode=verify-full (with sslrootcert=FILE, unless the system trusts the certificate), or set DATABASE_ALLOW_PLAINTEXT=true if that network is private",
		strings.Join(open, " and "))
}

// verifies reports whether a connection is refused unless the server's certificate
// is of an authority that was named, or has the host's name: sslmode verify-full, or
// verify-ca with sslrootcert. Without sslrootcert any authority of the system could
// vouch for any host.
func verifies(c *tls.Config) bool {
	if c == nil {
		return false
	}
	return !c.InsecureSkipVerify || c.VerifyPeerCertificate != nil && c.RootCAs != nil
}

// checkEncrypted refuses to have Metabase send the reader's password to another host
// that nothing verifies.
func (c Connection) checkEncrypted(allowed bool) error {
	if c.Password == "" || isLocal(c.Host) || allowed {
		return nil
	}
	return fmt.Errorf("METABASE_DATABASE_URL would have Metabase send its password to %s, whose certificate it does not check: let Metabase reach PostgreSQL on its own host, or set METABASE_ALLOW_PLAINTEXT=true if that network is private", c.Host)
}

// checkParameters refuses what Metabase would not be told: it gets the parts of the
// address and whether to use SSL, and nothing about certificates.
func checkParameters(parameters url.Values) error {
	for name, values := range parameters {
		if name != "sslmode" {
			return fmt.Errorf("METABASE_DATABASE_URL has the parameter %s, which is not passed on to Metabase: remove it", name)
		}
		switch mode := values[0]; mode {
		case "", "disable", "allow", "prefer", "require":
		case "verify-ca", "verify-full":
			return fmt.Errorf("METABASE_DATABASE_URL has sslmode=%s, and Metabase is not told which certificates to trust: use sslmode=require, and METABASE_ALLOW_PLAINTEXT=true if PostgreSQL is on another host", mode)
		default:
			return errors.New("METABASE_DATABASE_URL has an unknown sslmode: use disable, allow, prefer or require")
		}
	}
	return nil
}
