package devstack

import (
	"archive/tar"
	"archive/zip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xi2/xz"
)

//go:embed Launcher.java
var launcher string

// platforms maps GOOS/GOARCH to the names under which PostgreSQL is published.
var platforms = map[string]string{
	"linux/amd64":  "linux-amd64",
	"linux/arm64":  "linux-arm64v8",
	"darwin/amd64": "darwin-amd64",
	"darwin/arm64": "darwin-arm64v8",
}

// servers installs Elasticsearch and PostgreSQL as tools/servers.xml pins them and
// gives their folder. Its name holds a digest of all that decides what is in it.
func (in installer) servers(ctx context.Context, java jdk) (string, error) {
	here := runtime.GOOS + "/" + runtime.GOARCH
	platform, ok := platforms[here]
	if !ok {
		return "", fmt.Errorf("PostgreSQL is not published for %s: run the stack on Linux or macOS", here)
	}
	pom := filepath.Join(in.root, "tools", "servers.xml")
	pins, err := os.ReadFile(pom)
	if err != nil {
		return "", fmt.Errorf("install the servers: %w", err)
	}
	sum := sha256.Sum256([]byte(string(pins) + launcher + platform))
	return in.install("servers-"+hex.EncodeToString(sum[:6]), func(dir string) error {
		in.say("Fetching Elasticsearch and PostgreSQL with Maven (60 MB, once)")
		fetched := filepath.Join(dir, "fetched")
		if err := in.fetch(ctx, "Elasticsearch and PostgreSQL", pom, dir, "-Ddest="+fetched, "-Dpostgres.platform="+platform); err != nil {
			return err
		}
		if err := layOutElasticsearch(ctx, java, fetched, filepath.Join(dir, "elasticsearch")); err != nil {
			return fmt.Errorf("install Elasticsearch: %w", err)
		}
		if err := unpackPostgres(fetched, filepath.Join(dir, "postgres")); err != nil {
			return fmt.Errorf("install PostgreSQL: %w", err)
		}
		return os.RemoveAll(fetched)
	})
}

// fetch has Maven fetch what a file of pins names.
func (in installer) fetch(ctx context.Context, what, pom, dir string, definitions ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("no mvn on the PATH: install Maven, it fetches " + what)
	}
	args := append([]string{"-q", "-B", "-ntp", "-f", pom}, definitions...)
	return in.run(ctx, "fetch "+what, dir, mvn, append(args, "process-resources")...)
}

// pluginDescriptor makes a folder of jars a module of Elasticsearch. Without a
// modulename it is loaded from the class path, as the launcher needs it.
const pluginDescriptor = `name=transport-netty4
description=HTTP and transport over Netty
version=%[1]s
elasticsearch.version=%[1]s
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
has.native.controller=false
licensed=false
extended.plugins=
`

// layOutElasticsearch makes a home folder of the fetched jars: lib, the one
// module, and the compiled launcher in classes.
func layOutElasticsearch(ctx context.Context, java jdk, fetched, home string) error {
	lib, module := filepath.Join(home, "lib"), filepath.Join(home, "modules", "transport-netty4")
	classes := filepath.Join(home, "classes")
	for _, dir := range []string{lib, module, classes, filepath.Join(home, "plugins")} {
		if err := makeFolder(dir); err != nil {
			return err
		}
	}
	jars, err := filepath.Glob(filepath.Join(fetched, "elasticsearch-jars", "*.jar"))
	if err != nil {
		return err
	}
	version := ""
	for _, jar := range jars {
		name := filepath.Base(jar)
		to := lib
		if strings.HasPrefix(name, "netty-") {
			to = module
		}
		if of, ok := strings.CutPrefix(name, "transport-netty4-"); ok {
			to, version = module, strings.TrimSuffix(of, ".jar")
		}
		if err := copyFile(filepath.Join(to, name), jar, 0o644); err != nil {
			return err
		}
	}
	if version == "" {
		return errors.New("Maven fetched no transport-netty4")
	}
	descriptor := strings.NewReader(fmt.Sprintf(pluginDescriptor, version))
	if err := writeFile(filepath.Join(module, "plugin-descriptor.properties"), descriptor, 0o644); err != nil {
		return err
	}
	return compileLauncher(ctx, java, lib, classes)
}

func compileLauncher(ctx context.Context, java jdk, lib, classes string) error {
	source := filepath.Join(classes, "Launcher.java")
	if err := writeFile(source, strings.NewReader(launcher), 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, java.javac, "-cp", filepath.Join(lib, "*"), "-d", classes, source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile the launcher: %w: %s", err, out)
	}
	return filepath.WalkDir(classes, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o644)
	})
}

// unpackPostgres unpacks the .txz inside the fetched jar.
func unpackPostgres(fetched, home string) error {
	jars, err := filepath.Glob(filepath.Join(fetched, "postgres-jar", "*.jar"))
	if err != nil {
		return err
	}
	if len(jars) != 1 {
		return fmt.Errorf("Maven fetched %d jars of PostgreSQL, not 1", len(jars))
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return err
	}
	defer jar.Close()
	for _, file := range jar.File {
		if !strings.HasSuffix(file.Name, ".txz") {
			continue
		}
		packed, err := file.Open()
		if err != nil {
			return err
		}
		defer packed.Close()
		unpacked, err := xz.NewReader(packed, 0)
		if err != nil {
			return err
		}
		return untar(tar.NewReader(unpacked), home)
	}
	return fmt.Errorf("%s holds no .txz", filepath.Base(jars[0]))
}

// untar unpacks folders, files and links. What would land outside of the folder
// is an error.
func untar(archive *tar.Reader, dir string) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(entry.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("unpack %q: it lies outside of the archive", entry.Name)
		}
		path := filepath.Join(dir, name)
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		switch entry.Typeflag {
		case tar.TypeDir:
			err = makeFolder(path)
		case tar.TypeReg:
			err = writeFile(path, archive, entry.FileInfo().Mode().Perm()|0o444)
		case tar.TypeSymlink:
			if filepath.IsAbs(entry.Linkname) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), entry.Linkname)) {
				return fmt.Errorf("unpack %q: its target lies outside of the archive", entry.Name)
			}
			err = os.Symlink(entry.Linkname, path)
		default:
			err = fmt.Errorf("unpack %q: unknown kind %q", entry.Name, entry.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}
