package csvfile

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"covidpipeline/internal/covid"
)

func TestHeader(t *testing.T) {
	names := strings.Join(covid.Columns[:], ",")
	for name, c := range map[string]struct {
		header string
		want   error
	}{
		"plain":        {names + "\n", nil},
		"CRLF":         {names + "\r\n", nil},
		"BOM":          {"\ufeff" + names + "\n", nil},
		"other case":   {strings.ToLower(names) + "\n", nil},
		"quoted":       {`"` + strings.ReplaceAll(names, ",", `","`) + "\"\n", nil},
		"one missing":  {names[:strings.LastIndex(names, ",")] + "\n", ErrHeader},
		"one too many": {names + ",MORE\n", ErrHeader},
		"wrong order":  {strings.Join(append(covid.Columns[1:], covid.Columns[0]), ",") + "\n", ErrHeader},
		"empty":        {"", ErrNoHeader},
		"no end":       {names, ErrNoHeader},
		"endless":      {strings.Repeat("x", maxHeader+1), ErrHeader},
	} {
		length, err := ReadHeader(strings.NewReader(c.header + rest(c.want)))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && length != int64(len(c.header)) {
			t.Errorf("%s: %d bytes, want %d", name, length, len(c.header))
		}
	}
}

// rest is what follows a good header.
func rest(want error) string {
	if want == nil {
		return record13("x") + "\n"
	}
	return ""
}

// foreignFiles are files that are no comma-separated text, by a word of the error
// that names what they are.
func foreignFiles(t *testing.T) map[string]string {
	names := strings.Join(covid.Columns[:], ",")
	text := names + "\n" + record13("secret") + "\n"
	return map[string]string{
		"gzip":                 gzipped(t, text),
		"zip archive":          zipped(t, "cases.csv", "notes.txt"),
		"empty zip":            zipped(t),
		"(.xlsx)":              zipped(t, "[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"),
		"(.xls)":               "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 504),
		"bzip2":                "BZh91AY&SY" + strings.Repeat("x", 100),
		"xz":                   "\xfd7zXZ\x00\x00\x04\xe6",
		"zstd":                 "\x28\xb5\x2f\xfd\x04\x58",
		"UTF-16":               wide(binary.LittleEndian, "\ufeff"+text),
		"UTF-16;":              wide(binary.BigEndian, "\ufeff"+text),
		"in UTF-16":            wide(binary.LittleEndian, text),
		"in UTF-16;":           wide(binary.BigEndian, text),
		"UTF-32":               "\xff\xfe\x00\x00P\x00\x00\x00",
		"CR alone":             strings.ReplaceAll(text, "\n", "\r"),
		"with CR alone":        strings.Repeat(strings.ReplaceAll(text, "\n", "\r"), maxHeader/len(text)+1),
		"semicolons":           strings.ReplaceAll(text, ",", ";"),
		"by semicolons":        strings.ReplaceAll(names, ",", ";"), // no line end
		"tabs":                 utf8BOM + strings.ReplaceAll(text, ",", "\t"),
		"HTML":                 "<!DOCTYPE html>\n<title>secret</title>",
		"HTML or XML":          utf8BOM + " \n <html>",
		"page of a download":   "<html>" + strings.Repeat("x", 2*maxHeader),
		"instead of 13":        names + ",secret\n",
		"column 1 is not":      "secret," + names + "\n",
		"column 3 (PROVINCE_S": covid.Columns[0] + "," + covid.Columns[1] + "\n",
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipped(t *testing.T, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(f, "secret\n")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wide(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// Neither how the bytes come nor whether a newline is among them matters, and the
// error shows nothing of what is in the file.
func TestAForeignFileIsNamed(t *testing.T) {
	for word, file := range foreignFiles(t) {
		for _, r := range []io.Reader{strings.NewReader(file), iotest.HalfReader(strings.NewReader(file))} {
			_, err := ReadHeader(r)
			if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %v", word, err)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("the file is quoted: %v", err)
			}
		}
	}
}

// A header that is still being written must not count as another format.
func TestEveryBeginningOfAHeaderIsOne(t *testing.T) {
	header := utf8BOM + strings.Join(covid.Columns[:], ",") + "\r\n"
	for n := range len(header) {
		if _, err := ReadHeader(strings.NewReader(header[:n])); !errors.Is(err, ErrNoHeader) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

// The source is read no farther than a header can reach.
func TestReadHeaderIsBounded(t *testing.T) {
	for name, begin := range map[string]string{"text": "x", "gzip": "\x1f\x8b", "zip": zipMagic, "CR": "a\rb"} {
		read := &counter{r: io.MultiReader(strings.NewReader(begin), strings.NewReader(strings.Repeat("x", 3*maxHeader)))}
		if _, err := ReadHeader(read); !errors.Is(err, ErrHeader) || read.n > maxHeader {
			t.Errorf("%s: read %d bytes, %v", name, read.n, err)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := ReadHeader(io.MultiReader(strings.NewReader("PEOPLE"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a failed read: %v", err)
	}
}

// counter counts the bytes that are read through it.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}
