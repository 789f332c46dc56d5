// Package metabasefake is a strict Metabase for tests: the parts of its API that
// provisioning a dashboard needs, with queries that really run on PostgreSQL.
//
// It is stricter than a Metabase. A real one drops unknown keys without a word,
// stores charts of unknown kinds and ignores filters that point nowhere; here
// each of these is answered with 400 and kept in Violations, so that a client
// that overlooks the answer is caught too. Otherwise it behaves as a Metabase
// does, also where that is awkward: names are not unique, dashcards come back in
// any order, a query reads back in another form than it was sent.
//
// It serves one request at a time.
package metabasefake

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Options of a fake. The zero value is the newest version, ready, without a user.
type Options struct {
	Version Version
	// StartRequests is how many requests are answered as by a server that still
	// starts.
	StartRequests int
	// Hold lets it start for as long as Release was not called.
	Hold bool
	// Users exist from the beginning: with one, the first-user set-up is done.
	Users []User
	// SearchPath is the schema that connections to PostgreSQL see; empty leaves
	// it to the role. With one, a sync finds the tables of that schema alone.
	SearchPath string
	// SyncPolls is after how many looks at a database its sync is done; 0 is 2.
	SyncPolls int
	// PageLimit is the most items of one page of a collection; 0 is no limit.
	PageLimit int
	// Now is what relative dates such as past30days count from; nil is the clock.
	Now func() time.Time
}

// User may log in. All users are superusers.
type User struct{ Email, Password string }

// Request is one that the fake answered.
type Request struct {
	Method, Path string
	Status       int  // 0: the connection was closed without an answer
	Changed      bool // what is stored was different afterwards
}

// Server is a running fake.
type Server struct {
	URL     string
	options Options

	mu         sync.Mutex
	held       bool
	starting   int
	faults     []Fault
	requests   []Request
	violations []string
	state      state
}

// New starts a fake that stops at the end of the test.
func New(t testing.TB, options Options) *Server {
	t.Helper()
	if options.SyncPolls == 0 {
		options.SyncPolls = 2
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Server{
		options:  options,
		held:     options.Hold,
		starting: options.StartRequests,
		state:    newState(options),
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = server.URL
	t.Cleanup(server.Close)
	return s
}

// Release ends the start that Options.Hold began.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
}

// Requests gives all requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Writes gives the requests that are there to change something, whether they did
// or not: not log-ins, queries, connection tests and syncs.
func (s *Server) Writes() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool { return !isWrite(r.Method, r.Path) })
}

// Violations gives what clients did that a real Metabase takes and never does, or
// refuses: one sentence each.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// serve answers one request: as a starting server, with a fault, or really.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Method: r.Method, Path: r.URL.Path}
	defer func() { s.requests = append(s.requests, request) }()
	fault := s.fault(r)
	if fault != nil && !fault.After {
		request.Status = fault.Status
		fault.answer(w)
		return
	}
	before := s.state.print()
	answer := httptest.NewRecorder()
	if s.isStarting() {
		s.answerStarting(answer, r)
	} else {
		s.mux().ServeHTTP(answer, r)
	}
	request.Status = answer.Code
	request.Changed = s.state.print() != before
	if fault != nil {
		request.Status = fault.Status
		fault.answer(w)
		return
	}
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // a client that went away
}

// mux gives the routes; what is behind `in` needs a log-in.
func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	open := func(pattern string, handler handler) { mux.Handle(pattern, s.handle(handler)) }
	in := func(pattern string, handler handler) { mux.Handle(pattern, s.loggedIn(handler)) }
	open("GET /api/health", s.health)
	open("GET /api/session/properties", s.properties)
	open("POST /api/setup", s.setup)
	open("POST /api/session", s.logIn)
	in("DELETE /api/session", s.logOut)
	in("POST /api/api-key", s.createAPIKey)
	in("GET /api/setting", s.listSettings)
	in("GET /api/setting/{key}", s.getSetting)
	in("PUT /api/setting/{key}", s.putSetting)
	in("GET /api/database", s.listDatabases)
	in("POST /api/database", s.createDatabase)
	in("POST /api/database/validate", s.validateDatabase)
	in("GET /api/database/{id}", s.getDatabase)
	in("PUT /api/database/{id}", s.updateDatabase)
	in("POST /api/database/{id}/sync_schema", s.syncDatabase)
	in("GET /api/database/{id}/metadata", s.databaseMetadata)
	in("GET /api/collection", s.listCollections)
	in("POST /api/collection", s.createCollection)
	in("GET /api/collection/{id}", s.getCollection)
	in("PUT /api/collection/{id}", s.updateCollection)
	in("GET /api/collection/{id}/items", s.collectionItems)
	in("GET /api/card", s.listCards)
	in("POST /api/card", s.createCard)
	in("GET /api/card/{id}", s.getCard)
	in("PUT /api/card/{id}", s.updateCard)
	in("DELETE /api/card/{id}", s.deleteCard)
	in("POST /api/card/{id}/query", s.queryCard)
	in("POST /api/dataset", s.queryDataset)
	in("GET /api/dashboard", s.listDashboards)
	in("POST /api/dashboard", s.createDashboard)
	in("GET /api/dashboard/{id}", s.getDashboard)
	in("PUT /api/dashboard/{id}", s.updateDashboard)
	in("POST /api/dashboard/{id}/public_link", s.publishDashboard)
	in("POST /api/dashboard/{id}/dashcard/{dashcard}/card/{card}/query", s.queryDashcard)
	mux.Handle("/", s.handle(s.unknownRoute))
	return mux
}

// violate keeps what a client did wrong.
func (s *Server) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// newID gives a random id of 21 characters or, as a UUID, of 36.
func newID(uuid bool) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	text := hex.EncodeToString(b[:])
	if !uuid {
		return text[:21]
	}
	return text[:8] + "-" + text[8:12] + "-4" + text[13:16] + "-a" + text[17:20] + "-" + text[20:]
}
