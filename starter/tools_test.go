package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/internal/testenv"
	"covidpipeline/workflows"
)

// newToolUser is an operator whose folder has the command-line tools of Temporal
// and the starter in bin, as the manual has them. A small source is loaded, the
// schedule is paused, no worker runs.
func newToolUser(t *testing.T) *operator {
	t.Helper()
	o := newScheduler(t)
	bin := filepath.Join(o.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{
		"tctl": testenv.Tctl(t), "temporal": testenv.TemporalCLI(t), "starter": filepath.Join(programs, "starter"),
	} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	address, namespace := testenv.TemporalDefault(t)
	o.env = append(o.env, "TEMPORAL_CLI_ADDRESS="+address, "TEMPORAL_CLI_NAMESPACE="+namespace,
		"HOME="+o.dir, "XDG_CONFIG_HOME="+filepath.Join(o.dir, ".config"), "NO_COLOR=1")
	o.sampleFile(200)
	worker, _ := o.start("worker")
	o.must("ingest", "--source", "sample.csv")
	o.must("schedule", "apply")
	o.contains(o.must("etl"), "inserted")
	o.end(worker, syscall.SIGTERM)
	o.change(`bin/temporal schedule toggle -s etl-hourly --pause --reason "set-up"`)
	return o
}

// in gives the operator to a subtest.
func (o *operator) in(t *testing.T) *operator {
	sub := *o
	sub.T = t
	return &sub
}

// shell runs a command line in the operator's folder and gives what it printed.
func (o *operator) shell(command string) string {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), "sh", "-c", command)
	cmd.Env, cmd.Dir = o.env, o.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// now is the schedule as the server describes it.
type now struct {
	exists, paused             bool
	note                       string
	actions, skipped, buffered int64
	running                    int
	updated                    string
}

func (o *operator) describe() *workflowservice.DescribeScheduleResponse {
	o.Helper()
	d, err := o.c.WorkflowService().DescribeSchedule(o.Context(), &workflowservice.DescribeScheduleRequest{
		Namespace: client.DefaultNamespace, ScheduleId: workflows.ScheduleID,
	})
	var missing *serviceerror.NotFound
	if err != nil && !errors.As(err, &missing) {
		o.Fatal(err)
	}
	return d
}

func (o *operator) now() now {
	o.Helper()
	d := o.describe()
	if d == nil {
		return now{}
	}
	state, info := d.GetSchedule().GetState(), d.GetInfo()
	return now{
		exists: true, paused: state.GetPaused(), note: state.GetNotes(),
		actions: info.GetActionCount(), skipped: info.GetOverlapSkipped(), buffered: info.GetBufferSize(),
		running: len(info.GetRunningWorkflows()), updated: info.GetUpdateTime().String(),
	}
}

// change runs a command line that changes the schedule and waits until the server
// shows a change: the next patch would take the place of one not yet seen to. Runs
// of one second share an id, and the server then takes the end of one for that of
// the other, so it waits for another second than that of the last run.
func (o *operator) change(command string) (out string) {
	o.Helper()
	last := ""
	if recent := o.describe().GetInfo().GetRecentActions(); len(recent) > 0 {
		last = recent[len(recent)-1].GetStartWorkflowResult().GetWorkflowId()
	}
	o.await("another second", func() bool {
		return last != workflows.ETLWorkflowID+"-"+time.Now().UTC().Format(time.RFC3339)
	})
	before := o.now()
	out = o.shell(command)
	o.await("a change of the schedule by "+command, func() bool { return o.now() != before })
	return out
}

// expect waits until the schedule has so many more runs than at a time before,
// so many more that were skipped, and so many that run or wait.
func (o *operator) expect(before now, actions, skipped, running, buffered int) {
	o.Helper()
	want := before
	want.actions += int64(actions)
	want.skipped += int64(skipped)
	want.running, want.buffered = running, int64(buffered)
	o.await(fmt.Sprintf("the schedule to be %+v, not %+v", want, o.now()), func() bool { return o.now() == want })
}

