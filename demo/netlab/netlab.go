// Package netlab builds small networks of Linux network namespaces: hosts, virtual machines and the wires between them,
// with processes inside. Everything that it makes can be found again by the lab's name prefix and run directory, so that
// whatever happens to the maker, Sweep removes it all.
//
//	Open -> StartReaper -> AddNamespace, AddVeth, AddBridge -> Start, Run -> Close
//
// It needs root, and a kernel with veth and bridge.
package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another process holds the lab.
var ErrBusy = errors.New("lab is in use")

// namespaceDir is where iproute2 and everybody else look for named network namespaces.
const namespaceDir = "/run/netns"

// Lab owns all namespaces whose names start with its prefix, and a run directory for logs, sockets and process records.
// Only one process at a time holds a lab.
type Lab struct {
	prefix string
	dir    string
	lock   *os.File

	mu         sync.Mutex
	namespaces []*Namespace
}

// Open takes the lab of a prefix and a run directory, which it makes when missing. ErrBusy when somebody else holds it,
// a reaper that still cleans up included. What an earlier holder left behind is not touched: see Sweep.
func Open(prefix, dir string) (*Lab, error) {
	if prefix == "" || strings.ContainsRune(prefix, '/') {
		return nil, fmt.Errorf("lab prefix %q: it must be part of a file name, such as \"sluice-demo-\"", prefix)
	}
	file := filepath.Join(dir, "lock") // not the directory itself: daemons lock the folders of their sockets
	for {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make run directory: %w", err)
		}
		lock, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrNotExist) { // removed again in between
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open lock: %w", err)
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
			}
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		// The holder before us removes the file while it holds the lock; then ours is a lock on nothing.
		if sameFile(lock, file) {
			return &Lab{prefix: prefix, dir: dir, lock: lock}, nil
		}
		lock.Close()
	}
}

func sameFile(open *os.File, path string) bool {
	a, errA := open.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Dir is the run directory.
func (l *Lab) Dir() string { return l.dir }

// Path names a file of the run directory.
func (l *Lab) Path(name string) string { return filepath.Join(l.dir, name) }

// Prefix is what the names of all the lab's namespaces start with.
func (l *Lab) Prefix() string { return l.prefix }

// Close gives the lab up and leaves everything in it as it is.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.namespaces {
		n.close()
	}
	l.namespaces = nil
	return l.lock.Close()
}

// Sweep removes everything in the lab: see the function Sweep. Namespaces taken from the lab are of no use afterwards.
func (l *Lab) Sweep() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.namespaces {
		n.close()
	}
	l.namespaces = nil
	return Sweep(l.prefix, l.dir)
}
