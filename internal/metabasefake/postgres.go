package metabasefake

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// text gives a value as JSON.
func text(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // all values here came from JSON, or are made to become it
	}
	return text
}

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }

// connect opens a connection with a database's details. Without ssl it tries TLS
// first and then does without, as Metabase does.
func (s *Server) connect(ctx context.Context, d details) (*pgx.Conn, error) {
	var b detailsBody
	if err := json.Unmarshal(text(d), &b); err != nil {
		return nil, fmt.Errorf("details: %w", err)
	}
	mode := "prefer"
	if b.SSL {
		mode = "require"
	}
	address := url.URL{
		Scheme: "postgres", Host: net.JoinHostPort(b.Host, strconv.Itoa(b.Port)), Path: "/" + b.DBName,
		User: url.UserPassword(b.User, b.Password), RawQuery: "sslmode=" + mode + "&connect_timeout=10",
	}
	config, err := pgx.ParseConfig(address.String())
	if err != nil {
		return nil, fmt.Errorf("details: %w", err)
	}
	if s.options.SearchPath != "" {
		config.RuntimeParams["search_path"] = s.options.SearchPath
	}
	return pgx.ConnectConfig(ctx, config)
}

// tryDetails tests a connection and gives the details that worked.
func (s *Server) tryDetails(r *http.Request, d details) (details, error) {
	conn, err := s.connect(r.Context(), d)
	if err != nil {
		return nil, err
	}
	defer conn.Close(r.Context())
	stored := maps.Clone(d)
	_, stored["ssl"] = conn.PgConn().Conn().(*tls.Conn)
	return stored, nil
}

// rows are the result of a query.
type rows struct {
	names []string
	types []string // such as type/Integer
	rows  [][]any
}

// run runs SQL as the database's user, reading only.
func (s *Server) run(ctx context.Context, db *database, sql string) (rows, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := s.connect(ctx, db.Details)
	if err != nil {
		return rows{}, err
	}
	defer conn.Close(ctx)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return rows{}, err
	}
	found, err := tx.Query(ctx, sql)
	if err != nil {
		return rows{}, err
	}
	defer found.Close()
	result := rows{rows: [][]any{}}
	for _, field := range found.FieldDescriptions() {
		result.names = append(result.names, field.Name)
		result.types = append(result.types, baseType(field.DataTypeOID))
	}
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return rows{}, err
		}
		for i := range values {
			values[i] = cell(values[i], result.types[i])
		}
		result.rows = append(result.rows, values)
	}
	return result, found.Err()
}

// baseType gives Metabase's name of a PostgreSQL type.
func baseType(oid uint32) string {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID:
		return "type/Integer"
	case pgtype.Int8OID:
		return "type/BigInteger"
	case pgtype.NumericOID:
		return "type/Decimal"
	case pgtype.Float4OID, pgtype.Float8OID:
		return "type/Float"
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID:
		return "type/Text"
	case pgtype.BoolOID:
		return "type/Boolean"
	case pgtype.DateOID:
		return "type/Date"
	case pgtype.TimestampOID:
		return "type/DateTime"
	case pgtype.TimestamptzOID:
		return "type/DateTimeWithLocalTZ"
	case pgtype.UUIDOID:
		return "type/UUID"
	case pgtype.JSONOID, pgtype.JSONBOID:
		return "type/JSON"
	}
	return "type/*"
}

// cell gives a value as it stands in a result: dates and times as text.
func cell(value any, baseType string) any {
	switch value := value.(type) {
	case time.Time:
		return value.UTC().Format("2006-01-02T15:04:05.999999Z07:00")
	case pgtype.InfinityModifier:
		return value.String()
	case [16]byte:
		return fmt.Sprintf("%x", value)
	case []byte:
		return fmt.Sprintf(`\x%x`, value)
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return nil
		}
		return value
	case nil, bool, string, int16, int32, int64, float32:
		return value
	case json.Marshaler:
		return value
	}
	if baseType == "type/JSON" {
		return value
	}
	return fmt.Sprint(value)
}
