package dataplane

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// What schedulers did is asked for, not told: there may be eighty thousand queues. A reader leaves a request, whose memory it
// has made; the owner fills it in at its next rounds of timers, some queues a round. So a reader waits for a worker, but only
// for so long, and no worker for a reader.

// SchedulerStatus is an output's scheduler and what it did since it began.
type SchedulerStatus struct {
	Port        uint32
	Worker      int                  // that runs it
	Config      *policy.SchedulerQoS // in force
	BytesPerSec uint64               // rate of the link on the wire, as configured or of the device; 0: not known
	Packets     uint64               // waiting now
	Queues      []SchedulerQueue     // that ever had a packet
	At          time.Time
	Err         error // why there are no Packets and Queues
}

// SchedulerQueue is the queue of a leaf in a class.
type SchedulerQueue struct {
	Leaf  uint32 // index in Config.Leaves
	Class uint8
	qos.QueueStats
}

// ErrSilent means that a worker did not answer in time.
var ErrSilent = errors.New("the worker does not answer")

const (
	reportPatience = 2 * time.Second
	reportQueues   = 2048 // looked at in one round of timers
)

// report is a request to an owner, and its answer once done.
type report struct {
	of      *shape
	leaf    uint32 // the next to be looked at
	packets uint64
	queues  []SchedulerQueue // with room for all
	changed bool             // the configuration, meanwhile
	done    atomic.Bool
}

// Schedulers reports on all outputs that have one. A worker that hangs keeps nobody waiting for long: what it would have to
// tell is missing then, and Err says so.
func (s *Switch) Schedulers() []SchedulerStatus {
	s.reportMu.Lock() // one request at a time
	defer s.reportMu.Unlock()
	s.readMu.RLock()
	list := s.egresses
	s.readMu.RUnlock()
	return askAll(list)
}

// askAll reports on those schedulers of a list that are still there.
func askAll(list []*egress) []SchedulerStatus {
	asked := make([]*report, len(list))
	for i, e := range list {
		asked[i] = e.ask()
	}
	end := time.Now().Add(reportPatience)
	all := make([]SchedulerStatus, 0, len(list))
	for i, e := range list {
		r := asked[i]
		for e.wait(r, end) && r.changed {
			r = e.ask()
		}
		e.request.CompareAndSwap(r, nil)
		if !e.gone.Load() {
			all = append(all, e.status(r))
		}
	}
	return all
}

func (e *egress) ask() *report {
	of := e.shown.Load()
	r := &report{of: of, queues: make([]SchedulerQueue, 0, len(of.conf.Leaves)*policy.TrafficClasses)}
	e.request.Store(r)
	return r
}

// wait reports whether the answer is there in time. A scheduler that has gone gives none.
func (e *egress) wait(r *report, end time.Time) bool {
	for pause := 50 * time.Microsecond; !r.done.Load(); pause = min(2*pause, time.Millisecond) {
		if e.gone.Load() || time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

func (e *egress) status(r *report) SchedulerStatus {
	st := SchedulerStatus{Port: e.port, Worker: e.owner.id, Config: r.of.conf, BytesPerSec: r.of.sum.RateBytesPerSec,
		At: time.Now()}
	if !r.done.Load() {
		st.Err = fmt.Errorf("worker %d: %w", e.owner.id, ErrSilent)
		return st
	}
	st.Packets, st.Queues = r.packets, r.queues
	return st
}

// answer goes on with the requests to the schedulers of this worker.
func (w *worker) answer() {
	if w.egress != nil {
		for _, e := range w.egress.owned {
			e.answer()
		}
	}
}

func (e *egress) answer() {
	r := e.request.Load()
	if r == nil {
		return
	}
	if r.of != e.shown.Load() {
		r.changed = true
		e.finish(r)
		return
	}
	leaves := uint32(len(r.of.conf.Leaves))
	for n := 0; n < reportQueues && r.leaf < leaves; n += policy.TrafficClasses {
		for class := range uint8(policy.TrafficClasses) {
			if st := e.sched.Stats(class, r.leaf); st != (qos.QueueStats{}) {
				r.queues = append(r.queues, SchedulerQueue{Leaf: r.leaf, Class: class, QueueStats: st})
			}
		}
		r.leaf++
	}
	if r.leaf == leaves {
		r.packets = uint64(e.sched.Packets())
		e.finish(r)
	}
}

func (e *egress) finish(r *report) {
	e.request.CompareAndSwap(r, nil)
	r.done.Store(true)
}
