package metabase

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// engine is the only kind of database here.
const engine = "postgres"

// Connection is how Metabase reaches a PostgreSQL database: Host is as Metabase
// sees it.
type Connection struct {
	Host     string
	Port     int
	Database string
	User     string
	Password string // of what was read back it is not the password
	SSL      bool   // false: with SSL if the server has it, else without
}

// Same tells whether the stored connection is the wanted one, as far as can be
// seen: a password is never read back. Metabase stores whether SSL worked.
func (c Connection) Same(stored Connection) bool {
	return c.Host == stored.Host && c.Port == stored.Port && c.Database == stored.Database && c.User == stored.User && (!c.SSL || stored.SSL)
}

// String gives the connection without its password.
func (c Connection) String() string {
	return fmt.Sprintf("%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database)
}

func (c Connection) details() map[string]any {
	return map[string]any{"host": c.Host, "port": c.Port, "dbname": c.Database, "user": c.User, "password": c.Password, "ssl": c.SSL}
}

// Database is a database that Metabase knows.
type Database struct {
	ID         int
	Name       string
	Connection Connection
}

// FindDatabase gives the PostgreSQL database of that name, the oldest if there
// are several.
func (c *Client) FindDatabase(ctx context.Context, name string) (Database, bool, error) {
	var in struct {
		Data []struct {
			ID      int
			Name    string
			Engine  string
			Details struct {
				Host, DBName, User string
				Port               any // a number, or text from an old form
				SSL                bool
			}
		}
	}
	if err := c.call(ctx, "list Metabase's databases", http.MethodGet, "/api/database", nil, &in); err != nil {
		return Database{}, false, err
	}
	var all []Database
	for _, d := range in.Data {
		if d.Name == name && d.Engine == engine {
			port, _ := strconv.Atoi(fmt.Sprint(d.Details.Port)) // none is no port of ours
			all = append(all, Database{ID: d.ID, Name: d.Name, Connection: Connection{
				Host: d.Details.Host, Port: port, Database: d.Details.DBName, User: d.Details.User, SSL: d.Details.SSL,
			}})
		}
	}
	if len(all) == 0 {
		return Database{}, false, nil
	}
	return slices.MinFunc(all, func(a, b Database) int { return a.ID - b.ID }), true, nil
}

// CreateDatabase makes Metabase know a database. Metabase tries the connection
// first: one that fails is an error of kind Refused.
func (c *Client) CreateDatabase(ctx context.Context, name string, connection Connection) (id int, err error) {
	var out struct{ ID int }
	err = c.call(ctx, "add the database to Metabase", http.MethodPost, "/api/database", map[string]any{
		"name": name, "engine": engine, "is_full_sync": true, "auto_run_queries": true, "details": connection.details(),
	}, &out)
	return out.ID, err
}

// UpdateDatabase changes how Metabase reaches a database, tried as at its creation.
func (c *Client) UpdateDatabase(ctx context.Context, id int, connection Connection) error {
	return c.call(ctx, "change the database's connection", http.MethodPut, fmt.Sprintf("/api/database/%d", id),
		map[string]any{"details": connection.details()}, nil)
}

// SyncSchema has Metabase read the database's tables and columns, which takes a
// while after the answer.
func (c *Client) SyncSchema(ctx context.Context, id int) error {
	return c.call(ctx, "have Metabase read the tables", http.MethodPost, fmt.Sprintf("/api/database/%d/sync_schema", id), nil, nil)
}

// Fields gives the ids of a table's columns by their names, as far as Metabase
// has read the table; nil if it has not.
func (c *Client) Fields(ctx context.Context, id int, schema, table string) (map[string]int, error) {
	var in struct {
		Tables []struct {
			Name, Schema string
			Fields       []struct {
				ID   int
				Name string
			}
		}
	}
	if err := c.call(ctx, "read the database's metadata", http.MethodGet, fmt.Sprintf("/api/database/%d/metadata", id), nil, &in); err != nil {
		return nil, err
	}
	for _, t := range in.Tables {
		if t.Schema != schema || t.Name != table {
			continue
		}
		fields := map[string]int{}
		for _, f := range t.Fields {
			fields[f.Name] = f.ID
		}
		return fields, nil
	}
	return nil, nil
}
