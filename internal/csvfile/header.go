package csvfile

import (
	"bufio"
	"covidpipeline/internal/covid"
	"fmt"
	"io"
	"strings"
)

func ReadHeader(r io.Reader) (int64, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == io.EOF {
		return 0, ErrNoHeader
	}
	if err != nil {
		return 0, err
	}
	names := strings.Split(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")), ",")
	for i, want := range covid.Columns {
		if i >= len(names) || !strings.EqualFold(names[i], want) {
			return 0, fmt.Errorf("%w: column %d is not %s", ErrHeader, i+1, want)
		}
	}
	return int64(len(line)), nil
}
