package dataplane

import (
	"runtime"
	"sync/atomic"
	"time"
)

// published holds the copy of a worker's numbers that others may read: one writer, any number of readers, none of whom
// waits for the other. Between two increments of seq the copy is being written; a reader that finds seq even and
// unchanged has read a whole one. T consists of uint64 only.
type published[T any] struct {
	seq   atomic.Uint64
	words []atomic.Uint64
}

func newPublished[T any]() *published[T] {
	var zero T
	return &published[T]{words: make([]atomic.Uint64, len(wordsOf(&zero)))}
}

func (p *published[T]) store(v *T) {
	p.seq.Add(1)
	for i, word := range wordsOf(v) {
		p.words[i].Store(word)
	}
	p.seq.Add(1)
}

func (p *published[T]) load() (v T) {
	for {
		before := p.seq.Load()
		if before&1 == 0 {
			words := wordsOf(&v)
			for i := range words {
				words[i] = p.words[i].Load()
			}
			if p.seq.Load() == before {
				return v
			}
		}
		runtime.Gosched()
	}
}

// LoopTotals is what a worker counts of its loop since it started.
type LoopTotals struct {
	Iterations     uint64
	BusyIterations uint64 // that received something
	Packets        uint64
	BusyCycles     uint64 // spent in iterations that received something
	IdleCycles     uint64
	Sample         StageTotals
}

// QueueTotals is what a worker counts of a receive queue and its flow tables.
type QueueTotals struct {
	Bursts, Packets       uint64
	FullBursts            uint64 // that may have left packets waiting
	BusyCycles            uint64 // of the workers that polled it, spent on what came in by it; estimated where they had other work too
	Flows, Slots, Actions uint64 // now: known flows, places in the tables as they stand, different fates
	FlowStats
	Sample StageTotals
}

// stamped says when numbers were published, in nanoseconds since the switch was made.
type stamped[T any] struct {
	at     uint64
	totals T
}

// publishQueues is how many queues are published in one round of timers, so that no round takes long.
const publishQueues = 64

// publishLoop lets others see the worker's own totals. It costs an atomic store, 12 cycles, for each number.
func (w *worker) publishLoop() {
	w.totals.Sample = w.sample.totals
	w.shown.store(&stamped[LoopTotals]{w.sw.sinceStart(), w.totals})
}

// publishSome lets others see the totals of the worker and of the next n of its queues.
func (w *worker) publishSome(n int) {
	w.publishLoop()
	at := w.sw.sinceStart()
	for range min(n, len(w.queues)) {
		w.publishQ = (w.publishQ + 1) % len(w.queues)
		if q := w.queues[w.publishQ]; q != nil {
			q.publish(at)
		}
	}
}

func (q *rxQueue) publish(at uint64) {
	q.learnPrice()
	t := &q.totals
	a, b := &q.flows.stats, &q.wide.stats
	t.Flows, t.Slots, t.Actions = uint64(q.flows.count+q.wide.count), uint64(len(q.flows.slots)+len(q.wide.slots)), uint64(q.actions.used-1)
	t.FlowStats = FlowStats{Hits: a.Hits + b.Hits, Misses: a.Misses + b.Misses, Inserted: a.Inserted + b.Inserted,
		Evictions: a.Evictions + b.Evictions, Expired: a.Expired + b.Expired, Refused: a.Refused + b.Refused}
	q.shown.store(&stamped[QueueTotals]{at, *t})
}

// listQueues lets others see which queues there are; the worker calls it when that changed.
func (w *worker) listQueues() {
	list := make([]*rxQueue, 0, len(w.queues))
	for _, q := range w.queues {
		if q != nil {
			list = append(list, q)
		}
	}
	w.listed.Store(&list)
}

// sinceStart is the real time, which goes on where the clock of the workers stands still with them.
func (s *Switch) sinceStart() uint64 { return uint64(time.Since(s.started)) }
