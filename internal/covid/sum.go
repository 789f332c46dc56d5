package covid

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Sum is a 128-bit hash, or a sum of such hashes modulo 2^128, high half first.
// Sums of the same hashes are equal in whatever order they were added.
type Sum [2]uint64

// Add adds x to the sum.
func (s *Sum) Add(x Sum) {
	var carry uint64
	s[1], carry = bits.Add64(s[1], x[1], 0)
	s[0], _ = bits.Add64(s[0], x[0], carry)
}

// String gives the sum as 32 hexadecimal digits.
func (s Sum) String() string { return fmt.Sprintf("%016x%016x", s[0], s[1]) }

// HashValues hashes the source values of a document as they stood.
func HashValues(v *[NumFields]string) Sum { return hashFields(v) }

// HashFields hashes the values of a source record as they stood. It is
// HashValues for a record that is not a document yet.
func HashFields(f *Fields) Sum { return hashFields((*[NumFields][]byte)(f)) }

func hashFields[T string | []byte](fields *[NumFields]T) Sum {
	var room [hashRoom]byte
	buf := room[:0]
	for _, v := range fields {
		buf = appendText(buf, v)
	}
	return hash(buf)
}

// HashRow hashes what the warehouse holds of a row: key, date, names, codes and
// counts, but not the source, release and row they came from, which a load
// leaves as they are when nothing else differs.
func HashRow(r *Row) Sum {
	var room [hashRoom]byte
	buf := append(room[:0], r.Key[:]...)
	buf = binary.BigEndian.AppendUint32(buf, uint32(r.Date))
	for _, v := range [...]string{
		r.State, r.County, r.FIPS, r.Country, r.Alpha2, r.Alpha3, r.Continent, r.DataSource,
	} {
		buf = appendText(buf, v)
	}
	for _, c := range [...]Count{r.NewCases, r.NewDeaths, r.TotalCases, r.TotalDeaths} {
		if !c.Known {
			buf = append(buf, 0)
			continue
		}
		buf = append(buf, 1)
		buf = binary.BigEndian.AppendUint32(buf, uint32(c.N))
	}
	return hash(buf)
}

// hashRoom holds any ordinary record (94 bytes on average in the real file) on
// the stack; a longer one moves to the heap.
const hashRoom = 512

func appendText[T string | []byte](buf []byte, v T) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(v)))
	return append(buf, v...)
}

func hash(b []byte) Sum {
	h := sha256.Sum256(b)
	return Sum{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])}
}
