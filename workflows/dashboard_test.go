package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"covidpipeline/activities"
	"covidpipeline/dashboards"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/metabasefake"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

var admin = metabasefake.User{Email: "admin@example.com", Password: "s3cret-enough"}

// provisioning is a Metabase of one test with a warehouse behind it.
type provisioning struct {
	*testing.T
	fake   *metabasefake.Server
	client *metabase.Client
	works  activities.Dashboards // the worker's
	db     *warehouse.DB         // as the reader sees it
	owner  string                // URL
}

func newProvisioning(t *testing.T, options metabasefake.Options) *provisioning {
	t.Helper()
	return provisioningOf(t, testenv.Postgres(t), options)
}

func provisioningOf(t *testing.T, owner string, options metabasefake.Options) *provisioning {
	t.Helper()
	if _, _, err := warehouse.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	reader, err := url.Parse(testenv.Reader(t, owner))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(reader.Port())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := reader.User.Password()
	schema, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	options.SearchPath = schema.Query().Get("search_path")
	p := &provisioning{T: t, fake: metabasefake.New(t, options), owner: owner}
	p.client = metabase.New(metabase.Config{URL: p.fake.URL, Username: admin.Email, Password: admin.Password})
	p.works = activities.Dashboards{Metabase: p.client, Connection: metabase.Connection{
		Host: reader.Hostname(), Port: port, Database: strings.TrimPrefix(reader.Path, "/"), User: reader.User.Username(), Password: password,
	}}
	if p.db, err = warehouse.OpenReader(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.db.Close)
	t.Cleanup(func() {
		if wrong := p.fake.Violations(); len(wrong) > 0 && !t.Failed() {
			t.Errorf("what Metabase would not have understood: %q", wrong)
		}
	})
	p.execute(`INSERT INTO covid_cases (key, date, country, state, county, new_cases, new_deaths, source, release, row, generation, loaded_at)
		SELECT md5(n::text)::uuid, date '2022-03-20' + n % 45, 'United States',
			(ARRAY['New York', 'Ohio', 'Iowa', 'Côte d''Or'])[1 + n % 4], 'County ' || n % 17, n % 9 - 1, n % 3, '/x.csv', 1, n, 1, now()
		FROM generate_series(1, 3000) AS n;
		INSERT INTO covid_rejects (key, document, reason, date, source, release, row, generation, rejected_at)
		SELECT md5('r' || n)::uuid, convert_to('{"PROVINCE_STATE_NAME": "OHIO"}', 'UTF8'), 'new_cases: "x" is no number', '2022-04-01', '/x.csv', 1, n, 1, now()
		FROM generate_series(1, 3) AS n;
		INSERT INTO etl_state VALUES ('cases', 'uuid', 1, 3000, 3);
		INSERT INTO etl_run (workflow_id, run_id, state, started_at, finished_at, counts) VALUES ('w', 'a', 'completed', now(), now(), '{}')`)
	return p
}

func (p *provisioning) execute(sql string) {
	p.Helper()
	conn, err := pgx.Connect(p.Context(), p.owner)
	if err != nil {
		p.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(p.Context()))
	if _, err := conn.Exec(p.Context(), sql); err != nil {
		p.Fatal(err)
	}
}

// apply runs the workflow with its real activities.
func (p *provisioning) apply(options activities.ApplyOptions) (DashboardResult, error) {
	p.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler))) // the results say it all
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	works := p.works
	env.RegisterActivity(&works)
	env.ExecuteWorkflow(DashboardWorkflow, DashboardInput{Options: options})
	var r DashboardResult
	err := env.GetWorkflowResult(&r)
	return r, err
}

func (p *provisioning) must(options activities.ApplyOptions) DashboardResult {
	p.Helper()
	r, err := p.apply(options)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// done gives the names of the objects that something was done to.
func (r DashboardResult) done(what activities.Done) []string {
	var names []string
	for _, a := range r.Applied {
		if a.Done == what {
			names = append(names, a.What+" "+a.Name)
		}
	}
	return names
}

// writes gives the writes since a count of them.
func (p *provisioning) writes(since int) []metabasefake.Request { return p.fake.Writes()[since:] }

// collection and page are what the runs made.
func (p *provisioning) page() (collection int, d metabase.Dashboard) {
	p.Helper()
	collection, ok, err := p.client.FindCollection(p.Context(), "collection", "")
	if err != nil || !ok {
		p.Fatalf("the collection: %t, %v", ok, err)
	}
	d, ok, err = p.client.FindDashboard(p.Context(), collection, "dashboard")
	if err != nil || !ok {
		p.Fatalf("the dashboard: %t, %v", ok, err)
	}
	return collection, d
}

// place gives where a card is on the dashboard.
func (p *provisioning) place(name string) (metabase.Card, metabase.Dashboard, metabase.Place) {
	p.Helper()
	collection, d := p.page()
	card, ok, err := p.client.FindCard(p.Context(), collection, name)
	if err != nil || !ok {
		p.Fatalf("the card %s: %t, %v", name, ok, err)
	}
	return card, d, activities.AppliedDashboard{Places: d.Places}.Place(card.ID)
}

// edit changes an object as a person's browser does.
func (p *provisioning) edit(path string, in any) {
	p.Helper()
	session := p.json(http.MethodPost, "/api/session", "", map[string]any{"username": admin.Email, "password": admin.Password})
	p.json(http.MethodPut, path, fmt.Sprint(session["id"]), in)
}

// editSQL changes a card's SQL alone.
func (p *provisioning) editSQL(card metabase.Card, sql string) {
	p.Helper()
	tags := map[string]any{}
	for _, tag := range card.Query.Tags {
		tags[tag.Name] = map[string]any{"id": tag.ID, "name": tag.Name, "display-name": tag.Title, "type": "dimension",
			"dimension": []any{"field", tag.Field, nil}, "widget-type": tag.Widget}
	}
	p.edit(cardPath(card), map[string]any{"dataset_query": map[string]any{
		"type": "native", "database": card.Query.Database, "native": map[string]any{"query": sql, "template-tags": tags},
	}})
}

func (p *provisioning) json(method, path, session string, in any) (out map[string]any) {
	p.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.Context(), method, p.fake.URL+path, strings.NewReader(string(body)))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("X-Metabase-Session", session)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		p.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		p.Fatal(err)
	}
	return out
}

