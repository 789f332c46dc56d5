// Package activities holds the pipeline's units of retry: each does one thing
// to Elasticsearch, PostgreSQL or a source, may be repeated at any time, and
// says in the type of its error what kind of fault stopped it.
package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
	"covidpipeline/internal/warehouse"
)

// The types of the errors that activities end with. Workflows and the Web UI
// see these names.
const (
	ErrTypeSourceNotHere    = "SourceNotHere"    // this worker's host has no such file
	ErrTypeSourceNotAFile   = "SourceNotAFile"   // a folder, a pipe, a device, or no path
	ErrTypeSourceDenied     = "SourceDenied"     // this worker may not read the file
	ErrTypeSourceOutside    = "SourceOutside"    // not below the worker's SOURCE_ROOTS
	ErrTypeSourceChanged    = "SourceChanged"    // the source is no longer what was read
	ErrTypeSourceHeader     = "SourceHeader"     // not a COVID-19 activity file
	ErrTypeSourceNotReady   = "SourceNotReady"   // no complete header line yet
	ErrTypeSourceUnread     = "SourceUnread"     // reading the source failed
	ErrTypeIndexName        = "IndexName"        // not the name of a raw index
	ErrTypeIndexGone        = "IndexGone"        // the raw index was deleted or replaced
	ErrTypeStateRefused     = "StateRefused"     // a client put a state into the input of a workflow
	ErrTypeSearch           = "Elasticsearch"    // followed by the kind, as ElasticsearchOverloaded
	ErrTypeStageMissing     = "StageMissing"     // a window must be extracted again
	ErrTypeOvertaken        = "Overtaken"        // another run moved the checkpoint
	ErrTypeOtherIndex       = "OtherIndex"       // the warehouse belongs to another raw index
	ErrTypeCountsDisagree   = "CountsDisagree"   // what was extracted is not what was loaded
	ErrTypeWarehouse        = "PostgreSQL"       // PostgreSQL could not do it
	ErrTypeRegistryChanged  = "RegistryChanged"  // another ingest wrote the release
	ErrTypeReleaseTaken     = "ReleaseTaken"     // the release belongs to another ingest, or has ended
	ErrTypeProof            = "Proof"            // the proof could not be carried out on this host
	ErrTypeTemporal         = "Temporal"         // the server did not say whether an ingest runs
	ErrTypeMetabase         = "Metabase"         // followed by the kind, as MetabaseDenied
	ErrTypeMetabaseSettings = "MetabaseSettings" // the worker is not told what it needs, or the wrong thing
	ErrTypeMetabaseDatabase = "MetabaseDatabase" // Metabase does not reach the warehouse
	ErrTypeMetabaseStored   = "MetabaseStored"   // Metabase does not hold what it was sent
	ErrTypeMetabaseCard     = "MetabaseCard"     // a card's query fails, or a filter does not act on it
	// ErrTypeTimeout stands for a step whose last attempt said nothing: no worker
	// ran, or a server hung.
	ErrTypeTimeout = "Timeout"
	// ErrTypeUnexpected is the type of every error that no other type describes.
	ErrTypeUnexpected = "Unexpected"
)

// final are the types whose activity must not be retried: trying again cannot
// help, the workflow has to act.
var final = map[string]bool{
	ErrTypeSourceNotAFile: true,
	ErrTypeSourceDenied:   true,
	ErrTypeSourceOutside:  true,
	ErrTypeSourceChanged:  true,
	ErrTypeSourceHeader:   true,
	ErrTypeIndexName:      true,
	ErrTypeIndexGone:      true,
	ErrTypeStageMissing:   true,
	ErrTypeOvertaken:      true,
	ErrTypeOtherIndex:     true,
	ErrTypeCountsDisagree: true,
	ErrTypeReleaseTaken:   true,
	ErrTypeProof:          true,

	ErrTypeMetabaseSettings: true,
	ErrTypeMetabaseStored:   true,
	ErrTypeMetabaseCard:     true,
}

