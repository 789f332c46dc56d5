package containers

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/contrib/envconfig"

	"covidpipeline/internal/config"
	"covidpipeline/internal/temporalclient"
)

// asked notes the variables that Temporal's envconfig looks for.
type asked map[string]bool

func (a asked) Environ() []string { return nil }

func (a asked) LookupEnv(name string) (string, bool) {
	a[name] = true
	return "", false
}

// tags adds the names of the variables that a struct is read from.
func tags(t reflect.Type, known map[string]bool) {
	for f := range t.Fields() {
		if name := f.Tag.Get("env"); name != "" {
			known[strings.Split(name, ",")[0]] = true
		} else if f.Type.Kind() == reflect.Struct {
			tags(f.Type, known)
		}
	}
}

func TestTheProgramsKnowTheirVariables(t *testing.T) {
	t.Parallel()
	temporal := asked{}
	if _, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: temporal, DisableFile: true}); err != nil {
		t.Fatal(err)
	}
	for service, settings := range map[string]reflect.Type{
		"worker":   reflect.TypeFor[config.Worker](),
		"starter":  reflect.TypeFor[config.Starter](),
		"schedule": reflect.TypeFor[config.Starter](),
	} {
		known := map[string]bool{}
		tags(settings, known)
		environment := project(t).Services[service].Environment
		if len(known) == 0 || len(environment) == 0 {
			t.Errorf("%s: %d variables known, %d set", service, len(known), len(environment))
		}
		for name := range environment {
			if !known[name] && !temporal[name] {
				t.Errorf("%s is told %s, which it does not read", service, name)
			}
		}
	}
}

// A variable that the server's settings name is set for it, has a default, or is a
// secret.
func TestTheServerIsToldWhatItsSettingsName(t *testing.T) {
	t.Parallel()
	s := project(t).Services["temporal"]
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`env "(\w+)"( \| default)?`).FindAllStringSubmatch(file(t, "temporal-config/server.yaml"), -1) {
		named[m[1]] = true
		_, set := s.Environment[m[1]]
		_, secret := fromSecrets(s)[m[1]]
		if m[2] == "" && !set && !secret {
			t.Errorf("temporal is not told %s", m[1])
		}
	}
	for name := range s.Environment {
		if !named[name] {
			t.Errorf("temporal is told %s, which its settings do not name", name)
		}
	}
}

func TestTheScriptRegistersTheSearchAttributes(t *testing.T) {
	t.Parallel()
	var registered []temporalclient.SearchAttribute
	for _, m := range regexp.MustCompile(`(?m)^attribute (\w+) (\w+)$`).FindAllStringSubmatch(file(t, "temporal-config/namespace.sh"), -1) {
		registered = append(registered, temporalclient.SearchAttribute{Name: m[1], Type: m[2]})
	}
	if !slices.Equal(registered, temporalclient.SearchAttributes) {
		t.Errorf("temporal-config/namespace.sh registers %v, the code needs %v", registered, temporalclient.SearchAttributes)
	}
}
