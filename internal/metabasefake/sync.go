package metabasefake

import (
	"net/http"
	"strings"
)

// table is one that a sync found.
type table struct {
	ID     int
	Schema string
	Name   string
	Fields []*field
}

// field is a column that a field filter can be bound to.
type field struct {
	ID       int
	Name     string
	BaseType string
}

// syncDatabase begins a sync. It is done after some looks at the database.
func (s *Server) syncDatabase(r *http.Request) (int, any) {
	db := s.database(r)
	if db == nil {
		return s.missing()
	}
	db.polls = s.options.SyncPolls
	return http.StatusOK, object{"status": "ok"}
}

func (s *Server) databaseMetadata(r *http.Request) (int, any) {
	db := s.database(r)
	if db == nil {
		return s.missing()
	}
	s.look(r, db)
	tables := []object{}
	for _, t := range db.Tables {
		fields := []object{}
		for i, f := range t.Fields {
			fields = append(fields, object{
				"id": f.ID, "table_id": t.ID, "name": f.Name, "display_name": display(f.Name), "position": i,
				"base_type": f.BaseType, "effective_type": f.BaseType, "semantic_type": nil, "active": true,
			})
		}
		tables = append(tables, object{
			"id": t.ID, "db_id": db.ID, "name": t.Name, "schema": t.Schema, "display_name": display(t.Name),
			"description": nil, "entity_type": "entity/GenericTable", "active": true, "fields": fields,
		})
	}
	answer := db.answer()
	answer["tables"] = tables
	return http.StatusOK, answer
}

// display gives the name that people see of a table or column.
func display(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

// look counts a look at a database. The last that a sync waits for finishes it.
func (s *Server) look(r *http.Request, db *database) {
	if db.polls == 0 || db.Engine == "h2" {
		return
	}
	db.polls--
	if db.polls > 0 {
		return
	}
	if err := s.readTables(r, db); err != nil {
		db.polls = 1 // the sync goes on
		return
	}
	db.Status = "complete"
}

// columnsSQL lists the columns of all tables and views that the user may read.
const columnsSQL = `
SELECT n.nspname::text, c.relname::text, a.attname::text, a.atttypid::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname, c.relname, a.attnum`

// readTables finds the tables. Tables and columns that were there keep their ids.
func (s *Server) readTables(r *http.Request, db *database) error {
	found, err := s.run(r.Context(), db, columnsSQL)
	if err != nil {
		return err
	}
	var tables []*table
	var last *table
	for _, row := range found.rows {
		schema, name, column := row[0].(string), row[1].(string), row[2].(string)
		if s.options.SearchPath != "" && schema != s.options.SearchPath {
			continue
		}
		if last == nil || last.Schema != schema || last.Name != name {
			last = s.tableOf(db, schema, name)
			tables = append(tables, last)
		}
		last.Fields = append(last.Fields, s.fieldOf(db, last, column, baseType(uint32(row[3].(int64)))))
	}
	db.Tables = tables
	return nil
}

// tableOf gives a new table without fields, with the id that it had.
func (s *Server) tableOf(db *database, schema, name string) *table {
	if old := find(db.Tables, func(t *table) bool { return t.Schema == schema && t.Name == name }); old != nil {
		return &table{ID: old.ID, Schema: schema, Name: name}
	}
	return &table{ID: s.state.next(), Schema: schema, Name: name}
}

func (s *Server) fieldOf(db *database, t *table, name, baseType string) *field {
	if old := find(db.Tables, func(o *table) bool { return o.ID == t.ID }); old != nil {
		if f := find(old.Fields, func(f *field) bool { return f.Name == name }); f != nil {
			return &field{ID: f.ID, Name: name, BaseType: baseType}
		}
	}
	return &field{ID: s.state.next(), Name: name, BaseType: baseType}
}

// fieldByID gives a field and its table; nil if the database has none of that id.
func (db *database) fieldByID(id int) (*table, *field) {
	for _, t := range db.Tables {
		if f := find(t.Fields, func(f *field) bool { return f.ID == id }); f != nil {
			return t, f
		}
	}
	return nil, nil
}
