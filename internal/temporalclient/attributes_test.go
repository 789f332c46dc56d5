package temporalclient_test

import (
	"slices"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"covidpipeline/internal/temporalclient"
	"covidpipeline/internal/testenv"
)

func TestEnsureAttributes(t *testing.T) {
	t.Parallel()
	address, namespace := testenv.TemporalBare(t)
	c, err := client.Dial(client.Options{HostPort: address, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)

	missing, err := temporalclient.MissingAttributes(t.Context(), c, namespace)
	if err != nil || !slices.Equal(missing, temporalclient.SearchAttributes) {
		t.Fatalf("a new namespace lacks %v, %v", missing, err)
	}
	added, err := temporalclient.EnsureAttributes(t.Context(), c, namespace)
	if err != nil || !slices.Equal(added, missing) {
		t.Fatalf("registered %v, %v", added, err)
	}
	if added, err = temporalclient.EnsureAttributes(t.Context(), c, namespace); err != nil || len(added) != 0 {
		t.Errorf("the second time registered %v, %v", added, err)
	}
	_, err = c.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: []string{"CovidRows"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: map[string]enumspb.IndexedValueType{"CovidRows": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = temporalclient.EnsureAttributes(t.Context(), c, namespace); err == nil || !strings.Contains(err.Error(), "CovidRows of namespace "+namespace+" is Keyword and must be Int") {
		t.Errorf("a wrong type gives %v", err)
	}
}
