package metabasefake

import (
	"net/http"
	"path"
	"strings"
)

// Fault spoils the answers to some requests.
type Fault struct {
	Method string // empty: any
	Path   string // pattern of path.Match, such as /api/card/*; empty: any
	Times  int    // how many requests; 0 is one
	Status int    // of the answer, such as 503; 0 closes the connection instead
	After  bool   // the request takes effect first, and only its answer is lost
}

// Inject adds a fault. Of several that fit a request the oldest acts.
func (s *Server) Inject(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault.Times = max(fault.Times, 1)
	s.faults = append(s.faults, fault)
}

// fault takes the fault that acts on a request; nil if none does.
func (s *Server) fault(r *http.Request) *Fault {
	for i := range s.faults {
		fault := &s.faults[i]
		if fault.Times == 0 || fault.Method != "" && fault.Method != r.Method {
			continue
		}
		if fits, err := path.Match(fault.Path, r.URL.Path); fault.Path != "" && (err != nil || !fits) {
			continue
		}
		fault.Times--
		return fault
	}
	return nil
}

func (f *Fault) answer(w http.ResponseWriter) {
	if f.Status == 0 {
		panic(http.ErrAbortHandler) // closes the connection
	}
	http.Error(w, http.StatusText(f.Status), f.Status)
}

// isWrite tells whether a request is there to change what is stored.
func isWrite(method, path string) bool {
	if method == http.MethodGet {
		return false
	}
	for _, end := range []string{"/query", "/dataset", "/validate", "/sync_schema", "/api/session"} {
		if strings.HasSuffix(path, end) {
			return false
		}
	}
	return true
}

// isStarting counts a request against the start.
func (s *Server) isStarting() bool {
	if s.held {
		return true
	}
	s.starting--
	return s.starting >= 0
}

// answerStarting answers as Metabase does until it is up: health with its
// progress, all else in plain text.
func (s *Server) answerStarting(w http.ResponseWriter, r *http.Request) {
	s.handle(func(r *http.Request) (int, any) {
		if r.URL.Path != "/api/health" {
			return http.StatusServiceUnavailable, "Metabase is still initializing. Please sit tight..."
		}
		progress := 0.1
		if !s.held {
			progress = 1 / float64(s.starting+2)
		}
		return http.StatusServiceUnavailable, object{"status": "initializing", "progress": progress}
	}).ServeHTTP(w, r)
}
