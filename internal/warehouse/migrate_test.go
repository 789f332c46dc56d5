package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// all are the migrations, in their order.
var all = []string{"00001_warehouse.sql", "00002_roles.sql", "00003_summaries.sql", "00004_days.sql", "00005_cursor.sql", "00006_places.sql"}

// newest is the version that the last of them leaves.
const newest = 6

func TestMigrateAgain(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	applied, version, err := warehouse.Migrate(t.Context(), url)
	if err != nil || !slices.Equal(applied, all) || version != newest {
		t.Errorf("applied %q, version %d, %v", applied, version, err)
	}
	applied, version, err = warehouse.Migrate(t.Context(), url+"&pool_max_conns=2")
	if err != nil || len(applied) != 0 || version != newest {
		t.Errorf("again: applied %q, version %d, %v", applied, version, err)
	}
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrateAtOnce(t, url, url, url, url, url)
}

// migrateAtOnce migrates side by side; each schema must get each migration once.
func migrateAtOnce(t *testing.T, urls ...string) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := map[string][]string{}
	for _, url := range urls {
		wg.Go(func() {
			names, version, err := warehouse.Migrate(t.Context(), url)
			if err != nil || version != newest {
				t.Errorf("version %d, %v", version, err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied[url] = append(applied[url], names...)
		})
	}
	wg.Wait()
	for url, names := range applied {
		if !slices.Equal(names, all) {
			t.Errorf("%s: applied %q", url, names)
		}
	}
}

func TestMigrateWithoutItsSchema(t *testing.T) {
	t.Parallel()
	at := with(t, testenv.Postgres(t), "", "nowhere")
	if _, _, err := warehouse.Migrate(t.Context(), at); err == nil || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "create it") {
		t.Errorf("a schema that does not exist: %v", err)
	}
}

// with gives the URL for another user or schema; "" leaves that as it is.
func with(t *testing.T, address, user, schema string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		u.User = url.User(user)
	}
	if schema != "" {
		u.RawQuery = "sslmode=disable&search_path=" + schema
	}
	return u.String()
}

// The group roles belong to the whole server: this needs one that has none yet.
func TestRoles(t *testing.T) {
	t.Parallel()
	admin := testenv.PrivatePostgres(t).URL

	// Somebody who may not make roles is told what to do, and nothing is half done.
	execute(t, admin, "CREATE ROLE simple LOGIN; CREATE SCHEMA simple AUTHORIZATION simple")
	simple := with(t, admin, "simple", "simple")
	applied, _, err := warehouse.Migrate(t.Context(), simple)
	if !errors.Is(err, warehouse.ErrDenied) || !strings.Contains(err.Error(), "CREATE ROLE covid_owner NOLOGIN") || !slices.Equal(applied, all[:1]) {
		t.Errorf("without the right to make roles: applied %q, %v", applied, err)
	}

	// Many fresh schemas at once make the roles once.
	var urls []string
	for i := range 6 {
		schema := fmt.Sprint("s", i)
		execute(t, admin, "CREATE SCHEMA "+schema)
		urls = append(urls, with(t, admin, "", schema))
	}
	migrateAtOnce(t, append(urls, urls...)...)

	// With the roles there, an ordinary user that owns its schema can migrate.
	execute(t, admin, "GRANT covid_owner TO simple")
	if applied, _, err = warehouse.Migrate(t.Context(), simple); err != nil || !slices.Equal(applied, all[1:]) {
		t.Errorf("a member of the owner: applied %q, %v", applied, err)
	}

	// One that may make roles needs no administrator.
	execute(t, admin, "DROP OWNED BY covid_owner, covid_loader, covid_reader CASCADE; DROP ROLE covid_owner, covid_loader, covid_reader")
	execute(t, admin, "CREATE ROLE maker LOGIN CREATEROLE; CREATE SCHEMA maker AUTHORIZATION maker")
	migrateAtOnce(t, with(t, admin, "maker", "maker"))
	execute(t, admin, "CREATE ROLE owner LOGIN IN ROLE covid_owner; CREATE ROLE loader LOGIN IN ROLE covid_loader; CREATE ROLE reader LOGIN IN ROLE covid_reader")
	t.Run("owner", func(t *testing.T) {
		execute(t, with(t, admin, "owner", "maker"), "ALTER TABLE covid_cases ADD later int; ALTER TABLE covid_cases DROP later; UPDATE goose_db_version SET tstamp = now()")
	})
	t.Run("loader", func(t *testing.T) { loads(t, with(t, admin, "loader", "maker")) })
	t.Run("reader", func(t *testing.T) { reads(t, with(t, admin, "reader", "maker")) })
	t.Run("grants at once", func(t *testing.T) { grantsAtOnce(t, admin) })
}

