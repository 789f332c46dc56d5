package main

import (
	"testing"

	"covidpipeline/activities"
)

func TestReconcileTestsItself(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.start("worker")
	o.contains(o.must("reconcile", "--self-test"), "PLANTED", "a document with a changed value", "Passed: the proof finds all of ")
	r := answer[struct {
		OK bool `json:"ok"`
		activities.SelfTested
	}](o, "reconcile", "--self-test")
	if !r.OK || len(r.Planted) < 25 || r.Planted[0].Found == "" || r.Planted[0].ID == "" {
		t.Errorf("%+v", r)
	}
	if _, text, status := o.call("reconcile", "--self-test", "--source", "a.csv"); status != 2 {
		t.Errorf("--self-test with --source ended with %d: %s", status, text)
	}
	o.contains(o.must("help", "reconcile"), "starter reconcile --self-test")
}
