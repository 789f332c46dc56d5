package web

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"time"

	"covidpipeline/dashboards"
)

// download gives all of a card's rows as CSV, with the filters.
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
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	results, err := resultsOf(ctx, s.DB, card, choice, sql)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	asCSV(w, fileName(card.Name, choice))
	out := csv.NewWriter(w)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.Name
	}
	out.Write(line) //nolint:errcheck // Flush and Error below tell
	for _, row := range results[0].Rows {
		for i, v := range row {
			line[i] = field(v)
		}
		out.Write(line) //nolint:errcheck // Flush and Error below tell
	}
	out.Flush()
	if err := out.Error(); err != nil {
		s.Log.Info("download ended early", "card", card.Name, "error", err)
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
