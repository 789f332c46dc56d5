package proof

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestRecordReadTwice(t *testing.T) {
	t.Parallel()
	w := sound()
	w.source = append(w.source, w.source[0])
	_, err := w.books(t).Compare(context.Background(), w.totals, nil)
	if err == nil || !strings.Contains(err.Error(), "release 2 row 1 was read twice") {
		t.Errorf("error %v, want the record that was read twice", err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := sound()
	ctx, cancel := context.WithCancel(context.Background())
	var seen int
	_, err := w.books(t).Compare(ctx, w.totals, func(done, of int) {
		seen = done
		if of != parts {
			t.Errorf("progress of %d parts, want %d", of, parts)
		}
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || seen != 3 {
		t.Errorf("error %v after part %d, want cancelled after 3", err, seen)
	}
}

// The files have no names, so nothing is left behind, however a process ends.
func TestNoFilesLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	books, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("files %v, error %v", left, err)
	}
	if err := books.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir + "/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a folder that is not there", err)
	}
}

// A side that could not be written stays unusable: a comparison without its
// entries would prove nothing.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	w := sound()
	books := w.books(t)
	writable := books.raw.file
	broken, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	books.raw.file = broken
	e := record(1, 1, 1, 1)
	for range blockSize / entrySize {
		err = books.AddRaw(&e)
	}
	if err == nil || !strings.Contains(err.Error(), "write the raw side") {
		t.Fatalf("error %v, want the failed write", err)
	}
	books.raw.file = writable
	if broken.Close() != nil || books.AddRaw(&e) == nil {
		t.Error("the side accepts entries after a failed write")
	}
	if _, err := books.Compare(context.Background(), w.totals, nil); err == nil {
		t.Error("compared in spite of a failed write")
	}
}
