package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/policy"
)

// allowedCores lists the cores that this process may use, ascending.
func allowedCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var list []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list, nil
}

// machineCores looks at the machine. Isolated cores are in nobody's affinity: a daemon that was started with that of everybody
// may use them too, as far as its cpuset goes.
func machineCores() (*cores.Machine, error) {
	affinity, err := allowedCores()
	if err != nil {
		return nil, err
	}
	m := cores.Read("/", affinity)
	if m.Default() {
		for _, c := range m.Online {
			if m.Isolated[c] && !slices.Contains(m.Allowed, c) && mayRunOn(c) {
				m.Allowed = append(m.Allowed, c)
			}
		}
		slices.Sort(m.Allowed)
	}
	return m, nil
}

// mayRunOn tries a core.
func mayRunOn(core int) bool {
	tried := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its affinity, ends with the goroutine
		var set unix.CPUSet
		set.Set(core)
		tried <- unix.SchedSetaffinity(0, &set)
	}()
	return <-tried == nil
}

// nicNode is the NUMA node of the first uplink that has one.
func nicNode(c *policy.Config) int {
	for i := range c.Uplinks {
		d := &c.Uplinks[i].Device
		node := cores.Unknown
		switch {
		case d.PCI != "":
			node = cores.PCINode("/", d.PCI)
		case d.Interface != "":
			node = cores.InterfaceNode("/", d.Interface)
		}
		if node != cores.Unknown {
			return node
		}
	}
	return cores.Unknown
}

// confineThreads moves every thread of the process to the given cores, and with them all threads to come: a thread
// inherits the affinity of the one that made it. Workers pin themselves afterwards; Go makes no thread from theirs,
// since they are locked.
func confineThreads(to []int) error {
	var set unix.CPUSet
	for _, c := range to {
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
				return fmt.Errorf("move thread %d to the control cores %v: %w", tid, to, err)
			}
			moved[tid], found = true, true
		}
		if !found {
			return nil
		}
	}
}
