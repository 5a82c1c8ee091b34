package balance

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dataplane/vmq"
)

// silentFrom is how long a worker may tell nothing before it counts as stalled. It tells every 10 ms.
const silentFrom = time.Second

// meter makes loads of counters. Rates are over each worker's and each queue's own time, so that one which told late
// counts right.
type meter struct {
	at      time.Time
	workers map[int]*trail
	queues  map[vmq.QueueKey]*queueTrail
}

// queueTrail is a queue's last reading, and its load until then, in cycles a second.
type queueTrail struct {
	reading
	load vmq.QueueLoad
}

// reading is what was counted by a moment.
type reading struct {
	at         time.Time
	busy, idle uint64 // cycles
	packets    uint64
	bursts     uint64
	full       uint64 // bursts
}

// trail is a worker's readings of about the last second, the oldest first.
type trail struct {
	readings []reading
	load     Load
}

const trailTime = time.Second

// Load is a worker's load between the last two samples.
type Load struct {
	Worker, Core, Node int
	Known              bool // false: it has told nothing new
	Busy               float64
	PacketsPerSec      float64
}

func newMeter() meter {
	return meter{workers: map[int]*trail{}, queues: map[vmq.QueueKey]*queueTrail{}}
}

// sample compares what the workers tell with what they told before.
func (m *meter) sample(now time.Time, at time.Duration, plan *Plan, workers []dataplane.WorkerStatus, nodeOf func(core int) int) vmq.Sample {
	s := vmq.Sample{At: at}
	queues := make(map[vmq.QueueKey]*queueTrail, len(m.queues))
	for i := range workers {
		w := &workers[i]
		t := m.worker(now, w, nodeOf)
		load := vmq.WorkerLoad{ID: w.ID, Node: t.load.Node, Busy: t.load.Busy}
		switch {
		case w.State == dataplane.WorkerFailed: // others take its queues over already; what is left is to go too
			load.State = vmq.Gone
		case w.Age > silentFrom:
			load.State = vmq.Stalled
		}
		s.Workers = append(s.Workers, load)
		first := len(s.Queues)
		for j := range w.Queues {
			q := &w.Queues[j]
			port, known := plan.Ports[q.Port]
			if !known {
				continue // it has just come, or is just going
			}
			key := vmq.QueueKey{Port: q.Port, Queue: q.Queue}
			r := reading{at: now.Add(-q.Age), busy: cost(q), packets: q.Packets, bursts: q.Bursts, full: q.FullBursts}
			told := m.queue(key, &r)
			ql := told.load
			ql.Name, ql.Worker, ql.Node, ql.Pinned = fmt.Sprintf("%s/%d", port.Name, q.Queue), w.ID, port.Node, port.Mode != vmq.Dynamic
			s.Queues = append(s.Queues, ql)
			queues[key] = told
		}
		t.divide(s.Queues[first:])
	}
	m.queues, m.at = queues, now
	s.Uplinks = uplinks(plan)
	return s
}

func uplinks(plan *Plan) (all []vmq.Uplink) {
	for index, p := range plan.Ports {
		if p.Uplink {
			all = append(all, vmq.Uplink{Port: index, Mode: p.Mode})
		}
	}
	slices.SortFunc(all, func(a, b vmq.Uplink) int { return int(a.Port) - int(b.Port) })
	return all
}

// cost is what a queue's share of its worker's busy time is measured by: cycles, or packets where the worker does not tell
// cycles.
func cost(q *dataplane.QueueStatus) uint64 {
	if q.BusyCycles == 0 {
		return q.Packets
	}
	return q.BusyCycles
}

// worker takes a reading of a worker.
func (m *meter) worker(now time.Time, w *dataplane.WorkerStatus, nodeOf func(core int) int) *trail {
	t := m.workers[w.ID]
	if t == nil {
		t = &trail{load: Load{Worker: w.ID, Core: w.Core, Node: nodeOf(w.Core)}}
		m.workers[w.ID] = t
	}
	r := reading{at: now.Add(-w.Age), busy: w.BusyCycles, idle: w.IdleCycles, packets: w.Packets}
	t.load.Known = false
	if n := len(t.readings); n > 0 {
		last := t.readings[n-1]
		busy, perSec, ok := last.until(&r)
		if !ok {
			return t
		}
		t.load.Known, t.load.Busy, t.load.PacketsPerSec = true, busy, perSec
	}
	t.readings = append(t.readings, r)
	for len(t.readings) > 2 && r.at.Sub(t.readings[1].at) >= trailTime {
		t.readings = slices.Delete(t.readings, 0, 1)
	}
	return t
}

