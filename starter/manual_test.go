package main

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"covidpipeline/dashboards"
)

// chapter gives a section of the manual, up to the next heading of its rank.
func (o *operator) chapter(heading string) string {
	o.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		o.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		o.Fatalf("the manual has no section %q", heading)
	}
	rank, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+rank+" ")
	return section
}

// step is a command of the manual and what it shows of its output.
type step struct {
	command string
	shown   []string // lines
}

// consoles gives the commands of the console blocks of a text.
func consoles(text string) (steps []step) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && isCommand:
			steps = append(steps, step{command: command})
		case inside && strings.TrimSpace(line) != "...":
			last := &steps[len(steps)-1]
			last.shown = append(last.shown, line)
		}
	}
	return steps
}

// column gives the commands of a column of the first table of a text.
func column(text string, number int) (commands []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 && strings.HasPrefix(cells[number], " `bin/") {
			commands = append(commands, strings.Trim(cells[number], " `"))
		}
	}
	return commands
}

// varying is what differs from run to run: times, and the colours of tctl.
var varying = regexp.MustCompile(`\d+ (second|minute|hour)s? (ago|from now)|\bnow\b|<nil>|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\x1b\[\d*m`)

// masked gives a line without what differs from run to run, and how wide columns are.
func masked(line string) string {
	return strings.Join(strings.Fields(varying.ReplaceAllString(line, " ")), " ")
}

// follow does a step of the manual and compares what it shows. What only looks at
// the schedule is repeated until it shows that: lists lag behind.
func (o *operator) follow(s step) {
	o.Helper()
	var out string
	defer func() { o.Logf("$ %s\n%s", s.command, out) }()
	lacking := func() string {
		lines := map[string]bool{}
		for line := range strings.Lines(out) {
			lines[masked(line)] = true
		}
		for _, line := range s.shown {
			if !lines[masked(line)] {
				return line
			}
		}
		return ""
	}
	switch {
	case strings.Contains(s.command, " list") || strings.Contains(s.command, " describe"):
		o.await("all that the manual shows: "+strings.Join(s.shown, "\n"), func() bool {
			out = o.shell(s.command)
			return lacking() == ""
		})
	case strings.HasPrefix(s.command, "bin/starter") || strings.Contains(s.command, " config "):
		out = o.shell(s.command)
	default:
		out = o.change(s.command)
	}
	if line := lacking(); line != "" {
		o.Errorf("the manual shows after %s\n%s", s.command, line)
	}
}

func TestTheManualNamesTheCards(t *testing.T) {
	t.Parallel()
	o := &operator{T: t}
	section := o.chapter("## The dashboard as a page")
	for _, card := range dashboards.Cards() {
		o.contains(section, "`"+card.Name+"`")
	}
}

func TestTheManualOnSchedules(t *testing.T) {
	o := newToolUser(t)
	section := o.chapter("## Schedules from outside")
	idle, rest, _ := strings.Cut(section, "\n### While a run is on\n")
	held, after, _ := strings.Cut(rest, "\n### What to beware of\n")

	worker, _ := o.start("worker")
	for i, tool := range []string{"bin/tctl", "bin/temporal"} {
		commands := column(idle, i+2)
		if len(commands) < 9 {
			t.Fatalf("the table has the commands %q", commands)
		}
		for _, command := range commands {
			if !strings.HasPrefix(command, tool+" ") && !strings.HasPrefix(command, "bin/starter ") {
				t.Errorf("%q is in the column of %s", command, tool)
			}
			o.follow(step{command: command})
			o.await("the end of all runs", func() bool { n := o.now(); return n.running == 0 && n.buffered == 0 })
		}
	}
	for _, s := range consoles(idle) {
		o.follow(s)
	}
	o.await("the end of all runs", func() bool { n := o.now(); return n.running == 0 })
	o.end(worker, syscall.SIGTERM)
	for _, s := range consoles(held) {
		o.follow(s)
	}
	for _, s := range consoles(after) {
		o.follow(s)
	}
}
