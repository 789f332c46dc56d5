package search

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
)

func TestVersionsDecideWhateverComesWhen(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 3)
	first := send(t, c, index, "/a", 2, 0, 500)
	check(t, "first time", fmt.Sprintf("%+v", first), "{Written:500 AlreadyThere:0 Superseded:0 Quarantined:0 Refused:[]}")
	before := state(t, c, index)

	check(t, "again", send(t, c, index, "/a", 2, 0, 500).AlreadyThere, 500)
	check(t, "older release", send(t, c, index, "/a", 1, 0, 500).Superseded, 500)
	after := state(t, c, index)
	for i := range before.Shards {
		check(t, "sequence numbers after writing nothing new", after.Shards[i].GlobalCheckpoint, before.Shards[i].GlobalCheckpoint)
	}
	check(t, "newer release", send(t, c, index, "/a", 3, 0, 500).Written, 500)
	mixed := send(t, c, index, "/a", 2, 400, 200)
	check(t, "half of them new", fmt.Sprint(mixed.Written, mixed.Superseded), "100 100")
}

func TestLaterRowOfAKeyWinsInAnyOrder(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	var b Body
	for _, row := range []int64{10, 30, 20} {
		b.AddRecord(keyOf(1), covid.NewVersion(1, row), fields("2022-04-24", fmt.Sprint("row ", row)), Meta{"/a", someDay})
	}
	res, err := c.SendBulk(t.Context(), index, &b)
	if err != nil || res.Written != 2 || res.Superseded != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	doc := raw(t, "GET", "/"+index+"/_doc/"+keyOf(1).ID(), "")
	if !strings.Contains(doc, `"row 30"`) || !strings.Contains(doc, `"_version":549755813918`) {
		t.Error(doc)
	}
}

// Whatever a value is, it is stored as it stood; only what is no UTF-8 is refused,
// and that for its document alone.
func TestAnyValueIsStoredAsItStood(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	values := []string{
		`quote " and \ backslash \" \\`, "control \x00\x01\x1f\t", "two\r\nlines", "\u2028\u2029\ufeff", "\U0001F9A0 ñ é",
		strings.Repeat("x", 33_000), strings.Repeat("ñ", 17_000), strings.Repeat("\U0001F9A0", 9_000), strings.Repeat(`"`, 40_000),
		hitStart + `"}]}}`, "</script>", "",
	}
	numbers := []string{"007", "+5", "12a", "99999999999", "3.7", "1e3", " 5 ", "", "NaN", "0x10", "true", "null"}
	days := []string{"2022-04-24", "2022-02-31", "04/24/2022", "", "9999-12-31", "today", "1", "-1", "2022-04-24T00:00:00Z", "a", "b", "c"}
	var b Body
	for i, v := range values {
		f := fields(days[i], v)
		f[covid.FieldNewCases] = []byte(numbers[i])
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, Meta{"/a", someDay})
	}
	b.AddRecord(keyOf(len(values)), covid.NewVersion(1, 99), fields("2022-04-24", "no UTF-8 \xff\xfe"), Meta{"/a", someDay})
	res, err := c.SendBulk(t.Context(), index, &b)
	if err != nil || res.Written != len(values) || len(res.Refused) != 1 || res.Refused[0].Item != len(values) ||
		res.Refused[0].Type != "document_parsing_exception" || len(res.Refused[0].Reason) > maxReason+3 {
		t.Fatalf("%+v %v", res, err)
	}
	n := 0
	readAllOf(t, c, index, 7, func(d *covid.Document) {
		i := int(d.Row - 1)
		if d.Values[covid.FieldCounty] != values[i] || d.Values[covid.FieldNewCases] != numbers[i] || d.Values[covid.FieldDate] != days[i] {
			t.Errorf("row %d: %.60q %q %q", d.Row, d.Values[covid.FieldCounty], d.Values[covid.FieldNewCases], d.Values[covid.FieldDate])
		}
		n++
	})
	check(t, "documents", n, len(values))
}

