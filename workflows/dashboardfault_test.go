package workflows

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"covidpipeline/activities"
	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/metabasefake"
	"covidpipeline/internal/testenv"
)

// failedWith checks the type and the text that a run failed with.
func (p *provisioning) failedWith(err error, kind string, parts ...string) {
	p.Helper()
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != kind {
		p.Fatalf("failed with %v, want %s", err, kind)
	}
	for _, part := range append(parts, "What to do: ") {
		if !strings.Contains(app.Message(), part) {
			p.Errorf("%q is not in: %s", part, app.Message())
		}
	}
}

func TestDashboardWithoutSettings(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.works.Missing = []string{"METABASE_PASSWORD", "METABASE_USERNAME"}
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseSettings, "METABASE_PASSWORD, METABASE_USERNAME not set")
	if n := len(p.fake.Requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// A wrong password is tried once: log-ins are throttled.
func TestDashboardWithAWrongPassword(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{Users: []metabasefake.User{admin}})
	p.works.Metabase = metabase.New(metabase.Config{URL: p.fake.URL, Username: admin.Email, Password: "an-0ther"})
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabase+"Denied", "did not match stored password", "METABASE_PASSWORD")
	tries := 0
	for _, r := range p.fake.Requests() {
		if r.Path == "/api/session" {
			tries++
		}
	}
	if tries != 1 {
		t.Errorf("%d log-ins", tries)
	}
	if strings.Contains(err.Error(), "an-0ther") {
		t.Error("the password is in the error")
	}
}

// A password that Metabase does not take for a new user is not a wrong one. The
// fake counts the refusal as a mistake of the client, as it is.
func TestDashboardWithAWeakPassword(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	weak := metabasefake.New(t, metabasefake.Options{})
	p.works.Metabase = metabase.New(metabase.Config{URL: weak.URL, Username: admin.Email, Password: "weak"})
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabase+"Refused", "too common or too simple")
}

// Somebody sets Metabase up between the look and the set-up, with these or other
// credentials.
func TestDashboardWhoseSetUpIsRaced(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]metabasefake.Version{"token kept": metabasefake.V058, "token cleared": metabasefake.Newest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvisioning(t, metabasefake.Options{Version: version})
			// The set-up takes effect, its answer is lost: the next try finds a user.
			p.fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: "/api/setup", Status: http.StatusForbidden, After: true})
			p.must(activities.ApplyOptions{})
			p.checkNumbers()
		})
	}
}

// Answers to creations are lost and servers in between fail: nothing is doubled.
func TestDashboardWithFaults(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{StartRequests: 3})
	for _, path := range []string{"/api/setup", "/api/session", "/api/database", "/api/collection", "/api/card", "/api/dashboard"} {
		p.fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: path, After: true})
		p.fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: path, Status: http.StatusBadGateway, After: true})
		p.fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: path, Status: http.StatusServiceUnavailable})
	}
	p.fake.Inject(metabasefake.Fault{Method: http.MethodPut, Path: "/api/dashboard/*", After: true})
	p.fake.Inject(metabasefake.Fault{Method: http.MethodGet, Path: "/api/dashboard/*", Status: http.StatusGatewayTimeout})
	p.fake.Inject(metabasefake.Fault{Method: http.MethodPost, Path: "/api/card/*/query", Status: http.StatusServiceUnavailable, Times: 2})
	p.must(activities.ApplyOptions{})
	p.checkNumbers()
	created := map[string]int{}
	for _, r := range p.fake.Writes() {
		if r.Method == http.MethodPost && r.Changed {
			created[r.Path]++
		}
	}
	for path, want := range map[string]int{
		"/api/setup": 1, "/api/database": 1, "/api/collection": 1, "/api/card": len(dashboards.Cards()), "/api/dashboard": 1,
	} {
		if created[path] != want {
			t.Errorf("%d of %s, want %d", created[path], path, want)
		}
	}
	before := len(p.fake.Writes())
	p.must(activities.ApplyOptions{})
	if writes := p.writes(before); len(writes) > 0 {
		t.Errorf("the second run wrote %v", writes)
	}
}

// A session that ends in between is made anew.
func TestDashboardWhoseSessionEnds(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	p.fake.EndSessions()
	if same := p.must(activities.ApplyOptions{}).done(activities.Same); len(same) == 0 {
		t.Error("nothing was found again")
	}
}

