package devstack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// port is where a server listens; set when the user asked for it.
type port struct {
	variable string
	number   int
	set      bool
}

// agrees tells whether a server runs where the user wants it.
func (p port) agrees(server string, running int) error {
	if p.set && p.number != running {
		return fmt.Errorf("%s runs on port %d already: `make down` first, to start it on %d", server, running, p.number)
	}
	return nil
}

// Ports are those of the stack's servers.
type Ports struct {
	Elasticsearch, Postgres, Temporal, TemporalUI, Page port
}

// portsOf reads the ports from the environment.
func portsOf(getenv func(string) string) (Ports, error) {
	p := Ports{
		Elasticsearch: port{variable: "ES_PORT", number: 9200},
		Postgres:      port{variable: "PG_PORT", number: 5432},
		Temporal:      port{variable: "TEMPORAL_PORT", number: 7233},
		TemporalUI:    port{variable: "TEMPORAL_UI_PORT", number: 8233},
		Page:          port{variable: "PAGE_PORT", number: 8088},
	}
	for _, port := range p.all() {
		text := getenv(port.variable)
		if text == "" {
			continue
		}
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || number > 65535 {
			return Ports{}, fmt.Errorf("%s is %q: a port is a number from 1 to 65535", port.variable, text)
		}
		port.number, port.set = number, true
	}
	return p, nil
}

func (p *Ports) all() []*port {
	return []*port{&p.Elasticsearch, &p.Postgres, &p.Temporal, &p.TemporalUI, &p.Page}
}

// another gives the setting that takes another port than the one that is in use.
func (p Ports) another(taken *PortError) string {
	for _, port := range p.all() {
		if port.number == taken.Port {
			return fmt.Sprintf("%s=%d", port.variable, taken.Port+1)
		}
	}
	return ""
}

// setting is a variable of the environment.
type setting struct{ name, value string }

// envPath names the shell file with the variables that reach the stack.
func (s *Stack) envPath() string { return filepath.Join(s.State, "env") }

// settings gives the variables that reach the running stack.
func (s *Stack) settings(password string) ([]setting, error) {
	addresses, uiURL := map[string]string{}, ""
	for _, name := range []string{"Elasticsearch", "PostgreSQL", "Temporal"} {
		server, err := s.recorded(name)
		if err != nil {
			return nil, err
		}
		if server == nil {
			return nil, fmt.Errorf("%s has ended; its log is %s", name, s.logPath(name))
		}
		addresses[name] = server.Addr()
		if server.UIPort != 0 {
			uiURL = server.UIURL()
		}
	}
	return []setting{
		{"ELASTICSEARCH_URL", "http://" + addresses["Elasticsearch"]},
		{"ELASTICSEARCH_INDEX", "usa_covid_cases"},
		{"DATABASE_URL", PostgresURL(addresses["PostgreSQL"], password, Database)},
		{"TEMPORAL_ADDRESS", addresses["Temporal"]},
		{"TEMPORAL_NAMESPACE", Namespace},
		{"TEMPORAL_CLI_ADDRESS", addresses["Temporal"]},
		{"TEMPORAL_UI_URL", uiURL},
	}, nil
}

// writeEnv writes the env file. It holds the password, so only its owner may read it.
func (s *Stack) writeEnv(password string) error {
	settings, err := s.settings(password)
	if err != nil {
		return err
	}
	roots, err := s.roots()
	if err != nil {
		return err
	}
	settings = append(settings, roots) // for a worker that is started by hand
	var text strings.Builder
	text.WriteString("# The variables that reach the stack of this clone; written by `make up`.\n")
	for _, v := range settings {
		fmt.Fprintf(&text, "export %s='%s'\n", v.name, v.value)
	}
	if err := replaceFile(s.envPath(), text.String(), 0o600); err != nil {
		return fmt.Errorf("write the env file: %w", err)
	}
	return s.writeService(password)
}

// writeService writes PostgreSQL's service file, with which psql reaches the warehouse
// without a password on its command line, which every user of the machine can read.
func (s *Stack) writeService(password string) error {
	server, err := s.recorded("PostgreSQL")
	if err != nil || server == nil {
		return err // settings has reported a server that is not there
	}
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		return fmt.Errorf("write the service file: %w", err)
	}
	text := fmt.Sprintf("# Written by `make up`: PGSERVICEFILE=.dev/pg_service.conf psql service=warehouse\n"+
		"[warehouse]\nhost=%s\nport=%s\nuser=%s\npassword=%s\ndbname=%s\n", host, port, superuser, password, Database)
	if err := replaceFile(filepath.Join(s.State, "pg_service.conf"), text, 0o600); err != nil {
		return fmt.Errorf("write the service file: %w", err)
	}
	return nil
}

// environment gives the environment for a program of ours that is to reach the
// stack, and nothing else: what the user's shell says about other servers is left out.
func environment(inherited []string, settings []setting) []string {
	var env []string
	for _, v := range inherited {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case name == "ELASTICSEARCH_SHARDS", name == "ELASTICSEARCH_REPLICAS": // layout, not address
		case strings.HasPrefix(name, "ELASTICSEARCH_"), strings.HasPrefix(name, "DATABASE_"), strings.HasPrefix(name, "TEMPORAL_"), name == sourceRoots:
			continue
		}
		env = append(env, v)
	}
	for _, v := range settings {
		env = append(env, v.name+"="+v.value)
	}
	return env
}

// isSetting tells whether a variable of the environment is one that our programs
// read.
func isSetting(variable string) bool {
	return slices.ContainsFunc([]string{"ELASTICSEARCH_", "DATABASE_", "TEMPORAL_", "METABASE_", "SOURCE_", "LOG_"},
		func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
}

// PrintEnv prints the env file.
func (s *Stack) PrintEnv() error {
	text, err := os.ReadFile(s.envPath())
	if err != nil {
		return fmt.Errorf("read the stack's variables: %w; `make up` writes them", err)
	}
	_, err = s.Out.Write(text)
	return err
}
