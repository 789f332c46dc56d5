package metabasefake

import (
	"maps"
	"net/http"
	"strings"
)

// hiddenPassword is what a password reads back as; sent, it keeps the stored one.
const hiddenPassword = "**MetabasePass**"

// database is one that queries run on.
type database struct {
	ID      int
	Name    string
	Engine  string
	Status  string // initial_sync_status
	Full    *bool
	AutoRun *bool
	Details details
	Tables  []*table // as the last sync found them

	polls int // looks that are left until the sync under way is done
}

// details say how PostgreSQL is reached: host, port, dbname, user, password, ssl.
type details map[string]any

type detailsBody struct {
	Host     string `json:"host" need:"create"`
	Port     int    `json:"port" need:"create"`
	DBName   string `json:"dbname" need:"create"`
	User     string `json:"user" need:"create"`
	Password string `json:"password" need:"create"`
	SSL      bool   `json:"ssl" need:"create"`
	Tunnel   bool   `json:"tunnel-enabled"`
}

type databaseBody struct {
	Name    string         `json:"name" need:"create"`
	Engine  string         `json:"engine" need:"create"`
	Full    *bool          `json:"is_full_sync"`
	AutoRun *bool          `json:"auto_run_queries"`
	Details map[string]any `json:"details" need:"create"`
}

// checkDetails refuses keys that are not in the contract, which a real server
// keeps and ignores.
func checkDetails(given map[string]any, create bool) error {
	var into detailsBody
	if err := strict(text(given), typeOf(into), "details", create); err != nil {
		return err
	}
	if given["tunnel-enabled"] == true {
		return wrong("details.tunnel-enabled", "there is no tunnel here")
	}
	return nil
}

// answer gives a database as it reads back.
func (db *database) answer() object {
	shown := maps.Clone(db.Details)
	if _, ok := shown["password"]; ok {
		shown["password"] = hiddenPassword
	}
	if shown == nil {
		shown = details{}
	}
	return object{
		"id": db.ID, "name": db.Name, "engine": db.Engine, "details": shown,
		"initial_sync_status": db.Status, "is_full_sync": db.Full, "auto_run_queries": db.AutoRun,
		"is_sample": db.Engine == "h2", "timezone": "UTC",
	}
}

func (s *Server) database(r *http.Request) *database { return s.databaseByID(pathID(r, "id")) }

func (s *Server) databaseByID(id int) *database {
	return find(s.state.Databases, func(db *database) bool { return db.ID == id })
}

func (s *Server) listDatabases(*http.Request) (int, any) {
	all := []object{}
	for _, db := range s.state.Databases {
		all = append(all, db.answer())
	}
	return http.StatusOK, object{"data": all, "total": len(all)}
}

func (s *Server) getDatabase(r *http.Request) (int, any) {
	db := s.database(r)
	if db == nil {
		return s.missing()
	}
	s.look(r, db)
	return http.StatusOK, db.answer()
}

func (s *Server) createDatabase(r *http.Request) (int, any) {
	var b databaseBody
	_, err := body(r, &b, true)
	if err == nil {
		err = b.check()
	}
	if err == nil {
		err = checkDetails(b.Details, true)
	}
	if err == nil && b.Details["password"] == hiddenPassword {
		err = wrong("details.password", "is what a stored password reads back as")
	}
	if err != nil {
		return s.refuse(r, err)
	}
	stored, err := s.tryDetails(r, b.Details)
	if err != nil {
		return unreachable(err)
	}
	db := &database{
		ID: s.state.next(), Name: b.Name, Engine: b.Engine, Status: "incomplete",
		Full: b.Full, AutoRun: b.AutoRun, Details: stored, polls: s.options.SyncPolls,
	}
	s.state.Databases = append(s.state.Databases, db)
	return http.StatusOK, db.answer()
}

func (b *databaseBody) check() error {
	if strings.TrimSpace(b.Name) == "" {
		return wrong("name", "is blank")
	}
	if b.Engine != "postgres" {
		return wrong("engine", "%q: the fake runs queries on postgres alone", b.Engine)
	}
	return nil
}

func (s *Server) updateDatabase(r *http.Request) (int, any) {
	db := s.database(r)
	if db == nil {
		return s.missing()
	}
	update := databaseBody{Name: db.Name, Engine: db.Engine, Full: db.Full, AutoRun: db.AutoRun}
	keys, err := body(r, &update, false)
	if err == nil {
		err = update.check()
	}
	var merged details
	if err == nil && keys["details"] {
		merged = s.mergeDetails(db.Details, update.Details)
		err = checkDetails(merged, true)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	if keys["details"] {
		stored, err := s.tryDetails(r, merged)
		if err != nil {
			return unreachable(err)
		}
		db.Details = stored
	}
	db.Name, db.Engine, db.Full, db.AutoRun = update.Name, update.Engine, update.Full, update.AutoRun
	return http.StatusOK, db.answer()
}

// mergeDetails gives what an update makes of stored details: old versions
// replace them all but the password.
func (s *Server) mergeDetails(stored, update details) details {
	merged := details{}
	if s.options.Version.mergesDetails() {
		maps.Copy(merged, stored)
	}
	maps.Copy(merged, update)
	if merged["password"] == hiddenPassword {
		merged["password"] = stored["password"]
	}
	return merged
}

func unreachable(err error) (int, any) {
	return http.StatusBadRequest, object{"message": err.Error(), "errors": object{"host": "check your host settings"}}
}

func (s *Server) validateDatabase(r *http.Request) (int, any) {
	var b struct {
		Details struct {
			Engine  string         `json:"engine" need:"always"`
			Details map[string]any `json:"details" need:"always"`
		} `json:"details" need:"always"`
	}
	_, err := body(r, &b, true)
	if err == nil {
		err = checkDetails(b.Details.Details, true)
	}
	if err != nil {
		return s.refuse(r, err)
	}
	if _, err := s.tryDetails(r, b.Details.Details); err != nil {
		return http.StatusOK, object{"valid": false, "message": err.Error()}
	}
	return http.StatusOK, object{"valid": true}
}