// informed reports that the load of all workers is known, but of those that tell nothing or have failed.
func (m *meter) informed(workers []vmq.WorkerLoad) bool {
	return !slices.ContainsFunc(workers, func(w vmq.WorkerLoad) bool {
		return w.State == vmq.Running && len(m.workers[w.ID].readings) < 2
	})
}

// until is the busy share and the packets a second from one reading to a later one; false when there is no time between
// them.
func (r *reading) until(later *reading) (busy, packetsPerSec float64, ok bool) {
	cycles := float64(later.busy - r.busy + later.idle - r.idle)
	seconds := later.at.Sub(r.at).Seconds()
	if cycles <= 0 || seconds <= 0 {
		return 0, 0, false
	}
	return float64(later.busy-r.busy) / cycles, float64(later.packets-r.packets) / seconds, true
}

// queue takes a reading of a queue. One that has told nothing new, as of very many queues only some do at a time, keeps its
// load.
func (m *meter) queue(key vmq.QueueKey, r *reading) *queueTrail {
	t := m.queues[key]
	if t == nil || r.packets < t.packets || r.busy < t.busy {
		return &queueTrail{reading: *r, load: vmq.QueueLoad{QueueKey: key}}
	}
	seconds := r.at.Sub(t.at).Seconds()
	if seconds < newsFrom {
		return t
	}
	t.load = vmq.QueueLoad{QueueKey: key, PacketsPerSec: float64(r.packets-t.packets) / seconds, Busy: float64(r.busy-t.busy) / seconds}
	if bursts := r.bursts - t.bursts; bursts > 0 {
		t.load.Burst = float64(r.packets-t.packets) / float64(bursts)
		t.load.Full = float64(r.full-t.full) / float64(bursts)
	}
	t.reading = *r
	return t
}

// newsFrom is the least time between two readings, seconds: workers tell every 10 ms, and clocks are read one by one.
const newsFrom = 0.001

// divide makes shares of the worker's time of the queues' cycles: what the worker was busy with is theirs in these
// proportions, so that the cost of polling and sending is, too.
func (t *trail) divide(queues []vmq.QueueLoad) {
	sum := 0.0
	for i := range queues {
		sum += queues[i].Busy
	}
	for i := range queues {
		if sum > 0 {
			queues[i].Busy *= t.load.Busy / sum
		}
	}
}

// pending is an event whose effect is to be measured.
type pending struct {
	event  uint64
	at     time.Time
	before map[int][2]reading // of the workers concerned: the second before the move
}

// settleTime lies between a move and the second in which its effect is measured: what waited in the old queue is gone.
const settleTime = 100 * time.Millisecond

// expect notes how the workers did until now.
func (m *meter) expect(event uint64, at time.Time, workers ...int) pending {
	p := pending{event: event, at: at, before: map[int][2]reading{}}
	for _, w := range workers {
		if t := m.workers[w]; t != nil && len(t.readings) > 1 {
			p.before[w] = [2]reading{t.readings[0], t.readings[len(t.readings)-1]}
		}
	}
	return p
}

// effect compares the second before a move with the one after it: by how much the busiest worker is relieved, and how the
// packets of all of them changed. It is not done while their readings do not reach far enough.
func (m *meter) effect(p *pending) (gain, ratio float64, done, ok bool) {
	var busyBefore, busyAfter, before, after float64
	for w, r := range p.before {
		t := m.workers[w]
		from := slices.IndexFunc(t.readings, func(r reading) bool { return r.at.Sub(p.at) >= settleTime })
		last := &t.readings[len(t.readings)-1]
		if from < 0 || last.at.Sub(p.at) < settleTime+trailTime*3/4 {
			return 0, 0, false, false
		}
		busy, perSec, _ := r[0].until(&r[1])
		busyBefore, before = max(busyBefore, busy), before+perSec
		busy, perSec, _ = t.readings[from].until(last)
		busyAfter, after = max(busyAfter, busy), after+perSec
	}
	if before == 0 {
		return 0, 0, true, false
	}
	return busyBefore - busyAfter, after / before, true, true
}
