package metabasefake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// attempts is how often a log-in may fail before the user is throttled.
const attempts = 10

func (s *Server) health(*http.Request) (int, any) {
	return http.StatusOK, object{"status": "ok"}
}

func (s *Server) properties(*http.Request) (int, any) {
	done := len(s.state.Users) > 0
	var token any = s.state.SetupToken
	if done && s.options.Version.clearsToken() {
		token = nil
	}
	return http.StatusOK, object{
		"setup-token":    token,
		"has-user-setup": done,
		"version":        object{"tag": s.options.Version.tag(), "hash": "0000000", "date": "2026-01-01"},
		"site-name":      s.state.Settings["site-name"],
	}
}

type setupBody struct {
	Token string `json:"token" need:"always"`
	User  struct {
		FirstName       *string `json:"first_name"`
		LastName        *string `json:"last_name"`
		Email           string  `json:"email" need:"always"`
		Password        string  `json:"password" need:"always"`
		PasswordConfirm *string `json:"password_confirm"`
		SiteName        *string `json:"site_name"`
	} `json:"user" need:"always"`
	Prefs struct {
		SiteName      string  `json:"site_name" need:"always"`
		SiteLocale    *string `json:"site_locale"`
		AllowTracking any     `json:"allow_tracking"` // ignored: set-up switches tracking on
	} `json:"prefs" need:"always"`
	Database any `json:"database"` // ignored
}

func (b *setupBody) check() error {
	for at, text := range map[string]*string{
		"user.first_name": b.User.FirstName, "user.last_name": b.User.LastName,
		"prefs.site_name": &b.Prefs.SiteName, "prefs.site_locale": b.Prefs.SiteLocale,
	} {
		if err := notBlank(at, text); err != nil {
			return err
		}
	}
	if name, domain, ok := strings.Cut(b.User.Email, "@"); !ok || name == "" || !strings.Contains(domain, ".") {
		return wrong("user.email", "is no e-mail address")
	}
	common := []string{"password1", "passw0rd", "qwerty1", "abc123", "metabase1"}
	if len(b.User.Password) < 6 || !strings.ContainsAny(b.User.Password, "0123456789") || slices.Contains(common, strings.ToLower(b.User.Password)) {
		return wrong("user.password", "password is too common or too simple")
	}
	return nil
}

func (s *Server) setup(r *http.Request) (int, any) {
	var b setupBody
	_, err := body(r, &b, true)
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return s.refuse(r, err)
	}
	// The token is part of the schema, which is checked before the users are.
	if b.Token != s.state.SetupToken || len(s.state.Users) > 0 && s.options.Version.clearsToken() {
		return http.StatusBadRequest, object{
			"errors":          object{"token": "Token does not match the setup token."},
			"specific-errors": object{"token": []string{"Token does not match the setup token."}},
		}
	}
	if len(s.state.Users) > 0 {
		return http.StatusForbidden, "The /api/setup route can only be used to create the first user, however a user currently exists."
	}
	s.state.Users = append(s.state.Users, User{Email: b.User.Email, Password: b.User.Password})
	s.state.addPersonal(1)
	s.state.Settings["site-name"] = b.Prefs.SiteName
	return http.StatusOK, s.newSession()
}

func (s *Server) newSession() sessionAnswer {
	id := newID(true)
	s.state.sessions[id] = true
	return sessionAnswer{ID: id}
}

// sessionAnswer is a new session.
type sessionAnswer struct {
	ID string `json:"id"`
}

// sessionCookie gives the cookie that comes with a new session.
func sessionCookie(body any) (id string, ok bool) {
	answer, ok := body.(sessionAnswer)
	return answer.ID, ok
}

func (s *Server) logIn(r *http.Request) (int, any) {
	var b struct {
		Username string `json:"username" need:"always"`
		Password string `json:"password" need:"always"`
	}
	if _, err := body(r, &b, true); err != nil {
		return s.refuse(r, err)
	}
	refused := func(why string) (int, any) {
		return http.StatusUnauthorized, object{"errors": object{"password": why}}
	}
	if s.state.failed[b.Username] >= attempts {
		s.violate("POST /api/session: %d log-ins failed and it is tried again", attempts)
		return refused("Too many attempts! You must wait 15 seconds before trying again.")
	}
	if !slices.Contains(s.state.Users, User{Email: b.Username, Password: b.Password}) {
		s.state.failed[b.Username]++
		return refused("did not match stored password")
	}
	s.state.failed[b.Username] = 0
	return http.StatusOK, s.newSession()
}

func (s *Server) logOut(r *http.Request) (int, any) {
	delete(s.state.sessions, r.Header.Get("X-Metabase-Session"))
	return http.StatusNoContent, nil
}

// EndSessions logs everybody out, as after 14 days.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.state.sessions)
}

// knows tells whether a request comes from a user.
func (s *Server) knows(r *http.Request) bool {
	if s.state.sessions[r.Header.Get("X-Metabase-Session")] {
		return true
	}
	if cookie, err := r.Cookie("metabase.SESSION"); err == nil && s.state.sessions[cookie.Value] {
		return true
	}
	_, ok := s.state.APIKeys[r.Header.Get("x-api-key")]
	return ok
}

func (s *Server) createAPIKey(r *http.Request) (int, any) {
	var b struct {
		GroupID int    `json:"group_id" need:"always"`
		Name    string `json:"name" need:"always"`
	}
	_, err := body(r, &b, true)
	if err == nil {
		err = notBlank("name", &b.Name)
	}
	if err == nil && b.GroupID != 1 && b.GroupID != 2 {
		err = wrong("group_id", "no group has the id %d", b.GroupID)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	for _, name := range s.state.APIKeys {
		if name == b.Name {
			return http.StatusBadRequest, object{"errors": object{"name": "An API key with this name already exists."}}
		}
	}
	key := "mb_" + newID(false)
	s.state.APIKeys[key] = b.Name
	return http.StatusOK, object{
		"id": s.state.next(), "name": b.Name, "masked_key": key[:7] + "****", "unmasked_key": key,
		"group": object{"id": b.GroupID, "name": map[int]string{1: "All Users", 2: "Administrators"}[b.GroupID]},
	}
}

func (s *Server) listSettings(*http.Request) (int, any) {
	all := []object{}
	for _, key := range sortedKeys(s.state.Settings) {
		all = append(all, object{
			"key": key, "value": s.state.Settings[key], "is_env_setting": false, "description": "",
			"env_name": "MB_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_")), "default": nil,
		})
	}
	return http.StatusOK, all
}

func (s *Server) getSetting(r *http.Request) (int, any) {
	value, ok := s.state.Settings[r.PathValue("key")]
	switch {
	case !ok:
		s.violate("GET %s: no such setting", r.URL.Path)
		return s.missing()
	case value == nil:
		return http.StatusNoContent, nil
	}
	return http.StatusOK, setting{value}
}

// setting is a value that is JSON even if it is a string.
type setting struct{ value any }

// MarshalJSON gives the value alone.
func (v setting) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%s", text(v.value)), nil }

func (s *Server) putSetting(r *http.Request) (int, any) {
	key := r.PathValue("key")
	var b struct {
		Value any `json:"value"`
	}
	_, err := body(r, &b, true)
	old, ok := s.state.Settings[key]
	_, flag := old.(bool)
	_, isFlag := b.Value.(bool)
	switch {
	case err != nil:
	case !ok:
		err = wrong("key", "there is no setting %s", key)
	case flag && !isFlag:
		err = wrong("value", "%s is true or false", key)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	s.state.Settings[key] = b.Value
	return http.StatusNoContent, nil
}
