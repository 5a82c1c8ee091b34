package memport

import (
	"fmt"
	"strings"
	"time"
)

// recheck is how often a wait looks again without a step of any poller, for conditions that a control goroutine makes
// true.
const recheck = 5 * time.Millisecond

// WaitFor waits until cond holds, and looks after every step of a poller. cond may use all methods of the net. It
// reports false when the timeout has passed.
func (n *Net) WaitFor(timeout time.Duration, cond func() bool) bool {
	mu := &n.arena.mu
	deadline := time.Now().Add(timeout)
	for {
		mu.Lock()
		seen := n.step
		mu.Unlock()
		if cond() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		mu.Lock()
		again := time.AfterFunc(recheck, func() {
			mu.Lock()
			defer mu.Unlock()
			n.stepped()
		})
		for n.step == seen {
			n.steps.Wait()
		}
		mu.Unlock()
		again.Stop()
	}
}

// WaitIdle waits until the workers have done all there is to do: no polled queue holds a frame, and each worker has
// either made two polls without any packet or waits. What a worker keeps until a timer expires does not count. The
// error says what is still going on when the timeout has passed.
func (n *Net) WaitIdle(timeout time.Duration) error {
	busy := ""
	idle := func() bool {
		n.arena.mu.Lock()
		defer n.arena.mu.Unlock()
		busy = n.busy()
		return busy == ""
	}
	if n.WaitFor(timeout, idle) {
		return nil
	}
	return fmt.Errorf("the workers are not idle after %v: %s", timeout, busy)
}

// busy says what keeps the net from being idle, "" when nothing does.
func (n *Net) busy() string {
	var why []string
	for i, p := range n.pollers {
		for j := range p.rx {
			if c := p.rx[j].queue.wait.count; c > 0 {
				why = append(why, fmt.Sprintf("%d frames wait in device %d", c, p.rx[j].dev.handle))
			}
		}
		if !p.waiting && p.idle < 2 {
			why = append(why, fmt.Sprintf("poller %d had packets at one of its last two polls", i))
		}
	}
	return strings.Join(why, ", ")
}

// SentCount is the number of frames that Sent would give.
func (d *Device) SentCount() int {
	d.locked()
	defer d.net.arena.mu.Unlock()
	return d.sent.count
}

// WaitSent waits until the device has accepted at least n frames that were not read yet, and takes them. The error
// says how many there were when the timeout has passed; they stay.
func (d *Device) WaitSent(n int, timeout time.Duration) ([][]byte, error) {
	if !d.net.WaitFor(timeout, func() bool { return d.SentCount() >= n }) {
		return nil, fmt.Errorf("device %d sent %d frames in %v, expected %d", d.handle, d.SentCount(), timeout, n)
	}
	return d.Sent(), nil
}
