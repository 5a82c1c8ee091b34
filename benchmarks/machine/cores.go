// Package machine knows the computer that a benchmark runs on: its cores, hugepages and load, and what a reader of the
// results has to know of it.
package machine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LeaveCore makes this process, and all that it starts, stay off the core that is measured. It starts the program again
// from its beginning, which is the one way that moves every thread of Go: so it is called first. It does nothing where
// the process is off the core already, or there is no other core.
func LeaveCore(core int) error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("leave core %d: read CPU affinity: %w", core, err)
	}
	if core < 0 || !set.IsSet(core) || set.Count() < 2 {
		return nil
	}
	set.Clear(core)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("leave core %d: %w", core, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("leave core %d: find this program: %w", core, err)
	}
	return fmt.Errorf("leave core %d: start %s again: %w", core, self, syscall.Exec(self, os.Args, os.Environ()))
}

// CheckCore refuses a core that does not exist, or that this process may not use. A process that has left the core may
// still be pinned to it.
func CheckCore(core int) error {
	if online, err := os.ReadFile("/sys/devices/system/cpu/online"); err == nil && !inList(strings.TrimSpace(string(online)), core) {
		return fmt.Errorf("core %d: this machine has cores %s: choose one of them", core, strings.TrimSpace(string(online)))
	}
	tried := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its affinity, ends with the goroutine
		var set unix.CPUSet
		set.Set(core)
		tried <- unix.SchedSetaffinity(0, &set)
	}()
	if err := <-tried; err != nil {
		return fmt.Errorf("core %d: %w: this process may not use it; choose another, or let its cpuset (cgroup) have it", core, err)
	}
	return nil
}

// inList reports whether a number is in a list such as 0-3,8.
func inList(list string, n int) bool {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA == nil && errB == nil && a <= n && n <= b {
			return true
		}
	}
	return false
}

// ControlCore is the first core, other than the measured one, that this process may use; the measured one itself when
// there is no other.
func ControlCore(core int) int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		for i := range len(set) * 64 {
			if i != core && set.IsSet(i) {
				return i
			}
		}
	}
	return core
}
