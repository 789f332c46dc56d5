// Package containers checks docker-compose.yml, the Dockerfile and what they use,
// as far as that can be done without a container engine: the compose file by the
// reference loader, the scripts and the SQL on real servers, the image's root file
// system made by the Dockerfile's own commands and run under chroot, and the
// Temporal server of the pinned version with the settings of temporal-config/
// (`make containers`).
package containers

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = ".."

// file gives a file of the project.
func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// project is docker-compose.yml with the settings of .env.example.
func project(t *testing.T) *types.Project {
	t.Helper()
	return load(t, cli.WithEnvFiles(filepath.Join(root, ".env.example")), cli.WithDotEnv)
}

func load(t *testing.T, options ...cli.ProjectOptionsFn) *types.Project {
	t.Helper()
	options = append([]cli.ProjectOptionsFn{cli.WithWorkingDirectory(root), cli.WithProfiles([]string{"*"})}, options...)
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, options...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Services) == 0 {
		t.Fatal("docker-compose.yml has no services")
	}
	return p
}

// oneShot tells whether a service ends by itself.
func oneShot(s types.ServiceConfig) bool { return s.Restart == "no" }

// words are all that a service says of commands and variables.
func words(s types.ServiceConfig) []string {
	all := slices.Concat(s.Entrypoint, s.Command)
	if s.HealthCheck != nil {
		all = append(all, s.HealthCheck.Test...)
	}
	for name, value := range s.Environment {
		if value != nil {
			all = append(all, name+"="+*value)
		}
	}
	return all
}

