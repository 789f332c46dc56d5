package csvfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

type Limits struct {
	Rows   int
	Bytes  int64
	Ranges int
	Final  bool
}

type Plan struct {
	Ranges      []Range  `json:"ranges"`
	End         Position `json:"end"`
	AtRecordEnd bool     `json:"atRecordEnd"`
	More        bool     `json:"more"`
}

func Cut(r io.Reader, from Position, running hash.Hash, lim Limits) (Plan, error) {
	in := bufio.NewReaderSize(r, 4<<20)
	p := Plan{End: from, AtRecordEnd: true}
	cur := Range{Offset: from.Offset, FirstRow: from.Row + 1}
	h := sha256.New()
	limBytes := lim.Bytes
	if limBytes == 0 {
		limBytes = DefaultBytes
	}
	closeRange := func() {
		if cur.Length > 0 {
			cur.Digest = hex.EncodeToString(h.Sum(nil)[:16])
			p.Ranges = append(p.Ranges, cur)
			p.End = cur.End()
			cur = Range{Offset: p.End.Offset, FirstRow: p.End.Row + 1}
			h.Reset()
		}
	}
	for {
		if lim.Ranges > 0 && len(p.Ranges) == lim.Ranges {
			p.More = true
			return p, nil
		}
		b, err := in.Peek(2048)
		if err == bufio.ErrBufferFull || (err != nil && err != io.EOF) {
			return p, err
		}
		eof := err == io.EOF
		n, st := record(b, eof && lim.Final)
		if st == needMore && !eof {
			b, err = in.Peek(3 << 20)
			if err != nil && err != io.EOF {
				return p, err
			}
			eof = err == io.EOF
			n, st = record(b, eof && lim.Final)
		}
		if len(b) == 0 || (st == needMore && eof) {
			closeRange()
			return p, nil
		}
		ended := b[max(n-1, 0)] == '\n'
		empty := st == whole && len(trimEnd(b[:n])) == 0
		if !empty && cur.Rows == lim.Rows || cur.Length+int64(n) > limBytes {
			closeRange()
			if lim.Ranges > 0 && len(p.Ranges) == lim.Ranges {
				continue
			}
		}
		h.Write(b[:n])
		running.Write(b[:n])
		cur.Length += int64(n)
		if !empty {
			cur.Rows++
		}
		p.AtRecordEnd = ended
		in.Discard(n)
	}
}

func trimEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}
