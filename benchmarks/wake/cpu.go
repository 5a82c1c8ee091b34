package wake

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// idle leaves a process alone, and says how much of a core its worker's thread and all its threads took. The kernel counts in
// nanoseconds what getrusage sums up.
func idle(ctx context.Context, pid, core int, d time.Duration) (worker, all float64, err error) {
	select { // what starting takes
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(2 * time.Second):
	}
	thread, err := threadOn(pid, core)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	threadBefore, before, err := times(pid, thread)
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(d):
	}
	threadAfter, after, err := times(pid, thread)
	took := time.Since(began)
	return float64(threadAfter-threadBefore) / float64(took), float64(after-before) / float64(took), err
}

// offCore runs f on a thread that leaves a core alone, where there is another.
func offCore(core int, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its affinity, ends with the goroutine
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			done <- fmt.Errorf("read CPU affinity: %w", err)
			return
		}
		if set.IsSet(core) && set.Count() > 1 {
			set.Clear(core)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				done <- fmt.Errorf("leave core %d: %w", core, err)
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// threadOn finds the thread that is pinned to a core alone, as workers are.
func threadOn(pid, core int) (int, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("threads of sluiced: %w", err)
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		var set unix.CPUSet
		if err == nil && unix.SchedGetaffinity(tid, &set) == nil && set.Count() == 1 && set.IsSet(core) {
			return tid, nil
		}
	}
	return 0, fmt.Errorf("sluiced has no thread on core %d alone", core)
}

// times are the processor time of a thread, as the scheduler counts it, and of its process.
func times(pid, tid int) (thread, process time.Duration, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid))
	if err != nil {
		return 0, 0, fmt.Errorf("processor time of the worker: %w", err)
	}
	var ran int64
	if _, err := fmt.Sscan(string(b), &ran); err != nil {
		return 0, 0, fmt.Errorf("processor time of the worker: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { // CPUCLOCK_SCHED of a process, clock_getcpuclockid(3)
		return 0, 0, fmt.Errorf("processor time of sluiced: %w", err)
	}
	return time.Duration(ran), time.Duration(t.Nano()), nil
}
