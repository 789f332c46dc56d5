package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
)

// databaseName is the warehouse's in Metabase.
const databaseName = "COVID-19 warehouse"

// DatabaseInput is what ApplyDatabase is told.
type DatabaseInput struct {
	ApplyOptions
}

// AppliedDatabase is the warehouse in Metabase; ID 0 is not there yet.
type AppliedDatabase struct {
	Applied
	ID int `json:"id"`
	// Fields are the ids of the columns that the filters act on, by filter.
	Fields map[string]int `json:"fields"`
}

// ApplyDatabase makes Metabase know the warehouse, by a user who can only read
// it, and its columns.
//
// What Metabase stores of a connection reads back without its password. A
// connection that is otherwise the wanted one is therefore tried, and written
// again only where it does not work any more.
func (a *Dashboards) ApplyDatabase(ctx context.Context, in DatabaseInput) (AppliedDatabase, error) {
	defer keepAlive(ctx, silent)()
	out, err := a.applyDatabase(ctx, in)
	return out, classify(err)
}

func (a *Dashboards) applyDatabase(ctx context.Context, in DatabaseInput) (AppliedDatabase, error) {
	out := AppliedDatabase{Applied: Applied{What: "database", Name: databaseName, Done: Same}}
	found, ok, err := a.Metabase.FindDatabase(ctx, databaseName)
	if err != nil {
		return out, err
	}
	out.ID = found.ID
	switch {
	case !ok:
		if out.Done = Created; in.DryRun {
			return out, nil
		}
		if out.ID, err = a.Metabase.CreateDatabase(ctx, databaseName, a.Connection); err != nil {
			return out, connecting(err)
		}
	case !a.Connection.Same(found.Connection) && !in.Force:
		return out, fmt.Errorf("%w: Metabase has a database %q already, %s, which is not that of METABASE_DATABASE_URL, %s: if it is another's, give it another name there; if the warehouse has moved, apply with --force",
			errMetabaseSettings, databaseName, found.Connection, a.Connection)
	case !a.Connection.Same(found.Connection):
		out.Done, out.Reason = Updated, "METABASE_DATABASE_URL has changed"
		out.Differences = []metabase.Difference{{Name: "connection", Now: found.Connection.String(), Want: a.Connection.String()}}
		if !in.DryRun {
			if err := a.Metabase.UpdateDatabase(ctx, out.ID, a.Connection); err != nil {
				return out, connecting(err)
			}
		}
	}
	schema, err := a.schema(ctx, out.ID)
	var failed *metabase.QueryError
	if errors.As(err, &failed) && out.Done == Same {
		out.Done, out.Reason = Updated, "the stored connection failed: "+failed.Reason
		if in.DryRun {
			return out, nil
		}
		if err := a.Metabase.UpdateDatabase(ctx, out.ID, a.Connection); err != nil {
			return out, connecting(err)
		}
		schema, err = a.schema(ctx, out.ID)
	}
	if err != nil {
		return out, connecting(err)
	}
	out.Fields, err = a.fields(ctx, out.ID, schema)
	return out, err
}

// connecting is the error for a connection that Metabase refuses or a query that
// fails: PostgreSQL may not be up yet, so it is retried.
func connecting(err error) error {
	var failed *metabase.QueryError
	if metabase.KindOf(err) == metabase.Refused || errors.As(err, &failed) {
		return fmt.Errorf("%w: %w", errMetabaseDatabase, err)
	}
	return err
}

// look finds the schema that the warehouse's tables are read from, and whether
// the user may change them: which a grant to any of its roles allows.
const look = `SELECT n.nspname AS schema, has_table_privilege(to_regclass('covid_cases'), 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass('` + dashboards.FilterTable + `')`

// schema gives the schema of the warehouse's tables, as Metabase's user sees
// them. A user who may write is refused: anybody who may write SQL in Metabase
// could change the warehouse.
func (a *Dashboards) schema(ctx context.Context, database int) (string, error) {
	result, err := a.Metabase.RunSQL(ctx, database, look)
	if err != nil {
		return "", err
	}
	if len(result.Rows) == 0 {
		return "", fmt.Errorf("%w: the user %s does not see the warehouse's table %s: the database is another one, the user is no member of covid_reader, or its search_path does not have the schema",
			errMetabaseDatabase, a.Connection.User, dashboards.FilterTable)
	}
	var schema string
	var writes bool
	if err := json.Unmarshal(result.Rows[0], &[]any{&schema, &writes}); err != nil {
		return "", fmt.Errorf("%w: the answer about the schema: %w", errMetabaseDatabase, err)
	}
	if writes {
		return "", fmt.Errorf("%w: the user %s of METABASE_DATABASE_URL may change the warehouse: name one that is a member of covid_reader alone",
			errMetabaseSettings, a.Connection.User)
	}
	return schema, nil
}

const (
	// fieldsEvery and fieldsLooks are how often and how many times it is looked
	// whether Metabase has read the tables, in one attempt.
	fieldsEvery = 500 * time.Millisecond
	fieldsLooks = 80
)

// fields finds the columns of the filters. Metabase reads tables when a database
// is added and then once an hour: those that were made since are asked for.
func (a *Dashboards) fields(ctx context.Context, database int, schema string) (map[string]int, error) {
	tick := time.NewTicker(fieldsEvery)
	defer tick.Stop()
	for i := range fieldsLooks {
		fields, missing, err := a.readFields(ctx, database, schema)
		if err != nil || len(missing) == 0 {
			return fields, err
		}
		if i == 0 {
			if err := a.Metabase.SyncSchema(ctx, database); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	return nil, fmt.Errorf("%w: Metabase has not read the columns that the filters need from schema %s yet", errMetabaseDatabase, schema)
}

// readFields gives the columns that Metabase knows, and the filters whose column
// it does not.
func (a *Dashboards) readFields(ctx context.Context, database int, schema string) (fields map[string]int, missing []string, err error) {
	fields = map[string]int{}
	for _, f := range dashboards.Filters() {
		columns, err := a.Metabase.Fields(ctx, database, schema, f.Table)
		if err != nil {
			return nil, nil, err
		}
		if fields[f.Name] = columns[f.Column]; fields[f.Name] == 0 {
			missing = append(missing, f.Name)
		}
	}
	return fields, missing, nil
}

// tagsOf gives the filters that a card's SQL has a place for.
func tagsOf(c dashboards.Card) []dashboards.Filter {
	return slices.DeleteFunc(dashboards.Filters(), func(f dashboards.Filter) bool { return !strings.Contains(c.SQL, "{{"+f.Name+"}}") })
}
