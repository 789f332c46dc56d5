package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"covidpipeline/internal/warehouse"
)

func TestServe(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	if _, _, err := warehouse.Migrate(t.Context(), o.setting("DATABASE_URL")); err != nil {
		t.Fatal(err)
	}
	const warning, all = "without a password", "every other address of this machine"
	for listen, open := range map[string]bool{"127.0.0.1:0": false, ":0": true} {
		serving, out := o.start("starter", "serve", "--listen", listen)
		o.await("the address", func() bool { return strings.Contains(out.String(), "http://") })
		said := out.String()
		if strings.Contains(said, warning) != open || strings.Contains(said, all) != open {
			t.Errorf("--listen %s: %s", listen, said)
		}
		_, address, _ := strings.Cut(said, "http://")
		address = strings.TrimRight(strings.Fields(address)[0], ",")
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("--listen %s: the address %s", listen, address)
		}
		answer, err := http.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "COVID-19") {
			t.Errorf("%s: %s, %v", address, answer.Status, err)
		}
		if status := o.end(serving, syscall.SIGINT); status != 0 {
			t.Errorf("interrupted, it ended with %d", status)
		}
	}
}

func TestServeWhereItCannotListen(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const another, wants = "take another port", "it wants an address of this machine and a port"
	for listen, want := range map[string]struct {
		status int
		says   string
	}{
		l.Addr().String():        {1, another},
		"8088":                   {2, wants},
		"127.0.0.1:99999":        {2, wants},
		"192.0.2.1:8088":         {2, wants}, // of no machine: RFC 5737
		"no-such.invalid:8088":   {2, wants},
		"127.0.0.1:no-such-port": {2, wants},
	} {
		_, said, status := o.call("serve", "--listen", listen)
		if status != want.status || !strings.Contains(said, want.says) || want.says != another && strings.Contains(said, another) {
			t.Errorf("--listen %s: %d %s", listen, status, said)
		}
	}
	denied := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}
	var usage usageError
	if err := notListening("127.0.0.1:80", denied); !strings.Contains(err.Error(), "above 1023") || errors.As(err, &usage) {
		t.Errorf("a privileged port: %v", err)
	}
}

// What reads the warehouse says once why it cannot, and where to look.
func TestWithoutTheWarehouse(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	u, err := url.Parse(o.setting("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.RawQuery = url.UserPassword("no_such_user", "secret-word"), ""
	for name, c := range map[string]struct{ url, reason, hint string }{
		"log-in":  {u.String(), "no_such_user", "correct the user"},
		"away":    {"postgres://user:secret-word@127.0.0.1:1/warehouse", "connection refused", "start PostgreSQL"},
		"not set": {"", "DATABASE_URL is not set", "source .dev/env"},
	} {
		o.env = append(o.env, "DATABASE_URL="+c.url)
		for _, verb := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"cards"}} {
			out, said, status := o.call(verb...)
			if out != "" || status == 0 || strings.Count(said, c.reason) != 1 || strings.Count(said, "\n") != 1 {
				t.Errorf("%s, %s: %d %s%s", verb[0], name, status, out, said)
			}
			o.contains(said, "DATABASE_URL", c.hint)
			if strings.Contains(said, "secret-word") {
				t.Errorf("%s, %s shows the password: %s", verb[0], name, said)
			}
		}
	}
}

// Who is a member of covid_reader alone needs no more to read.
func TestAReaderIsEnough(t *testing.T) {
	t.Parallel()
	o, _ := newDashboardOperator(t)
	// The tests' server asks for no password.
	o.env = append(o.env, fmt.Sprintf("DATABASE_URL=%s&require_auth=none", o.setting("METABASE_DATABASE_URL")))
	o.contains(o.must("cards"), "Total Covid Records count")
	_, out := o.start("starter", "serve", "--listen", "127.0.0.1:0")
	o.await("the address", func() bool { return strings.Contains(out.String(), "http://") })
}
