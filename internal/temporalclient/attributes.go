package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// The search attributes by which runs are found and compared in lists. They are
// plain text for everybody who may list workflows, so nothing secret is in them.
var (
	// AttributeSource is the name of an ingest's source without its folders.
	AttributeSource = temporal.NewSearchAttributeKeyKeyword("CovidSource")
	// AttributeRelease is the release that an ingest reads.
	AttributeRelease = temporal.NewSearchAttributeKeyInt64("CovidRelease")
	// AttributeRows is how many records an ingest indexed or an ETL extracted.
	AttributeRows = temporal.NewSearchAttributeKeyInt64("CovidRows")
	// AttributeRejects is how many of them it quarantined or rejected.
	AttributeRejects = temporal.NewSearchAttributeKeyInt64("CovidRejects")
)

// SearchAttribute is a search attribute as it is registered.
type SearchAttribute struct {
	Name string
	Type string // by Temporal's name: Keyword, Int
}

// SearchAttributes are those that a namespace needs. A workflow that sets one
// that is not registered cannot go on. SQL visibility allows 3 of type Int.
var SearchAttributes = []SearchAttribute{
	{AttributeSource.GetName(), AttributeSource.GetValueType().String()},
	{AttributeRelease.GetName(), AttributeRelease.GetValueType().String()},
	{AttributeRows.GetName(), AttributeRows.GetValueType().String()},
	{AttributeRejects.GetName(), AttributeRejects.GetValueType().String()},
}

// MissingAttributes gives the search attributes that a namespace lacks. One that
// is registered with another type is an error: it cannot be repaired from here.
func MissingAttributes(ctx context.Context, c client.Client, namespace string) ([]SearchAttribute, error) {
	there, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list the search attributes of namespace %s: %w", namespace, err)
	}
	var missing []SearchAttribute
	for _, a := range SearchAttributes {
		switch kind, ok := there.GetCustomAttributes()[a.Name]; {
		case !ok:
			missing = append(missing, a)
		case kind.String() != a.Type:
			return nil, fmt.Errorf("the search attribute %s of namespace %s is %s and must be %s: remove it (`temporal operator search-attribute remove --name %s`) and start again",
				a.Name, namespace, kind, a.Type, a.Name)
		}
	}
	return missing, nil
}

// EnsureAttributes registers the search attributes that a namespace lacks, waits
// until they can be used, and gives what it registered.
func EnsureAttributes(ctx context.Context, c client.Client, namespace string) ([]SearchAttribute, error) {
	missing, err := MissingAttributes(ctx, c, namespace)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	add := map[string]enumspb.IndexedValueType{}
	for _, a := range missing {
		if add[a.Name], err = enumspb.IndexedValueTypeFromString(a.Type); err != nil {
			return nil, err
		}
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: add})
	var already *serviceerror.AlreadyExists
	if err != nil && !errors.As(err, &already) { // another worker starts at the same time
		return nil, fmt.Errorf("%s: %w", AddAttributes(namespace, missing), err)
	}
	return missing, usable(ctx, c, namespace)
}

// usable waits until the server knows the attributes: it learns of a change to a
// namespace when it next looks.
func usable(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, usableWithin)
	defer cancel()
	var conditions []string
	for _, a := range SearchAttributes {
		conditions = append(conditions, a.Name+" IS NOT NULL")
	}
	for {
		_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: strings.Join(conditions, " AND "),
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the new search attributes: %w", err)
		case <-time.After(usableWithin / 200):
		}
	}
}

// usableWithin is above the interval at which a server looks at its namespaces,
// by default 10 s.
const usableWithin = 30 * time.Second

// AddAttributes says how a person registers search attributes.
func AddAttributes(namespace string, missing []SearchAttribute) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the search attributes of namespace %s are not registered; register them with `temporal operator search-attribute create --namespace %s", namespace, namespace)
	for _, a := range missing {
		fmt.Fprintf(&b, " --name %s --type %s", a.Name, a.Type)
	}
	b.WriteString("`")
	return b.String()
}
