package proof

import (
	"encoding/binary"

	"covidpipeline/internal/covid"
)

// Origin says what a raw document is to the sources compared.
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
	// Version is the record's or the document's; of a warehouse row or reject, and
	// of a document that is Foreign, that of the release and row in its fields.
	Version covid.Version
	// Source numbers the entry's source from 1, as in Totals.Sources; 0 is a source
	// that the registry does not have.
	Source uint32
	// Values is the hash of the source's values as they stood; unused for a
	// warehouse row.
	Values covid.Sum
	// Row is the hash of the cleaned values; zero when rejected.
	Row covid.Sum
	// Rejected: the transform refuses the values, or, in the warehouse, the
	// entry is a reject and not a row.
	Rejected bool
	// Foreign: the document is none of this pipeline or was changed past it, or,
	// in the warehouse, the reject is one of such a document.
	Foreign bool
	// Retired is of raw documents only.
	Retired bool
	// Origin says what a raw document is to the sources compared. A warehouse row
	// or reject is Current when the record at its place was read, and Other otherwise.
	Origin Origin
	// Registered is of warehouse entries only: the registry has the entry's release,
	// as one of its source, and the release had read its row.
	Registered bool
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

// OfForeign returns the entry of a document that is none of this pipeline or was
// changed past it, as its raw JSON text: nothing in it is believed but what names it.
func OfForeign(d *covid.Document, raw []byte) Entry {
	whole := [covid.NumFields]string{string(raw)}
	return Entry{Key: d.Key, Version: covid.NewVersion(d.Release, d.Row), Values: covid.HashValues(&whole),
		Rejected: true, Foreign: true}
}

// An entry in a file, little endian: key 0, version 16, values 24, row 40, date
// 56, new cases 60, new deaths 64, source 68, origin 72, flags 73.
const entrySize = 74

const (
	flagRejected = 1 << iota
	flagRetired
	flagHasDate
	flagNewCases
	flagNewDeaths
	flagForeign
	flagRegistered
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
		bit(e.NewCases.Known, flagNewCases) | bit(e.NewDeaths.Known, flagNewDeaths) |
		bit(e.Foreign, flagForeign) | bit(e.Registered, flagRegistered)
	b = binary.LittleEndian.AppendUint32(b, e.Source)
	return append(b, byte(e.Origin), flags)
}

func (e *Entry) decode(b []byte) {
	_ = b[entrySize-1]
	e.Key = covid.Key(b)
	e.Version = versionAt(b)
	e.Values = sumAt(b[24:])
	e.Row = sumAt(b[40:])
	e.Date = covid.Date(binary.LittleEndian.Uint32(b[56:]))
	flags := b[73]
	e.NewCases = covid.Count{N: int32(binary.LittleEndian.Uint32(b[60:])), Known: flags&flagNewCases != 0}
	e.NewDeaths = covid.Count{N: int32(binary.LittleEndian.Uint32(b[64:])), Known: flags&flagNewDeaths != 0}
	e.Source = binary.LittleEndian.Uint32(b[68:])
	e.Origin = Origin(b[72])
	e.Rejected = flags&flagRejected != 0
	e.Retired = flags&flagRetired != 0
	e.HasDate = flags&flagHasDate != 0
	e.Foreign = flags&flagForeign != 0
	e.Registered = flags&flagRegistered != 0
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
