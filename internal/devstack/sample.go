package devstack

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"covidpipeline/internal/sample"
)

// SampleRows is the size of the demo's sample.
const SampleRows = sample.DefaultRows

// Sample writes a sample file of so many rows. A file that holds it already stays
// as it is, so that an ingest that reads it is not disturbed.
func (s *Stack) Sample(path string, rows int) error {
	want, got := sha256.New(), sha256.New()
	if err := sample.Write(want, rows); err != nil {
		return err
	}
	if file, err := os.Open(path); err == nil {
		_, err := io.Copy(got, file)
		file.Close()
		if err == nil && bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			s.say("The sample of %d rows is there already: %s", rows, path)
			return nil
		}
	}
	temp := path + ".new"
	file, err := os.Create(temp)
	if err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	defer os.Remove(temp)
	if err := sample.Write(file, rows); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	s.say("Wrote a sample of %d rows: %s", rows, path)
	return nil
}
