package metabasefake

import (
	"net/http"
	"strings"
	"testing"
)

func TestStart(t *testing.T) {
	t.Parallel()
	c := &caller{t: t, server: New(t, Options{StartRequests: 3})}
	first := c.want(http.StatusServiceUnavailable, "GET /api/health", nil)
	if first.text("status") != "initializing" {
		t.Errorf("health says %s", first.body)
	}
	if a := c.want(http.StatusServiceUnavailable, "GET /api/session/properties", nil); strings.HasPrefix(a.body, "{") {
		t.Errorf("a starting server answers with JSON: %s", a.body)
	}
	if last := c.want(http.StatusServiceUnavailable, "GET /api/health", nil); last.at("progress").(float64) <= first.at("progress").(float64) {
		t.Errorf("progress went from %s to %s", first.body, last.body)
	}
	if a := c.want(http.StatusOK, "GET /api/health", nil); a.text("status") != "ok" {
		t.Errorf("health says %s", a.body)
	}
	c.clean()
}

func TestHold(t *testing.T) {
	t.Parallel()
	c := &caller{t: t, server: New(t, Options{Hold: true})}
	for range 5 {
		c.want(http.StatusServiceUnavailable, "GET /api/health", nil)
	}
	c.server.Release()
	c.want(http.StatusOK, "GET /api/health", nil)
}

