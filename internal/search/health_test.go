package search

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"covidpipeline/internal/testenv"
)

func TestNodesKnowTheirWatermarks(t *testing.T) {
	t.Parallel()
	c := connectTo(t, testenv.PrivateElasticsearch(t).URL)
	disk := func() Disk {
		t.Helper()
		nodes, err := c.Nodes(t.Context())
		if err != nil || len(nodes) != 1 || len(nodes[0].Disks) != 1 || !strings.HasPrefix(nodes[0].Version, "8.") || nodes[0].Name == "" {
			t.Fatalf("%+v %v", nodes, err)
		}
		return nodes[0].Disks[0]
	}
	set := func(low, high, flood string) {
		t.Helper()
		const prefix = "cluster.routing.allocation.disk.watermark."
		if err := c.change(t.Context(), "set watermarks", "PUT", pathOf("/_cluster/settings"), object{"persistent": object{
			prefix + "low": low, prefix + "high": high, prefix + "flood_stage": flood}}); err != nil {
			t.Fatal(err)
		}
	}
	if d := disk(); d.Total <= 0 || d.Available <= 0 || d.Available > d.Total || d.Path == "" {
		t.Errorf("%+v", d)
	}
	set("3gb", "2gb", "1gb")
	if d := disk(); d.Low != 3<<30 || d.High != 2<<30 || d.Flood != 1<<30 {
		t.Errorf("as sizes: %+v", d)
	}
	set("50%", "0.6", "75%")
	d := disk()
	for _, level := range []struct{ got, part int64 }{{d.Low, 50}, {d.High, 40}, {d.Flood, 25}} {
		if want := d.Total / 100 * level.part; level.got < want-1<<20 || level.got > want+1<<20 {
			t.Errorf("as shares: %d, want about %d: %+v", level.got, want, d)
		}
	}
}

func TestHealthAndBlocks(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 2)
	look := func() (map[string]string, []Block) {
		t.Helper()
		health, err := c.Health(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := c.Blocks(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		return health, blocks
	}
	green := map[string]string{index: "green", QuarantineIndex(index): "green", ReleasesIndex(index): "green"}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		health, blocks := look()
		if len(blocks) != 0 {
			t.Fatalf("blocks of new indices: %+v", blocks)
		}
		if reflect.DeepEqual(health, green) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("health %v", health)
		}
	}
	raw(t, "POST", "/"+QuarantineIndex(index)+"/_close", "")
	block := func() (map[string]string, []Block) {
		raw(t, "PUT", "/"+index+"/_settings", `{"index.number_of_replicas":1,"index.blocks.read_only_allow_delete":true}`)
		return look()
	}
	health, blocks := block()
	if len(blocks) == 1 { // the server looked at its disk in between, and removed the block as it does each 30 s
		health, blocks = block()
	}
	if health[index] != "yellow" {
		t.Errorf("without its replica: %v", health)
	}
	if len(blocks) != 2 || blocks[0].Index != index || !blocks[0].Disk || blocks[1].Index != QuarantineIndex(index) || blocks[1].Disk ||
		!strings.Contains(blocks[1].Reason, "closed") {
		t.Errorf("%+v", blocks)
	}
	for _, name := range []string{index, QuarantineIndex(index), ReleasesIndex(index)} {
		raw(t, "DELETE", "/"+name, "")
	}
	if health, blocks := look(); len(health) != 0 || len(blocks) != 0 {
		t.Errorf("of indices that are not there: %v %+v", health, blocks)
	}
	if _, err := c.Sources(t.Context(), index); KindOf(err) != IndexGone {
		t.Errorf("releases: %v", err)
	}
	if _, _, err := c.QuarantineReasons(t.Context(), index, 3); KindOf(err) != IndexGone {
		t.Errorf("quarantine: %v", err)
	}
}

func TestSourcesGivesTheNewestReleaseOfEach(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	for n, source := range []string{"/a", "/b", "/a", "/c"} {
		r := Release{Number: int64(n + 1), Source: source, State: StateCompleted, Registered: time.Date(2026, 1, n+1, 0, 0, 0, 0, time.UTC)}
		if _, err := c.Create(t.Context(), index, r); err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.Sources(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int64
	for _, r := range found {
		numbers = append(numbers, r.Number)
	}
	if !reflect.DeepEqual(numbers, []int64{4, 3, 2}) {
		t.Errorf("releases %v", numbers)
	}
}

func TestQuarantineReasons(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	var b Body
	for row, reason := range []string{"quoting", "5 fields", "quoting", "quoting", "NUL", "5 fields"} {
		b.AddQuarantine(index, &Quarantined{Source: "/a", Release: 1, Row: int64(row + 1), Reason: reason})
	}
	if _, err := c.SendBulk(t.Context(), index, &b); err != nil {
		t.Fatal(err)
	}
	raw(t, "POST", "/"+QuarantineIndex(index)+"/_refresh", "")
	total, reasons, err := c.QuarantineReasons(t.Context(), index, 2)
	if err != nil || total != 6 || !reflect.DeepEqual(reasons, []ReasonCount{{"quoting", 3}, {"5 fields", 2}}) {
		t.Errorf("%d %+v %v", total, reasons, err)
	}
}

func TestCountAbove(t *testing.T) {
	t.Parallel()
	c := connect(t)
	index := newIndex(t, c, 1)
	send(t, c, index, "/a", 1, 0, 10) // numbers 0 to 9
	send(t, c, index, "/a", 2, 0, 4)  // 10 to 13: written again
	if err := c.Refresh(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	for last, want := range map[int64]int64{-1: 10, 3: 10, 4: 9, 9: 4, 12: 1, 13: 0} {
		n, err := c.CountAbove(t.Context(), index, 0, last)
		if err != nil || n != want {
			t.Errorf("above %d: %d, want %d: %v", last, n, want, err)
		}
	}
}
