package activities

import "strings"

// Cure says what a person does about a run that ended with an error of that type;
// the error's own sentence says what happened.
func Cure(errType string) string {
	if cure, ok := cures[errType]; ok {
		return cure
	}
	if strings.HasPrefix(errType, ErrTypeSearch) {
		return cureElasticsearch
	}
	return ""
}

const (
	goesOn            = "The next run goes on where this one ended."
	cureElasticsearch = "look at Elasticsearch and at ELASTICSEARCH_URL (`starter status` shows both). " + goesOn
)

var cures = map[string]string{
	ErrTypeSourceNotHere:   "start a worker on the host that has the file, or put the file there.",
	ErrTypeSourceChanged:   "let the file rest while it is read, or ingest it with --follow. The next ingest begins a new release.",
	ErrTypeSourceHeader:    "give a COVID-19 activity file with its 13 columns.",
	ErrTypeSourceNotReady:  "wait until the file has its header line, or ingest it with --follow.",
	ErrTypeSourceUnread:    "look at the disk or mount that the file is on. " + goesOn,
	ErrTypeIndexGone:       "ingest a source: that makes the raw index. A deleted one is read again from its beginning.",
	ErrTypeStageMissing:    "nothing: " + goesOn,
	ErrTypeOvertaken:       "nothing: the other run goes on.",
	ErrTypeOtherIndex:      "correct ELASTICSEARCH_INDEX or DATABASE_URL of the worker: a warehouse belongs to one raw index.",
	ErrTypeCountsDisagree:  "`starter reconcile` names the records. docs/operations.md says how to read everything again.",
	ErrTypeWarehouse:       "look at PostgreSQL and at DATABASE_URL (`starter status` shows both). " + goesOn,
	ErrTypeRegistryChanged: "end the other ingest of this source. " + goesOn,
	ErrTypeProof:           "look at the host of the worker that the text names: the proof needs room for its temporary files and the source.",
	ErrTypeTimeout:         "look whether a worker runs and whether the servers answer (`starter status` shows both). " + goesOn,
}
