package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// recordPath names the file that records a process of the stack.
func (s *Stack) recordPath(name string) string {
	return filepath.Join(s.State, "run", strings.ToLower(name)+".json")
}

// logPath names the log of a process of the stack.
func (s *Stack) logPath(name string) string {
	return filepath.Join(s.State, "log", strings.ToLower(name)+".log")
}

// record keeps a process for the calls to come.
func (s *Stack) record(server *Server) error {
	text, err := json.MarshalIndent(server, "", "  ")
	if err != nil {
		return fmt.Errorf("record %s: %w", server.Name, err)
	}
	if err := replaceFile(s.recordPath(server.Name), string(text)+"\n", 0o644); err != nil {
		return fmt.Errorf("record %s: %w", server.Name, err)
	}
	return nil
}

// recorded gives the process of this name if it runs, else nil.
func (s *Stack) recorded(name string) (*Server, error) {
	path := s.recordPath(name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", name, err)
	}
	var server Server
	if err := json.Unmarshal(text, &server); err != nil {
		return nil, fmt.Errorf("read the record of %s, %s: %w", name, path, err)
	}
	if !server.Alive() {
		return nil, nil
	}
	return &server, nil
}
