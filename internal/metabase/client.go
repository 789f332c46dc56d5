// Package metabase is the client of a Metabase's API: what provisioning a
// dashboard needs, of versions 0.50 and newer. It takes and gives plain values.
//
// It repeats nothing by itself but a request whose session had ended: the unit
// of retry is the caller's step, which looks up what is there before it creates
// anything. No name is unique in Metabase, so a creation that is simply sent
// again after a lost answer doubles the object.
package metabase

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxAnswer is the longest answer, in bytes, that is read: a database's
	// metadata or 2,000 rows are well below.
	maxAnswer = 64 << 20
	// requestTimeout bounds one request; Metabase gives a query no longer either.
	requestTimeout = 50 * time.Second
)

// Config says how to reach Metabase, and as whom: an administrator.
type Config struct {
	URL      string // http or https, without a path's last slash
	Username string // an e-mail address
	Password string
}

// Client talks to one Metabase. It logs in when it has to and keeps the session,
// for log-ins are throttled. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu      sync.Mutex
	session string
}

// New makes a client. It does not connect.
func New(cfg Config) *Client {
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	return &Client{cfg: cfg, http: &http.Client{
		Timeout: requestTimeout,
		// A redirected POST becomes a GET: better said than followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Address gives the address of a path of Metabase's pages.
func (c *Client) Address(path string) string { return c.cfg.URL + path }

// call sends a request as the logged-in user. A session that has ended is made
// anew once: what was answered with 401 has not been done.
func (c *Client) call(ctx context.Context, op, method, path string, in, out any) error {
	session, err := c.loggedIn(ctx, "")
	if err != nil {
		return err
	}
	err = c.send(ctx, op, method, path, session, in, out)
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return err
	}
	if session, err = c.loggedIn(ctx, session); err != nil {
		return err
	}
	return c.send(ctx, op, method, path, session, in, out)
}

// send sends a request. in and out are JSON; nil is none.
func (c *Client) send(ctx context.Context, op, method, path, session string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return &Error{Kind: Refused, Op: op, Reason: "encode the request", err: err}
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+path, body)
	if err != nil {
		return &Error{Kind: Refused, Op: op, Reason: "make the request", err: err}
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if session != "" {
		req.Header.Set("X-Metabase-Session", session)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return noAnswer(op, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return noAnswer(op, err)
	}
	if resp.StatusCode/100 != 2 {
		return failure(op, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &Error{Kind: Malformed, Op: op, Status: resp.StatusCode, Reason: "the answer is not what Metabase gives: " + shorten(err.Error()), err: err}
	}
	return nil
}

// noAnswer is the error for a request of which nobody knows whether it was
// carried out.
func noAnswer(op string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err // without the method and the address, which the operation says
	}
	return &Error{Kind: Unavailable, Op: op, Reason: shorten(err.Error()), err: err}
}
