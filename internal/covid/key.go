package covid

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// Key is the 128-bit digest of a record's canonical key. It is the document's
// id and the warehouse's primary key.
type Key [16]byte

// ID gives the key as a document id: 22 characters of URL-safe base64, which
// Elasticsearch stores as 16 bytes.
func (k Key) ID() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParseID reads a document id back into its key. It takes only what ID gives,
// so two different ids never mean one key.
func ParseID(id string) (Key, error) {
	var k Key
	if base64.RawURLEncoding.DecodedLen(len(id)) == len(k) {
		// The decoder skips line breaks, hence the length check of what it made.
		n, err := base64.RawURLEncoding.Strict().Decode(k[:], []byte(id))
		if err == nil && n == len(k) {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("not a document id of this pipeline: %q", id)
}

// ForeignKey returns the key under which a document is kept whose id is none of
// this pipeline: the beginning of a digest of the id.
func ForeignKey(id string) Key {
	sum := sha256.Sum256([]byte("foreign document " + id))
	return Key(sum[:16])
}
