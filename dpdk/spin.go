package dpdk

// #include "spin.h"
// #cgo noescape sluice_tsc
// #cgo nocallback sluice_tsc
// #cgo noescape sluice_spin
// #cgo nocallback sluice_spin
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TSC reads the time stamp counter. It needs no Init.
func TSC() uint64 { return uint64(C.sluice_tsc()) }

// Spin does nothing but look at the time stamp counter, for so many cycles, on a thread pinned to a core: what it misses
// of time, any worker on that core would. A turn is over with the first look after turn cycles, so that turns can be as
// long as a worker's. counts has the layout of an HdrHistogram with a lowest value of 1 and two significant digits; turns
// are counted there by their cycles, the longest in the last bucket. It needs no Init.
func Spin(core int, cycles, turn uint64, counts []int64) (elapsed uint64, err error) {
	if len(counts) == 0 {
		return 0, fmt.Errorf("spin: %w: nothing to count into", ErrInvalid)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return 0, fmt.Errorf("spin: read the thread's affinity: %w", err)
	}
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("spin: pin to core %d: %w (choose a core that exists and that this process may use)", core, err)
	}
	elapsed = uint64(C.sluice_spin(C.uint64_t(cycles), C.uint64_t(turn), (*C.int64_t)(unsafe.Pointer(&counts[0])), C.size_t(len(counts))))
	if err := unix.SchedSetaffinity(0, &before); err != nil {
		return elapsed, fmt.Errorf("spin: restore the thread's affinity: %w", err)
	}
	return elapsed, nil
}
