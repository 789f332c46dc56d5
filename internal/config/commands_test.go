package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every user of a machine can read the command lines of its processes: no manual may
// put a password there.
func TestNoCommandOfTheManualsShowsAPassword(t *testing.T) {
	t.Parallel()
	shows := regexp.MustCompile(`(?m)^.*(\b(psql|pg_dump|pg_restore)\b[^\n|]*("?\$\{?DATABASE_URL|postgres(ql)?://)|\bcurl\b[^\n|]*\s(-u|--user)\b|\bcurl\b[^\n|]*://[^\s/"'$]*:[^\s/"'$]*@|--password[= ]\S).*$`)
	for _, bad := range []string{`psql "$DATABASE_URL" -c x`, `pg_dump postgres://u:p@h/d`, `curl -s -u elastic:x h`, `curl https://elastic:x@h:9200/`} {
		if !shows.MatchString(bad) {
			t.Errorf("%s is not found", bad)
		}
	}
	var paths []string
	for _, pattern := range []string{"*.md", "docs/*.md", "Makefile", "docker-compose.yml", "containers/*.sh", "temporal-config/*.sh"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range shows.FindAllString(string(content), -1) {
			t.Errorf("%s: %s", path, line)
		}
	}
}
