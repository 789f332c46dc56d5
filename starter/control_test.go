package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"covidpipeline/internal/sample"
)

// control is what must not reach a terminal.
var control = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`)

// Names, values and reasons come from files and servers: one that clears the screen or
// sets the terminal's title is shown and does not act.
func TestControlCharactersAreShown(t *testing.T) {
	o := newScheduler(t)
	var content bytes.Buffer
	if err := sample.Write(&content, 300); err != nil {
		t.Fatal(err)
	}
	const name, state = "a\x1b]0;title\x07\u202e.csv", "Ari\x1b[2Jzo\u009b31mna"
	text := strings.ReplaceAll(content.String(), "Arizona", state)
	if !strings.Contains(text, state) {
		text = strings.ReplaceAll(text, "Alabama", state)
	}
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.start("worker")
	seen := ""
	look := func(args ...string) {
		t.Helper()
		out, errOut, _ := o.call(args...)
		if found := control.FindString(out + errOut); found != "" {
			t.Errorf("starter %q: %q is in %q", args, found, out+errOut)
		}
		seen += out + errOut
	}
	look("ingest", "--source", name)
	look("schedule", "apply")
	look("etl")
	look("reconcile")
	look("reconcile", "--json")
	o.execute(`INSERT INTO covid_rejects (key, reason, date, document, source, release, row, generation)
		SELECT gen_random_uuid(), E'no \x1b[8m such reason', '2020', '{}', 's', 1, n, 1 FROM generate_series(1, 9) n`)
	look("cards")
	look("cards", "--json")
	look("status")
	look("status", "--json")
	look("no\x1bverb")
	o.contains(seen, `a\u001b]0;title\u0007\u202e.csv: release 1`, `Ari\u001b[2Jzo\u009b31mna`, `\u001b[8m such reason`, `no\x1bverb`)
}
