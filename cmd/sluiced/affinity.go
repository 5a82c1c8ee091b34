package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// allowedCores lists the cores that this process may use, ascending.
func allowedCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// confineThreads moves every thread of the process to the given cores, and with them all threads to come: a thread
// inherits the affinity of the one that made it. Workers pin themselves afterwards; Go makes no thread from theirs,
// since they are locked.
func confineThreads(cores []int) error {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	// A thread that is born while the directory is read may inherit the old set from a thread not yet moved. The next
	// round finds it; a round that found nothing new is the last.
	moved := map[int]bool{}
	for {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w; sluiced needs /proc", err)
		}
		found := false
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || moved[tid] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("move thread %d to the control cores %v: %w", tid, cores, err)
			}
			moved[tid], found = true, true
		}
		if !found {
			return nil
		}
	}
}
