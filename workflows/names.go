package workflows

import (
	"crypto/sha256"
	"encoding/hex"
)

// ScheduleID names the hourly schedule; its runs are called etl-<time>.
const ScheduleID = "etl-hourly"

// ETLWorkflowID is what the schedule puts its time behind.
const ETLWorkflowID = "etl"

// IngestID names the one ingest that a source and an index can have at a time.
// The source is in it as a digest: ids are plain text in every list, and a path
// may be longer than an id can be.
func IngestID(index, uri string) string { return IngestPrefix(index) + sourceDigest(uri) }

// CheckID names the one check that a source and an index can have at a time.
func CheckID(index, uri string) string { return "check/" + index + "/" + sourceDigest(uri) }

func sourceDigest(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return hex.EncodeToString(sum[:8])
}

// IngestPrefix is how the ids of all ingests into an index begin.
func IngestPrefix(index string) string { return "ingest/" + index + "/" }

// ReconcileID names the one proof that an index can have at a time.
func ReconcileID(index string) string { return "reconcile/" + index }

// SelfTestID names the one self-test of the proof that an index can have at a time.
func SelfTestID(index string) string { return ReconcileID(index) + "/self-test" }

// DashboardID names the one run that may provision the dashboard at a time: two
// would double its cards.
const DashboardID = "dashboard/covid-19-activity"
