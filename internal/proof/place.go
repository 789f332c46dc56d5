package proof

import "fmt"

// rescan is the advice for a fault of the warehouse alone.
const rescan = "read everything again (docs/operations.md, Rescan by hand)"

// ingestAgain is the advice for a fault that the entry's source repairs.
func (c *comparison) ingestAgain(e *Entry) string {
	if name := c.nameOf(e); name != "" {
		return "run `starter ingest --new-release --source " + name + "`"
	}
	return "run `starter ingest --new-release` for its source"
}

// of names an entry's source, if the registry has it.
func (c *comparison) of(e *Entry) string {
	if name := c.nameOf(e); name != "" {
		return " of " + name
	}
	return ""
}

func (c *comparison) nameOf(e *Entry) string {
	if e.Source == 0 || int(e.Source) > len(c.sources) {
		return ""
	}
	return c.sources[e.Source-1]
}

// atPlace reports whether a warehouse entry has its document's source, release and
// row.
func atPlace(d, e *Entry) bool { return e.Version == d.Version && e.Source == d.Source }

// mayKeepPlace reports whether a row has its document's place, or that of an older
// record of the same values: a load writes nothing where no value differs. Where
// the source of that older record was read, it has to have the record.
func (c *comparison) mayKeepPlace(d, row *Entry) bool {
	if atPlace(d, row) {
		return true
	}
	if row.Version >= d.Version || !row.Registered {
		return false
	}
	if row.Origin != Current {
		return true
	}
	for i := range c.records {
		if r := &c.records[i]; r.Version == row.Version && r.Source == row.Source {
			return true
		}
	}
	return false
}

// placed says where a row, or the reject in its stead, claims to come from.
func (c *comparison) placed(row, reject *Entry) string {
	e, what := row, "row"
	if e == nil {
		e, what = reject, "reject"
	}
	from := c.of(e)
	if from == "" {
		from = " of a source that the registry does not have"
	}
	return fmt.Sprintf("the warehouse %s names release %d row %d%s, where its document is not from",
		what, e.Version.Release(), e.Version.Row(), from)
}
