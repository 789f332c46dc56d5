package activities

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/proof"
	"covidpipeline/internal/search"
)

// plant is one corruption, and how the proof has to name it.
type plant struct {
	what string
	kind proof.Kind // of the difference; empty: a problem
	key  covid.Key  // that the difference names; noKey: none
	text string     // that the sentence contains
	do   func(context.Context) error
}

var noKey covid.Key

// named returns the sentence that names the plant, or "".
func (p *plant) named(compared *Compared) string {
	if p.kind == "" {
		for _, problem := range compared.Problems {
			if strings.Contains(problem, p.text) {
				return problem
			}
		}
		return ""
	}
	for _, d := range compared.Report.Differences {
		if d.Kind == p.kind && (p.key == noKey || d.ID == p.key.ID()) && strings.Contains(d.Detail, p.text) {
			return d.Detail
		}
	}
	return ""
}

// take returns a record of the first source that no other plant uses.
func (t *selfTest) take() testRecord {
	t.first.taken++
	return t.first.records[t.first.taken]
}

// none returns a record that no source has, at a place of the first one.
func (t *selfTest) none(county string) testRecord {
	r := t.newRecord(county, "1", 5)
	r.source, r.release, r.row = t.first.path, t.first.release, 3
	return r
}

// update changes fields of a document as any client of Elasticsearch may.
func (t *selfTest) update(r testRecord, fields map[string]any) func(context.Context) error {
	return func(ctx context.Context) error {
		return t.proof.Search.Tamper(ctx, t.index, http.MethodPost, "/_update/"+r.key.ID(), map[string]any{"doc": fields})
	}
}

// write writes a document with the version of its release and row, so that only its
// content can betray it.
func (t *selfTest) write(id string, r testRecord, fields map[string]any) func(context.Context) error {
	document := map[string]any{"release": r.release, "row": r.row, "source": r.source, "registered": covid.DateOf(time.Now()).String()}
	for i, value := range r.values {
		document[covid.Columns[i]] = value
	}
	version := covid.NewVersion(r.release, r.row)
	for name, value := range fields {
		document[name] = value
		if release, ok := value.(int64); ok && name == "retired" {
			version = covid.NewVersion(release, 0)
		}
	}
	return func(ctx context.Context) error {
		return t.proof.Search.Tamper(ctx, t.index, http.MethodPut, fmt.Sprintf("/_doc/%s?version=%d&version_type=external_gte", id, version), document)
	}
}

// rawPlants are the corruptions of the raw index.
func (t *selfTest) rawPlants() []plant {
	newCases := covid.Columns[covid.FieldNewCases]
	var all []plant
	add := func(what string, kind proof.Kind, key covid.Key, do func(context.Context) error) {
		all = append(all, plant{what: what, kind: kind, key: key, do: do})
	}
	for _, p := range []struct {
		what   string
		fields map[string]any
	}{
		{"a document marked as retired", map[string]any{"retired": 1}},
		{"a document given to another source", map[string]any{"source": t.second.path}},
		{"a document moved to a row behind the file", map[string]any{"row": 1_000_000}},
		{"a document with a changed value", map[string]any{newCases: "77"}},
	} {
		r := t.take()
		add(p.what, proof.Foreign, r.key, t.update(r, p.fields))
	}
	r := t.take()
	add("a changed value under the record's version", proof.DifferentFromSource, r.key, t.write(r.key.ID(), r, map[string]any{newCases: "78"}))
	r = t.take()
	add("another source under the record's version", proof.UnknownRelease, r.key, t.write(r.key.ID(), r, map[string]any{"source": t.second.path}))
	r = t.take()
	add("a retirement by an unknown release", proof.UnknownRelease, r.key, t.write(r.key.ID(), r, map[string]any{"retired": int64(98)}))
	r = t.take()
	owner := r
	owner.source, owner.release, owner.row = t.second.path, t.second.release-1, 1
	add("a key that another source retired", proof.RetiredByOther, r.key, t.write(r.key.ID(), owner, map[string]any{"retired": t.second.release}))
	r = t.take()
	add("a deleted document", proof.Lost, r.key, func(ctx context.Context) error {
		return t.proof.Search.Tamper(ctx, t.index, http.MethodDelete, "/_doc/"+r.key.ID(), nil)
	})

	n := t.none("Selftest N1")
	n.source += ".unknown"
	add("a document of an unknown source", proof.UnknownSource, n.key, t.write(n.key.ID(), n, nil))
	n = t.none("Selftest N2")
	n.release = 99
	add("a document of an unknown release", proof.UnknownRelease, n.key, t.write(n.key.ID(), n, nil))
	n = t.none("Selftest N3")
	n.row = 1_000_000
	add("a document of a row behind its release", proof.BeyondRelease, n.key, t.write(n.key.ID(), n, nil))
	n = t.none("Selftest N4")
	add("a document that its source does not have", proof.NotInSource, n.key, t.write(n.key.ID(), n, nil))
	n, other := t.none("Selftest N5"), t.none("Selftest N6").key
	add("a document under the id of another key", proof.WrongID, other, t.write(other.ID(), n, nil))
	const noID = "not-a-key"
	add("a document whose id is no key", proof.Foreign, covid.ForeignKey(noID), t.write(noID, t.none("Selftest N7"), nil))
	return all
}

