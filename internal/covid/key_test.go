package covid

import (
	"testing"

	"pgregory.net/rapid"
)

func TestIDReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var k Key
		copy(k[:], rapid.SliceOfN(rapid.Byte(), len(k), len(k)).Draw(t, "key"))
		id := k.ID()
		if len(id) != 22 {
			t.Fatalf("id %q has %d characters", id, len(id))
		}
		if got, err := ParseID(id); err != nil || got != k {
			t.Fatalf("ParseID(%q) = %v, %v", id, got, err)
		}
	})
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"empty":               "",
		"generated id":        "AVx1-pUBHcJzqGZq2wYt",
		"too long":            "fSWF1ZMrxAJbZDRhOdlefQA",
		"padded":              "fSWF1ZMrxAJbZDRhOdlefQ==",
		"standard base64":     "fSWF1ZMrxAJb+DRhOdlefQ",
		"line break in it":    "fSWF1ZMrxAJb\nDRhOdlefQ",
		"bits after the last": "fSWF1ZMrxAJbZDRhOdlefR",
	} {
		if k, err := ParseID(id); err == nil {
			t.Errorf("%s: ParseID(%q) = %v, want an error", name, id, k)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("fSWF1ZMrxAJbZDRhOdlefQ")
	f.Add("fSWF1ZMrxAJb\nDRhOdlefQ")
	f.Fuzz(func(t *testing.T, id string) {
		if k, err := ParseID(id); err == nil && k.ID() != id {
			t.Fatalf("ParseID(%q) gives a key whose id is %q", id, k.ID())
		}
	})
}

func TestVersionReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		release := rapid.Int64Range(0, MaxRelease).Draw(t, "release")
		row := rapid.Int64Range(0, MaxRow).Draw(t, "row")
		v := NewVersion(release, row)
		if v < 0 || v.Release() != release || v.Row() != row {
			t.Fatalf("NewVersion(%d, %d) = %d: release %d, row %d", release, row, v, v.Release(), v.Row())
		}
	})
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	ascending := []Version{
		NewVersion(1, 1), NewVersion(1, 2), NewVersion(1, MaxRow),
		NewVersion(2, 0), NewVersion(2, 1), NewVersion(MaxRelease, 0), NewVersion(MaxRelease, MaxRow),
	}
	for i := range ascending[1:] {
		if ascending[i] >= ascending[i+1] {
			t.Errorf("version %d (release %d, row %d) is not below the next",
				i, ascending[i].Release(), ascending[i].Row())
		}
	}
}
