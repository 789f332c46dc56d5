package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
)

// `make histories` records the histories that workflows/replay_test.go replays.
var histories = flag.String("histories", "", "folder to write the histories of some tests' workflows to")

// keep writes the history of a workflow, a file for each run of it.
func (p *pipeline) keep(name string, run client.WorkflowRun) {
	p.Helper()
	if *histories == "" {
		return
	}
	d, err := p.c.DescribeWorkflowExecution(p.Context(), run.GetID(), "")
	if err != nil {
		p.Fatal(err)
	}
	for i, id := 1, d.GetWorkflowExecutionInfo().GetFirstRunId(); id != ""; i++ {
		var h historypb.History
		events := p.c.GetWorkflowHistory(p.Context(), run.GetID(), id, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		id = ""
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				p.Fatal(err)
			}
			h.Events = append(h.Events, e)
			id = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
		b, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
		if err == nil {
			err = os.WriteFile(filepath.Join(*histories, fmt.Sprintf("%s-%d.json", name, i)), b, 0o600)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}
