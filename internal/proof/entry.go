package proof

import (
	"encoding/binary"

	"covidpipeline/internal/covid"
)

// Origin says what a raw document is to the sources compared. Only raw
// documents have one.
type Origin uint8

const (
	// Other: of a source that is not compared, or of the newest release behind
	// the checkpoint up to which the source was read.
	Other Origin = iota
	// Current: of the newest release of a source compared, and before its
	// checkpoint, so that the source has the record.
	Current
	// Older: of an older release of a source compared whose newest release is
	// finished, so that the record was either written again or retired.
	Older
	// OlderUnfinished: of an older release of a source compared whose newest
	// release is not finished, so that the document may yet be rewritten or
	// retired.
	OlderUnfinished
)

// Entry is what one side knows of one record.
type Entry struct {
	Key covid.Key
	// Version is the record's or the document's. Of a warehouse row or reject it
	// only helps to name it; 0 is unknown.
	Version covid.Version
	// Values is the hash of the source's values as they stood; unused for a
	// warehouse row.
	Values covid.Sum
	// Row is the hash of the cleaned values; zero when rejected.
	Row covid.Sum
	// Rejected: the transform refuses the values, or, in the warehouse, the
	// entry is a reject and not a row.
	Rejected bool
	// Retired and Origin are of raw documents only.
	Retired bool
	Origin  Origin
	// Date is the report date when HasDate is set. A rejected record has one too
	// when its date is not what it is rejected for, and on every side.
	Date    covid.Date
	HasDate bool
	// NewCases and NewDeaths are unknown when rejected.
	NewCases, NewDeaths covid.Count
}

// OfDocument gives the entry of a raw document, of a source's record in the
// form of a document, or of the document that a reject keeps. The same
// document gives the same entry on each side. Origin is left to the caller.
func OfDocument(d *covid.Document, rules covid.Rules) Entry {
	e := Entry{Key: d.Key, Version: d.Version, Retired: d.Retired, Values: covid.HashValues(&d.Values)}
	row, reason := rules.Clean(d)
	if reason == "" {
		e.setRow(&row)
		return e
	}
	e.Rejected = true
	// The date is judged as if nothing else were wrong.
	dated := covid.Document{Registered: d.Registered}
	dated.Values[covid.FieldDate] = d.Values[covid.FieldDate]
	dated.Values[covid.FieldCountry] = "-"
	if row, reason := rules.Clean(&dated); reason == "" {
		e.Date, e.HasDate = row.Date, true
	}
	return e
}

// OfRow gives the entry of a warehouse row.
func OfRow(r *covid.Row) Entry {
	e := Entry{Key: r.Key, Version: covid.NewVersion(r.Release, r.Row)}
	e.setRow(r)
	return e
}

func (e *Entry) setRow(r *covid.Row) {
	e.Row = covid.HashRow(r)
	e.Date, e.HasDate = r.Date, true
	e.NewCases, e.NewDeaths = r.NewCases, r.NewDeaths
}

// content is what the digest of a report date adds up: the cleaned values of a
// sound record, the source's values of a rejected one.
func (e *Entry) content() covid.Sum {
	if e.Rejected {
		return e.Values
	}
	return e.Row
}

// An entry in a file, little endian: key 0, version 16, values 24, row 40, date
// 56, new cases 60, new deaths 64, origin 68, flags 69.
const entrySize = 70

const (
	flagRejected = 1 << iota
	flagRetired
	flagHasDate
	flagNewCases
	flagNewDeaths
)

func (e *Entry) append(b []byte) []byte {
	b = append(b, e.Key[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Version))
	b = appendSum(b, e.Values)
	b = appendSum(b, e.Row)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Date))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.NewCases.N))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.NewDeaths.N))
	flags := bit(e.Rejected, flagRejected) | bit(e.Retired, flagRetired) | bit(e.HasDate, flagHasDate) |
		bit(e.NewCases.Known, flagNewCases) | bit(e.NewDeaths.Known, flagNewDeaths)
	return append(b, byte(e.Origin), flags)
}

func (e *Entry) decode(b []byte) {
	_ = b[entrySize-1]
	e.Key = covid.Key(b)
	e.Version = versionAt(b)
	e.Values = sumAt(b[24:])
	e.Row = sumAt(b[40:])
	e.Date = covid.Date(binary.LittleEndian.Uint32(b[56:]))
	flags := b[69]
	e.NewCases = covid.Count{N: int32(binary.LittleEndian.Uint32(b[60:])), Known: flags&flagNewCases != 0}
	e.NewDeaths = covid.Count{N: int32(binary.LittleEndian.Uint32(b[64:])), Known: flags&flagNewDeaths != 0}
	e.Origin = Origin(b[68])
	e.Rejected = flags&flagRejected != 0
	e.Retired = flags&flagRetired != 0
	e.HasDate = flags&flagHasDate != 0
}

func versionAt(b []byte) covid.Version {
	return covid.Version(binary.LittleEndian.Uint64(b[16:]))
}

func appendSum(b []byte, s covid.Sum) []byte {
	b = binary.LittleEndian.AppendUint64(b, s[0])
	return binary.LittleEndian.AppendUint64(b, s[1])
}

func sumAt(b []byte) covid.Sum {
	return covid.Sum{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func bit(set bool, flag byte) byte {
	if set {
		return flag
	}
	return 0
}
