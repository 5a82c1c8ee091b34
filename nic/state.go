package nic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// taken is what a card was before it left the kernel's driver.
type taken struct {
	PCI        string           `json:"pci"`
	Driver     string           `json:"driver"` // empty: it had none
	Interfaces []takenInterface `json:"interfaces"`
}

type takenInterface struct {
	Name string `json:"name"`
	MAC  string `json:"mac"`
}

func (s *System) stateFile(pci string) string { return filepath.Join(s.StateDir, pci+".json") }

// recall returns what is remembered of a card, nil when nothing is.
func (s *System) recall(pci string) (*taken, error) {
	b, err := os.ReadFile(s.stateFile(pci))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("network card %s: recall its kernel driver: %w", pci, err)
	}
	var t taken
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("network card %s: %s is damaged: %w; remove the file", pci, s.stateFile(pci), err)
	}
	return &t, nil
}

// remember writes beside and renames, so that a crash leaves the old or the new file, never half of one.
func (s *System) remember(c *Card) error {
	t := taken{PCI: c.PCI, Driver: c.Driver, Interfaces: []takenInterface{}}
	for _, i := range c.Interfaces {
		t.Interfaces = append(t.Interfaces, takenInterface{Name: i, MAC: read(s.path("sys/class/net", i, "address"))})
	}
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	file := s.stateFile(c.PCI)
	if err := os.MkdirAll(s.StateDir, 0o755); err != nil {
		return fmt.Errorf("network card %s: remember its kernel driver: %w; run the command as root", c.PCI, err)
	}
	if err := os.WriteFile(file+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("network card %s: remember its kernel driver: %w; run the command as root", c.PCI, err)
	}
	return os.Rename(file+".new", file)
}

func (s *System) forget(pci string) error {
	if err := os.Remove(s.stateFile(pci)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("network card %s: forget its kernel driver: %w", pci, err)
	}
	return nil
}
