package main

import (
	"errors"

	"github.com/spf13/pflag"

	"covidpipeline/internal/csvfile"
	"covidpipeline/internal/source"
)

// sourceFlag adds the flag --source to a verb.
func sourceFlag(flags *pflag.FlagSet, path *string) {
	flags.Var(&onePath{path: path}, "source", "path of the CSV file (required)")
}

// onePath is a flag that may be given once. Of a plain string flag the last value
// counts, and the sources before it would be left out silently.
type onePath struct {
	path  *string
	given bool
}

func (p *onePath) String() string { return *p.path }
func (p *onePath) Type() string   { return "string" }

func (p *onePath) Set(path string) error {
	if p.given {
		return errors.New("it is given twice: ingest one source a call")
	}
	*p.path, p.given = path, true
	return nil
}

// canonicalSource returns the name under which a source is known.
func canonicalSource(path string) (string, error) {
	if path == "" {
		return "", usagef("--source is missing: the path of a CSV file")
	}
	uri, err := source.Canonical(path)
	if err != nil {
		return "", usageError{err}
	}
	return uri, nil
}

// checkSource refuses a source that this machine shows not to be an activity file,
// before anything is started for it. A followed source may still get its header.
func checkSource(uri string, follow bool) error {
	f, err := source.OpenAnywhere(uri)
	if errors.Is(err, source.ErrNotHere) {
		return usagef("%w. If a worker on another machine has it, or it is yet to come, add --wait", err)
	}
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	switch _, err := csvfile.ReadHeader(f); {
	case errors.Is(err, csvfile.ErrNoHeader) && follow:
		return nil
	case errors.Is(err, csvfile.ErrNoHeader):
		return usagef("%s is empty, or has no line end behind its header: ingest it when it is complete, or with --follow", uri)
	case err != nil:
		return usagef("%s: %w", uri, err)
	}
	return nil
}
