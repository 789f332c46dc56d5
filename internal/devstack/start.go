package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// startTimeout is how long a server may take until it answers: a cold disk and
// a laptop at work included.
const startTimeout = 90 * time.Second

// Options say how a server is started.
type Options struct {
	// Dir holds the server's settings and data; it is made when it is missing.
	// The user that the server runs as must be able to enter the folders above it.
	Dir string
	// Log is the file for what the server prints; a file in Dir if it is "".
	Log string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Owned ties the server to this program: the kernel kills it when this
	// program ends, however that happens (Linux).
	Owned bool
	// Started is told of the process as soon as it runs, before it answers.
	Started func(*Server) error
}

// PortError says that another program has a server's port.
type PortError struct {
	Server string
	Port   int
}

func (e *PortError) Error() string {
	return fmt.Sprintf("port %d, which %s needs, is in use by another program", e.Port, e.Server)
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// checkPort tells whether a port of 127.0.0.1 is free.
func checkPort(ctx context.Context, server string, port int) error {
	listener, err := listen(ctx, port)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("port %d for %s: %w: choose one above 1023", port, server, os.ErrPermission)
		}
		return &PortError{server, port}
	}
	return listener.Close()
}

// freePort finds a port of 127.0.0.1 that nobody has now.
func freePort(ctx context.Context) (int, error) {
	listener, err := listen(ctx, 0)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// onPort starts a server on the port of the options. For port 0 it looks for a
// free one, and for another should somebody else have taken that one meanwhile.
func onPort(ctx context.Context, name string, o Options, start func(Options) (*Server, error)) (*Server, error) {
	if o.Port != 0 {
		if err := checkPort(ctx, name, o.Port); err != nil {
			return nil, err
		}
		return start(o)
	}
	for try := 1; ; try++ {
		var err error
		if o.Port, err = freePort(ctx); err != nil {
			return nil, err
		}
		s, err := start(o)
		var ended *endedError
		if errors.As(err, &ended) && checkPort(ctx, name, o.Port) != nil && try < 3 {
			continue
		}
		return s, err
	}
}

// run spawns a server and waits until it answers. One that does not is stopped.
func run(ctx context.Context, p program, s *Server, o Options, answers func(context.Context) error) (*Server, error) {
	p.owned = o.Owned
	s.Port, s.Log = o.Port, o.Log
	if s.Log == "" {
		s.Log = filepath.Join(o.Dir, "server.log")
	}
	if err := spawn(p, s); err != nil {
		return nil, err
	}
	if o.Started != nil {
		if err := o.Started(s); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	if err := s.await(ctx, startTimeout, answers); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// plainEnvironment is what a server inherits: the same whatever shell starts it.
func plainEnvironment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C", "TZ=UTC"}
}
