package proof

import (
	"bytes"
	"context"
	"errors"

	"covidpipeline/internal/covid"
)

// Keys compares two sets of keys of any size in flat memory, in the files that a
// comparison of Books uses.
type Keys struct {
	before, now *side
}

// NewKeys begins a comparison of keys. dir is as for New.
func NewKeys(dir string) (*Keys, error) {
	before, err := newSide(dir, "before")
	if err != nil {
		return nil, err
	}
	now, err := newSide(dir, "now")
	if err != nil {
		return nil, errors.Join(err, before.file.Close())
	}
	return &Keys{before: before, now: now}, nil
}

// Close frees the temporary files.
func (k *Keys) Close() error { return errors.Join(k.before.file.Close(), k.now.file.Close()) }

// AddBefore adds a key to the first set. A key may be added more than once.
func (k *Keys) AddBefore(key covid.Key) error { return k.before.add(&Entry{Key: key}) }

// AddNow adds a key to the second set. A key may be added more than once.
func (k *Keys) AddNow(key covid.Key) error { return k.now.add(&Entry{Key: key}) }

// Missing returns how many keys the first set has, and how many of them the second one
// lacks.
func (k *Keys) Missing(ctx context.Context) (all, missing int64, err error) {
	var before, now part
	for p := range parts {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		if err := errors.Join(k.before.load(p, &before), k.now.load(p, &now)); err != nil {
			return 0, 0, err
		}
		for key := before.key(); key != nil; key = before.key() {
			all++
			before.pass(key)
			for other := now.key(); other != nil && bytes.Compare(other, key) < 0; other = now.key() {
				now.pass(other)
			}
			if !bytes.Equal(now.key(), key) {
				missing++
			}
		}
	}
	return all, missing, nil
}

// pass passes all entries of the key.
func (p *part) pass(key []byte) {
	for k := p.key(); k != nil && bytes.Equal(k, key); k = p.key() {
		p.next++
	}
}
