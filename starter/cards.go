package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"covidpipeline/dashboards"
)

// shownRows is how much of a long card a terminal shows; --json has all of it.
const shownRows = 10

func (a *app) cardsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cards",
		Short:   "Print the dashboard's cards",
		Long:    "Print the dashboard's cards from the warehouse: on a terminal the beginning of long ones, with --json all of them.",
		Example: "  starter cards\n  starter cards --json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.cards(c.Context()) },
	}
}

func (a *app) cards(ctx context.Context) error {
	db, err := a.warehouse(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	all := map[string]any{}
	for _, card := range dashboards.Cards() {
		sql, _ := card.Full()
		sql, args, err := dashboards.Compile(sql, dashboards.Choice{})
		if err != nil {
			return fmt.Errorf("card %q: %w", card.Title, err)
		}
		columns, rows, err := db.Query(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("card %q: %w", card.Title, hinted(err))
		}
		if a.json {
			all[card.Name] = cardJSON(card, columns, rows)
		} else if err := a.printCard(card, columns, rows); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(all)
	}
	return nil
}

// cardJSON gives a number card as its value and any other as a list of its
// rows by column.
func cardJSON(card dashboards.Card, columns []string, rows [][]any) any {
	if card.Chart == dashboards.Number {
		if len(rows) == 0 {
			return nil
		}
		return plain(rows[0][0])
	}
	list := make([]map[string]any, len(rows))
	for i, row := range rows {
		list[i] = map[string]any{}
		for j, name := range columns {
			list[i][name] = plain(row[j])
		}
	}
	return list
}

// plain gives days as YYYY-MM-DD.
func plain(v any) any {
	if day, ok := v.(time.Time); ok {
		return day.Format(time.DateOnly)
	}
	return v
}

func (a *app) printCard(card dashboards.Card, columns []string, rows [][]any) error {
	if card.Chart == dashboards.Number && len(rows) > 0 {
		_, err := fmt.Fprintf(a.out, "%s: %s\n\n", card.Title, text(rows[0][0]))
		return err
	}
	fmt.Fprintln(a.out, card.Title)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]any{names(columns)}, rows[:min(len(rows), shownRows)]...) {
		for _, v := range row {
			fmt.Fprintf(w, "  %s\t", text(v))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(rows) > shownRows {
		fmt.Fprintf(a.out, "  and %d more\n", len(rows)-shownRows)
	}
	_, err := fmt.Fprintln(a.out)
	return err
}

func names(columns []string) []any {
	row := make([]any, len(columns))
	for i, c := range columns {
		row[i] = c
	}
	return row
}

// text gives a value as a cell; an unknown one is blank.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(plain(v))
}
