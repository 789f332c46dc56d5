package warehouse_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// A server that lets everybody in, or asks for the password itself, could be any
// that poses as the warehouse's.
func TestThePasswordGoesOnlyToAServerThatProvesToKnowIt(t *testing.T) {
	t.Parallel()
	trusting, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	trusting.User = url.UserPassword(trusting.User.Username(), "pass-word")
	for _, address := range []string{trusting.String(), "postgres://u:pass-word@" + thief(t) + "/w?sslmode=disable"} {
		_, err := warehouse.Open(t.Context(), address)
		if !errors.Is(err, warehouse.ErrDenied) || !strings.Contains(err.Error(), "require_auth") || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%v", err)
		}
		if _, _, err := warehouse.Migrate(t.Context(), address); !errors.Is(err, warehouse.ErrDenied) {
			t.Errorf("%v", err)
		}
	}
	values := trusting.Query()
	values.Set("require_auth", "none")
	trusting.RawQuery = values.Encode()
	openAt(t, trusting.String())
}

// thief is a server that asks for the password in the clear. It fails the test when
// it gets one.
func thief(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(conn, conn)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(&pgproto3.AuthenticationCleartextPassword{})
				if err := b.SetAuthType(pgproto3.AuthTypeCleartextPassword); err == nil && b.Flush() == nil {
					if m, err := b.Receive(); err == nil {
						t.Errorf("the server was sent %T", m)
					}
				}
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}
