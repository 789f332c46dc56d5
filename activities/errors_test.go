package activities

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.temporal.io/sdk/temporal"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/metabase"
	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
	"covidpipeline/internal/warehouse"
)

func TestEveryErrorHasItsTypeAndRetry(t *testing.T) {
	for _, c := range []struct {
		err   error
		kind  string
		retry bool
	}{
		{&search.Error{Kind: search.Unavailable}, "ElasticsearchUnavailable", true},
		{&search.Error{Kind: search.Overloaded}, "ElasticsearchOverloaded", true},
		{&search.Error{Kind: search.Denied}, "ElasticsearchDenied", true},
		{&search.Error{Kind: search.Blocked}, "ElasticsearchBlocked", true},
		{&search.Error{Kind: search.IndexClosed}, "ElasticsearchIndexClosed", true},
		{&search.Error{Kind: search.Malformed}, "ElasticsearchMalformed", true},
		{&search.Error{Kind: search.Refused}, "ElasticsearchRefused", false},
		{&search.Error{Kind: search.IndexGone}, ErrTypeIndexGone, false},
		{search.ErrIndexName, ErrTypeIndexName, false},
		{search.ErrConflict, ErrTypeRegistryChanged, true},
		{search.ErrTaken, ErrTypeReleaseTaken, false},
		{source.ErrNotHere, ErrTypeSourceNotHere, true},
		{source.ErrNotAFile, ErrTypeSourceNotAFile, false},
		{source.ErrDenied, ErrTypeSourceDenied, false},
		{source.ErrOutside, ErrTypeSourceOutside, false},
		{errSource, ErrTypeSourceUnread, true},
		{source.ErrUnread, ErrTypeSourceUnread, true},
		{csvfile.ErrChanged, ErrTypeSourceChanged, false},
		{csvfile.ErrHeader, ErrTypeSourceHeader, false},
		{csvfile.ErrNoHeader, ErrTypeSourceNotReady, true},
		{warehouse.ErrStageMissing, ErrTypeStageMissing, false},
		{warehouse.ErrOvertaken, ErrTypeOvertaken, false},
		{warehouse.ErrOtherIndex, ErrTypeOtherIndex, false},
		{&warehouse.Error{Err: warehouse.ErrUnavailable}, ErrTypeWarehouse, true},
		{&warehouse.Error{Err: errProof}, ErrTypeProof, false},
		{errCounts, ErrTypeCountsDisagree, false},
		{errProof, ErrTypeProof, false},
		{errTemporal, ErrTypeTemporal, true},
		{&metabase.Error{Kind: metabase.Unavailable}, "MetabaseUnavailable", true},
		{&metabase.Error{Kind: metabase.Malformed}, "MetabaseMalformed", true},
		{&metabase.Error{Kind: metabase.NotFound}, "MetabaseNotFound", true},
		{&metabase.Error{Kind: metabase.Denied}, "MetabaseDenied", false},
		{&metabase.Error{Kind: metabase.Refused}, "MetabaseRefused", false},
		{fmt.Errorf("%w: %w", errMetabaseDatabase, &metabase.Error{Kind: metabase.Refused}), ErrTypeMetabaseDatabase, true},
		{errMetabaseSettings, ErrTypeMetabaseSettings, false},
		{errMetabaseStored, ErrTypeMetabaseStored, false},
		{fmt.Errorf("%w: %w", errMetabaseCard, &metabase.QueryError{}), ErrTypeMetabaseCard, false},
		{context.DeadlineExceeded, ErrTypeTimeout, true},
		{errors.New("anything else"), ErrTypeUnexpected, true},
	} {
		got := classify(fmt.Errorf("doing something: %w", c.err))
		var app *temporal.ApplicationError
		if !errors.As(got, &app) || got != error(app) { //nolint:errorlint // Temporal looks at the outermost error alone
			t.Errorf("%v: the outermost error is %T", c.err, got)
			continue
		}
		if app.Type() != c.kind || app.NonRetryable() == c.retry {
			t.Errorf("%v: type %s, retried %t; want %s, %t", c.err, app.Type(), !app.NonRetryable(), c.kind, c.retry)
		}
		if Cure(app.Type()) == "" {
			t.Errorf("%s has no remedy", app.Type())
		}
		if again := classify(got); again != got { //nolint:errorlint // it must be the very same
			t.Errorf("%v: classified twice", c.err)
		}
	}
	if err := classify(fmt.Errorf("index: %w", context.Canceled)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancellation became %v", err)
	}
	if classify(nil) != nil {
		t.Error("nothing became an error")
	}
}
