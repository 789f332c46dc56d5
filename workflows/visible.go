package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"covidpipeline/activities"
)

// What the Web UI shows of a run. Static summary and details are gone after
// ContinueAsNew, so what must stay is in the current details, which each run
// writes anew, and in the search attributes, which are carried over.

// details sets the current details: a headline, what follows it, and where the
// manual is. The Web UI cuts off the last line, so that is an empty one.
func details(ctx workflow.Context, phase, what, more string) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s**: %s\n\n%s\n*Manual: docs/operations.md*\n\n\u00a0\n", phase, what, more))
}

// progressCells is the width of a progress bar in characters.
const progressCells = 25

// progressBar draws how much of a whole is done, and a note beside it.
func progressBar(part, whole int64, note string) string {
	if whole <= 0 {
		return ""
	}
	part = min(max(part, 0), whole)
	full := int(float64(part) / float64(whole) * progressCells)
	return fmt.Sprintf("`%s%s` **%.1f %%** %s\n\n", strings.Repeat("█", full), strings.Repeat("░", progressCells-full), 100*float64(part)/float64(whole), note)
}

// number groups the digits of a count by threes.
func number(n int64) string {
	s := fmt.Sprint(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// perSecond is a rate over a time, or nothing before there is one.
func perSecond(n int64, over time.Duration) string {
	if n <= 0 || over < time.Second {
		return "-"
	}
	return number(int64(float64(n) / over.Seconds()))
}

// table is a Markdown table of one row of numbers.
func table(columns []string, values ...string) string {
	return fmt.Sprintf("| %s |\n|%s\n| %s |\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)), strings.Join(values, " | "))
}

// notMarkdown keeps the brackets and stars of an error's sentence from being read
// as links, tags or emphasis.
var notMarkdown = strings.NewReplacer("\\", "\\\\", "[", "\\[", "]", "\\]", "<", "\\<", "*", "\\*", "\n", "\n> ")

// quoted shows a sentence of an error as a Markdown quotation.
func quoted(text string) string {
	return "> " + notMarkdown.Replace(strings.TrimSpace(text)) + "\n\n"
}

// maxKeyword is the longest keyword of a search attribute in SQL visibility, in
// characters.
const maxKeyword = 255

// set sets search attributes. A run that began before workflows had any goes on
// without: its history knows nothing of them.
func set(ctx workflow.Context, attributes ...temporal.SearchAttributeUpdate) {
	if workflow.GetVersion(ctx, "search-attributes", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attributes...); err != nil {
		workflow.GetLogger(ctx).Error("the lists do not show how far this run is", "error", err)
	}
}

// failed makes the error that a run ends with: its first line says what failed
// and what a person does about it, where the Web UI shows the result.
func failed(err error) error {
	var app *temporal.ApplicationError
	if err == nil || temporal.IsCanceledError(err) || workflow.IsContinueAsNewError(err) {
		return err
	}
	var late *temporal.TimeoutError
	if !errors.As(err, &app) && !errors.As(err, &late) {
		return err
	}
	return temporal.NewNonRetryableApplicationError(explained(err), errorType(err), err)
}

// explained gives the sentence of what failed, with what to do.
func explained(err error) string {
	var step *temporal.ActivityError
	text := rootMessage(err)
	if errors.As(err, &step) {
		text = step.ActivityType().GetName() + ": " + text
	}
	if cure := activities.Cure(errorType(err)); cure != "" {
		text = strings.TrimRight(text, ".") + ". What to do: " + cure
	}
	return text
}

// errorType gives the type of the activity's error behind err: also of the last
// attempt of one that ran out of time.
func errorType(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type()
	}
	return activities.ErrTypeTimeout
}

// isType tells whether an error comes from an activity's error of that type.
func isType(err error, kind string) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == kind
}

// rootMessage gives the sentence that an activity failed with, without the
// frames around it.
func rootMessage(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}