// fromSecrets gives the variables that containers/with-secrets.sh sets for a
// service, and of each the secret's name.
func fromSecrets(s types.ServiceConfig) map[string]string {
	set := map[string]string{}
	for _, word := range slices.Concat(s.Entrypoint, s.Command) {
		if name, path, ok := strings.Cut(word, "=/run/secrets/"); ok && !strings.HasPrefix(name, "-") {
			set[name] = path
		}
	}
	return set
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*$`)
	for name, s := range project(t).Services {
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s has no version", name, s.Image)
		}
	}
	for line := range strings.Lines(file(t, "Dockerfile")) {
		if image, ok := strings.CutPrefix(line, "FROM "); ok && !strings.HasPrefix(image, "scratch") && !pinned.MatchString(strings.Fields(image)[0]) {
			t.Errorf("Dockerfile: the image %s has no version", strings.Fields(image)[0])
		}
	}
}

// The containers run what the tests run against.
func TestImagesHaveTheVersionsOfTheTests(t *testing.T) {
	t.Parallel()
	find := func(name, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(file(t, name))
		if m == nil {
			t.Fatalf("%s does not match %s", name, pattern)
		}
		return m[1]
	}
	temporal := find("tools/temporal-server/go.mod", `go\.temporal\.io/server v(\S+)`)
	ui := find("tools/temporal/go.mod", `temporalio/ui-server/v2 v(\S+)`)
	postgres := strings.TrimSuffix(find("tools/servers.xml", `<postgres\.version>(.*)<`), ".0")
	for service, want := range map[string]string{
		"elasticsearch":      ":" + find("tools/servers.xml", `<elasticsearch\.version>(.*)<`),
		"postgres":           ":" + postgres + "-",
		"databases":          ":" + postgres + "-",
		"temporal":           ":" + temporal,
		"temporal-schema":    ":" + temporal + "-",
		"temporal-namespace": ":" + temporal + "-",
		"temporal-ui":        ":" + ui,
	} {
		if image := project(t).Services[service].Image; !strings.Contains(image+"\n", want) {
			t.Errorf("%s runs %s, the tests %s", service, image, want)
		}
	}
	if used := find("tools/temporal/go.mod", `go\.temporal\.io/server v(\S+)`); used != temporal {
		t.Errorf("the dev server is %s and the server of the containers %s", used, temporal)
	}
	golang, wanted := find("Dockerfile", `FROM golang:(\d+\.\d+)\.`), find("go.mod", `(?m)^go (\d+\.\d+)`)
	if golang != wanted {
		t.Errorf("the Dockerfile builds with Go %s and go.mod wants %s", golang, wanted)
	}
}

func TestEachContainerIsHardened(t *testing.T) {
	t.Parallel()
	user := regexp.MustCompile(`^[1-9]\d*:\d+$`)
	for name, s := range project(t).Services {
		if !user.MatchString(s.User) {
			t.Errorf("%s: the user %q is not a number above 0", name, s.User)
		}
		// Elasticsearch's start script writes into its configuration.
		if !s.ReadOnly && name != "elasticsearch" {
			t.Errorf("%s: the root file system can be written to", name)
		}
		if !slices.Contains(s.CapDrop, "ALL") || len(s.CapAdd) > 0 {
			t.Errorf("%s: capabilities: dropped %v, added %v", name, s.CapDrop, s.CapAdd)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: it may gain privileges", name)
		}
		if s.NetworkMode != "" || s.Pid != "" || s.Ipc != "" || s.UserNSMode != "" || len(s.Devices) > 0 || s.UseAPISocket {
			t.Errorf("%s: it shares something of the host", name)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" {
			t.Errorf("%s: its log grows without bound", name)
		}
	}
}

func TestPortsAreOpenOnThisMachineAlone(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" || port.Published == "" {
				t.Errorf("%s: port %s is open on %q", name, port.Published, port.HostIP)
			}
		}
	}
}

func TestTheMemoryFitsALaptop(t *testing.T) {
	t.Parallel()
	var sum types.UnitBytes
	for name, s := range project(t).Services {
		if s.MemLimit <= 0 {
			t.Errorf("%s: no bound on memory", name)
		}
		sum += s.MemLimit // of which shared memory is a part
	}
	if sum > 6<<30 {
		t.Errorf("together %d MiB, and 8 GB have room for 6 GiB", sum>>20)
	}
}

func TestServicesWaitForWhatTheyNeed(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, s := range p.Services {
		switch check := s.HealthCheck; {
		case oneShot(s) && check != nil:
			t.Errorf("%s ends by itself and has a health check", name)
		case oneShot(s):
		case s.Restart != "unless-stopped":
			t.Errorf("%s: restart is %q", name, s.Restart)
		case check == nil || check.Disable || len(check.Test) < 2 || check.Interval == nil || check.Timeout == nil || check.Retries == nil || check.StartPeriod == nil:
			t.Errorf("%s has no whole health check", name)
		}
		for on, d := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if oneShot(p.Services[on]) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if _, ok := p.Services[on]; !ok || d.Condition != want || !d.Required {
				t.Errorf("%s depends on %s: %s, want %s", name, on, d.Condition, want)
			}
			if len(p.Services[on].Profiles) > 0 {
				t.Errorf("%s depends on %s, which a plain `up` does not start", name, on)
			}
		}
	}
	if !waitsFor(p, "dashboard", "metabase") || !waitsFor(p, "dashboard", "worker") {
		t.Error("the dashboard does not wait for Metabase and the worker")
	}
	// Each address that a service is told is that of one it waits for.
	for name, s := range p.Services {
		for _, word := range words(s) {
			m := address.FindStringSubmatch(word)
			if name == "worker" && m != nil && m[1] == "metabase" {
				continue // without Metabase it does all but the dashboard, whose own service waits
			}
			if m != nil && !waitsFor(p, name, m[1]) {
				t.Errorf("%s is told %s and does not wait for %s", name, word, m[1])
			}
		}
	}
}

var address = regexp.MustCompile(`(?i)(?:host|seeds|address|url)=(?:http://)?([a-z-]+)(?::\d+)?$`)

// waitsFor tells whether a service starts only when another is there.
func waitsFor(p *types.Project, service, other string) bool {
	for on := range p.Services[service].DependsOn {
		if on == other || waitsFor(p, on, other) {
			return true
		}
	}
	return false
}

func TestWhatIsMountedIsThere(t *testing.T) {
	t.Parallel()
	p := project(t)
	used := map[string]bool{}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			used[v.Source] = true
			switch v.Type {
			case types.VolumeTypeVolume:
				if _, ok := p.Volumes[v.Source]; !ok {
					t.Errorf("%s: %s has no name: its data goes with the container", name, v.Target)
				}
			case types.VolumeTypeBind:
				if !v.ReadOnly {
					t.Errorf("%s: it may write to %s of the host", name, v.Source)
				}
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			default:
				t.Errorf("%s: a mount of type %s", name, v.Type)
			}
		}
		for _, word := range words(s) {
			mounted := strings.HasPrefix(word, "/containers/") || strings.HasPrefix(word, "/temporal-config/")
			word = strings.TrimPrefix(word, "--file=")
			if _, err := os.Stat(filepath.Join(root, word)); mounted && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name := range p.Volumes {
		if !used[name] {
			t.Errorf("nobody uses the volume %s", name)
		}
	}
	for service, target := range map[string]string{
		"elasticsearch": "/usr/share/elasticsearch/data", "postgres": "/var/lib/postgresql/data", "worker": "/data", "starter": "/data",
	} {
		if !slices.ContainsFunc(p.Services[service].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target }) {
			t.Errorf("%s has no %s", service, target)
		}
	}
}

func TestSecretsAreFilesThatTheScriptMakes(t *testing.T) {
	t.Parallel()
	p := project(t)
	made := secrets(t)
	for name, s := range p.Secrets {
		if _, ok := made[name]; !ok || filepath.Base(s.File) != name || filepath.Base(filepath.Dir(s.File)) != "secrets" {
			t.Errorf("the secret %s is the file %s, which containers/secrets.sh does not make", name, s.File)
		}
		delete(made, name)
	}
	for name := range made {
		t.Errorf("containers/secrets.sh makes %s, which docker-compose.yml does not have", name)
	}
	secretName := regexp.MustCompile(`(?i)(password|passwd|pwd|secret|token|_pass$|_key$)`)
	mentioned := regexp.MustCompile(`/run/secrets/(\w+)`)
	used := map[string]bool{}
	for name, s := range p.Services {
		var mounted, told []string
		for _, secret := range s.Secrets {
			mounted = append(mounted, secret.Source)
			used[secret.Source] = true
		}
		for _, word := range words(s) {
			for _, m := range mentioned.FindAllStringSubmatch(word, -1) {
				told = append(told, m[1])
			}
		}
		slices.Sort(told)
		slices.Sort(mounted)
		if told = slices.Compact(told); !slices.Equal(told, mounted) {
			t.Errorf("%s reads the secrets %v and has %v", name, told, mounted)
		}
		for variable, value := range s.Environment {
			if secretName.MatchString(variable) && !strings.HasSuffix(variable, "_FILE") {
				t.Errorf("%s: %s is in the compose file: %v", name, variable, value != nil)
			}
		}
	}
	for name := range p.Secrets {
		if !used[name] {
			t.Errorf("nobody uses the secret %s", name)
		}
	}
}

func TestTheWorkerHasTimeToStop(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`stopTimeout = (\d+) \* time\.Second`).FindStringSubmatch(file(t, "worker/main.go"))
	if m == nil {
		t.Fatal("worker/main.go has no stopTimeout")
	}
	stop, err := time.ParseDuration(m[1] + "s")
	if err != nil {
		t.Fatal(err)
	}
	grace := project(t).Services["worker"].StopGracePeriod
	if grace == nil || time.Duration(*grace) < stop+5*time.Second {
		t.Errorf("the worker may take %s to stop and is killed after %v", stop, grace)
	}
}

// The file says what holds without it.
func TestTheExampleSaysTheDefaults(t *testing.T) {
	t.Parallel()
	with, err := project(t).MarshalYAML()
	if err != nil {
		t.Fatal(err)
	}
	without, err := load(t).MarshalYAML()
	if err != nil {
		t.Fatal(err)
	}
	if string(with) != string(without) {
		t.Errorf("with .env.example:\n%s\nwithout:\n%s", with, without)
	}
	for line := range strings.Lines(file(t, ".env.example")) {
		name, _, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") && !strings.Contains(file(t, "docker-compose.yml"), "${"+name+":-") {
			t.Errorf(".env.example: docker-compose.yml does not read %s", name)
		}
	}
}