var runID = regexp.MustCompile(`^etl-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// loadedNothing checks the schedule's last runs: each has a time in its id, ended
// well and found nothing new. It gives their ids.
func (o *operator) loadedNothing(runs int) (ids []string) {
	o.Helper()
	recent := o.describe().GetInfo().GetRecentActions()
	for _, action := range recent[len(recent)-runs:] {
		run := action.GetStartWorkflowResult()
		var r workflows.ETLResult
		if err := o.c.GetWorkflow(o.Context(), run.GetWorkflowId(), run.GetRunId()).Get(o.Context(), &r); err != nil {
			o.Fatalf("%s: %v", run.GetWorkflowId(), err)
		}
		if !runID.MatchString(run.GetWorkflowId()) || r.Counts.Windows != 0 || r.Finished.Rows == 0 {
			o.Errorf("%s: %+v", run.GetWorkflowId(), r)
		}
		ids = append(ids, run.GetWorkflowId())
	}
	return ids
}

// The options that the two tools call by other names.
var updateOptions = map[string]string{
	"tctl":     ` --workflow-type ETLWorkflow`,
	"temporal": ` --type ETLWorkflow`,
}
var pausedOption = map[string]string{"tctl": " --pause", "temporal": " --paused"}

const (
	pastHours  = " --start-time 2026-01-05T06:00:00Z --end-time 2026-01-05T09:00:00Z" // four of them
	otherHours = " --start-time 2026-01-05T10:00:00Z --end-time 2026-01-05T13:00:00Z"
	behind     = " --overlap-policy BufferOne"
)

func TestSchedulesFromOutside(t *testing.T) {
	o := newToolUser(t)
	o.shell("bin/tctl config set version next")
	for _, tool := range []string{"tctl", "temporal"} {
		schedule := func(verb, options string) string {
			return "bin/" + tool + " schedule " + verb + " -s etl-hourly" + options
		}
		t.Run(tool+" pauses", func(t *testing.T) { o.in(t).pausing(tool, schedule) })
		t.Run(tool+" runs", func(t *testing.T) { o.in(t).running(schedule) })
		t.Run(tool+" runs into a run", func(t *testing.T) { o.in(t).overlapping(schedule) })
		t.Run(tool+" deletes", func(t *testing.T) { o.in(t).deleting(schedule) })
	}
}

// pausing: apply leaves a pause and its note, whether it has something to change
// or not; the tools' update does not.
func (o *operator) pausing(tool string, schedule func(verb, options string) string) {
	paused := func(want bool, note string) {
		o.Helper()
		if got := o.now(); got.paused != want || got.note != note {
			o.Errorf("paused %v, %q; want %v, %q", got.paused, got.note, want, note)
		}
	}
	update := schedule("update", ` --interval 2h --workflow-id etl --task-queue covid-pipeline --input '{"index":"another"}'`+updateOptions[tool])

	o.change(schedule("toggle", ` --unpause --reason "disk grown by `+tool+`"`))
	paused(false, "disk grown by "+tool)
	o.change(schedule("toggle", ` --pause --reason "disk full"`))
	o.contains(o.must("schedule", "apply"), "nothing to change")
	paused(true, "disk full")

	before := o.describe().GetSchedule()
	o.change(update + pausedOption[tool] + ` --notes "disk full"`)
	o.contains(o.must("schedule", "apply"), "updated")
	o.contains(o.must("schedule", "apply"), "nothing to change")
	paused(true, "disk full")
	if left, err := differences(o.describe().GetSchedule(), before); err != nil || len(left) > 0 {
		o.Errorf("apply left %v, %v", left, err)
	}

	o.change(update)
	paused(false, "")
	o.contains(o.must("schedule", "apply"), "updated")
	paused(false, "")
	o.change(schedule("toggle", ` --pause --reason "disk full"`))
}

// running: a paused schedule runs when told to.
func (o *operator) running(schedule func(verb, options string) string) {
	worker, _ := o.start("worker")
	before := o.now()
	o.contains(o.change(schedule("trigger", "")), "Trigger request sent")
	o.expect(before, 1, 0, 0, 0)
	o.loadedNothing(1)

	// The first past hour runs, and those behind it do not wait.
	before = o.now()
	o.contains(o.change(schedule("backfill", pastHours)), "Backfill request sent")
	o.expect(before, 1, 3, 0, 0)
	if ids := o.loadedNothing(1); ids[0] != "etl-2026-01-05T06:00:00Z" {
		o.Errorf("it ran %s", ids)
	}
	before = o.now()
	o.change(schedule("backfill", otherHours+" --overlap-policy BufferAll"))
	o.expect(before, 4, 0, 0, 0)
	if ids := o.loadedNothing(4); ids[0] != "etl-2026-01-05T10:00:00Z" || ids[3] != "etl-2026-01-05T13:00:00Z" {
		o.Errorf("it ran %s", ids)
	}
	o.contains(o.must("reconcile"), "Balanced")
	o.end(worker, syscall.SIGTERM)
}

// overlapping: while a run is on, others are skipped and counted, or one waits.
func (o *operator) overlapping(schedule func(verb, options string) string) {
	start := o.now()
	o.change(schedule("trigger", "")) // waits for a worker
	o.expect(start, 1, 0, 1, 0)
	o.contains(o.change(schedule("trigger", "")), "Trigger request sent")
	o.expect(start, 1, 1, 1, 0)
	o.change(schedule("backfill", pastHours))
	o.expect(start, 1, 5, 1, 0)
	o.change(schedule("trigger", behind))
	o.expect(start, 1, 5, 1, 1)
	o.change(schedule("trigger", behind))
	o.expect(start, 1, 6, 1, 1)
	o.change(schedule("backfill", pastHours+behind))
	o.expect(start, 1, 10, 1, 1)
	worker, _ := o.start("worker")
	o.expect(start, 2, 10, 0, 0)
	o.loadedNothing(2)
	o.end(worker, syscall.SIGTERM)

	start = o.now()
	o.change(schedule("trigger", ""))
	o.expect(start, 1, 0, 1, 0)
	o.change(schedule("trigger", " --overlap-policy TerminateOther"))
	o.expect(start, 2, 0, 1, 0)
	worker, _ = o.start("worker")
	o.expect(start, 2, 0, 0, 0)
	o.loadedNothing(1)
	o.end(worker, syscall.SIGTERM)
}

// deleting: apply makes the schedule again.
func (o *operator) deleting(schedule func(verb, options string) string) {
	o.contains(o.change(schedule("delete", "")), "Schedule deleted")
	if o.now().exists {
		o.Error("it is still there")
	}
	o.contains(o.must("schedule", "apply"), "created")
	o.change(schedule("toggle", ` --pause --reason "disk full"`))
	if strings.Contains(o.must("schedule", "apply"), "updated") {
		o.Error("a new schedule is not what apply wants")
	}
}
