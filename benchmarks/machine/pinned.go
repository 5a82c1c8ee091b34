package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Neighbour is a thread of another process that is pinned to one core and runs there.
type Neighbour struct {
	Process int
	Command string
	Thread  string
	Share   float64 // of the time, for which it had the core
}

// busyNeighbour is the share of a core that a thread has to have to matter: one that waits for packets costs nothing.
const busyNeighbour = 0.05

// WatchCore looks for threads of other processes that may run on this core only, from now until the returned function is
// called, which names those that did: a switch's worker, say. The kernel's own threads, of which every core has some, do
// not count.
func WatchCore(core int) func() []Neighbour {
	before, start := pinnedTo(core), time.Now()
	return func() (all []Neighbour) {
		length := float64(max(1, time.Since(start).Nanoseconds()))
		for task, then := range before {
			now, ok := ranTime(task)
			share := float64(now-then) / length
			if !ok || now < then || share < busyNeighbour {
				continue
			}
			process, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(task))))
			all = append(all, Neighbour{Process: process, Command: filepath.Base(commandOf(process)), Thread: strings.TrimSpace(readText(task + "/comm")), Share: share})
		}
		return all
	}
}

// pinnedTo finds the threads, with the time that each has run.
func pinnedTo(core int) map[string]uint64 {
	all := map[string]uint64{}
	var set unix.CPUSet
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() || commandOf(pid) == "" {
			continue
		}
		tasks, _ := filepath.Glob(dir + "/task/[0-9]*")
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil || unix.SchedGetaffinity(tid, &set) != nil || set.Count() != 1 || !set.IsSet(core) {
				continue
			}
			if ran, ok := ranTime(task); ok {
				all[task] = ran
			}
		}
	}
	return all
}

// ranTime is how long a thread has run, nanoseconds.
func ranTime(task string) (ran uint64, ok bool) {
	_, err := fmt.Sscan(readText(task+"/schedstat"), &ran)
	return ran, err == nil
}

// commandOf is the program of a process; "" for the kernel's, and for those that have ended.
func commandOf(pid int) string {
	program, _, _ := strings.Cut(readText(fmt.Sprintf("/proc/%d/cmdline", pid)), "\x00")
	return program
}
