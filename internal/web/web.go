// Package web is the built-in page: the cards of package dashboards as HTML made
// on the server, for a machine without Metabase. It needs no other asset than
// its own, works offline and without a script, and only reads.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"covidpipeline/internal/health"
	"covidpipeline/internal/warehouse"
)

// Server answers with the page.
type Server struct {
	DB  *warehouse.DB // read alone: open it with warehouse.OpenReader
	Log *slog.Logger
	// Look asks the servers how the pipeline is; without it the page tells what the
	// warehouse knows.
	Look func(context.Context) health.Status

	latest atomic.Pointer[health.Status] // what the last look found
}

// How many answers are made at once. Each is bounded in memory, and so all are
// together; a download may also keep a connection to the warehouse, of which others
// must be left.
const (
	pagesAtOnce     = 8
	downloadsAtOnce = 4
	// waitAtMost is how long a reader waits for a place before being sent away.
	waitAtMost = 3 * time.Second
)

// Limits of a connection. A page takes a fraction of a second; a download of
// every county over a slow line may take a while.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second
	// answerWithin is how long the warehouse may take for one answer.
	answerWithin = 20 * time.Second
	// downloadWithin is how long a card's download may take, and with it a transaction.
	downloadWithin = 5 * time.Minute
	// againAfter is when a page that could not be made is asked for again, in seconds.
	againAfter = "30"
	maxHeader  = 32 << 10 // bytes; every state of a long list fits
)

// Serve answers on the listener until the context ends, and then lets the
// answers under way finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	answers, endAnswers := context.WithCancel(context.WithoutCancel(ctx))
	defer endAnswers()
	server := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return answers },
		Handler:           s.Handler(isLoopback(l.Addr())),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	if s.Look != nil {
		go s.watch(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the page: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		endAnswers() // those that a server hangs on
		return errors.Join(fmt.Errorf("end the page: %w", err), server.Close())
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Handler gives the page's handler. One that is reached over loopback alone
// refuses other hosts' names.
func (s *Server) Handler(loopback bool) http.Handler {
	mux := http.NewServeMux()
	pages, downloads := make(places, pagesAtOnce), make(places, downloadsAtOnce)
	mux.HandleFunc("GET /{$}", s.bounded(pages, s.page))
	mux.HandleFunc("GET /rejects", s.bounded(pages, s.rejects))
	mux.HandleFunc("GET /rejects.csv", s.bounded(downloads, s.downloadRejects))
	mux.HandleFunc("GET /cards/{file}", s.bounded(downloads, s.download))
	mux.HandleFunc("GET /static/{file}", static)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		s.fail(w, problem{http.StatusNotFound, "There is no such page", "The dashboard is at /."})
	})
	return guard(mux, loopback)
}

// places bounds how many answers of a kind are under way.
type places chan struct{}

// bounded has an answer made once there is a place for it, and sends the reader away
// when there is none for a while.
func (s *Server) bounded(p places, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(waitAtMost)
		defer timer.Stop()
		select {
		case p <- struct{}{}:
			defer func() { <-p }()
			next(w, r)
		case <-r.Context().Done():
		case <-timer.C:
			w.Header().Set("Retry-After", againAfter)
			s.fail(w, problem{http.StatusServiceUnavailable, "Too many readers at once", "Load this again in half a minute."})
		}
	}
}

// policy lets a page load nothing but its own style, script and data, run
// nothing that stands in it, and be shown in no frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard sets the headers of every answer. Over loopback it also refuses a name
// that is not this machine's: a foreign web site could point its own name here
// and have the reader's browser read the page for it (DNS rebinding).
func guard(next http.Handler, loopback bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if loopback && !localName(r.Host) {
			http.Error(w, "This page answers to localhost alone. Open it as http://127.0.0.1 with its port.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func localName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if name == "localhost" || name == "[::1]" {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// problem is an error as a page: what is wrong, and what to do.
type problem struct {
	Status   int
	Title    string
	Sentence string
}

// problemPage is the page of a problem, with the state of the pipeline where that is
// known.
type problemPage struct {
	problem
	State stateView
	Again string // the address that was asked for, where it is worth another try
}

// problemOf explains an error of the warehouse.
func problemOf(err error) problem {
	switch {
	case errors.Is(err, warehouse.ErrNotMigrated):
		return problem{http.StatusServiceUnavailable, "The warehouse is not ready",
			"Its tables are missing or those of another version. Run the hourly job once (starter etl) with a worker of this version, then load this page again."}
	case errors.Is(err, warehouse.ErrDenied):
		return problem{http.StatusServiceUnavailable, "The warehouse refused access",
			"The user of DATABASE_URL has to be a member of covid_reader: GRANT covid_reader TO that user."}
	case errors.Is(err, warehouse.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return problem{http.StatusServiceUnavailable, "The warehouse does not answer",
			"Check that PostgreSQL runs and is reached at DATABASE_URL, then load this page again."}
	}
	return problem{http.StatusInternalServerError, "The page could not be made",
		"Load it again. If it stays so, the log of `starter serve` has the error."}
}

// failed answers with the page of an error. A reader who has gone gets none.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	s.Log.Error("page failed", "path", r.URL.Path, "error", err)
	page := problemPage{problem: problemOf(err), Again: r.URL.RequestURI()}
	if s.Look != nil {
		page.State.Facts = []fact{{Name: "Warehouse", Value: "not read", Detail: page.Title, Level: bad}} // also before the next look
		page.State.add(s.latest.Load(), time.Now())
		page.State.judge()
	}
	w.Header().Set("Refresh", againAfter)
	s.write(w, page.Status, "problem", page)
}

func (s *Server) fail(w http.ResponseWriter, p problem) {
	s.write(w, p.Status, "problem", problemPage{problem: p})
}
