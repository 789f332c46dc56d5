package search

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"covidpipeline/internal/covid"
)

// places counts the documents of an index by what became of them.
func places(t *testing.T, c *Client, index string) string {
	t.Helper()
	n := map[string]int{}
	readAllOf(t, c, index, 1000, func(d *covid.Document) {
		place := fmt.Sprintf("%s/%d", d.Source, d.Release)
		if d.Retired {
			place += fmt.Sprintf(" retired by %d", d.Version.Release())
			check(t, "row of a retirement", d.Version.Row(), 0)
		} else {
			check(t, "version", d.Version, covid.NewVersion(d.Release, d.Row))
		}
		check(t, "values", d.Values[covid.FieldCounty], fmt.Sprint("County ", d.Row-1))
		n[place]++
	})
	return fmt.Sprint(n)
}

func TestRetire(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	send(t, c, index, "/a", 1, 0, 300)
	send(t, c, index, "/b", 2, 1000, 50)
	send(t, c, index, "/a", 3, 0, 200)
	send(t, c, index, "/a", 5, 290, 5) // a release after the one that retires
	for i := range 2 {
		var seen int64
		n, err := c.Retire(t.Context(), index, "/a", 3, func(done int64) { seen = done })
		if err != nil || n != 95 || i == 0 && seen != 95 || i == 1 && seen != 0 {
			t.Errorf("time %d: retired %d, progress %d: %v", i, n, seen, err)
		}
		check(t, "documents", places(t, c, index), "map[/a/1 retired by 3:95 /a/3:200 /a/5:5 /b/2:50]")
	}
	check(t, "an older row that comes late", send(t, c, index, "/a", 1, 210, 10).Superseded, 10)
	check(t, "a key that comes back", send(t, c, index, "/a", 4, 210, 10).Written, 10)
	check(t, "documents", places(t, c, index), "map[/a/1 retired by 3:85 /a/3:200 /a/4:10 /a/5:5 /b/2:50]")
	n, err := c.Retire(t.Context(), index, "/a", 6, func(int64) {})
	if err != nil || n != 215 {
		t.Errorf("%d %v", n, err)
	}
	check(t, "documents", places(t, c, index), "map[/a/1 retired by 3:85 /a/3 retired by 6:200 /a/4 retired by 6:10 /a/5 retired by 6:5 /b/2:50]")
}

func TestRetireWhileTheReleaseIsStillWritten(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 2)
	send(t, c, index, "/a", 1, 0, 2000)
	var writing sync.WaitGroup
	writing.Go(func() {
		for first := 0; first < 1000; first += 50 {
			send(t, c, index, "/a", 2, first, 50)
		}
	})
	writing.Go(func() { // a late attempt of the release before
		for first := 1500; first < 2000; first += 50 {
			send(t, c, index, "/a", 1, first, 50)
		}
	})
	for range 3 {
		if _, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {}); err != nil {
			t.Error(err)
		}
	}
	writing.Wait()
	n, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {})
	if err != nil || n != 1000 {
		t.Errorf("%d %v", n, err)
	}
	check(t, "documents", places(t, c, index), "map[/a/1 retired by 2:1000 /a/2:1000]")
}

// Documents of other programs end no retirement: those that can be written are
// retired, whatever their ids and their text, and the others stay.
func TestRetireForeignDocuments(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	doc := documentOf(fields("2022-04-24", "x"), covid.NewVersion(1, 1), Meta{"/a", someDay})
	put := func(id, params, doc string) { raw(t, "PUT", "/"+index+"/_doc/"+url.PathEscape(id)+params, doc) }
	put(keyOf(1).ID(), fmt.Sprint("?version_type=external&version=", covid.NewVersion(9, 1)), doc)
	put(keyOf(2).ID(), "?routing=x", doc)
	put("a \"b\" \\", "", strings.ReplaceAll(doc, ",", ",\r\n"))
	put(keyOf(3).ID(), "", strings.Replace(doc, "{", `{"retired": null,`, 1))
	put(keyOf(4).ID(), "", strings.Replace(doc, "Arizona", "retired", 1))
	for range 2 {
		if n, err := c.Retire(t.Context(), index, "/a", 2, func(int64) {}); err != nil || n != 3 {
			t.Errorf("%d %v", n, err)
		}
	}
	sound := map[string]int{}
	readAllOf(t, c, index, 10, func(d *covid.Document) { sound[fmt.Sprint(d.Retired, d.Problem == "", d.RetiredBy)]++ })
	check(t, "documents", fmt.Sprint(sound), "map[false false 0:2 true true 2:3]")
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	const rows = quarantinePage*2 + 7
	var b Body
	for _, release := range []int64{1, 2} {
		for row := int64(rows); row > 0; row-- {
			b.AddQuarantine(index, &Quarantined{Source: fmt.Sprint("/", release), Release: release, Row: row * 10, Offset: row,
				Reason: strings.Repeat("ñ", 9000), Raw: []byte{0, 0xff, byte(row), '\n', '"'}, Truncated: row == 3})
		}
	}
	for range 2 {
		if res, err := c.SendBulk(t.Context(), index, &b); err != nil || res.Quarantined != 2*rows {
			t.Fatalf("%+v %v", res, err)
		}
	}
	read := func(source string, release int64) (n int) {
		t.Helper()
		last := Quarantined{}
		err := c.Quarantined(t.Context(), index, source, release, func(q *Quarantined) error {
			if q.Release < last.Release || q.Release == last.Release && q.Row <= last.Row {
				t.Errorf("row %d of release %d after row %d of release %d", q.Row, q.Release, last.Row, last.Release)
			}
			if string(q.Raw) != string([]byte{0, 0xff, byte(q.Row / 10), '\n', '"'}) || q.Offset != q.Row/10 || q.Truncated != (q.Row == 30) || len(q.Reason) != 18000 {
				t.Errorf("%+v", q)
			}
			last, n = *q, n+1
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		count, err := c.CountQuarantined(t.Context(), index, source, release)
		if err != nil || count != int64(n) {
			t.Errorf("counted %d, read %d: %v", count, n, err)
		}
		return n
	}
	check(t, "all", read("", 0), 2*rows)
	check(t, "one release", read("", 2), rows)
	check(t, "one source", read("/1", 0), rows)
	check(t, "nothing", read("/1", 2), 0)
	stop := fmt.Errorf("stop")
	if err := c.Quarantined(t.Context(), index, "", 0, func(*Quarantined) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
