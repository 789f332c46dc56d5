package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"covidpipeline/internal/search"
	"covidpipeline/internal/source"
)

// SelfTestInput names the raw index beside which the self-test makes its own.
type SelfTestInput struct {
	Index string `json:"index"`
}

// SelfTested is the outcome of a self-test of the proof.
type SelfTested struct {
	Planted []Planted `json:"planted"`
	Missed  int       `json:"missed"` // of them, that the proof did not name
	// Leftover says what could not be removed, or is empty.
	Leftover string `json:"leftover,omitempty"`
}

// OK reports whether the proof found everything and nothing is left behind.
func (s SelfTested) OK() bool { return len(s.Planted) > 0 && s.Missed == 0 && s.Leftover == "" }

// Planted is one corruption that was planted.
type Planted struct {
	What string `json:"what"`
	Kind string `json:"kind"`         // of the difference that has to name it, or "problem"
	ID   string `json:"id,omitempty"` // of the document that the difference has to name
	// Found is how the proof named it, or empty.
	Found string `json:"found,omitempty"`
}

// removeWithin bounds the removal of what a self-test made.
const removeWithin = 30 * time.Second

// SelfTest plants every kind of corruption in an index and a warehouse of its own,
// beside those of the pipeline, and reports which of them the proof finds. It
// removes what it made, however it ends; an attempt that was killed leaves that to
// the next one. Repeating it is harmless: each attempt uses other names.
func (a *Reconcile) SelfTest(ctx context.Context, in SelfTestInput) (SelfTested, error) {
	var phase atomic.Value
	phase.Store("")
	defer keepAlive(ctx, phase.Load)()
	out, err := a.selfTest(ctx, in, func(what string) { phase.Store(what) })
	return out, classify(err)
}

func (a *Reconcile) selfTest(ctx context.Context, in SelfTestInput, show func(string)) (out SelfTested, err error) {
	info := activity.GetInfo(ctx)
	scratch := func(attempt int32) scratchNames {
		run := sha256.Sum256([]byte(info.WorkflowExecution.RunID))
		name := fmt.Sprintf("%s-%d", hex.EncodeToString(run[:4]), attempt)
		return scratchNames{index: in.Index + search.ScratchMark + name, schema: strings.ReplaceAll(name, "-", "_")}
	}
	for before := range info.Attempt - 1 {
		if err := a.remove(ctx, scratch(before+1)); err != nil {
			return SelfTested{}, err
		}
	}
	names := scratch(info.Attempt)
	defer func() {
		// What was made is removed also when the self-test is cancelled.
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
		defer done()
		switch left := a.remove(ctx, names); {
		case left == nil:
		case err == nil:
			out.Leftover = left.Error()
		default:
			err = fmt.Errorf("%w; besides, something is left behind: %w", err, left)
		}
	}()
	dir, err := os.MkdirTemp(a.TempDir, "selftest-")
	if err != nil {
		return SelfTested{}, fmt.Errorf("%w: create a folder for the self-test: %w", errProof, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	show("making the scratch warehouse")
	db, err := a.Warehouse.Scratch(ctx, names.schema)
	if err != nil {
		return SelfTested{}, err
	}
	defer db.Close()
	sources, err := source.NewRoots(dir)
	if err != nil {
		return SelfTested{}, fmt.Errorf("%w: %w", errProof, err)
	}
	t := &selfTest{
		proof:  &Reconcile{Search: a.Search, Sources: sources, Warehouse: db, Rules: a.Rules, TempDir: a.TempDir, Running: a.Running},
		ingest: &Ingest{Search: a.Search, Sources: sources, Shards: 1},
		etl:    &ETL{Search: a.Search, Warehouse: db, Rules: a.Rules},
		index:  names.index, dir: dir, show: show,
	}
	return t.run(ctx)
}

// scratchNames name what a self-test makes.
type scratchNames struct{ index, schema string }

func (a *Reconcile) remove(ctx context.Context, n scratchNames) error {
	return errors.Join(a.Search.RemoveScratch(ctx, n.index), a.Warehouse.DropScratch(ctx, n.schema))
}

// selfTest is one self-test under way.
type selfTest struct {
	proof      *Reconcile
	ingest     *Ingest
	etl        *ETL
	index, dir string
	show       func(string)

	first, second testSource
	ids           idCheck
	out           SelfTested
}

// run makes sound data, proves it, and then plants in the raw index, in the
// warehouse and in the registry, each time with a proof behind it.
func (t *selfTest) run(ctx context.Context) (SelfTested, error) {
	t.show("ingesting and loading sound records")
	if err := t.prepare(ctx); err != nil {
		return SelfTested{}, err
	}
	sound, err := t.prove(ctx)
	if err != nil {
		return SelfTested{}, err
	}
	if !sound.Report.Balanced || len(sound.Problems) > 0 {
		return SelfTested{}, fmt.Errorf("%w: the self-test's own sound records are not balanced: %v %v", errProof, sound.Report.Differences, sound.Problems)
	}
	for _, step := range []struct {
		what   string
		plants func() []plant
		load   bool // run the ETL, which must not hide what was planted
	}{
		{"planting in the raw index", t.rawPlants, true},
		{"planting in the warehouse", t.warehousePlants, false},
		{"planting in the registry", t.registryPlants, false},
	} {
		t.show(step.what)
		plants := step.plants()
		for _, p := range plants {
			if err := p.do(ctx); err != nil {
				return SelfTested{}, fmt.Errorf("plant %s: %w", p.what, err)
			}
		}
		if step.load {
			if err := t.load(ctx); err != nil && !errors.Is(err, errCounts) { // the run may notice it too
				return SelfTested{}, err
			}
		}
		compared, err := t.prove(ctx)
		if err != nil {
			return SelfTested{}, err
		}
		t.judge(plants, &compared)
	}
	return t.out, nil
}

// judge looks for each plant in what the proof found.
func (t *selfTest) judge(plants []plant, compared *Compared) {
	for _, p := range plants {
		planted := Planted{What: p.what, Kind: string(p.kind), Found: p.named(compared)}
		if p.kind == "" {
			planted.Kind = "problem"
		}
		if p.key != noKey {
			planted.ID = p.key.ID()
		}
		if planted.Found == "" {
			t.out.Missed++
		}
		t.out.Planted = append(t.out.Planted, planted)
	}
}
