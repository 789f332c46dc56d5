package proof

import (
	"encoding/binary"
	"testing"

	"covidpipeline/internal/covid"
)

func TestKeysCountsWhatIsMissing(t *testing.T) {
	key := func(i int) (k covid.Key) {
		k[0] = byte(i)
		binary.BigEndian.PutUint32(k[12:], uint32(i))
		return k
	}
	k, err := NewKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	// 0 to 9,999 before, each third twice; 5,000 to 11,999 now, each twice, and 17.
	for i := range 12_000 {
		for n := range 2 {
			if i < 10_000 && (n == 0 || i%3 == 0) {
				if err := k.AddBefore(key(i)); err != nil {
					t.Fatal(err)
				}
			}
			if i >= 5000 || i == 17 {
				if err := k.AddNow(key(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	all, missing, err := k.Missing(t.Context())
	if err != nil || all != 10_000 || missing != 4999 {
		t.Errorf("%d keys, %d missing, %v", all, missing, err)
	}
}
