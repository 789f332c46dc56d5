package containers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"covidpipeline/internal/testenv"
)

// image is what the Dockerfile says of the image.
type image struct {
	root        string // folder that holds the root file system
	user        int
	group       int
	environment []string
	command     []string
}

var (
	userLine    = regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`)
	envLine     = regexp.MustCompile(`(?m)^ENV (.*)$`)
	commandLine = regexp.MustCompile(`(?m)^CMD \["(.*)"\]$`)
	makesImage  = regexp.MustCompile(`(?m)^RUN (.*/image.*)$`)
)

// build makes the image's root file system with the commands of the Dockerfile's
// first stage, which has the project as its folder, in place of the tools of the
// first stage those of this machine.
func build(t *testing.T) image {
	t.Helper()
	text := file(t, "Dockerfile")
	one := func(pattern *regexp.Regexp) []string {
		m := pattern.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the Dockerfile does not match %s", pattern)
		}
		return m
	}
	_, last, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok || !strings.Contains(last, "COPY --from=build /image /\n") || strings.Contains(last, "RUN") {
		t.Fatal("the Dockerfile's last stage is not scratch with /image alone: build the root file system in this test as it does")
	}
	i := image{root: t.TempDir(), environment: strings.Fields(one(envLine)[1]), command: strings.Split(one(commandLine)[1], `", "`)}
	i.user, _ = strconv.Atoi(one(userLine)[1])
	i.group, _ = strconv.Atoi(one(userLine)[2])
	commands := makesImage.FindAllStringSubmatch(text, -1)
	if len(commands) == 0 {
		t.Fatal("no command of the Dockerfile makes /image")
	}
	for _, c := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", "umask 022; "+strings.ReplaceAll(c[1], "/image", i.root))
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", c[1], err, out)
		}
	}
	if err := os.Chmod(i.root, 0o755); err != nil {
		t.Fatal(err)
	}
	return i
}

// start gives a command of a container: in the image's root file system, as its
// user, with its environment and more. An ordinary user becomes that user in a
// namespace of his own.
func (i image) start(ctx context.Context, environment []string, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join("/usr/local/bin", command[0]), command[1:]...)
	cmd.Dir = "/"
	cmd.Env = slices.Concat(i.environment, environment)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: i.root, Pdeathsig: syscall.SIGKILL,
		Credential: &syscall.Credential{Uid: uint32(i.user), Gid: uint32(i.group)},
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: i.user, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: i.group, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.Credential.NoSetGroups = true
	}
	return cmd
}

func TestTheImage(t *testing.T) {
	t.Parallel()
	i := build(t)
	t.Run("holds the programs alone", func(t *testing.T) { holdsTheProgramsAlone(t, i) })
	t.Run("says what is missing", func(t *testing.T) { saysWhatIsMissing(t, i) })
	t.Run("works", func(t *testing.T) { works(t, i) })
}

func holdsTheProgramsAlone(t *testing.T, i image) {
	var names []string
	err := filepath.WalkDir(i.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, i.root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/usr/local/bin/starter", "/usr/local/bin/worker"}
	if !slices.Equal(names, want) {
		t.Errorf("the image holds %v, want %v", names, want)
	}
	if info, err := os.Stat(filepath.Join(i.root, "tmp")); err != nil || info.Mode()&os.ModeSticky == 0 || info.Mode().Perm() != 0o777 {
		t.Errorf("/tmp of the image: %v, %v", info.Mode(), err)
	}
	for name, s := range project(t).Services {
		if s.Build != nil && s.User != fmt.Sprintf("%d:%d", i.user, i.group) {
			t.Errorf("%s runs as %s, the image's user is %d:%d", name, s.User, i.user, i.group)
		}
	}
}

func saysWhatIsMissing(t *testing.T, i image) {
	out, err := i.start(t.Context(), nil, "starter", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Operate the COVID activity pipeline") {
		t.Errorf("starter --help: %v: %s", err, out)
	}
	out, err = i.start(t.Context(), nil, i.command...).CombinedOutput()
	var status int
	if err != nil {
		status = exitStatus(t, err)
	}
	if status != 2 || !strings.Contains(string(out), "DATABASE_URL (or DATABASE_URL_FILE) is not set") {
		t.Errorf("%v without settings: exit status %d: %s", i.command, status, out)
	}
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // what Run itself gives
	if !ok {
		t.Fatalf("the image does not run: %v. It needs root or, on Linux, user namespaces (sysctl user.max_user_namespaces)", err)
	}
	return exit.ExitCode()
}

// works runs the worker with the variables of its container until its health check
// passes, and stops it.
func works(t *testing.T, i image) {
	temporal, namespace := testenv.Temporal(t)
	i.secret(t, "database_url", testenv.Postgres(t))
	environment := i.variables(t, "worker", map[string]string{"TEMPORAL_ADDRESS": temporal, "TEMPORAL_NAMESPACE": namespace})
	if out, err := i.check(t, environment); err == nil || !strings.Contains(out, "no worker of this host") {
		t.Errorf("the health check without a worker: %v: %s", err, out)
	}
	i.worker(t, environment)()
}

// variables gives the variables of a service's container, with those that differ
// here, and the Elasticsearch of the tests, which lets everybody in.
func (i image) variables(t *testing.T, service string, here map[string]string) []string {
	t.Helper()
	// A Metabase is not asked here.
	i.secret(t, "metabase_admin_password", "a password")
	i.secret(t, "dashboard_url", "postgres://covid_dashboard:a-password@postgres:5432/warehouse")
	var list []string
	for name, value := range project(t).Services[service].Environment {
		list = append(list, name+"="+*value)
	}
	list = append(list, "ELASTICSEARCH_URL="+testenv.Elasticsearch(t), "ELASTICSEARCH_USERNAME=", "ELASTICSEARCH_PASSWORD_FILE=")
	for name, value := range here {
		list = append(list, name+"="+value) // the last one counts
	}
	return list
}

// secret puts a secret where an engine mounts it.
func (i image) secret(t *testing.T, name, value string) {
	t.Helper()
	folder := filepath.Join(i.root, "run/secrets")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(value+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
}

// check runs the worker's health check in its container.
func (i image) check(t *testing.T, environment []string) (said string, err error) {
	t.Helper()
	test := project(t).Services["worker"].HealthCheck.Test
	out, err := i.start(t.Context(), environment, test[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// worker starts the worker and waits until its health check passes. It gives what
// stops it.
func (i image) worker(t *testing.T, environment []string) (stop func()) {
	t.Helper()
	// Of /proc, which an engine mounts, the SDK reads the name of its program.
	proc := filepath.Join(i.root, "proc/self")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("/usr/local/bin", i.command[0]), filepath.Join(proc, "exe")); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	said := func() string { b, _ := os.ReadFile(log.Name()); return string(b) }
	worker := i.start(t.Context(), environment, i.command...)
	worker.Stdout, worker.Stderr = log, log
	if err := worker.Start(); err != nil {
		exitStatus(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		out, err := i.check(t, environment)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the worker is not healthy after a minute: %s\n%s", out, said())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return func() {
		if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := worker.Wait(); err != nil || !strings.Contains(said(), "the worker has ended") {
			t.Errorf("the worker ends with %v\n%s", err, said())
		}
	}
}

// What the image is built from is not kept from the builder.
func TestTheBuilderSeesTheSources(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", "./worker", "./starter")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	ignored := strings.Fields(file(t, ".dockerignore"))
	for name := range strings.FieldsSeq(string(out)) {
		folder := strings.Split(strings.TrimPrefix(name, "covidpipeline/"), "/")[0]
		if slices.Contains(ignored, folder) {
			t.Errorf(".dockerignore keeps %s from the builder", name)
		}
	}
	for _, kept := range []string{".git", ".env", "secrets", "data"} {
		if !slices.Contains(ignored, kept) {
			t.Errorf(".dockerignore lets %s into the builder", kept)
		}
	}
}
