package metabase

import (
	"context"
	"errors"
	"net/http"
)

// Properties are what a Metabase says of itself to anybody.
type Properties struct {
	Version string // its tag, such as v0.63.19
	SetUp   bool   // its first user exists
	token   string
}

// Ready asks whether Metabase has started, and what it is. While it starts, the
// error is of kind Unavailable. Its health can be good before all else answers.
func (c *Client) Ready(ctx context.Context) (Properties, error) {
	if err := c.send(ctx, "ask Metabase at "+c.cfg.URL+" whether it has started", http.MethodGet, "/api/health", "", nil, nil); err != nil {
		return Properties{}, err
	}
	var in struct {
		Token   *string `json:"setup-token"`
		SetUp   *bool   `json:"has-user-setup"`
		Version struct{ Tag string }
	}
	const op = "read Metabase's properties"
	if err := c.send(ctx, op, http.MethodGet, "/api/session/properties", "", nil, &in); err != nil {
		return Properties{}, err
	}
	if in.SetUp == nil {
		return Properties{}, &Error{Kind: Malformed, Op: op, Reason: "has-user-setup is not in the answer"}
	}
	// The token stays shown after the set-up up to 0.63: it decides nothing.
	p := Properties{Version: in.Version.Tag, SetUp: *in.SetUp}
	if in.Token != nil {
		p.token = *in.Token
	}
	return p, nil
}

// SetUp makes the configured user the first one, unless there is a user already:
// somebody may be faster.
func (c *Client) SetUp(ctx context.Context, siteName string) (done bool, err error) {
	p, err := c.Ready(ctx)
	if err != nil || p.SetUp {
		return false, err
	}
	in := map[string]any{
		"token": p.token,
		"user":  map[string]any{"email": c.cfg.Username, "password": c.cfg.Password},
		"prefs": map[string]any{"site_name": siteName},
	}
	var out struct{ ID string }
	refused := c.send(ctx, "set up Metabase's first user", http.MethodPost, "/api/setup", "", in, &out)
	if refused == nil {
		c.keep(out.ID)
		return true, nil
	}
	if kind := KindOf(refused); kind != Refused && kind != Denied {
		return false, refused
	}
	// 400 is also the answer to a token that a faster one has used up.
	if p, err = c.Ready(ctx); err != nil || p.SetUp {
		return false, err
	}
	var e *Error
	if errors.As(refused, &e) {
		e.Kind = Refused // a bad password or address, not a wrong one
	}
	return false, refused
}

// LogIn checks that the configured user is one of Metabase's.
func (c *Client) LogIn(ctx context.Context) error {
	_, err := c.loggedIn(ctx, "")
	return err
}

// loggedIn gives a session other than the one that has ended.
func (c *Client) loggedIn(ctx context.Context, ended string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != ended {
		return c.session, nil
	}
	var out struct{ ID string }
	err := c.send(ctx, "log in to Metabase", http.MethodPost, "/api/session", "",
		map[string]any{"username": c.cfg.Username, "password": c.cfg.Password}, &out)
	if err != nil {
		return "", err
	}
	c.session = out.ID
	return c.session, nil
}

func (c *Client) keep(session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session
}
