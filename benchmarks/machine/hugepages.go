package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hugepages2M is the kernel's account of pages of 2 MiB.
const hugepages2M = "/sys/kernel/mm/hugepages/hugepages-2048kB"

// Hugepages are pages of 2 MiB that a benchmark has added to the kernel's pool.
type Hugepages struct {
	dir   string
	added int
	Note  string // why there are fewer than asked for; "" if nothing is to be said
}

// ReserveHugepages sees to it that so many MiB are free in pages of 2 MiB, as far as this process may and the memory
// goes. What it adds Release gives back; pages that were there before stay.
func ReserveHugepages(mb int) (*Hugepages, error) { return reserve(hugepages2M, mb) }

func reserve(dir string, mb int) (*Hugepages, error) {
	h := &Hugepages{dir: dir}
	want := (mb + 1) / 2
	free, err := h.read("free_hugepages")
	if errors.Is(err, fs.ErrNotExist) {
		h.Note = "no hugepages: this kernel has none of 2 MiB"
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	if free >= want {
		return h, nil
	}
	total, err := h.read("nr_hugepages")
	if err != nil {
		return nil, err
	}
	switch err := h.write(total + want - free); {
	case errors.Is(err, fs.ErrPermission):
		h.Note = fmt.Sprintf("no hugepages: %d pages of 2 MiB are free, %d are needed, and only root may add some", free, want)
		return h, nil
	case err != nil:
		return nil, err
	}
	now, err := h.read("nr_hugepages")
	if err != nil {
		return nil, err
	}
	h.added = max(0, now-total)
	if free, err = h.read("free_hugepages"); err != nil {
		return nil, errors.Join(err, h.Release())
	}
	if free < want {
		h.Note = fmt.Sprintf("too few hugepages: the kernel found %d free pages of 2 MiB, %d are needed (memory is in pieces: a fresh boot helps)", free, want)
	}
	return h, nil
}

// Release gives back what was added. Calling it twice does nothing.
func (h *Hugepages) Release() error {
	if h == nil || h.added == 0 {
		return nil
	}
	total, err := h.read("nr_hugepages")
	if err != nil {
		return err
	}
	back := h.added
	h.added = 0
	if err := h.write(max(0, total-back)); err != nil {
		return fmt.Errorf("%w; `echo %d > %s/nr_hugepages` as root gives the hugepages back", err, max(0, total-back), h.dir)
	}
	return nil
}

func (h *Hugepages) read(name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		return 0, fmt.Errorf("read hugepages: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read hugepages: %s: %w", name, err)
	}
	return n, nil
}

func (h *Hugepages) write(n int) error {
	if err := os.WriteFile(filepath.Join(h.dir, "nr_hugepages"), []byte(strconv.Itoa(n)), 0o644); err != nil {
		return fmt.Errorf("set hugepages: %w", err)
	}
	return nil
}