// checkNumbers compares what Metabase's cards give with what the warehouse does.
func (p *provisioning) checkNumbers() {
	p.Helper()
	day := func(month time.Month, day int) time.Time { return time.Date(2022, month, day, 0, 0, 0, 0, time.UTC) }
	filters := dashboards.Filters()
	parameters := map[string]metabase.Parameter{}
	for _, f := range filters {
		parameters[f.Name] = metabase.Parameter{ID: f.Name, Type: f.Type}
	}
	for _, c := range dashboards.Cards() {
		if c.Name == "freshness" {
			continue // it has the time in it
		}
		card, d, place := p.place(c.Name)
		got, err := p.client.RunCard(p.Context(), card.ID)
		p.same(c, "unfiltered", dashboards.Choice{}, got, err)
		if c.Unfiltered != "" {
			if len(place.Mappings) > 0 {
				p.Errorf("%s has filters", c.Title)
			}
			continue
		}
		got, err = p.client.RunPlaced(p.Context(), d.ID, place, parameters[dashboards.State], []string{"Ohio", "Côte d'Or"})
		p.same(c, "states", dashboards.Choice{States: []string{"Ohio", "Côte d'Or"}}, got, err)
		got, err = p.client.RunPlaced(p.Context(), d.ID, place, parameters[dashboards.Date], "2022-04-01~2022-04-30")
		p.same(c, "a month", dashboards.Choice{Since: day(4, 1), Till: day(4, 30)}, got, err)
	}
}

func (p *provisioning) same(c dashboards.Card, what string, choice dashboards.Choice, got metabase.Result, err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s, %s: %v", c.Title, what, err)
	}
	sql, args, err := dashboards.Compile(c.SQL, choice)
	if err != nil {
		p.Fatal(err)
	}
	columns, rows, err := p.db.Query(p.Context(), sql, args...)
	if err != nil {
		p.Fatal(err)
	}
	if !slices.Equal(columns, got.Columns) || len(rows) != len(got.Rows) {
		p.Fatalf("%s, %s: %d rows of %q, want %d of %q", c.Title, what, len(got.Rows), got.Columns, len(rows), columns)
	}
	for i := range rows {
		var values []any
		if err := json.Unmarshal(got.Rows[i], &values); err != nil {
			p.Fatal(err)
		}
		if have, want := line(values), line(rows[i]); have != want {
			p.Fatalf("%s, %s, row %d: %s, want %s", c.Title, what, i, have, want)
		}
	}
}

// line gives a row as text: a date as its day, whatever time stands behind it.
func line(values []any) string {
	var parts []string
	for _, v := range values {
		switch v := v.(type) {
		case time.Time:
			parts = append(parts, v.Format(time.DateOnly))
		case float64:
			parts = append(parts, strconv.FormatFloat(v, 'f', -1, 64))
		case string:
			day, _, _ := strings.Cut(v, "T00:00:00")
			parts = append(parts, day)
		default:
			parts = append(parts, fmt.Sprint(v))
		}
	}
	return strings.Join(parts, "|")
}

// Versions differ in the form that things read back in.
func TestDashboardOnEachVersion(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]metabasefake.Version{
		"0.54": metabasefake.V054, "0.58": metabasefake.V058, "0.63": metabasefake.V063, "newest": metabasefake.Newest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvisioning(t, metabasefake.Options{Version: version, StartRequests: 4, PageLimit: 5})
			r := p.must(activities.ApplyOptions{})
			// The first user, the database, the collection, the cards, the dashboard.
			cards, filtered := len(dashboards.Cards()), 0
			for _, card := range dashboards.Cards() {
				if card.Unfiltered == "" {
					filtered++
				}
			}
			if created := r.done(activities.Created); len(created) != cards+4 || len(r.Applied) != cards+4 {
				t.Errorf("created %q", created)
			}
			if r.Checked.Cards != cards || r.Checked.Filters != 2*filtered || r.Checked.Without != 0 {
				t.Errorf("checked %+v", r.Checked)
			}
			if r.Path == "" || r.Metabase == "" {
				t.Errorf("path %q of version %q", r.Path, r.Metabase)
			}
			p.checkNumbers()
			before := len(p.fake.Writes())
			r = p.must(activities.ApplyOptions{})
			if same := r.done(activities.Same); len(same) != len(r.Applied) {
				t.Errorf("the second run: %+v", r.Applied)
			}
			if writes := p.writes(before); len(writes) > 0 {
				t.Errorf("the second run wrote %v", writes)
			}
		})
	}
}
