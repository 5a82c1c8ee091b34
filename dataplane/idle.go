package dataplane

import "time"

// Idle says how a worker backs off while no packets come: it polls on for Spin, ever more slowly, then it sleeps. Where all
// its receive queues can wake it, it sleeps until one does, or until timers are due; else for an eighth of the time without
// packets, and no longer than MaxSleep.
type Idle struct {
	Spin     time.Duration // after the last packet, before the first sleep
	MaxSleep time.Duration // hence the longest that a packet waits in a queue that cannot wake; 0: never sleeps
}

const (
	idlePolls   = 16                    // empty polls before a worker begins to back off
	mostPauses  = 16                    // of one empty poll, about a microsecond
	shortestNap = 20 * time.Microsecond // of a worker that nobody wakes
	napShare    = 8                     // a nap is an eighth of the time without packets
	timerNap    = 50 * time.Millisecond // longest sleep of a worker that is woken: others read what it tells, and timers run
	maxRounds   = int(timerNap / housekeeping)
)

// backOff follows an empty poll, the last of so many; no packets have come for that long.
func (w *worker) backOff(empty int, quiet time.Duration) {
	if w.out.n != 0 || w.slow.resting != 0 {
		return
	}
	if quiet < w.idle.Spin {
		pause(min(uint32(empty)/idlePolls, mostPauses))
		return
	}
	w.nap(w.napTime(quiet))
}

// napTime is how long the worker may sleep.
func (w *worker) napTime(quiet time.Duration) time.Duration {
	switch {
	case w.poller.Blind() || len(w.held) > 0: // another worker may get the answer that held packets wait for
		return min(max(quiet/napShare, shortestNap), w.idle.MaxSleep)
	case w.egress != nil: // somebody may ask what its queues did, in several rounds of timers
		return housekeeping
	}
	return timerNap
}

// timersGo lets timers that are due run, but packets that ended a sleep go first.
func (w *worker) timersGo() bool {
	wait := w.napped && w.out.n > 0
	w.napped = false
	return !wait
}

// nap sleeps until a device has packets, or for that long, unless packets that wait here are due earlier.
func (w *worker) nap(d time.Duration) {
	if w.egress != nil {
		if d = w.doze(d); d == 0 {
			return
		}
	}
	w.napped = true
	w.doing.note(doingSleep)
	w.poller.Wait(d)
	w.asleep.Store(false)
}