func setupOf(c *caller) object {
	c.t.Helper()
	return object{
		"token": c.want(http.StatusOK, "GET /api/session/properties", nil).text("setup-token"),
		"user":  object{"email": admin.Email, "password": admin.Password, "first_name": "Admin"},
		"prefs": object{"site_name": "Stats", "site_locale": "en"},
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{V054, V058, V063, Newest} {
		c := &caller{t: t, server: New(t, Options{Version: version})}
		if c.want(http.StatusOK, "GET /api/session/properties", nil).at("has-user-setup") != false {
			t.Error("a new server has a user")
		}
		// The database is ignored.
		b := with(t, setupOf(c), "database", object{"engine": "postgres"})
		c.session = c.want(http.StatusOK, "POST /api/setup", b).text("id")
		if n := c.want(http.StatusOK, "GET /api/database", nil).at("total"); n != 1.0 {
			t.Errorf("%s: after set-up there are %v databases, want the sample alone", version.tag(), n)
		}
		properties := c.want(http.StatusOK, "GET /api/session/properties", nil)
		if properties.at("has-user-setup") != true || properties.at("version.tag") != version.tag() {
			t.Errorf("properties: %s", properties.body)
		}
		if shown := properties.at("setup-token") != nil; shown == version.clearsToken() {
			t.Errorf("%s: the token is shown after set-up: %t", version.tag(), shown)
		}
		again := http.StatusForbidden
		if version.clearsToken() {
			again = http.StatusBadRequest
		}
		c.want(again, "POST /api/setup", b)
		c.clean()
	}
}

func TestSetupRefuses(t *testing.T) {
	t.Parallel()
	c := &caller{t: t, server: New(t, Options{})}
	for _, change := range [][]any{
		{"prefs", gone{}}, {"prefs/site_name", gone{}}, {"user/email", gone{}}, {"user/password", gone{}},
		{"token", gone{}}, {"user/email", "admin"}, {"user/password", "short"}, {"user/password", "password1"},
		{"user/first_name", ""}, {"user/Email", "a@example.com"}, {"prefs/allow", true}, {"more", 1},
	} {
		before := len(c.server.Violations())
		c.want(http.StatusBadRequest, "POST /api/setup", with(t, setupOf(c), change...))
		if len(c.server.Violations()) != before+1 {
			t.Errorf("%v is no violation", change)
		}
	}
	before := len(c.server.Violations())
	if a := c.want(http.StatusBadRequest, "POST /api/setup", with(t, setupOf(c), "token", "stale")); !strings.Contains(a.body, "token") {
		t.Errorf("a wrong token is answered with %s", a.body)
	}
	if len(c.server.Violations()) != before {
		t.Error("a stale token is a violation, and it may be a race")
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	c := newCaller(t, Options{})
	wrong := object{"username": admin.Email, "password": "wrong"}
	c.want(http.StatusOK, "GET /api/card", nil)
	session := c.session
	c.session = "none"
	c.want(http.StatusUnauthorized, "GET /api/card", nil)
	c.session = session
	c.want(http.StatusNoContent, "DELETE /api/session", nil)
	c.want(http.StatusUnauthorized, "GET /api/card", nil)
	for range attempts {
		if a := c.want(http.StatusUnauthorized, "POST /api/session", wrong); a.text("errors.password") != "did not match stored password" {
			t.Errorf("a wrong password is answered with %s", a.body)
		}
	}
	c.clean()
	right := object{"username": admin.Email, "password": admin.Password}
	if a := c.want(http.StatusUnauthorized, "POST /api/session", right); !strings.Contains(a.body, "Too many") {
		t.Errorf("a throttled log-in is answered with %s", a.body)
	}
	c.violated("log-ins failed")
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	c := newCaller(t, Options{})
	c.server.EndSessions()
	c.want(http.StatusUnauthorized, "GET /api/card", nil)
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	c := newCaller(t, Options{})
	b := object{"group_id": 2, "name": "provisioner"}
	key := c.want(http.StatusOK, "POST /api/api-key", b).text("unmasked_key")
	c.want(http.StatusBadRequest, "POST /api/api-key", b)
	c.clean()
	c.want(http.StatusBadRequest, "POST /api/api-key", with(t, b, "group_id", 9))
	for sent, status := range map[string]int{key: http.StatusOK, key + "x": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL+"/api/card", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", sent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("the key %s is answered with %d, want %d", sent, resp.StatusCode, status)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	c := newCaller(t, Options{Version: V054})
	path := " /api/setting/enable-public-sharing"
	if a := c.want(http.StatusOK, "GET"+path, nil); a.body != "false\n" {
		t.Errorf("an old version shares publicly: %q", a.body)
	}
	c.want(http.StatusNoContent, "PUT"+path, object{"value": true})
	if a := c.want(http.StatusOK, "GET"+path, nil); a.body != "true\n" {
		t.Errorf("after it was set it is %q", a.body)
	}
	c.want(http.StatusNoContent, "PUT /api/setting/site-name", object{"value": "A b"})
	if a := c.want(http.StatusOK, "GET /api/setting/site-name", nil); a.body != "\"A b\"\n" {
		t.Errorf("a text reads back as %q", a.body)
	}
	c.clean()
	c.want(http.StatusBadRequest, "PUT"+path, object{"value": "yes"})
	c.want(http.StatusBadRequest, "PUT /api/setting/enable-public-shring", object{"value": true})
	if n := c.violated("no setting"); n != 2 {
		t.Errorf("%d violations, want 2", n)
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	for version, want := range map[Version]string{V054: "Not found.", V058: "Not found.", V063: "{", Newest: "{"} {
		c := newCaller(t, Options{Version: version})
		if a := c.want(http.StatusNotFound, "GET /api/card/77", nil); !strings.HasPrefix(a.body, want) {
			t.Errorf("%s answers 404 with %s", version.tag(), a.body)
		}
		c.clean()
		if a := c.want(http.StatusNotFound, "GET /api/card/", nil); !strings.Contains(a.body, "API endpoint does not exist.") {
			t.Errorf("a slash at the end is answered with %s", a.body)
		}
		c.violated("no such endpoint")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := object{"name": "Stats"}
	for _, f := range []struct {
		fault Fault
		want  int // collections besides the root, the examples and the personal one
	}{
		{Fault{Status: http.StatusServiceUnavailable}, 0},
		{Fault{Status: http.StatusBadGateway, After: true}, 1},
		{Fault{}, 0},
		{Fault{After: true}, 1},
	} {
		c := newCaller(t, Options{})
		f.fault.Method, f.fault.Path = http.MethodPost, "/api/coll*"
		c.server.Inject(f.fault)
		c.want(http.StatusOK, "GET /api/collection", nil)
		if a := c.send("POST /api/collection", b); a.status != f.fault.Status {
			t.Errorf("%+v: answered with %d %s", f.fault, a.status, a.body)
		}
		if n := len(c.want(http.StatusOK, "GET /api/collection", nil).at("").([]any)) - 3; n != f.want {
			t.Errorf("%+v: %d collections were made, want %d", f.fault, n, f.want)
		}
		c.want(http.StatusOK, "POST /api/collection", b)
		writes := c.server.Writes()
		if len(writes) != 2 || writes[0].Status != f.fault.Status || writes[0].Changed != f.fault.After || !writes[1].Changed {
			t.Errorf("%+v: the writes are %+v", f.fault, writes)
		}
	}
}
