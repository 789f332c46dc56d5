package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sourceRoots names the setting of the worker for the folders that it may read.
const sourceRoots = "SOURCE_ROOTS"

// rootsPath names the file with the folders of the sources that demos were given, a
// line each. They stay open to the worker: a proof reads all sources again.
func (s *Stack) rootsPath() string { return filepath.Join(s.State, "source-roots") }

// roots returns the setting for the worker: the repository, the folder of the state
// with the sample, and the folders of the sources of all demos.
func (s *Stack) roots() (setting, error) {
	text, err := os.ReadFile(s.rootsPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return setting{}, fmt.Errorf("read the folders of the sources: %w", err)
	}
	folders := append([]string{s.Root, s.State}, strings.Split(string(text), "\n")...)
	var all []string
	for _, folder := range folders {
		if strings.ContainsAny(folder, ",'") {
			return setting{}, fmt.Errorf("the folder %s has a comma or a quote in its name, which %s cannot hold: give it another name", folder, sourceRoots)
		}
		if folder != "" && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
	}
	return setting{sourceRoots, strings.Join(all, ",")}, nil
}

// addRoots opens the folder of a source to the worker, and that of the file behind
// it when it is a link.
func (s *Stack) addRoots(source string) error {
	path, err := filepath.Abs(source)
	if err != nil {
		return fmt.Errorf("find the folder of %s: %w", source, err)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("find the folder of %s: %w", source, err)
	}
	known, err := s.roots()
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, folder := range []string{filepath.Dir(path), filepath.Dir(target)} {
		if strings.ContainsAny(folder, ",'\n") {
			return fmt.Errorf("the folder %q of SOURCE has a comma, a quote or a line end in its name, which %s cannot hold: move the file", folder, sourceRoots)
		}
		if !slices.Contains(strings.Split(known.value, ","), folder) {
			text.WriteString(folder + "\n")
		}
	}
	file, err := os.OpenFile(s.rootsPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text.String())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return fmt.Errorf("keep the folder of %s: %w", source, err)
	}
	return nil
}
