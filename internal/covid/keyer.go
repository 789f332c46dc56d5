package covid

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxKeyField is the longest that a key field may be, in bytes as it stood.
// PostgreSQL refuses an index entry of more than 2,704 bytes.
const MaxKeyField = 1024

// MaxField is the longest that any other field may be, in bytes as it stood. With
// MaxKeyField it bounds a raw document, and so what a page of them takes of
// Elasticsearch's memory.
const MaxField = 64 << 10

// keyFields are the fields of the key, in the order in which they are hashed.
// COUNTRY_SHORT_NAME is one of them because 3,123 rows of the real file have
// blank codes and differ in nothing else.
var keyFields = [...]int{FieldDate, FieldCountry, FieldAlpha3, FieldState, FieldCounty, FieldFIPS}

// KeyProblem gives the reason why a record cannot have a key, naming the
// column, or "" when it can.
func KeyProblem(f *Fields) string {
	for _, i := range keyFields {
		if len(f[i]) > MaxKeyField {
			return Columns[i] + " is over 1 kB"
		}
	}
	for _, i := range [...]int{FieldDate, FieldCountry} {
		if len(bytes.TrimSpace(f[i])) == 0 {
			return Columns[i] + " is blank"
		}
	}
	return ""
}

// SizeProblem returns the reason why a record is too large for the pipeline, naming
// the column, or "". KeyProblem judges the fields of the key.
func SizeProblem(f *Fields) string {
	for i := range f {
		if len(f[i]) > MaxField {
			return Columns[i] + " is over 64 kB"
		}
	}
	return ""
}

// Keyer makes the keys of records. The zero value is ready; a Keyer keeps its
// buffer from record to record and so serves one goroutine.
type Keyer struct {
	buf []byte
}

// Key gives the key of a record whose fields are valid UTF-8: the first 16
// bytes of the SHA-256 of its canonical key. That is the six key fields, each
// in canonical form behind its length, so no two lists of fields run together
// to the same bytes. A FIPS of the United States that has four digits has lost a
// leading zero and stands with it, so that 1001 and 01001 are one county.
//
// A change of the canonical form changes the ids of the stored documents that it
// is about. An index that was filled before four-digit FIPS were completed holds
// such documents under another id; the next release of their source writes them
// under this one and retires the others.
func (k *Keyer) Key(f *Fields) Key {
	buf := k.buf[:0]
	for _, i := range keyFields {
		start := len(buf)
		buf = append(buf, 0, 0, 0, 0)
		buf = appendCanonical(buf, f[i])
		if i == FieldFIPS && shortFIPS(buf[start+4:]) && inUnitedStates(f[FieldAlpha3], f[FieldAlpha2], f[FieldCountry]) {
			buf = slices.Insert(buf, start+4, '0')
		}
		binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-4))
	}
	k.buf = buf
	sum := sha256.Sum256(buf)
	return Key(sum[:len(Key{})])
}

// asciiForms maps the bytes of ASCII to their canonical form: letters to lower
// case, white space to a space. Other bytes map to notASCII.
var asciiForms = func() (forms [256]byte) {
	for c := range forms {
		switch {
		case c >= utf8.RuneSelf:
			forms[c] = notASCII
		case 'A' <= c && c <= 'Z':
			forms[c] = byte(c) + 'a' - 'A'
		case '\t' <= c && c <= '\r':
			forms[c] = ' '
		default:
			forms[c] = byte(c)
		}
	}
	return forms
}()

const notASCII = 0xFF

// appendCanonical appends the canonical form of a key field: white space
// trimmed and collapsed, case folded, NFC.
func appendCanonical(dst, value []byte) []byte {
	start := len(dst)
	gap := false
	for _, c := range value {
		c = asciiForms[c]
		switch c {
		case notASCII:
			return appendFolded(dst[:start], value)
		case ' ':
			gap = len(dst) > start
			continue
		}
		if gap {
			dst = append(dst, ' ')
			gap = false
		}
		dst = append(dst, c)
	}
	return dst
}

// appendFolded is appendCanonical for any text. Folding wants decomposed text
// (Unicode 3.13, D145: canonical caseless matching), and leaves it neither
// composed nor decomposed.
func appendFolded(dst, value []byte) []byte {
	for i, word := range bytes.Fields(value) {
		if i > 0 {
			dst = append(dst, ' ')
		}
		folded := cases.Fold().Bytes(norm.NFD.Bytes(word))
		dst = append(dst, norm.NFC.Bytes(bytes.Map(foldCherokee, folded))...)
	}
	return dst
}

// foldCherokee folds the small letters of Cherokee to the capitals, as
// CaseFolding.txt does. x/text swaps the two (golang/go#46101), so its folding
// alone would not be the same after a second time.
func foldCherokee(r rune) rune {
	switch {
	case 0xAB70 <= r && r <= 0xABBF:
		return r - 0xAB70 + 0x13A0
	case 0x13F8 <= r && r <= 0x13FD:
		return r - 0x13F8 + 0x13F0
	}
	return r
}
