package activities

import (
	"encoding/binary"
	"errors"
	"fmt"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/warehouse"
)

// window is a transformed window, staged between Transform and Load as:
// a format number, then the counts of rows, rejects and retired keys, then
// these; integers as varints, strings with their length before them.
type window struct {
	rows    []covid.Row
	rejects []warehouse.Reject
	retired []covid.Key
}

const windowFormat = 1

func (w *window) encode() []byte {
	b := make([]byte, 0, 64+len(w.rows)*192)
	b = append(b, windowFormat)
	b = binary.AppendUvarint(b, uint64(len(w.rows)))
	b = binary.AppendUvarint(b, uint64(len(w.rejects)))
	b = binary.AppendUvarint(b, uint64(len(w.retired)))
	for i := range w.rows {
		b = appendRow(b, &w.rows[i])
	}
	for i := range w.rejects {
		b = appendReject(b, &w.rejects[i])
	}
	for _, k := range w.retired {
		b = append(b, k[:]...)
	}
	return b
}

func appendRow(b []byte, r *covid.Row) []byte {
	b = append(b, r.Key[:]...)
	b = binary.AppendVarint(b, int64(r.Date))
	for _, s := range rowStrings(r) {
		b = appendString(b, *s)
	}
	for _, c := range rowCounts(r) {
		if !c.Known {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = binary.AppendVarint(b, int64(c.N))
	}
	b = binary.AppendVarint(b, r.Release)
	return binary.AppendVarint(b, r.Row)
}

func appendReject(b []byte, r *warehouse.Reject) []byte {
	b = append(b, r.Key[:]...)
	for _, s := range []string{r.Source, r.Date, r.Reason, string(r.Document)} {
		b = appendString(b, s)
	}
	b = binary.AppendVarint(b, r.Release)
	return binary.AppendVarint(b, r.Row)
}

// rowStrings and rowCounts give the parts of a row in the order they are staged.
func rowStrings(r *covid.Row) [9]*string {
	return [9]*string{&r.State, &r.County, &r.FIPS, &r.Country, &r.Alpha2, &r.Alpha3, &r.Continent, &r.DataSource, &r.Source}
}

func rowCounts(r *covid.Row) [4]*covid.Count {
	return [4]*covid.Count{&r.NewCases, &r.NewDeaths, &r.TotalCases, &r.TotalDeaths}
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errWindow = errors.New("a staged window cannot be read: it was written by another version of the worker, or damaged")

// windowReader reads what encode wrote. The first error sticks.
type windowReader struct {
	b   []byte
	err error
}

func decodeWindow(b []byte) (window, error) {
	if len(b) == 0 || b[0] != windowFormat {
		return window{}, errWindow
	}
	d := windowReader{b: b[1:]}
	rows, rejects, retired := d.uvarint(), d.uvarint(), d.uvarint()
	// Each begins with a key: a count above that is no count.
	if most := uint64(len(b) / len(covid.Key{})); rows > most || rejects > most || retired > most {
		return window{}, errWindow
	}
	w := window{rows: make([]covid.Row, rows), rejects: make([]warehouse.Reject, rejects), retired: make([]covid.Key, retired)}
	for i := range w.rows {
		d.row(&w.rows[i])
	}
	for i := range w.rejects {
		d.reject(&w.rejects[i])
	}
	for i := range w.retired {
		d.key(&w.retired[i])
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%w: %d bytes too many", errWindow, len(d.b))
	}
	return w, d.err
}

func (d *windowReader) row(r *covid.Row) {
	d.key(&r.Key)
	r.Date = covid.Date(d.varint())
	for _, s := range rowStrings(r) {
		*s = d.string()
	}
	for _, c := range rowCounts(r) {
		if c.Known = d.take(1)[0] == 1; c.Known {
			c.N = int32(d.varint())
		}
	}
	r.Release, r.Row = d.varint(), d.varint()
}

func (d *windowReader) reject(r *warehouse.Reject) {
	d.key(&r.Key)
	r.Source, r.Date, r.Reason, r.Document = d.string(), d.string(), d.string(), []byte(d.string())
	r.Release, r.Row = d.varint(), d.varint()
}

func (d *windowReader) key(k *covid.Key) { copy(k[:], d.take(len(k))) }

func (d *windowReader) string() string { return string(d.take(int(d.uvarint()))) }

// take gives the next n bytes, or as many zeros when there are not as many.
func (d *windowReader) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.err = nil, errWindow
		return make([]byte, 16)
	}
	part := d.b[:n]
	d.b = d.b[n:]
	return part
}

func (d *windowReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errWindow
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *windowReader) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errWindow
		return 0
	}
	d.b = d.b[n:]
	return v
}
