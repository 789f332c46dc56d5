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
	if strings.HasPrefix(errType, ErrTypeMetabase) {
		return cureMetabase
	}
	return ""
}

const (
	goesOn            = "The next run goes on where this one ended."
	cureMetabase      = "look at Metabase and at METABASE_URL, METABASE_USERNAME and METABASE_PASSWORD of the worker, then run `starter dashboard apply` again: it repeats nothing that is done."
	cureElasticsearch = "look at Elasticsearch and at ELASTICSEARCH_URL (`starter status` shows both). " + goesOn
)

var cures = map[string]string{
	ErrTypeSourceNotHere:    "start a worker on the host that has the file, or put the file there.",
	ErrTypeSourceNotAFile:   "ingest the path of a CSV file. A pipe or a device cannot be read twice: copy its content to a file.",
	ErrTypeSourceDenied:     "give the user of the worker read permission for the file, then ingest it again. " + goesOn,
	ErrTypeSourceOutside:    "add the folder of the source, and of the file that it links to, to SOURCE_ROOTS of the worker and start the worker again, or put the file into one of these folders. " + goesOn,
	ErrTypeSourceChanged:    "let the file rest while it is read, or ingest it with --follow. The next ingest begins a new release.",
	ErrTypeSourceHeader:     "ingest a COVID-19 activity file: CSV in UTF-8 with its 13 columns, separated by commas.",
	ErrTypeSourceNotReady:   "wait until the file has its header line, or ingest it with --follow.",
	ErrTypeSourceUnread:     "look at the disk or mount that the file is on. " + goesOn,
	ErrTypeIndexName:        "start it again with another ELASTICSEARCH_INDEX.",
	ErrTypeStateRefused:     "start it by `starter ingest` or `starter etl`, which give no state. If nobody of yours started it, look who reaches the Temporal server.",
	ErrTypeIndexGone:        "ingest a source: that makes the raw index. A deleted one is read again from its beginning.",
	ErrTypeStageMissing:     "nothing: " + goesOn,
	ErrTypeOvertaken:        "nothing: the other run goes on.",
	ErrTypeOtherIndex:       "run `starter schedule apply` with the ELASTICSEARCH_INDEX that this warehouse belongs to (the schedule keeps the index that it was given), or correct DATABASE_URL of the worker.",
	ErrTypeCountsDisagree:   "`starter reconcile` names the records. docs/operations.md says how to read everything again.",
	ErrTypeWarehouse:        "look at PostgreSQL and at DATABASE_URL (`starter status` shows both). " + goesOn,
	ErrTypeRegistryChanged:  "end the other ingest of this source. " + goesOn,
	ErrTypeReleaseTaken:     "nothing: the ingest registers its source again and continues at the checkpoint.",
	ErrTypeTemporal:         "look at the Temporal server (`starter status` shows it), then run it again.",
	ErrTypeProof:            "look at the host of the worker that the text names: the proof needs room for its temporary files and the source.",
	ErrTypeMetabaseSettings: "set these variables for the worker (docs/operations.md has them), start it again and run `starter dashboard apply` again.",
	ErrTypeMetabaseDatabase: "look at METABASE_DATABASE_URL of the worker: host and port are those that Metabase sees, the user is a member of covid_reader. Then run `starter dashboard apply` again.",
	ErrTypeMetabaseStored:   "look whether this version of Metabase is one of docs/operations.md, and what the text names on the dashboard.",
	ErrTypeMetabaseCard:     "look at the card in Metabase. One that a person has edited is put back by `starter dashboard apply --force`.",
	ErrTypeUnexpected:       "no known fault has this text: look at the log of the worker, and report it with that log. " + goesOn,
	ErrTypeTimeout:          "look whether a worker runs and whether the servers answer (`starter status` shows both). " + goesOn,
}
