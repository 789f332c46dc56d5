package proof

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the report for people: the two identities first, then what
// differs.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, r.Identities.Source)
	fmt.Fprintln(t, r.Identities.Raw)
	fmt.Fprintf(t, "%d report dates compared, %s\n", r.Dates.Compared, r.Dates.verdict())
	if n := r.Raw.OfOtherSources; n > 0 {
		fmt.Fprintf(t, "raw documents of sources or rows that were not compared: %d\n", n)
	}
	if n := r.Raw.AwaitingRetirement; n > 0 {
		fmt.Fprintf(t, "raw documents of older releases that wait for the end of a newer one: %d\n", n)
	}
	if r.Balanced && r.Raw.OfOtherSources > 0 {
		fmt.Fprintln(t, "Balanced for what was compared: every record of it is in exactly one known place.")
		return t.Flush()
	}
	if r.Balanced {
		fmt.Fprintln(t, "Balanced: every record is in exactly one known place.")
		return t.Flush()
	}
	fmt.Fprintln(t, "NOT BALANCED.")
	r.writeKinds(t)
	r.writeDifferences(t)
	r.writeDates(t)
	return t.Flush()
}

func (d *Dates) verdict() string {
	if d.Different == 0 {
		return "all agree"
	}
	return fmt.Sprintf("%d differ", d.Different)
}

func (r *Report) writeKinds(w io.Writer) {
	if len(r.Kinds) == 0 {
		return
	}
	fmt.Fprintf(w, "\nDIFFERENCE\tCOUNT\n")
	for _, kind := range kinds {
		if n := r.Kinds[kind]; n > 0 {
			fmt.Fprintf(w, "%s\t%d\n", kind, n)
		}
	}
}

func (r *Report) writeDifferences(w io.Writer) {
	if len(r.Differences) == 0 {
		return
	}
	fmt.Fprintf(w, "\nKIND\tDOCUMENT\tRELEASE\tROW\tDATE\tDETAIL\n")
	for _, d := range r.Differences {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", d.Kind, dash(d.ID), d.Release, d.Row, dash(d.Date), d.Detail)
	}
	if hidden := r.Kinds.Total() - int64(len(r.Differences)); hidden > 0 {
		fmt.Fprintf(w, "and %d more\n", hidden)
	}
}

func (r *Report) writeDates(w io.Writer) {
	if r.Dates.Different == 0 {
		return
	}
	fmt.Fprintf(w, "\nDATE\tSIDE\tRECORDS\tNEW CASES\tNEW DEATHS\tDIGEST\n")
	for _, d := range r.Dates.Differing {
		date := d.Date
		for _, side := range []struct {
			name  string
			tally Tally
		}{
			{"source", d.Source}, {"raw, sources compared", d.RawCompared},
			{"raw, all", d.Raw}, {"warehouse", d.Warehouse},
		} {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", date, side.name,
				side.tally.Count, side.tally.NewCases, side.tally.NewDeaths, side.tally.Digest)
			date = ""
		}
	}
	if hidden := r.Dates.Different - int64(len(r.Dates.Differing)); hidden > 0 {
		fmt.Fprintf(w, "and %d more dates\n", hidden)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
