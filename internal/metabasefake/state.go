package metabasefake

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// state is all that is stored. Log-ins are not: they change nothing.
type state struct {
	LastID      int // ids are unique over all kinds, so that no client mixes them up unseen
	SetupToken  string
	Users       []User
	APIKeys     map[string]string // name by key
	Settings    map[string]any
	Databases   []*database
	Collections []*collection
	Cards       []*card
	Dashboards  []*dashboard

	sessions map[string]bool
	failed   map[string]int // log-ins of a user
	looks    int            // at dashboards, which come back in another order each time
}

func newState(options Options) state {
	st := state{
		LastID:     1,
		SetupToken: newID(true),
		Users:      options.Users,
		APIKeys:    map[string]string{},
		Settings: map[string]any{
			"anon-tracking-enabled":     true,
			"custom-homepage":           false,
			"custom-homepage-dashboard": nil,
			"enable-public-sharing":     options.Version.sharesPublicly(),
			"site-name":                 nil,
			"site-url":                  nil,
		},
		sessions: map[string]bool{},
		failed:   map[string]int{},
	}
	// As a server has them that was not told MB_LOAD_SAMPLE_CONTENT=false.
	st.Databases = []*database{{ID: st.next(), Name: "Sample Database", Engine: "h2", Status: "complete"}}
	st.Collections = []*collection{{ID: st.next(), collectionBody: collectionBody{Name: "Examples"}}}
	for i := range options.Users {
		st.addPersonal(i + 1)
	}
	return st
}

// addPersonal adds the personal collection of a user.
func (st *state) addPersonal(owner int) {
	st.Collections = append(st.Collections, &collection{
		ID: st.next(), Owner: &owner, collectionBody: collectionBody{Name: "Admin User's Personal Collection"},
	})
}

func (st *state) next() int {
	st.LastID++
	return st.LastID
}

// print gives the state as text, to see whether it changed.
func (st *state) print() string {
	text, err := json.Marshal(st)
	if err != nil {
		panic(err) // the state is made of JSON
	}
	return string(text)
}

// pathID gives a number of the request's path; 0 if it is none.
func pathID(r *http.Request, name string) int {
	id, err := strconv.Atoi(r.PathValue(name))
	if err != nil {
		return 0
	}
	return id
}

// find gives the element that a test holds for; nil if none.
func find[T any](all []*T, is func(*T) bool) *T {
	for _, one := range all {
		if is(one) {
			return one
		}
	}
	return nil
}