// grantsAtOnce migrates schemas of a database where not everybody has temporary
// tables. They find the roles made and would meet at the grant to the loader:
// a grant that is not committed holds up all of them until each has come there.
func grantsAtOnce(t *testing.T, admin string) {
	t.Helper()
	execute(t, admin, "CREATE DATABASE closed OWNER maker")
	execute(t, admin, "REVOKE TEMPORARY ON DATABASE closed FROM PUBLIC")
	in := func(login, schema string) string {
		u, err := url.Parse(with(t, admin, login, schema))
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/closed"
		return u.String()
	}
	var urls []string
	for i := range 4 {
		schema := fmt.Sprint("c", i)
		execute(t, in("maker", "public"), "CREATE SCHEMA "+schema)
		urls = append(urls, in("maker", schema))
	}
	at(t, in("", "public"), func(conn *pgx.Conn) error {
		if _, err := conn.Exec(t.Context(), "BEGIN; GRANT TEMPORARY ON DATABASE closed TO covid_reader"); err != nil {
			return err
		}
		migrated := make(chan struct{})
		go func() { migrateAtOnce(t, urls...); close(migrated) }()
		eventually(t, func(context.Context) error {
			n := value[int](t, admin, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'closed' AND wait_event_type = 'Lock'")
			if n < len(urls) {
				return fmt.Errorf("%d migrations wait for the grant, want %d", n, len(urls))
			}
			return nil
		})
		_, err := conn.Exec(t.Context(), "ROLLBACK")
		<-migrated
		return err
	})
	loads(t, in("loader", "c0"))
}

// loads does everything that an ETL run does.
func loads(t *testing.T, url string) {
	if applied, _, err := warehouse.Migrate(t.Context(), url); err != nil || len(applied) != 0 {
		t.Errorf("a loader's migration: applied %q, %v", applied, err)
	}
	db := openAt(t, url)
	begin(t, db, 0, 1)
	run, err := db.BeginRun(t.Context(), "etl", "a")
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, stage(run, "x"))
	in := window(-1, 3, row(1, 1), row(2, 2))
	in.Rejects, in.Retired = []warehouse.Reject{reject(3, "bad")}, []covid.Key{key(4)}
	load(t, db, in)
	begin(t, db, 1, 1)
	_, _, sweepErr := sweep(t.Context(), db, index, 2)
	_, stagesErr := db.SweepStages(t.Context())
	for name, err := range map[string]error{
		"sweep": sweepErr, "stages": stagesErr, "history": db.FollowHistory(t.Context(), index, 2, cursors(1)),
		"finish": db.FinishRun(t.Context(), run, warehouse.RunCompleted, warehouse.RunCounts{}, ""),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reads does what a dashboard and the proof do, and may do no more.
func reads(t *testing.T, url string) {
	db := openAt(t, url)
	read(t, db)
	cursorOf(t, db)
	if _, err := db.RecentRuns(t.Context(), 1); err != nil {
		t.Error(err)
	}
	_, stageErr := db.GetStage(t.Context(), 1, 1, 1, 1)
	_, startErr := db.StartGeneration(t.Context(), beginning(index, "uuid", 2, cursors(1)))
	_, loadErr := db.Load(t.Context(), window(-1, 3))
	for name, err := range map[string]error{"stage": stageErr, "start": startErr, "load": loadErr} {
		if !errors.Is(err, warehouse.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