// warehousePlants are the corruptions of the warehouse.
func (t *selfTest) warehousePlants() []plant {
	var all []plant
	add := func(what string, kind proof.Kind, key covid.Key, text, sql string, args ...any) {
		all = append(all, plant{what: what, kind: kind, key: key, text: text, do: func(ctx context.Context) error {
			return t.proof.Warehouse.Tamper(ctx, sql, args...)
		}})
	}
	for _, p := range []struct {
		what string
		kind proof.Kind
		sql  string
	}{
		{"a row with a changed value", proof.Different, "UPDATE covid_cases SET total_cases = total_cases + 1 WHERE key = $1"},
		{"a row of another release", proof.WrongPlace, "UPDATE covid_cases SET release = 97 WHERE key = $1"},
		{"a row of another record's place", proof.WrongPlace, "UPDATE covid_cases SET row = row - 1 WHERE key = $1"},
		{"a deleted row", proof.Missing, "DELETE FROM covid_cases WHERE key = $1"},
	} {
		r := t.take()
		add(p.what, p.kind, r.key, "", p.sql, [16]byte(r.key))
	}
	r := t.take()
	add("a row of another source", proof.WrongPlace, r.key, "", "UPDATE covid_cases SET source = $2 WHERE key = $1", [16]byte(r.key), t.second.path)
	extra := t.none("Selftest N8").key
	add("a row without a document", proof.Extra, extra, "", `INSERT INTO covid_cases (key, date, state, county, country, source, release, row, generation)
		SELECT $2, date, state, county, country, source, release, row, generation FROM covid_cases WHERE key = $1`, [16]byte(t.take().key), [16]byte(extra))
	rejects := t.first.records[soundRecords:]
	add("a deleted reject", proof.Missing, rejects[0].key, "", "DELETE FROM covid_rejects WHERE key = $1", [16]byte(rejects[0].key))
	add("a reject of another record's place", proof.WrongPlace, rejects[1].key, "", "UPDATE covid_rejects SET row = row - 1 WHERE key = $1", [16]byte(rejects[1].key))
	r = t.take()
	day, county := r.values[covid.FieldDate], r.values[covid.FieldCounty]
	add("a changed sum of a day", proof.WrongSum, noKey, "covid_daily of "+day, "UPDATE covid_daily SET new_cases = new_cases + 1 WHERE date = $1", day)
	add("a changed sum of a month", proof.WrongSum, noKey, fmt.Sprintf("county %q", county), "UPDATE covid_monthly SET records = records + 1 WHERE county = $1", county)
	return all
}

// registryPlants are the corruptions of the registry.
func (t *selfTest) registryPlants() []plant {
	return []plant{
		{what: "a completed release that had read more", text: releaseText(&t.first), do: func(ctx context.Context) error {
			content, err := t.grow(&t.first)
			if err != nil {
				return err
			}
			return t.changeRelease(ctx, t.first.release, func(r *search.Release) {
				sum := sha256.Sum256(content)
				r.Read = search.Extent{Length: int64(len(content)), Digest: fmt.Sprintf("%x", sum), Rows: r.Read.Rows + 1, AtRecordEnd: true}
			})
		}},
		{what: "a followed release without its ingest", text: releaseText(&t.second), do: func(ctx context.Context) error {
			if _, err := t.grow(&t.second); err != nil {
				return err
			}
			return t.changeRelease(ctx, t.second.release, func(r *search.Release) {
				r.State, r.Follow, r.FinishedAt = search.StateRunning, true, nil
			})
		}},
	}
}

// changeRelease changes a release in the registry past the rules of an ingest.
func (t *selfTest) changeRelease(ctx context.Context, number int64, change func(*search.Release)) error {
	r, err := t.proof.Search.Get(ctx, t.index, number)
	if err != nil {
		return err
	}
	change(&r)
	_, err = t.proof.Search.Save(ctx, t.index, r)
	return err
}

func releaseText(s *testSource) string { return fmt.Sprintf("release %d of %s ", s.release, s.path) }

// grow appends a record to a source and returns its content.
func (t *selfTest) grow(s *testSource) ([]byte, error) {
	content, err := os.ReadFile(s.path)
	if err == nil {
		r := t.newRecord("Selftest G", "1", 7)
		content = append(content, strings.Join(r.values[:], ",")+"\n"...)
		err = os.WriteFile(s.path, content, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: append to a source of the self-test: %w", errProof, err)
	}
	return content, nil
}