// classify is the one place that decides what an activity's error means. Its
// result must not be wrapped: Temporal looks at the outermost error alone.
func classify(err error) error {
	var classified *temporal.ApplicationError
	if err == nil || errors.As(err, &classified) || errors.Is(err, context.Canceled) {
		return err
	}
	kind, retry := errorType(err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind, temporal.ApplicationErrorOptions{
		NonRetryable: !retry,
	})
}

func errorType(err error) (kind string, retry bool) {
	var fromSearch *search.Error
	var fromWarehouse *warehouse.Error
	var fromMetabase *metabase.Error
	kind = typeIn(ofMetabase, err)
	switch {
	case kind != "":
	case errors.As(err, &fromMetabase):
		// A log-in that failed is not tried again: log-ins are throttled. What is
		// gone is looked up and made again by a retry.
		return ErrTypeMetabase + fromMetabase.Kind.String(), fromMetabase.Kind != metabase.Denied && fromMetabase.Kind != metabase.Refused
	case errors.As(err, &fromSearch) && fromSearch.Kind != search.IndexGone:
		// A request that Elasticsearch refuses as such is refused the next time too.
		return ErrTypeSearch + fromSearch.Kind.String(), fromSearch.Kind != search.Refused
	case fromSearch != nil:
		kind = ErrTypeIndexGone
	default:
		kind = typeIn(others, err)
	}
	switch {
	case kind != "":
	case errors.As(err, &fromWarehouse): // after its own errors, and those of what it calls
		kind = ErrTypeWarehouse
	case errors.Is(err, context.DeadlineExceeded): // the attempt's own; mostly the server notices first
		kind = ErrTypeTimeout
	default:
		kind = ErrTypeUnexpected
	}
	return kind, !final[kind]
}

// errorKind is an error of a package and the type that it means.
type errorKind struct {
	err  error
	kind string
}

// typeIn returns the type of the first error of a list that err is, or "".
func typeIn(kinds []errorKind, err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return ""
}

// ofMetabase are errors that say more than the *metabase.Error that they may wrap.
var ofMetabase = []errorKind{
	{errMetabaseSettings, ErrTypeMetabaseSettings},
	{errMetabaseDatabase, ErrTypeMetabaseDatabase},
	{errMetabaseStored, ErrTypeMetabaseStored},
	{errMetabaseCard, ErrTypeMetabaseCard},
}

var others = []errorKind{
	{search.ErrIndexName, ErrTypeIndexName},
	{search.ErrConflict, ErrTypeRegistryChanged},
	{search.ErrTaken, ErrTypeReleaseTaken},
	{source.ErrNotHere, ErrTypeSourceNotHere},
	{source.ErrOutside, ErrTypeSourceOutside},
	{source.ErrNotAFile, ErrTypeSourceNotAFile},
	{source.ErrDenied, ErrTypeSourceDenied},
	{errSource, ErrTypeSourceUnread},
	{source.ErrUnread, ErrTypeSourceUnread},
	{csvfile.ErrChanged, ErrTypeSourceChanged},
	{csvfile.ErrHeader, ErrTypeSourceHeader},
	{csvfile.ErrNoHeader, ErrTypeSourceNotReady},
	{errTemporal, ErrTypeTemporal},
	{errProof, ErrTypeProof},
	{errCounts, ErrTypeCountsDisagree},
	{warehouse.ErrStageMissing, ErrTypeStageMissing},
	{warehouse.ErrOvertaken, ErrTypeOvertaken},
	{warehouse.ErrOtherIndex, ErrTypeOtherIndex},
}

var (
	errSource = errors.New("read the source")
	errProof  = errors.New("prove")
	errCounts = errors.New("counts disagree")

	errTemporal = errors.New("ask Temporal")

	errMetabaseSettings = errors.New("the worker's settings of Metabase")
	errMetabaseDatabase = errors.New("Metabase's connection to the warehouse")
	errMetabaseStored   = errors.New("Metabase does not hold what it was sent")
	errMetabaseCard     = errors.New("the card does not work")
)
