package devstack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write writes a file, or a program if it begins with #!.
func write(t *testing.T, path, text string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestJavaVersion(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime":                17,
		"openjdk version \"21-ea\" 2023-09-19":                                   21,
		"java version \"1.8.0_402\"":                                             8,
		"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"25\" 2025-09-16": 25,
		"not java": 0,
	} {
		got, err := javaVersion(output)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q gives %d, %v; want %d", output, got, err, want)
		}
	}
}

func TestFindJDK(t *testing.T) {
	const java17, java11 = "#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n", "#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n"
	for name, c := range map[string]struct {
		programs map[string]string
		home     bool
		want     string // part of the error; "" for none
	}{
		"on the PATH":     {programs: map[string]string{"java": java17, "javac": java17}},
		"in JAVA_HOME":    {programs: map[string]string{"java": java17, "javac": java17}, home: true},
		"no Java":         {want: "no java on the PATH: install a JDK, version 17 or newer"},
		"no JDK":          {programs: map[string]string{"java": java17}, want: "no javac on the PATH: install a JDK"},
		"no JDK there":    {programs: map[string]string{"java": java17}, home: true, want: "no javac in JAVA_HOME ("},
		"too old":         {programs: map[string]string{"java": java11, "javac": java11}, want: "is Java 11, and Elasticsearch needs 17 or newer"},
		"not Java at all": {programs: map[string]string{"java": "#!/bin/sh\necho hello", "javac": java17}, want: "does not tell a version"},
		"broken":          {programs: map[string]string{"java": "#!/bin/sh\necho no memory; exit 1", "javac": java17}, want: "no memory"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			bin := filepath.Join(home, "bin")
			for program, text := range c.programs {
				write(t, filepath.Join(bin, program), text)
			}
			t.Setenv("JAVA_HOME", "")
			t.Setenv("PATH", bin)
			if c.home {
				t.Setenv("JAVA_HOME", home)
				t.Setenv("PATH", t.TempDir())
			}
			found, err := findJDK(t.Context())
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "" && found != jdk{filepath.Join(bin, "java"), filepath.Join(bin, "javac")}:
				t.Errorf("found %v", found)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestNoMaven(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	in := installer{root: root, folder: t.TempDir(), say: t.Logf}
	_, err = in.servers(t.Context(), jdk{})
	if err == nil || !strings.Contains(err.Error(), "no mvn on the PATH: install Maven") {
		t.Errorf("the error is %v", err)
	}
}

func TestFailedInstallationSaysWhy(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	write(t, filepath.Join(bin, "mvn"), "#!/bin/sh\necho '[ERROR] Could not transfer artifact'; exit 1\n")
	t.Setenv("PATH", bin)
	in := installer{root: root, folder: t.TempDir(), say: t.Logf}
	_, err = in.servers(t.Context(), jdk{})
	if err == nil {
		t.Fatal("a failed Maven passed")
	}
	for _, part := range []string{"fetch Elasticsearch and PostgreSQL: exit status 1", filepath.Join(in.folder, "mvn.log"), "Could not transfer artifact"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(in.folder, "servers-????????????")); len(left) > 0 {
		t.Errorf("a failed installation counts as done: %v", left)
	}
}

func TestPinnedVersions(t *testing.T) {
	t.Parallel()
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	in := installer{root: root}
	for _, tool := range []goTool{temporalTool, tctlTool, linterTool} {
		if version, err := in.pinned(tool); err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: version %q, %v", tool.what, version, err)
		}
	}
	if _, err := in.pinned(goTool{folder: "temporal", module: "example.com/none", what: "none"}); err == nil {
		t.Error("a module that is not required has a version")
	}
}

func TestTemporalOnThePath(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "temporal")
	write(t, program, "#!/bin/sh\necho 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)'\n")
	for version, want := range map[string]bool{"v1.5.1": true, "v1.5.0": false, "v1.5": false} {
		if got := isTemporal(t.Context(), program, version); got != want {
			t.Errorf("it is %s: %v, want %v", version, got, want)
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PG_PORT": "5433"}
	getenv := func(name string) string { return env[name] }
	p, err := portsOf(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if p.Postgres.number != 5433 || p.Elasticsearch.number != 9200 {
		t.Errorf("the ports are %v", p)
	}
	if err := p.Postgres.agrees("PostgreSQL", 5432); err == nil || !strings.Contains(err.Error(), "`make down` first") {
		t.Errorf("another port than the running one: %v", err)
	}
	if err := p.Elasticsearch.agrees("Elasticsearch", 9201); err != nil {
		t.Errorf("a port that nobody asked for: %v", err)
	}
	if got := p.another(&PortError{"PostgreSQL", 5433}); got != "PG_PORT=5434" {
		t.Errorf("the advice is %q", got)
	}
	for _, bad := range []string{"0", "-1", "65536", "x", "80 "} {
		env["ES_PORT"] = bad
		if _, err := portsOf(getenv); err == nil || !strings.Contains(err.Error(), "ES_PORT") {
			t.Errorf("port %q: %v", bad, err)
		}
	}
}

func TestEnvironmentReachesTheStackOnly(t *testing.T) {
	t.Parallel()
	got := environment(
		[]string{"PATH=/bin", "ELASTICSEARCH_API_KEY=x", "ELASTICSEARCH_SHARDS=3", "TEMPORAL_API_KEY=y", "DATABASE_URL_FILE=/z", "DATABASE_URL=far", "SOURCE_ROOTS=/other"},
		[]setting{{"DATABASE_URL", "near"}},
	)
	want := []string{"PATH=/bin", "ELASTICSEARCH_SHARDS=3", "DATABASE_URL=near"}
	if !slices.Equal(got, want) {
		t.Errorf("the environment is %q, want %q", got, want)
	}
}

// A worker that runs is started anew when what it is told has changed, and stays
// whatever else the shell says.
func TestProgramVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(path, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	version := func(env ...string) string {
		t.Helper()
		v, err := programVersion(path, []string{"worker"}, env)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := version("PATH=/bin", "METABASE_URL=http://one", "DATABASE_URL=near")
	if same := version("DATABASE_URL=near", "SHLVL=2", "METABASE_URL=http://one"); same != first {
		t.Error("another order and another SHLVL make another version")
	}
	if other := version("PATH=/bin", "METABASE_URL=http://two", "DATABASE_URL=near"); other == first {
		t.Error("another METABASE_URL makes no other version")
	}
	if other := version("PATH=/bin", "METABASE_URL=http://one", "DATABASE_URL=near", "SOURCE_ROOTS=/data"); other == first {
		t.Error("another SOURCE_ROOTS makes no other version")
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		free        int64
		note, fails bool
	}{{1 << 30, false, true}, {leastDisk, true, false}, {neededDisk - 1, true, false}, {neededDisk, false, false}} {
		note, err := room(c.free)
		if (note != "") != c.note || (err != nil) != c.fails {
			t.Errorf("%d bytes: note %q, error %v", c.free, note, err)
		}
	}
}

func TestUntarStaysInside(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]tar.Header{
		"file above":      {Name: "../out", Typeflag: tar.TypeReg},
		"absolute file":   {Name: "/out", Typeflag: tar.TypeReg},
		"link above":      {Name: "lib/link", Linkname: "../../out", Typeflag: tar.TypeSymlink},
		"unknown kind":    {Name: "device", Typeflag: tar.TypeBlock},
		"link to nothing": {Name: "link", Linkname: "/etc", Typeflag: tar.TypeSymlink},
	} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := w.WriteHeader(&entry); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := untar(tar.NewReader(&archive), filepath.Join(t.TempDir(), "to")); err == nil {
			t.Errorf("%s was unpacked", name)
		}
	}
}

func TestSampleIsWrittenOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Stack{Out: &out}
	path := filepath.Join(t.TempDir(), "sample.csv")
	var files []os.FileInfo
	for _, rows := range []int{100, 100, 101} {
		if err := s.Sample(path, rows); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, info)
	}
	if !os.SameFile(files[0], files[1]) {
		t.Error("the same sample was written again")
	}
	if os.SameFile(files[1], files[2]) || files[1].Size() == files[2].Size() {
		t.Error("another sample was not written")
	}
}

func TestInterruptedInstallationLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	in := installer{folder: t.TempDir(), say: t.Logf}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user has enough")
	_, err := in.install("thing", func(dir string) error {
		write(t, filepath.Join(dir, "half"), "")
		cancel(cause)
		return in.run(ctx, "build the thing", dir, "/bin/sleep", "600")
	})
	if !errors.Is(err, cause) {
		t.Errorf("the error is %v, want %v", err, cause)
	}
	path, err := in.install("thing", func(dir string) error {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("the next try finds %v", left)
		}
		write(t, filepath.Join(dir, "whole"), "")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.install("thing", func(string) error { return errors.New("built again") }); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(path); len(files) != 1 || files[0].Name() != "whole" {
		t.Errorf("installed is %v", files)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bin", "tool")
	for _, target := range []string{"/old/tool", "/new/tool", "/new/tool"} {
		if err := link(path, target); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("it leads to %q, %v; want %s", got, err, target)
		}
	}
}
