package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// oldestJava is the oldest Java that Elasticsearch 8 runs on.
const oldestJava = 17

// jdk is a Java development kit.
type jdk struct{ java, javac string }

// findJDK finds the JDK of JAVA_HOME, else the one on the PATH, and checks that
// it is recent enough.
func findJDK(ctx context.Context) (jdk, error) {
	found := jdk{java: "java", javac: "javac"}
	where := "on the PATH"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		found = jdk{filepath.Join(home, "bin", "java"), filepath.Join(home, "bin", "javac")}
		where = "in JAVA_HOME (" + home + ")"
	}
	for _, program := range []*string{&found.java, &found.javac} {
		path, err := exec.LookPath(*program)
		if err != nil {
			return jdk{}, fmt.Errorf("no %s %s: install a JDK, version %d or newer, or set JAVA_HOME to one", filepath.Base(*program), where, oldestJava)
		}
		*program = path
	}
	out, err := exec.CommandContext(ctx, found.java, "-version").CombinedOutput()
	if err != nil {
		return jdk{}, fmt.Errorf("run %s -version: %w: %s", found.java, err, out)
	}
	version, err := javaVersion(string(out))
	if err != nil {
		return jdk{}, fmt.Errorf("%s: %w", found.java, err)
	}
	if version < oldestJava {
		return jdk{}, fmt.Errorf("%s is Java %d, and Elasticsearch needs %d or newer: install a newer JDK, or set JAVA_HOME to one", found.java, version, oldestJava)
	}
	return found, nil
}

// javaVersionLine matches what java -version prints: version "17.0.15",
// version "21-ea" or, before Java 9, version "1.8.0_402".
var javaVersionLine = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// javaVersion gives the feature version in the output of java -version.
func javaVersion(output string) (int, error) {
	match := javaVersionLine.FindStringSubmatch(output)
	if match == nil {
		return 0, errors.New("java -version does not tell a version")
	}
	return strconv.Atoi(match[1])
}
