package workflows

import "testing"

// The relations that the time limits depend on.
func TestTimeLimitsFitTogether(t *testing.T) {
	if etlTimeout >= ScheduleEvery {
		t.Error("an ETL step may be tried until the next run is due")
	}
	if stepTimeout >= etlTimeout {
		t.Error("one attempt may take as long as all")
	}
	if readTimeout >= etlEndTimeout {
		t.Error("one attempt of a sweep may take as long as all")
	}
	if heartbeatTimeout >= stepTimeout {
		t.Error("a killed worker is not noticed before the attempt's end")
	}
	if stepTimeout >= metabaseTimeout {
		t.Error("one attempt of a step of the dashboard may take as long as all")
	}
	if planTimeout <= stepTimeout {
		t.Error("a plan that waits a minute for lines would time out")
	}
}
