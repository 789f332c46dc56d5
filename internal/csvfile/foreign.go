package csvfile

import (
	"bytes"
	"strings"
)

const utf8BOM = "\ufeff"

// formats are the first bytes of files that are no text, with what the file is
// and what to do. An earlier entry wins.
var formats = []struct{ magic, what string }{
	{"\x1f\x8b", "the file is compressed with gzip; unpack it with gunzip and ingest the result"},
	{"BZh", "the file is compressed with bzip2; unpack it with bunzip2 and ingest the result"},
	{"\xfd7zXZ\x00", "the file is compressed with xz; unpack it with unxz and ingest the result"},
	{"\x28\xb5\x2f\xfd", "the file is compressed with zstd; unpack it with unzstd and ingest the result"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the file is an Excel workbook (.xls); " + saveAsCSV},
	{"PK\x05\x06", "the file is an empty zip archive; ingest a CSV file"},
	{"\xff\xfe\x00\x00", "the file is in UTF-32; " + saveAsUTF8},
	{"\x00\x00\xfe\xff", "the file is in UTF-32; " + saveAsUTF8},
	{"\xff\xfe", inUTF16},
	{"\xfe\xff", inUTF16},
}

const (
	saveAsCSV  = `save its sheet as "CSV UTF-8 (comma delimited)" and ingest that`
	saveAsUTF8 = "save it as UTF-8, for example with iconv, and ingest that"
	inUTF16    = "the file is in UTF-16; " + saveAsUTF8
)

// foreign says what a file that has no good header is, and what to do with it, if
// its first bytes b show that. line is the part of b before the first newline.
func foreign(b, line []byte) string {
	for _, f := range formats {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return f.what
		}
	}
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte(utf8BOM)))
	switch {
	case bytes.HasPrefix(b, []byte(zipMagic)):
		return archive(b)
	case isWideText(b):
		return inUTF16
	case isMarkup(b):
		return "the file is HTML or XML, such as the page of a download instead of the download; get the CSV file itself"
	case bytes.IndexByte(line, '\r') >= 0:
		return "the lines of the file end with CR alone, as old Macintosh programs write them; convert them to LF, for example with tr '\\r' '\\n', and ingest the result"
	case bytes.IndexByte(line, ',') >= 0:
		return ""
	case bytes.IndexByte(line, ';') >= 0:
		return "the columns of the file are separated by semicolons; save it with commas and ingest that"
	case bytes.IndexByte(line, '\t') >= 0:
		return "the columns of the file are separated by tabs; save it with commas and ingest that"
	}
	return ""
}

const zipMagic = "PK\x03\x04"

// archive says what a zip archive is. The parts of an Excel workbook lie in its
// folder xl; which part comes first differs from program to program.
func archive(b []byte) string {
	const nameAt = 30 // bytes from the magic of an entry's header to its name
	for {
		if len(b) > nameAt && bytes.HasPrefix(b[nameAt:], []byte("xl/")) {
			return "the file is an Excel workbook (.xlsx); " + saveAsCSV
		}
		next := bytes.Index(b[1:], []byte(zipMagic))
		if next < 0 {
			return "the file is a zip archive; unpack it with unzip and ingest the CSV file in it"
		}
		b = b[1+next:]
	}
}

// isWideText reports whether b begins as UTF-16 without a byte order mark does:
// ASCII with a zero byte before or behind each letter.
func isWideText(b []byte) bool {
	const sample = 16
	if len(b) < sample {
		return false
	}
	low, high := 0, 0 // zero bytes at even and at odd places
	for i := 0; i < sample; i += 2 {
		if b[i] == 0 {
			low++
		}
		if b[i+1] == 0 {
			high++
		}
	}
	return low == 0 && high == sample/2 || low == sample/2 && high == 0
}

// isMarkup reports whether b begins with a tag.
func isMarkup(b []byte) bool {
	start := strings.TrimLeft(string(b[:min(len(b), 512)]), " \t\r\n"+utf8BOM)
	return strings.HasPrefix(start, "<")
}
