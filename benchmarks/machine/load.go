package machine

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/measure"
)

// Load1 is the load average of the last minute; 0 when it cannot be read.
func Load1() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// cpuTimes are clock ticks of one core since boot (proc(5), /proc/stat).
type cpuTimes struct{ total, steal uint64 }

func readTimes(core int) (t cpuTimes) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	return parseTimes(string(text), core)
}

// stealField is the eighth number of a line of /proc/stat; guest time, behind it, is part of user time already.
const stealField = 8

func parseTimes(stat string, core int) (t cpuTimes) {
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if len(fields) <= stealField || fields[0] != fmt.Sprintf("cpu%d", core) {
			continue
		}
		for i, f := range fields[1 : stealField+1] {
			n, _ := strconv.ParseUint(f, 10, 64)
			t.total += n
			if i == stealField-1 {
				t.steal = n
			}
		}
	}
	return t
}

// Watch notes what else happens on the machine from now until the returned function is called.
func Watch(core int) func() *measure.Busy {
	before := readTimes(core)
	return func() *measure.Busy {
		now := readTimes(core)
		b := &measure.Busy{Load1: Load1()}
		if d := now.total - before.total; d > 0 {
			b.Steal = float64(now.steal-before.steal) / float64(d)
		}
		return b
	}
}

// threadTimes are how long a thread has run, and how long it was ready to and did not, because others had its core.
type threadTimes struct{ ran, waited uint64 }

// schedTimes reads the threads of a process (Documentation/scheduler/sched-stats.rst in the kernel's source).
func schedTimes(pid int) map[string]threadTimes {
	all := map[string]threadTimes{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		var t threadTimes
		if _, err := fmt.Sscan(readText(f), &t.ran, &t.waited); err == nil {
			all[filepath.Base(filepath.Dir(f))] = t
		}
	}
	return all
}

// WatchThread looks at the busiest thread of a process from now until the returned function is called, which gives the
// share of that time for which others of this machine had the thread's core: what a hypervisor takes is not in it.
func WatchThread(pid int) func() float64 { return WatchThreads(pid, 1) }

// WatchThreads is WatchThread for the n busiest threads: it gives the share of the one that others disturbed most.
func WatchThreads(pid, n int) func() float64 {
	before, start := schedTimes(pid), time.Now()
	return func() float64 {
		var all []threadTimes
		for id, now := range schedTimes(pid) {
			if then, old := before[id]; old {
				all = append(all, threadTimes{now.ran - then.ran, now.waited - then.waited})
			}
		}
		slices.SortFunc(all, func(a, b threadTimes) int { return cmp.Compare(b.ran, a.ran) })
		waited := uint64(0)
		for _, t := range all[:min(n, len(all))] {
			waited = max(waited, t.waited)
		}
		return float64(waited) / float64(max(1, time.Since(start).Nanoseconds()))
	}
}
