package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Kind says what went wrong with a request, and so whether it is worth
// repeating.
type Kind int

// The kinds of errors.
const (
	_           Kind = iota
	Unavailable      // no answer, a time-out, or a status of 500 and above
	Overloaded       // 429: Elasticsearch is too busy
	Denied           // 401 or 403: credentials or privileges
	Blocked          // the index or the cluster refuses writes, for example since its disk is full
	IndexGone        // the index does not exist
	IndexClosed      // the index is closed
	Malformed        // the answer is not one of Elasticsearch: cut off, garbage, another product
	Refused          // any other refusal; the same request would be refused again
)

// kindNames are the kinds' names as they stand in the code.
var kindNames = [...]string{"Unknown", "Unavailable", "Overloaded", "Denied", "Blocked", "IndexGone", "IndexClosed", "Malformed", "Refused"}

// String gives the kind's name as it stands in the code, such as "Overloaded".
func (k Kind) String() string { return kindNames[k] }

// hints are what a person can do about each kind.
var hints = map[Kind]string{
	Unavailable: "check that Elasticsearch runs and can be reached from here",
	Overloaded:  "Elasticsearch is too busy: send less at once, or give it more room",
	Denied:      "check the user, password or API key and its privileges on the index",
	Blocked:     "free disk space or end what blocks the index, then remove its index.blocks settings",
	IndexGone:   "a new ingest creates it",
	IndexClosed: "open it with POST /<index>/_open",
	Malformed:   "check that the address is that of an Elasticsearch 8, and what stands in between",
}

// maxReason is the room, in bytes, for a reason that came from outside: reasons
// quote values of documents, which can be long.
const maxReason = 500

// Error is a request, or a part of one, that failed.
type Error struct {
	Kind   Kind
	Op     string // what was being done, such as "index batch"
	Status int    // HTTP status of the request or of the item; 0 when there was no answer
	Type   string // the name that Elasticsearch gives the error, if it gave one
	Reason string // what went wrong; at most a line of text
	err    error
}

// Error gives one sentence: what failed, why, and what a person can do.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(e.Op + ": " + e.Reason)
	switch {
	case e.Type != "":
		fmt.Fprintf(&s, " (%d %s)", e.Status, e.Type)
	case e.Status != 0:
		fmt.Fprintf(&s, " (status %d)", e.Status)
	}
	if hint := hints[e.Kind]; hint != "" {
		s.WriteString("; " + hint)
	}
	return s.String()
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

// malformed is the error for an answer that Elasticsearch would not give.
func malformed(op, format string, args ...any) *Error {
	return &Error{Kind: Malformed, Op: op, Reason: shorten(fmt.Sprintf(format, args...))}
}

// failure is the error for a status and what came with it. The type decides
// before the status does: a full disk answers 429 as an overload does, and a
// closed index 400 as a bad document does.
func failure(op string, status int, typ, reason string) *Error {
	e := &Error{Kind: Refused, Op: op, Status: status, Type: typ, Reason: shorten(reason)}
	switch {
	case typ == "index_not_found_exception":
		e.Kind = IndexGone
	case typ == "index_closed_exception":
		e.Kind = IndexClosed
	case status >= 500: // "state not recovered" and "no master" are blocks too, but pass by themselves
		e.Kind = Unavailable
	case typ == "cluster_block_exception":
		e.Kind = Blocked
	case status == http.StatusTooManyRequests:
		e.Kind = Overloaded
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Kind = Denied
	}
	if e.Reason == "" {
		e.Reason = http.StatusText(status)
	}
	return e
}

// failedAnswer is the error for a whole request that was not answered with 2xx.
// Something between here and Elasticsearch may have answered: of that only the
// status counts, and only where it can have been meant.
func failedAnswer(op string, status int, genuine bool, body []byte) *Error {
	if !genuine {
		e := failure(op, status, "", "")
		if status == http.StatusRequestEntityTooLarge { // Elasticsearch itself says no more than that
			e.Reason = "the request is too large: smaller batches are needed, or a higher http.max_content_length"
		} else if e.Kind == Refused {
			return malformed(op, "an answer with status %d that is not from Elasticsearch", status)
		}
		return e
	}
	type cause struct{ Type, Reason string }
	var in struct {
		Error  json.RawMessage
		Found  *bool  // instead of an error, where a document is not there
		Result string // the same of a deletion
	}
	var detail struct {
		cause
		RootCause []cause `json:"root_cause"`
	}
	err := json.Unmarshal(body, &in)
	if err == nil && json.Unmarshal(in.Error, &detail) != nil {
		_ = json.Unmarshal(in.Error, &detail.Reason) // some errors are a plain sentence
	}
	if len(detail.RootCause) > 0 { // "all shards failed" says less than why the first one did
		detail.cause = detail.RootCause[0]
	}
	e := failure(op, status, detail.Type, detail.Reason)
	if e.Kind == Refused && (err != nil || detail.Reason == "" && in.Found == nil && in.Result == "") {
		return malformed(op, "an answer with status %d that gives no reason", status)
	}
	return e
}

// shorten cuts text that came from outside to one line of at most maxReason bytes.
func shorten(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}
