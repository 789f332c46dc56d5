package metabase

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Kind says what went wrong with a request, and so whether it is worth
// repeating.
type Kind int

// The kinds of errors.
const (
	_           Kind = iota
	Unavailable      // no answer, or a status of 500 and above: it may still start
	Denied           // 401 or 403: the log-in or its rights
	NotFound         // 404: the object is gone
	Malformed        // the answer is not one of Metabase
	Refused          // any other refusal; the same request would be refused again
)

var kindNames = [...]string{"Unknown", "Unavailable", "Denied", "NotFound", "Malformed", "Refused"}

// String gives the kind's name as it stands in the code, such as "Denied".
func (k Kind) String() string { return kindNames[k] }

// hints are what a person can do about each kind.
var hints = map[Kind]string{
	Unavailable: "check that Metabase runs and can be reached from the worker",
	Denied:      "check METABASE_USERNAME and METABASE_PASSWORD: an administrator of this Metabase",
	Malformed:   "check that METABASE_URL is that of a Metabase, and what stands in between",
}

// maxReason is the room, in bytes, for a reason that came from outside.
const maxReason = 500

// Error is a request that failed.
type Error struct {
	Kind   Kind
	Op     string // what was being done, such as "create a card"
	Status int    // HTTP status; 0 when there was no answer
	Reason string
	err    error
}

// Error gives one sentence: what failed, why, and what a person can do.
func (e *Error) Error() string {
	text := e.Op + ": " + e.Reason
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	if hint := hints[e.Kind]; hint != "" {
		text += "; " + hint
	}
	return text
}

// Unwrap gives the error of the network or of the context, if there was one.
func (e *Error) Unwrap() error { return e.err }

// KindOf gives the kind of the first *Error in err's chain, or 0.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// failure is the error for a request that was not answered with 2xx.
func failure(op string, status int, body []byte) *Error {
	e := &Error{Kind: Refused, Op: op, Status: status, Reason: reason(body)}
	switch {
	case status >= 500:
		e.Kind = Unavailable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Kind = Denied
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status < 400:
		e.Kind = Malformed // nothing of ours is redirected
	}
	if e.Reason == "" {
		e.Reason = http.StatusText(status)
	}
	return e
}

// reason finds the sentence in a refusal: JSON with a message, with errors by key
// or with how far the start is, or plain text.
func reason(body []byte) string {
	var in struct {
		Message, Status string
		Progress        *float64
		Errors          map[string]any
	}
	text := string(body)
	if json.Unmarshal(body, &in) == nil {
		var parts []string
		switch {
		case in.Progress != nil:
			parts = append(parts, fmt.Sprintf("Metabase is %s (%.0f %%)", in.Status, *in.Progress*100))
		case in.Message != "" || in.Status != "":
			parts = append(parts, cmp.Or(in.Message, in.Status))
		}
		for key, problem := range in.Errors {
			parts = append(parts, fmt.Sprintf("%s: %v", key, problem))
		}
		slices.Sort(parts)
		text = strings.Join(parts, ", ")
	} else if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = "" // a page of what stands in between
	}
	return shorten(strings.Join(strings.Fields(text), " "))
}

func shorten(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "…"
}
