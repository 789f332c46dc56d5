package csvfile

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

func BenchmarkScan(b *testing.B) {
	source := []byte(strings.Repeat(record13("Johns Hopkins University")+"\n", 50_000))
	rng := Range{Length: int64(len(source)), FirstRow: 1, Rows: 50_000}
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewScanner(bytes.NewReader(source), rng)
		for s.Next() {
		}
	}
}

func BenchmarkCut(b *testing.B) {
	source := []byte(strings.Repeat(record13("Johns Hopkins University")+"\n", 50_000))
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Cut(bytes.NewReader(source), Position{}, sha256.New(), Limits{Rows: 5000, Final: true}); err != nil {
			b.Fatal(err)
		}
	}
}
