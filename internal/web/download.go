package web

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"covidpipeline/dashboards"
)

// download answers with all of a card's rows as CSV, with the filters.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	name, isCSV := strings.CutSuffix(r.PathValue("file"), ".csv")
	card, found := dashboards.Find(name)
	if !isCSV || !found {
		s.fail(w, problem{http.StatusNotFound, "There is no such card", "The dashboard at / has the addresses of all of them."})
		return
	}
	choice, problems := choiceOf(r.URL.Query())
	if len(problems) > 0 { // a file does not say what was left out
		s.fail(w, problem{http.StatusBadRequest, "The filters cannot be used", sentence(problems)})
		return
	}
	if card.Unfiltered != "" {
		choice = dashboards.Choice{} // its name does not say what does not act
	}
	sql, columns := card.Full()
	if card.Table != "" {
		sql, columns = card.Table, card.TableColumns
	}
	statement, err := statementOf(card, choice, sql)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), downloadWithin)
	defer cancel()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	out := newFile(w, fileName(card.Name, choice), names...)
	line := make([]string, len(columns))
	err = s.DB.Stream(ctx, statement, func(row []any) error {
		for i, v := range row {
			line[i] = field(v)
		}
		return out.line(line...)
	})
	s.end(w, r, out, err)
}

// file is a CSV file that is sent as it is made.
type file struct {
	w     http.ResponseWriter
	csv   *csv.Writer
	name  string
	names []string // of the columns
	lines int      // sent, that of the names among them
	gone  error    // the reader takes no more
}

func newFile(w http.ResponseWriter, name string, columns ...string) *file {
	return &file{w: w, csv: csv.NewWriter(w), name: name, names: columns}
}

// line sends a line. The first also sends what comes before it, so that an error
// before it can still be a page.
func (f *file) line(fields ...string) error {
	if f.lines == 0 {
		asCSV(f.w, f.name)
		f.lines++
		if f.gone = f.csv.Write(f.names); f.gone != nil {
			return f.gone
		}
	}
	// Some lines at a time have the time of a whole answer.
	if f.lines%linesATime == 1 {
		if f.gone = http.NewResponseController(f.w).SetWriteDeadline(time.Now().Add(writeTimeout)); f.gone != nil {
			return f.gone
		}
	}
	f.lines++
	f.gone = f.csv.Write(fields)
	return f.gone
}

// linesATime is how many lines have the time of an answer.
const linesATime = 50

// end ends a file, or answers with the page of an error if nothing of it was sent.
func (s *Server) end(w http.ResponseWriter, r *http.Request, f *file, err error) {
	if err == nil && f.lines == 0 {
		asCSV(w, f.name)
		err = f.csv.Write(f.names)
	}
	f.csv.Flush()
	switch {
	case f.gone != nil || f.csv.Error() != nil || r.Context().Err() != nil:
		s.Log.Info("download ended early", "path", r.URL.Path, "error", errors.Join(f.gone, f.csv.Error(), r.Context().Err()))
	case err != nil && f.lines == 0:
		s.failed(w, r, err)
	case err != nil:
		s.Log.Error("download failed", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // a file that only seems whole would be worse
	}
}

// asCSV says that the answer is a file of that name.
func asCSV(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// field gives a value for CSV. A text that a spreadsheet would run as a formula
// gets an apostrophe in front, which makes it text there; numbers stay numbers.
func field(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case time.Time:
		return v.Format(time.DateOnly)
	case string:
		if v != "" && strings.ContainsRune("=+-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20", []rune(v)[0]) {
			return "'" + v
		}
		return v
	}
	return fmt.Sprint(value)
}
