package dataplane

import "sort"

// WorkerStatus is what a worker did since it started.
type WorkerStatus struct {
	ID         int
	Core       int // -1: not pinned
	Iterations uint64
	Packets    uint64
	BusyCycles uint64 // spent in iterations that received something
	IdleCycles uint64
	Flows      uint64 // known now
	LearnLost  uint64 // learning events that found the ring full
	Queues     []QueueStatus
}

// QueueStatus is a receive queue and its flow tables.
type QueueStatus struct {
	Port    uint32
	Queue   uint16
	Flows   int
	Slots   int // of the flow tables as they stand
	Actions int
	FlowStats
}

// Workers reports on all workers.
func (s *Switch) Workers() []WorkerStatus {
	var all []WorkerStatus
	for _, w := range s.running() {
		st := WorkerStatus{ID: w.id, Core: w.core, LearnLost: w.events.lost.Load()}
		w.do(func() {
			st.Iterations, st.Packets, st.BusyCycles, st.IdleCycles = w.stats.iterations, w.stats.packets, w.stats.busy, w.stats.idle
			for _, q := range w.queues {
				if q != nil {
					st.Queues = append(st.Queues, q.status())
					st.Flows += uint64(q.flows.count + q.wide.count)
				}
			}
		})
		all = append(all, st)
	}
	return all
}

func (q *rxQueue) status() QueueStatus {
	a, b := q.flows.stats, q.wide.stats
	return QueueStatus{Port: q.port, Queue: q.queue, Flows: q.flows.count + q.wide.count,
		Slots: len(q.flows.slots) + len(q.wide.slots), Actions: q.actions.used - 1,
		FlowStats: FlowStats{Hits: a.Hits + b.Hits, Misses: a.Misses + b.Misses, Evictions: a.Evictions + b.Evictions,
			Expired: a.Expired + b.Expired, Refused: a.Refused + b.Refused}}
}

// PortCounters sums a port's counters over the workers; false when there is no such port.
func (s *Switch) PortCounters(index uint32) (PortCounters, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.ports[index]; !ok {
		return PortCounters{}, false
	}
	sum := PortCounters{Drops: map[Reason]uint64{}}
	for _, w := range s.workers {
		w.ctr.read(index, &sum)
	}
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