// What Elasticsearch refuses for its document alone is handed back; the records
// around it are written.
func TestRefusedDocuments(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := testenv.Index(t)
	raw(t, "PUT", "/"+index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{
		"COUNTY_NAME":{"type":"text","analyzer":"keyword"},"PEOPLE_DEATH_NEW_COUNT":{"type":"integer"}}}}`)
	bad := fields("2022-04-24", "bad count")
	bad[covid.FieldNewDeaths] = []byte("12a")
	var b Body
	for i, f := range []*covid.Fields{
		fields("2022-04-24", "good"), bad, fields("2022-04-24", strings.Repeat("x", 33_000)), fields("2022-04-24", "good"),
	} {
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, Meta{"/a", someDay})
	}
	res, err := c.SendBulk(t.Context(), index, &b)
	if err != nil || res.Written != 2 || len(res.Refused) != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	check(t, "first", fmt.Sprint(res.Refused[0].Item, " ", res.Refused[0].Type), "1 document_parsing_exception")
	check(t, "second", fmt.Sprint(res.Refused[1].Item, " ", res.Refused[1].Type), "2 illegal_argument_exception")
}

// What is wrong with the index fails the batch: none of it goes to the quarantine.
func TestFaultsOfTheIndexFailTheBatch(t *testing.T) {
	t.Parallel()
	c := connect(t)
	for _, f := range []struct {
		name  string
		spoil func(t *testing.T, index string)
		kind  Kind
		hint  string
	}{
		{"deleted", func(t *testing.T, i string) { raw(t, "DELETE", "/"+i, "") }, IndexGone, "a new ingest creates it"},
		{"closed", func(t *testing.T, i string) { raw(t, "POST", "/"+i+"/_close", "") }, IndexClosed, "open it"},
		{"disk full", func(t *testing.T, i string) {
			raw(t, "PUT", "/"+i+"/_settings", `{"index.blocks.read_only_allow_delete":true}`)
		}, Blocked, "free disk space"},
		{"read only", func(t *testing.T, i string) {
			raw(t, "PUT", "/"+i+"/_settings", `{"index.blocks.read_only":true}`)
			t.Cleanup(func() { raw(t, "PUT", "/"+i+"/_settings", `{"index.blocks.read_only":null}`) })
		}, Blocked, "blocks"},
		{"write block", func(t *testing.T, i string) { raw(t, "PUT", "/"+i+"/_settings", `{"index.blocks.write":true}`) }, Blocked, "blocks"},
		{"another mapping", func(t *testing.T, i string) {
			raw(t, "DELETE", "/"+i, "")
			raw(t, "DELETE", "/_index_template/"+i, "")
			raw(t, "PUT", "/"+i, `{"mappings":{"dynamic":"strict","properties":{"x":{"type":"keyword"}}}}`)
		}, Refused, "strict_dynamic_mapping_exception"},
		{"an alias of many", func(t *testing.T, i string) {
			raw(t, "DELETE", "/"+i, "")
			raw(t, "PUT", "/"+i+"-releases/_alias/"+i, "")
			raw(t, "PUT", "/"+i+"-quarantine/_alias/"+i, "")
			t.Cleanup(func() { raw(t, "DELETE", "/_all/_alias/"+i, "") })
		}, Refused, "no write index"},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			index := newIndex(t, c, 1)
			send(t, c, index, "/a", 1, 0, 5)
			f.spoil(t, index)
			var b Body
			for i := range 5 {
				b.AddRecord(keyOf(i+3), covid.NewVersion(2, int64(i+1)), fields("2022-04-24", "x"), Meta{"/a", someDay})
			}
			res, err := c.SendBulk(t.Context(), index, &b)
			if KindOf(err) != f.kind || !strings.Contains(err.Error(), f.hint) || len(res.Refused) != 0 {
				t.Errorf("%+v %v: %v", res, KindOf(err), err)
			}
			if f.name == "deleted" {
				if _, err := c.IndexUUID(t.Context(), index); KindOf(err) != IndexGone {
					t.Errorf("the batch brought the index back: %v", err)
				}
			}
		})
	}
}

func TestQuarantineIsPartOfTheBatch(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	var b Body
	b.AddRecord(keyOf(1), covid.NewVersion(1, 1), fields("2022-04-24", "x"), Meta{"/a", someDay})
	b.AddQuarantine(index, &Quarantined{Source: "/a", Release: 1, Row: 2, Reason: "bad", Raw: []byte{0xff}})
	b.AddRecord(keyOf(3), covid.NewVersion(1, 3), fields("2022-04-24", "x"), Meta{"/a", someDay})
	for i, want := range []string{"2 0 1", "0 2 1"} {
		res, err := c.SendBulk(t.Context(), index, &b)
		if err != nil || fmt.Sprint(res.Written, res.AlreadyThere, res.Quarantined) != want {
			t.Errorf("time %d: %+v %v", i, res, err)
		}
	}
	raw(t, "DELETE", "/"+QuarantineIndex(index), "")
	if _, err := c.SendBulk(t.Context(), index, &b); KindOf(err) != IndexGone {
		t.Errorf("without a quarantine: %v", err)
	}
}

func TestEmptyBodyIsNotSent(t *testing.T) {
	t.Parallel()
	c := connectTo(t, "http://127.0.0.1:1")
	if res, err := c.SendBulk(t.Context(), "i", &Body{}); err != nil || res.Written != 0 {
		t.Errorf("%+v %v", res, err)
	}
}

// A body over Elasticsearch's limit of 100 MB is refused as it is: sending it
// again would not help.
func TestHugeBodies(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	var b Body
	f := fields("2022-04-24", strings.Repeat("x", 1<<20-200))
	for i := range 20 {
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, Meta{"/a", someDay})
	}
	if res, err := c.SendBulk(t.Context(), index, &b); err != nil || res.Written != 20 {
		t.Fatalf("%d bytes: %+v %v", b.Len(), res, err)
	}
	for i := range 80 {
		b.AddRecord(keyOf(i), covid.NewVersion(1, int64(i+1)), f, Meta{"/a", someDay})
	}
	if _, err := c.SendBulk(t.Context(), index, &b); KindOf(err) != Refused || !strings.Contains(err.Error(), "smaller batches") {
		t.Errorf("%d bytes: %v: %v", b.Len(), KindOf(err), err)
	}
}

func state(t testing.TB, c *Client, index string) IndexState {
	t.Helper()
	s, err := c.IndexState(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readAllOf reads an index as the ETL does, in windows of at most size documents,
// and checks that every window follows the one before.
func readAllOf(t testing.TB, c *Client, index string, size int, each func(d *covid.Document)) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s := state(t, c, index)
	if err := c.Refresh(ctx, index); err != nil {
		t.Fatal(err)
	}
	for _, shard := range s.Shards {
		for from := int64(-1); from < shard.GlobalCheckpoint; {
			w, err := c.ReadWindow(ctx, index, WindowQuery{Shard: shard.Shard, From: from, UpTo: shard.GlobalCheckpoint, Max: size})
			if err != nil {
				t.Fatal(err)
			}
			last, docs := from, 0
			err = ParseWindow(w.Body, func(d *covid.Document, _ []byte, seqNo int64) error {
				if seqNo <= last || seqNo > w.To {
					t.Errorf("number %d after %d in a window up to %d", seqNo, last, w.To)
				}
				last, docs = seqNo, docs+1
				each(d)
				return nil
			})
			if err != nil || docs != w.Docs || docs > 0 && w.Last.SeqNo != last || docs == size && w.To != last || w.To <= from {
				t.Fatalf("%d documents, the last %d, in %+v: %v", docs, last, w.Last, err)
			}
			from = w.To
		}
	}
}
