package proof

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
)

// parts is into how many parts the keys of a side are divided, by their first
// byte: digests spread evenly, and parts taken in order give keys in order.
const parts = 256

// blockSize is what a part gathers in memory before it goes to the file: three
// sides then hold 12 MB.
const blockSize = 16 << 10 / entrySize * entrySize

// side is all entries of one side, divided into parts. The parts share one
// file, so that a comparison needs three open files and not hundreds.
type side struct {
	name string
	mu   sync.Mutex
	file *os.File
	err  error // the first failed write: the side is then incomplete for good

	entries int64
	blocks  int64
	written [parts][]int64 // numbers of a part's full blocks
	filling [parts][]byte  // a part's last block, not yet full
}

// newSide opens a file in dir and takes its name away at once: the space is
// given back when the process ends, however it ends.
func newSide(dir, name string) (*side, error) {
	file, err := os.CreateTemp(dir, "reconcile-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("create temporary file for the comparison: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("unlink temporary file of the comparison: %w", err)
	}
	return &side{name: name, file: file}, nil
}

func (s *side) add(e *Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	p := e.Key[0]
	if s.filling[p] == nil {
		s.filling[p] = make([]byte, 0, blockSize)
	}
	s.filling[p] = e.append(s.filling[p])
	s.entries++
	if len(s.filling[p]) < blockSize {
		return nil
	}
	if _, err := s.file.WriteAt(s.filling[p], s.blocks*blockSize); err != nil {
		s.err = fmt.Errorf("write the %s side of the comparison: %w", s.name, err)
		return s.err
	}
	s.written[p] = append(s.written[p], s.blocks)
	s.blocks++
	s.filling[p] = s.filling[p][:0]
	return nil
}

// part is the entries of one side that share a first key byte, in the order of
// key and version. Its memory is used again for the next part.
type part struct {
	entries []byte
	order   []ref
	next    int // first of order that the comparison has not passed
}

// ref points at an entry; most comparisons need only the head of the key.
type ref struct {
	head uint64
	at   int // offset in entries
}

func (s *side) load(p int, into *part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	full := len(s.written[p]) * blockSize
	into.entries = slices.Grow(into.entries[:0], full+len(s.filling[p]))[:full]
	for i, block := range s.written[p] {
		if _, err := s.file.ReadAt(into.entries[i*blockSize:(i+1)*blockSize], block*blockSize); err != nil {
			return fmt.Errorf("read the %s side of the comparison: %w", s.name, err)
		}
	}
	into.entries = append(into.entries, s.filling[p]...)
	into.sort()
	return nil
}

func (p *part) sort() {
	p.next = 0
	p.order = slices.Grow(p.order[:0], len(p.entries)/entrySize)
	for at := 0; at < len(p.entries); at += entrySize {
		p.order = append(p.order, ref{binary.BigEndian.Uint64(p.entries[at:]), at})
	}
	slices.SortFunc(p.order, func(a, b ref) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		x, y := p.entries[a.at:], p.entries[b.at:]
		if c := bytes.Compare(x[:16], y[:16]); c != 0 {
			return c
		}
		return cmp.Compare(versionAt(x), versionAt(y))
	})
}

// key gives the key of the next entry, nil behind the last.
func (p *part) key() []byte {
	if p.next == len(p.order) {
		return nil
	}
	at := p.order[p.next].at
	return p.entries[at : at+16]
}

// take passes all entries of the key and decodes them behind those in into.
func (p *part) take(key []byte, into []Entry) []Entry {
	for {
		k := p.key()
		if k == nil || !bytes.Equal(k, key) {
			return into
		}
		into = append(into, Entry{})
		into[len(into)-1].decode(p.entries[p.order[p.next].at:])
		p.next++
	}
}