// Metabase has read the database before the pipeline made its tables.
func TestDashboardOfTablesThatCameLater(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{Users: []metabasefake.User{admin}})
	p.execute("DO $$ BEGIN EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM covid_reader', current_schema()); END $$")
	id, err := p.client.CreateDatabase(t.Context(), "COVID-19 warehouse", p.works.Connection)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // looks that its sync takes
		if fields, err := p.client.Fields(t.Context(), id, "any", "covid_daily"); err != nil || fields != nil {
			t.Fatalf("%v, %v", fields, err)
		}
	}
	p.execute("DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO covid_reader', current_schema()); END $$")
	p.must(activities.ApplyOptions{})
	p.checkNumbers()
}

// Metabase does not reach the warehouse: it is tried again, and then told.
func TestDashboardWithoutItsWarehouse(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.works.Connection.Port = 1
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseDatabase, "add the database to Metabase", "METABASE_DATABASE_URL")
	if strings.Contains(err.Error(), p.works.Connection.Password) {
		t.Error("the password is in the error")
	}
}

// A password that changes is written once, when the stored one has failed.
func TestDashboardWhoseWarehousePasswordChanges(t *testing.T) {
	t.Parallel()
	p := provisioningOf(t, testenv.PrivatePostgres(t).URL, metabasefake.Options{})
	p.execute(`DO $$ BEGIN
		EXECUTE format('COPY (VALUES (''host all ` + p.works.Connection.User + ` all scram-sha-256''), (''host all all all trust'')) TO %L', current_setting('hba_file'));
		PERFORM pg_reload_conf();
	END $$`)
	p.must(activities.ApplyOptions{})
	p.execute("ALTER ROLE " + p.works.Connection.User + " PASSWORD 'rotated-2'")
	p.works.Connection.Password = "rotated-2"
	before := len(p.fake.Writes())
	if r := p.must(activities.ApplyOptions{DryRun: true}); len(r.done(activities.Updated)) == 0 || len(p.writes(before)) > 0 {
		t.Errorf("dry run: %+v, wrote %v", r.Applied, p.writes(before))
	}
	r := p.must(activities.ApplyOptions{})
	if found := r.find("database COVID-19 warehouse"); found.Done != activities.Updated || !strings.Contains(found.Reason, "password authentication failed") {
		t.Errorf("%+v", found)
	}
	if writes := p.writes(before); len(writes) != 1 || writes[0].Method != http.MethodPut {
		t.Errorf("wrote %v", writes)
	}
	p.must(activities.ApplyOptions{})
	if writes := p.writes(before); len(writes) != 1 {
		t.Errorf("wrote %v", writes)
	}
	p.checkNumbers()
	// Another address may be that of another warehouse: only --force writes it.
	p.works.Connection.Host = "localhost"
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseSettings, "COVID-19 warehouse", "--force")
	if found := p.must(activities.ApplyOptions{Force: true}).find("database COVID-19 warehouse"); found.Done != activities.Updated || len(found.Differences) != 1 {
		t.Errorf("%+v", found)
	}
}

// The user of the dashboards may not be one who can change the warehouse.
func TestDashboardWithAUserWhoMayWrite(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.execute("GRANT INSERT ON covid_cases TO " + p.works.Connection.User)
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseSettings, p.works.Connection.User, "covid_reader")
	p.execute("REVOKE INSERT ON covid_cases FROM " + p.works.Connection.User)
	p.must(activities.ApplyOptions{})
}

// A card that a person has broken is told, and does not hide the others.
func TestDashboardWithBrokenCards(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	for _, name := range []string{"total_records", "etl_runs"} {
		card, _, _ := p.place(name)
		p.editSQL(card, strings.NewReplacer("FROM covid_", "FROM no_covid_", "FROM etl_", "FROM no_etl_").Replace(card.Query.SQL))
	}
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseCard, "Total Covid Records count", "no_covid_daily", "Runs of the hourly job", "no_etl_run", "--force")
	if r := p.must(activities.ApplyOptions{Force: true}); len(r.done(activities.Updated)) != 2 {
		t.Errorf("forced: %+v", r.Applied)
	}
	p.checkNumbers()
}

// A filter that is mapped and does not act shows only in the numbers.
func TestDashboardWithAFilterThatDoesNotAct(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, metabasefake.Options{})
	p.must(activities.ApplyOptions{})
	card, _, _ := p.place("total_records")
	p.editSQL(card, "SELECT count(*) AS total_records FROM covid_daily -- {{state}}\nWHERE true [[AND {{date}}]]")
	_, err := p.apply(activities.ApplyOptions{})
	p.failedWith(err, activities.ErrTypeMetabaseCard, "Total Covid Records count", "the filter State")
}
