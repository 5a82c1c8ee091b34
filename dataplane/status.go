package dataplane

import (
	"sort"
	"time"
)

// WorkerStatus is what a worker did since it started, as it has last told. A worker tells every 10 ms, and after each
// command; one that hangs tells nothing more, and shows by its Age.
type WorkerStatus struct {
	ID     int
	Core   int           // -1: not pinned
	Age    time.Duration // since the worker told this
	State  WorkerState
	Doing  string // of one that stalls: what it is at; of one that failed: why
	Fault  string // the last one, also when it is back; "" without
	Faults uint64 // times it failed
	LoopTotals
	Flows     uint64 // known now
	LearnLost uint64 // learning events that found the ring full
	Queues    []QueueStatus
}

// QueueStatus is a receive queue and its flow tables, as its worker has last told; of more than 64 queues each is told in
// turn.
type QueueStatus struct {
	Port  uint32
	Queue uint16
	Age   time.Duration
	QueueTotals
}

// Workers reports on all workers. It waits for none of them. A queue that is between two workers is told as the old one's.
func (s *Switch) Workers() []WorkerStatus {
	for {
		moves := s.moves.Load()
		all := s.readWorkers()
		if s.moves.Load() == moves { // else one may be missing, or be there twice
			return all
		}
	}
}

func (s *Switch) readWorkers() (all []WorkerStatus) {
	workers, moving := s.running(), s.moving.Load()
	there := false
	for _, w := range workers {
		list := *w.listed.Load()
		told := w.shown.load()
		st := WorkerStatus{ID: w.id, Core: w.core, Age: s.age(told.at), LoopTotals: told.totals, LearnLost: w.events.lost.Load(), Faults: w.health.faults.Load()}
		st.State, st.Doing = s.healthOf(w)
		if last := w.health.last.Load(); last != nil {
			st.Fault = last.what
		}
		for _, q := range list {
			if moving != nil && moving.q == q {
				if there {
					continue
				}
				there = true
			}
			st.add(s, q)
		}
		all = append(all, st)
	}
	if moving != nil && !there && moving.from.id < len(all) {
		all[moving.from.id].add(s, moving.q)
	}
	return all
}

func (st *WorkerStatus) add(s *Switch, q *rxQueue) {
	told := q.shown.load()
	st.Queues = append(st.Queues, QueueStatus{Port: q.port, Queue: q.queue, Age: s.age(told.at), QueueTotals: told.totals})
	st.Flows += told.totals.Flows
}

func (s *Switch) age(at uint64) time.Duration { return time.Duration(s.sinceStart() - at) }

// Quiesce waits until every worker has come to the end of an iteration and has told all its numbers. It waits for ever
// for one that hangs.
func (s *Switch) Quiesce() {
	for _, w := range s.running() {
		w.do(func() { w.publishSome(len(w.queues)) })
	}
}

// PortCounters sums a port's counters over the workers; false when there is no such port.
func (s *Switch) PortCounters(index uint32) (PortCounters, bool) {
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	if _, ok := s.ports[index]; !ok {
		return PortCounters{}, false
	}
	sum := PortCounters{Drops: map[Reason]uint64{}}
	for _, w := range s.workers {
		w.ctr.read(index, &sum)
	}
	sum.Queued = uint64(max(int64(sum.Queued), 0)) // the reader of a lane may have told already that it took what the writer has yet to tell of
	return sum, true
}

// Neighbours lists the next hops of the fabric.
func (s *Switch) Neighbours() []Neighbour {
	all := s.neighbours.list(s.clock())
	sort.Slice(all, func(i, j int) bool {
		if all[i].Uplink != all[j].Uplink {
			return all[i].Uplink < all[j].Uplink
		}
		return all[i].Addr.Lo < all[j].Addr.Lo
	})
	return all
}

// Learned lists the addresses learned on ports that are not virtualised.
func (s *Switch) Learned() []LearnedMAC {
	all := s.fdb.list(s.clock())
	sort.Slice(all, func(i, j int) bool {
		if all[i].Bridge != all[j].Bridge {
			return all[i].Bridge < all[j].Bridge
		}
		return all[i].MAC.Uint64() < all[j].MAC.Uint64()
	})
	return all
}
