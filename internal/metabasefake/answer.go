package metabasefake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// handler answers a request with a status and a body: a string becomes plain
// text, nil nothing, all else JSON.
type handler func(r *http.Request) (status int, body any)

// handle serves a handler.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := h(r)
		switch body := body.(type) {
		case nil:
			w.WriteHeader(status)
		case string:
			w.Header().Set("Content-Type", "text/plain;charset=utf-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // into memory
		default:
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
			if id, ok := sessionCookie(body); ok {
				http.SetCookie(w, &http.Cookie{Name: "metabase.SESSION", Value: id, Path: "/", HttpOnly: true})
			}
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body) // into memory
		}
	})
}

// loggedIn serves a handler to those who are logged in.
func (s *Server) loggedIn(h handler) http.Handler {
	return s.handle(func(r *http.Request) (int, any) {
		if !s.knows(r) {
			return http.StatusUnauthorized, "Unauthenticated"
		}
		return h(r)
	})
}

// unknownRoute answers what has no endpoint: also a known path with a slash at
// its end.
func (s *Server) unknownRoute(r *http.Request) (int, any) {
	s.violate("%s %s: no such endpoint", r.Method, r.URL.Path)
	return s.notFound("API endpoint does not exist.")
}

// notFound answers 404, by version as text or as JSON.
func (s *Server) notFound(message string) (int, any) {
	if s.options.Version.textNotFound() {
		return http.StatusNotFound, message
	}
	return http.StatusNotFound, object{"message": message}
}

func (s *Server) missing() (int, any) { return s.notFound("Not found.") }

// problem is why a request is refused.
type problem struct {
	at   string // the key, such as dashcards[2].size_x
	text string
}

func (p *problem) Error() string { return p.at + ": " + p.text }

// wrong makes the problem of one key.
func wrong(at, format string, args ...any) error {
	return &problem{at: at, text: fmt.Sprintf(format, args...)}
}

// refuse answers 400 and keeps the violation.
func (s *Server) refuse(r *http.Request, err error) (int, any) {
	s.violate("%s %s: %v", r.Method, r.URL.Path, err)
	at, text, _ := strings.Cut(err.Error(), ": ")
	return http.StatusBadRequest, object{"errors": object{at: text}, "specific-errors": object{at: []string{text}}}
}
