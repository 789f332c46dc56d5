package search

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// path is the path of a request, with its query. It is made by pathOf and indexPath
// alone, which let no name into it that is not one index's: a name such as
// "victim/_close?x" would make another request of it.
type path struct {
	text string
	err  error // why no request may be made
}

// fixed is text that stands in the source: no variable of type string converts to
// it by itself.
type fixed string

// pathOf returns a path that names no index.
func pathOf(text fixed) path { return path{text: string(text)} }

// indexPath returns a path with the names of one or more indices between before
// and rest.
func indexPath(before fixed, rest string, names ...string) path {
	if len(names) == 0 {
		return path{err: errors.New("the path names no index")}
	}
	for _, name := range names {
		if !pathName.MatchString(name) {
			return path{err: badName(name)}
		}
	}
	return path{text: string(before) + strings.Join(names, ",") + rest}
}

// pathName is what Elasticsearch allows as the name of an index, without what would
// name several indices at once or end the name in a path.
var pathName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,254}$`)

func badName(index string) error {
	return fmt.Errorf("%w: %q; use lower-case letters, digits, dots, dashes and underscores", ErrIndexName, index)
}

// refusedName is the error for a request that is not made for its index's name.
func refusedName(op string, err error) *Error {
	return &Error{Kind: Refused, Op: op, Reason: shorten(err.Error()), err: err}
}
