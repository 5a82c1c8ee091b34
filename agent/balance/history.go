package balance

import (
	"time"

	"github.com/sluicenet/sluice/dataplane/vmq"
)

// Event is something that was decided for a receive queue.
type Event struct {
	Number   uint64 // from 1
	At       time.Time
	Kind     vmq.Kind
	Cause    vmq.Cause
	Reason   string
	Queue    vmq.QueueKey
	Port     string // its name then
	From, To int    // workers of a move
	Vport    string
	Workers  []int
	Err      string // why it was not done
	Took     time.Duration
	Expected float64 // relief of the busiest worker concerned, as share of its time

	// The same as it came out in the second after it, with all else that happened in that second.
	Measured     bool
	Gain         float64
	PacketsRatio float64 // packets per second of the workers concerned, after by before
}

const (
	remembered = 1024
	sameAgain  = time.Minute // in which a failure that repeats itself is one event
)

// history is a bounded list of events, and what was ever counted.
type history struct {
	last   uint64
	events []Event // the oldest first
	counts map[Count]uint64
	moves  map[vmq.QueueKey]uint64
	failed map[vmq.QueueKey]Event // the last of each queue
}

// Count is a kind of event and its cause.
type Count struct {
	Kind   vmq.Kind
	Cause  vmq.Cause
	Failed bool
}

func newHistory() history {
	return history{counts: map[Count]uint64{}, moves: map[vmq.QueueKey]uint64{}, failed: map[vmq.QueueKey]Event{}}
}

// remember numbers an event; false when it only repeats one.
func (b *Balancer) remember(e *Event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.history
	h.counts[Count{e.Kind, e.Cause, e.Err != ""}]++
	if e.Err != "" || e.Kind == vmq.Refused {
		if last, ok := h.failed[e.Queue]; ok && last.Kind == e.Kind && last.To == e.To && e.At.Sub(last.At) < sameAgain {
			return false
		}
		h.failed[e.Queue] = *e
	} else {
		delete(h.failed, e.Queue)
		if e.Kind == vmq.MoveQueue {
			h.moves[e.Queue]++
		}
	}
	h.last++
	e.Number = h.last
	if len(h.events) == remembered {
		copy(h.events, h.events[1:])
		h.events = h.events[:remembered-1]
	}
	h.events = append(h.events, *e)
	return true
}

// measure fills in what came of events.
func (b *Balancer) measure() {
	left := b.pending[:0]
	for i := range b.pending {
		p := &b.pending[i]
		gain, ratio, done, ok := b.meter.effect(p)
		if !done {
			left = append(left, *p)
			continue
		}
		if ok {
			b.note(p.event, gain, ratio)
		}
	}
	b.pending = left
}

func (b *Balancer) note(event uint64, gain, ratio float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.history
	if i := len(h.events) - 1 - int(h.last-event); i >= 0 {
		h.events[i].Measured, h.events[i].Gain, h.events[i].PacketsRatio = true, gain, ratio
	}
}

// History lists the events that are remembered, the latest first, and how many older ones are not any more.
func (b *Balancer) History() (events []Event, forgotten uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.history
	events = make([]Event, len(h.events))
	for i := range h.events {
		events[len(events)-1-i] = h.events[i]
	}
	return events, h.last - uint64(len(h.events))
}

// Counts says how often each kind of event came, since the start.
func (b *Balancer) Counts() map[Count]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := make(map[Count]uint64, len(b.history.counts))
	for k, n := range b.history.counts {
		counts[k] = n
	}
	return counts
}

// Moves is how often a queue has moved.
func (b *Balancer) Moves(q vmq.QueueKey) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.history.moves[q]
}

// forget drops what is known of queues that are no more.
func (b *Balancer) forget(there map[vmq.QueueKey]*queueTrail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.history.moves {
		if _, ok := there[key]; !ok {
			delete(b.history.moves, key)
		}
	}
	for key := range b.history.failed {
		if _, ok := there[key]; !ok {
			delete(b.history.failed, key)
		}
	}
}

// Loads are the workers' loads as they were last sampled.
func (b *Balancer) Loads() []Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loads
}

func (b *Balancer) tellLoads() {
	loads := make([]Load, 0, len(b.meter.workers))
	for _, t := range b.meter.workers {
		loads = append(loads, t.load)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loads = loads
}
