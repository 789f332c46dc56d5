package devstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// newTestStack gives a stack with free ports whose state lies below a folder that
// only its owner may enter, as the home of root is.
func newTestStack(t *testing.T) (*Stack, *bytes.Buffer) {
	t.Helper()
	root, _ := installedTools(t)
	var out bytes.Buffer
	state := filepath.Join(t.TempDir(), "closed", ".dev")
	if err := os.Mkdir(filepath.Dir(state), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &Stack{Root: root, State: state, Heap: "256m", Out: &out}
	for _, port := range s.Ports.all() {
		number, err := freePort(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		port.number = number
	}
	t.Cleanup(func() {
		if err := s.Clean(); err != nil {
			t.Error(err)
		}
	})
	return s, &out
}

// said gives what the stack printed since the last call.
func said(out *bytes.Buffer) string {
	defer out.Reset()
	return out.String()
}

func mustUp(t *testing.T, s *Stack) {
	t.Helper()
	if err := s.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// processes gives the ids of the stack's servers that run.
func processes(t *testing.T, s *Stack) map[string]int {
	t.Helper()
	ids := map[string]int{}
	for _, name := range []string{"Elasticsearch", "PostgreSQL", "Temporal"} {
		server, err := s.recorded(name)
		if err != nil {
			t.Fatal(err)
		}
		if server != nil {
			ids[name] = server.PID
		}
	}
	return ids
}

// warehouse runs statements in the database that the env file leads to and gives
// the value that the last selects.
func warehouse(t *testing.T, s *Stack, sql string) string {
	t.Helper()
	env, err := os.ReadFile(s.envPath())
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^export DATABASE_URL='(.+)'$`).FindSubmatch(env)
	if match == nil {
		t.Fatalf("no DATABASE_URL in %s", env)
	}
	conn, err := pgx.Connect(t.Context(), string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return string(results[len(results)-1].Rows[0][0])
}

func TestStackFromUpToClean(t *testing.T) {
	t.Parallel()
	s, out := newTestStack(t)

	mustUp(t, s)
	first := processes(t, s)
	if len(first) != 3 {
		t.Fatalf("after up there run %v", first)
	}
	if text := said(out); strings.Count(text, "started in") != 3 {
		t.Errorf("up said %q", text)
	}
	if info, err := os.Stat(s.State); err != nil || info.Mode().Perm()&0o067 != 0 {
		t.Errorf("the state folder is open: %v, %v", info.Mode(), err)
	}
	for _, path := range []string{s.envPath(), filepath.Join(s.State, "pg_service.conf")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, which holds a password: %v, %v", path, info, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), "service=warehouse servicefile="+filepath.Join(s.State, "pg_service.conf"))
	if err != nil {
		t.Fatalf("the service file: %v", err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	warehouse(t, s, "CREATE TABLE kept AS SELECT 'still here' AS what; SELECT what FROM kept")

	t.Run("repeated", func(t *testing.T) {
		mustUp(t, s)
		if again := processes(t, s); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("the second up runs %v, the first %v", again, first)
		}
		if text := said(out); strings.Count(text, "was running") != 3 {
			t.Errorf("the second up said %q", text)
		}
	})
	t.Run("another port while it runs", func(t *testing.T) {
		other := &Stack{Root: s.Root, State: s.State, Ports: s.Ports, Heap: s.Heap, Out: out}
		other.Ports.Postgres.number, other.Ports.Postgres.set = 1, true
		if err := other.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "`make down` first") {
			t.Errorf("up on another port: %v", err)
		}
	})
	t.Run("after a crash", func(t *testing.T) {
		server, err := s.recorded("PostgreSQL")
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		mustUp(t, s)
		again := processes(t, s)
		if again["PostgreSQL"] == first["PostgreSQL"] || again["Elasticsearch"] != first["Elasticsearch"] || again["Temporal"] != first["Temporal"] {
			t.Errorf("after a crash of PostgreSQL there run %v, before %v", again, first)
		}
	})
	t.Run("down and up", func(t *testing.T) {
		said(out)
		for _, want := range []string{"stopped", "Nothing is running"} {
			if err := s.Down(); err != nil {
				t.Fatal(err)
			}
			if left := processes(t, s); len(left) > 0 {
				t.Errorf("after down there run %v", left)
			}
			if text := said(out); !strings.Contains(text, want) {
				t.Errorf("down said %q, want %q", text, want)
			}
		}
		mustUp(t, s)
		if got := warehouse(t, s, "SELECT what FROM kept"); got != "still here" {
			t.Errorf("after down and up the warehouse holds %q", got)
		}
	})
	data, err := dataFolder(s.State)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.State, data} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("after clean %s is there (%v)", path, err)
		}
	}
}

func TestPortInUseIsOneMessage(t *testing.T) {
	t.Parallel()
	s, _ := newTestStack(t)
	_, tools := installedTools(t)
	other, err := tools.StartPostgres(t.Context(), "", nil, Options{Dir: serverFolder(t), Owned: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Kill(); err != nil {
			t.Error(err)
		}
	}()
	s.Ports.Postgres.number = other.Port
	s.Ports.Postgres.variable = "PG_PORT"
	err = s.Up(t.Context())
	want := fmt.Sprintf("port %d, which PostgreSQL needs, is in use by another program: stop that program, or choose another port: make up PG_PORT=%d", other.Port, other.Port+1)
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if !other.Alive() {
		t.Error("up ended a program that is not its own")
	}
}

func TestOneCommandAtATime(t *testing.T) {
	t.Parallel()
	s, _ := newTestStack(t)
	unlock, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]func() error{
		"up": func() error { return s.Up(t.Context()) }, "down": s.Down, "clean": s.Clean,
	} {
		if err := command(); err == nil || !strings.Contains(err.Error(), "works on this stack") {
			t.Errorf("%s beside another command: %v", name, err)
		}
	}
	unlock()
	unlock, err = s.lockTests()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := s.Clean(); err == nil || !strings.Contains(err.Error(), "tests run in this clone") {
		t.Errorf("clean during tests: %v", err)
	}
	if _, err := s.Exec(t.Context(), []string{"true"}); err == nil || !strings.Contains(err.Error(), "tests run in this clone") {
		t.Errorf("tests during tests: %v", err)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	s, out := newTestStack(t)
	status, err := s.Exec(t.Context(), []string{"/bin/sh", "-c", `echo "$TEST_ELASTICSEARCH_URL" "$TEST_DATABASE_URL" "$TEST_TEMPORAL_ADDRESS"; exit 7`})
	if err != nil || status != 7 {
		t.Errorf("exit status %d, %v; want 7", status, err)
	}
	match := regexp.MustCompile(`(?m)^http://127.0.0.1:(\d+) postgres://postgres@127.0.0.1:(\d+)/warehouse\?sslmode=disable 127.0.0.1:(\d+)$`).FindStringSubmatch(out.String())
	if match == nil {
		t.Fatalf("the command printed %q", out)
	}
	for _, text := range match[1:] {
		var port int
		if _, err := fmt.Sscan(text, &port); err != nil {
			t.Fatal(err)
		}
		if err := checkPort(t.Context(), "a server", port); err != nil {
			t.Errorf("a server of the tests is still there: %v", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(s.State, "test", "data")); !os.IsNotExist(err) {
		t.Errorf("the tests' data is still there (%v)", err)
	}

	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ready, told := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "told")
		exists := func(path string) func() bool {
			return func() bool { _, err := os.Stat(path); return err == nil }
		}
		var waiting sync.WaitGroup
		defer waiting.Wait()
		waiting.Go(func() {
			defer cancel()
			for deadline := time.Now().Add(time.Minute); !exists(ready)() && time.Now().Before(deadline); time.Sleep(pollInterval) {
			}
		})
		// The command starts another, as go test does: the interrupt has to reach both.
		status, err := s.Exec(ctx, []string{"/bin/sh", "-c", "(trap ': > " + told + "; exit' INT; : > " + ready + "; while :; do sleep 0.05; done); true"})
		if err == nil && status == 0 {
			t.Error("an interrupted command passed")
		}
		eventually(t, "what the command started was interrupted", exists(told))
	})
}

func TestFoldersOfTheServersUser(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(serverFolder(t), "closed")
	if err := makeFolder(closed); err != nil {
		t.Fatal(err)
	}
	if !enterable(filepath.Join(closed, "new")) {
		t.Error("an open folder counts as closed")
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	root := serverUser() != nil
	if got := enterable(filepath.Join(closed, "new", "below")); got == root {
		t.Errorf("below a closed folder: enterable is %v as user %d", got, os.Geteuid())
	}
	state := filepath.Join(closed, ".dev")
	if err := makeFolder(state); err != nil {
		t.Fatal(err)
	}
	data, err := dataFolder(state)
	if err != nil {
		t.Fatal(err)
	}
	if elsewhere := strings.HasPrefix(data, rootData+"/"); elsewhere != root {
		t.Errorf("the data is in %s as user %d", data, os.Geteuid())
	}
	if again, err := dataFolder(state); err != nil || again != data {
		t.Errorf("the second time the data is in %s (%v), first in %s", again, err, data)
	}
	write(t, filepath.Join(data, "file"), "data")
	if err := removeData(state); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{data, filepath.Join(state, "data")} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", path, err)
		}
	}
}

// The state folder of a stack, also one that an older version left open, is closed to
// all but its owner and the servers.
func TestTheStateFolderIsClosed(t *testing.T) {
	t.Parallel()
	state := filepath.Join(serverFolder(t), ".dev")
	if err := makeFolder(state); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := makeClosedFolder(state); err != nil {
			t.Fatal(err)
		}
	}
	if !enterable(state) {
		t.Error("the servers cannot enter it")
	}
	data, err := dataFolder(state)
	if err != nil || filepath.Dir(data) != state {
		t.Errorf("the data is in %s, %v", data, err)
	}
	info, err := os.Stat(state)
	if err != nil || info.Mode().Perm()&0o067 != 0 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	as := func(credential *syscall.Credential, command ...string) error {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: credential}
		return cmd.Run()
	}
	file := filepath.Join(data, "file")
	if err := as(serverUser(), "/bin/sh", "-c", "echo x > "+file); err != nil {
		t.Errorf("the servers cannot write their data: %v", err)
	}
	if serverUser() == nil {
		return // only root can look as another user
	}
	if err := as(serverUser(), "/bin/ls", state); err == nil {
		t.Error("the servers can list the state folder")
	}
	if err := as(&syscall.Credential{Uid: nobody - 1, Gid: nobody - 1}, "/bin/cat", file); err == nil {
		t.Error("another user reads the servers' data")
	}
}

// A link that somebody else made is removed, never what it leads to.
func TestRemoveDataLeavesOtherFolders(t *testing.T) {
	t.Parallel()
	state, mine := t.TempDir(), t.TempDir()
	write(t, filepath.Join(mine, "file"), "mine")
	if err := os.Symlink(mine, filepath.Join(state, "data")); err != nil {
		t.Fatal(err)
	}
	if err := removeData(state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(mine, "file")); err != nil {
		t.Error(err)
	}
}
