//go:build metabasecli

// An independent check of the fake: Metabase's own command line client reads the
// answers with the shapes that it knows. `make fakecheck` runs it.
package metabasefake

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"covidpipeline/internal/testenv"
)

// cli calls the client with an API key of a fake.
type cli struct {
	*world
	program, key, home string
}

// run runs a command and gives its exit status and what it printed.
func (c *cli) run(args ...string) (status int, output answered) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.program, append(args, "--json")...)
	cmd.Env = append(testenv.Environ(), "MB_URL="+c.server.URL, "MB_API_KEY="+c.key, "MB_VERBOSE=1",
		"MB_CLI_DISABLE_KEYRING=1", "HOME="+c.home, "XDG_CONFIG_HOME="+c.home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	c.t.Logf("mb %s: %d %s%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), short(stdout), short(stderr))
	if strings.Contains(stderr.String(), "response-shape") {
		c.t.Errorf("mb %s does not know the answer: %s", strings.Join(args, " "), stderr.String())
	}
	return cmd.ProcessState.ExitCode(), answered{t: c.t, body: stdout.String() + stderr.String()}
}

func short(b bytes.Buffer) string {
	return strings.Join(strings.Fields(b.String()[:min(b.Len(), 300)]), " ")
}

// ok runs a command that succeeds.
func (c *cli) ok(args ...string) answered {
	c.t.Helper()
	status, output := c.run(args...)
	if status != 0 {
		c.t.Fatalf("mb %s: status %d: %s", strings.Join(args, " "), status, output.body)
	}
	return output
}

func newCLI(t *testing.T, version Version) *cli {
	t.Helper()
	c := &cli{world: newWorld(t, Options{Version: version}), program: testenv.MetabaseCLI(t), home: t.TempDir()}
	c.key = c.want(http.StatusOK, "POST /api/api-key", object{"group_id": 2, "name": "cli"}).text("unmasked_key")
	return c
}

func TestMetabaseCLI(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{V058, V063, Newest} {
		t.Run(version.tag(), func(t *testing.T) {
			t.Parallel()
			c := newCLI(t, version)
			c.databases()
			place := itoa(c.collections())
			first := c.cards(place)
			dashboard, dashcard := c.dashboards(place, first)
			c.ok("collection", "items", place, "--full")
			c.ok("setting", "list")
			c.ok("setting", "get", "site-name")
			c.ok("setting", "set", "site-name", `"Stats"`)
			c.clean()
			// This one command sends read-only keys back, which a real server drops.
			status, output := c.run("dashboard", "update-dashcard", itoa(dashboard), itoa(dashcard), "--body", `{"row":1}`)
			if status != 1 || !strings.Contains(output.body, `"category":"http"`) {
				t.Errorf("update-dashcard: status %d: %s", status, output.body)
			}
			c.violated("unknown key")
		})
	}
}

func (c *cli) databases() {
	c.ok("db", "list", "--full")
	c.ok("db", "get", itoa(c.database), "--full")
	synced := c.ok("db", "sync-schema", itoa(c.database), "--wait")
	if synced.at("initial_sync_status") != "complete" {
		c.t.Errorf("sync-schema: %s", synced.body)
	}
}

func (c *cli) collections() int {
	id := c.ok("collection", "create", "--body", `{"name":"Stats","description":"All of them"}`).id()
	c.ok("collection", "list", "--full")
	c.ok("collection", "get", itoa(id), "--full")
	c.ok("collection", "get", "root", "--full")
	other := c.ok("collection", "create", "--body", `{"name":"Old"}`).id()
	c.ok("collection", "archive", itoa(other))
	return id
}

// cards makes a card with a field filter in each form of a query; the first is
// left, the other archived.
func (c *cli) cards(place string) int {
	var number int
	if err := json.Unmarshal([]byte(place), &number); err != nil {
		c.t.Fatal(err)
	}
	legacy := c.ok("card", "create", "--body", string(text(c.card("collection_id", number)))).id()
	tag := object{"id": newID(true), "name": "state", "display-name": "State", "type": "dimension",
		"dimension": []any{"field", object{}, c.fields["state"]}, "widget-type": "string/="}
	query := object{"lib/type": "mbql/query", "database": c.database, "stages": []any{object{"lib/type": "mbql.stage/native",
		"native": "SELECT state, count(*) AS n FROM person WHERE {{state}} GROUP BY 1", "template-tags": object{"state": tag}}}}
	mbql5 := c.ok("card", "create", "--body", string(text(c.card("dataset_query", query)))).id()
	c.ok("card", "list", "--full")
	for _, id := range []int{legacy, mbql5} {
		c.ok("card", "get", itoa(id), "--full")
		parameters := `[{"type":"string/=","target":["dimension",["template-tag","state"]],"value":["CA"]}]`
		found := c.ok("card", "query", itoa(id), "--parameters", parameters)
		if got := string(text(found.at("data.rows"))); got != `[["CA",2]]` {
			c.t.Errorf("card query: %s", found.body)
		}
		c.ok("card", "update", itoa(id), "--body", `{"name":"New","display":"bar","visualization_settings":{}}`)
	}
	c.ok("card", "archive", itoa(mbql5))
	found := c.ok("query", "--body", string(text(with(c.t, query, "stages/0/native", "SELECT 1 AS one", "stages/0/template-tags", object{}))))
	if got := string(text(found.at("data.rows"))); got != "[[1]]" {
		c.t.Errorf("query: %s", found.body)
	}
	return legacy
}

func (c *cli) dashboards(place string, card int) (dashboard, dashcard int) {
	id := c.ok("dashboard", "create", "--body", `{"name":"D","collection_id":`+place+`}`).id()
	body := object{"width": "full", "tabs": []any{object{"id": -1, "name": "One"}, object{"id": -2, "name": "Two"}},
		"parameters": []any{object{"id": "f_state", "name": "State", "slug": "state", "type": "string/=", "sectionId": "string"}},
		"dashcards": []any{
			object{"id": -1, "card_id": card, "row": 0, "col": 0, "size_x": 12, "size_y": 3, "dashboard_tab_id": -1,
				"parameter_mappings": []any{object{"parameter_id": "f_state", "card_id": card, "target": []any{"dimension", []any{"template-tag", "state"}}}}},
			object{"id": -2, "card_id": nil, "row": 0, "col": 0, "size_x": 24, "size_y": 1, "dashboard_tab_id": -2,
				"visualization_settings": object{"text": "Overview", "virtual_card": object{"display": "heading"}}},
		}}
	c.ok("dashboard", "update", itoa(id), "--body", string(text(body)))
	c.ok("dashboard", "list", "--full")
	c.ok("dashboard", "get", itoa(id), "--full")
	all := c.ok("dashboard", "cards", itoa(id), "--full")
	if !strings.Contains(all.body, `"parameter_id"`) {
		c.t.Errorf("dashboard cards: %s", all.body)
	}
	c.ok("dashboard", "archive", itoa(id))
	return id, int(all.at("data.0.id").(float64))
}
