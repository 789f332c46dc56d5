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
	kind, retry = ErrTypeUnexpected, true
	var fromSearch *search.Error
	var fromWarehouse *warehouse.Error
	var fromMetabase *metabase.Error
	switch {
	case errors.Is(err, errMetabaseSettings):
		kind = ErrTypeMetabaseSettings
	case errors.Is(err, errMetabaseDatabase):
		kind = ErrTypeMetabaseDatabase
	case errors.Is(err, errMetabaseStored):
		kind = ErrTypeMetabaseStored
	case errors.Is(err, errMetabaseCard):
		kind = ErrTypeMetabaseCard
	case errors.As(err, &fromMetabase):
		// A log-in that failed is not tried again: log-ins are throttled. What is
		// gone is looked up and made again by a retry.
		kind = ErrTypeMetabase + fromMetabase.Kind.String()
		retry = fromMetabase.Kind != metabase.Denied && fromMetabase.Kind != metabase.Refused
	case errors.As(err, &fromSearch):
		// A request that Elasticsearch refuses as such is refused the next time too.
		kind = ErrTypeSearch + fromSearch.Kind.String()
		if fromSearch.Kind == search.IndexGone {
			kind = ErrTypeIndexGone
		}
		retry = fromSearch.Kind != search.Refused
	case errors.Is(err, search.ErrIndexName):
		kind = ErrTypeIndexName
	case errors.Is(err, search.ErrConflict):
		kind = ErrTypeRegistryChanged
	case errors.Is(err, search.ErrTaken):
		kind = ErrTypeReleaseTaken
	case errors.Is(err, source.ErrNotHere):
		kind = ErrTypeSourceNotHere
	case errors.Is(err, source.ErrOutside):
		kind = ErrTypeSourceOutside
	case errors.Is(err, source.ErrNotAFile):
		kind = ErrTypeSourceNotAFile
	case errors.Is(err, source.ErrDenied):
		kind = ErrTypeSourceDenied
	case errors.Is(err, errSource), errors.Is(err, source.ErrUnread):
		kind = ErrTypeSourceUnread
	case errors.Is(err, csvfile.ErrChanged):
		kind = ErrTypeSourceChanged
	case errors.Is(err, csvfile.ErrHeader):
		kind = ErrTypeSourceHeader
	case errors.Is(err, csvfile.ErrNoHeader):
		kind = ErrTypeSourceNotReady
	case errors.Is(err, errTemporal):
		kind = ErrTypeTemporal
	case errors.Is(err, errProof):
		kind = ErrTypeProof
	case errors.Is(err, errCounts):
		kind = ErrTypeCountsDisagree
	case errors.Is(err, warehouse.ErrStageMissing):
		kind = ErrTypeStageMissing
	case errors.Is(err, warehouse.ErrOvertaken):
		kind = ErrTypeOvertaken
	case errors.Is(err, warehouse.ErrOtherIndex):
		kind = ErrTypeOtherIndex
	case errors.As(err, &fromWarehouse): // after its own errors, and those of what it calls
		kind = ErrTypeWarehouse
	case errors.Is(err, context.DeadlineExceeded): // the attempt's own; mostly the server notices first
		kind = ErrTypeTimeout
	}
	return kind, retry && !final[kind]
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
