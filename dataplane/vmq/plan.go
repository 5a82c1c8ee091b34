package vmq

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// plan is one round: the sample, ordered so that equal samples make equal decisions, with the loads as they will be once
// what is decided so far is done.
type plan struct {
	b         *Balancer
	workers   []*worker
	queues    []*queue
	vports    []*vport
	uplinks   []Uplink
	byID      map[int]*worker
	moves     int  // that are left in this interval
	changes   int  // of owners, likewise
	relief    bool // a worker is above the upper threshold
	coalesced bool
	out       []Decision
}

type worker struct {
	WorkerLoad
	state       *workerState
	unexplained float64 // load in the sample that no queue accounts for
	served      float64 // most that any of its queues got
	load        float64
	queues      []*queue
}

type queue struct {
	QueueLoad
	state *queueState
	from  *worker // by the sample; nil: nobody polls it
	at    *worker // by the plan
	fixed bool    // may only be taken from a worker that is gone
}

type vport struct {
	VportLoad
	state *vportState
}

// room is the memory of a plan, used again by the next one: the daemon's heap is to stay small and its garbage rare.
type room struct {
	workers []*worker
	queues  []*queue
	vports  []*vport
}

func (r *room) clear(s *Sample) {
	r.workers = resized(r.workers, len(s.Workers))
	r.queues = resized(r.queues, len(s.Queues))
	r.vports = resized(r.vports, len(s.Vports))
}

// resized has n places; new ones come in one piece.
func resized[T any](some []*T, n int) []*T {
	if more := n - len(some); more > 0 {
		block := make([]T, more)
		for i := range block {
			some = append(some, &block[i])
		}
	}
	return some[:n]
}

// clamp makes a share of what may be a rounding error or no number at all.
func clamp(v float64) float64 { return clampTo(v, 1) }

func clampTo(v, most float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, most)
}

func newPlan(b *Balancer, s Sample) *plan {
	p := &plan{b: b, byID: make(map[int]*worker, len(s.Workers)), uplinks: slices.Clone(s.Uplinks)}
	b.room.clear(&s)
	p.workers, p.queues, p.vports = b.room.workers, b.room.queues, b.room.vports
	slices.SortFunc(p.uplinks, func(x, y Uplink) int { return cmp.Compare(x.Port, y.Port) })
	held := map[uint32]bool{}
	for _, u := range p.uplinks {
		held[u.Port] = u.Mode != Dynamic
	}
	for i, l := range s.Workers {
		w := b.room.workers[i]
		*w = worker{WorkerLoad: l, state: b.workers[l.ID], queues: w.queues[:0]}
		if w.state == nil {
			w.state = &workerState{changed: b.now - 1}
			b.workers[l.ID] = w.state
		}
		w.Busy = clamp(w.Busy)
		w.unexplained = w.Busy
		p.byID[l.ID] = w
	}
	slices.SortFunc(p.workers, func(x, y *worker) int { return cmp.Compare(x.ID, y.ID) })
	for i, l := range s.Queues {
		q := b.room.queues[i]
		*q = queue{QueueLoad: l, state: b.queues[l.QueueKey], from: p.byID[l.Worker], fixed: l.Pinned || held[l.Port] || len(l.Handed) > 0}
		if q.state == nil {
			q.state = &queueState{}
			b.queues[l.QueueKey] = q.state
		}
		q.Busy = clamp(q.Busy)
	}
	slices.SortFunc(p.queues, func(x, y *queue) int { return x.compare(y.QueueKey) })
	for _, q := range p.queues { // in this order, so that equal samples make equal sums
		if q.from != nil {
			q.from.unexplained = max(q.from.unexplained-q.Busy, 0)
			q.from.served = max(q.from.served, q.Busy)
		}
	}
	for i, l := range s.Vports {
		key := vportKey{l.Uplink, l.Vport}
		v := b.room.vports[i]
		*v = vport{VportLoad: l, state: b.vports[key]}
		if v.state == nil {
			v.state = &vportState{}
			b.vports[key] = v.state
		}
	}
	slices.SortFunc(p.vports, func(x, y *vport) int {
		return cmp.Or(cmp.Compare(x.Uplink, y.Uplink), cmp.Compare(x.Vport, y.Vport))
	})
	return p
}

func (k QueueKey) compare(o QueueKey) int {
	return cmp.Or(cmp.Compare(k.Port, o.Port), cmp.Compare(k.Queue, o.Queue))
}

// demand is what a queue would take of a worker of its own node, as far as the sample tells. A worker that is never idle
// hides demand: what it fetched is what it had time for. Queues are served in turn, so whatever was cut short got as much
// as any other, and the small ones got all they wanted.
func (p *plan) demand(q *queue) (share float64, guessed bool) {
	share = q.Busy
	if q.from == nil {
		return share, false
	}
	if remote(q, q.from) {
		share /= 1 + p.b.limits.RemoteCost
	}
	cut := q.Full > 0.5 || q.LostPerSec > 0 || (q.Full == 0 && q.Busy > 0.7*q.from.served)
	switch {
	case q.from.Busy < saturated || !cut:
		return share, false
	case q.LostPerSec > 0 && q.PacketsPerSec > 0:
		return clampTo(share*(1+q.LostPerSec/q.PacketsPerSec), mostDemand), true
	case share <= q.state.known*1.02:
		return q.state.known, true // what it asked for where it was not cut short
	default:
		return share * hiddenFactor, true
	}
}

// place puts queues where they are, or where they are going.
func (p *plan) place() {
	for _, w := range p.workers {
		w.load, w.queues = w.state.rest.level, w.queues[:0]
	}
	for _, q := range p.queues {
		q.at = q.from
		if q.at != nil && q.at.State == Gone {
			q.at = nil
		}
		if to := p.byID[q.state.place.to]; q.state.place.open && to != nil && to.State != Gone {
			q.at = to
		}
		if q.at != nil {
			q.at.take(q, p)
		}
	}
}

func remote(q *queue, w *worker) bool { return q.Node >= 0 && w.Node >= 0 && q.Node != w.Node }

// cost is what the queue takes of a worker.
func (p *plan) cost(q *queue, w *worker) float64 {
	if remote(q, w) {
		return q.state.load.level * (1 + p.b.limits.RemoteCost)
	}
	return q.state.load.level
}

func (w *worker) take(q *queue, p *plan) {
	q.at = w
	w.queues = append(w.queues, q)
	w.load += p.cost(q, w)
}

// move decides that a queue goes to a worker.
func (p *plan) move(q *queue, to *worker, cause Cause, gain float64, format string, args ...any) {
	from := NoWorker
	if q.from != nil {
		from = q.from.ID
	}
	if q.at != nil {
		q.at.load = max(q.at.load-p.cost(q, q.at), 0)
		q.at.queues = slices.DeleteFunc(q.at.queues, func(o *queue) bool { return o == q })
		q.at.state.changed = p.b.now
	}
	to.take(q, p)
	to.state.changed = p.b.now
	q.state.place.begin(p.b.now, to.ID)
	p.out = append(p.out, Decision{Kind: MoveQueue, Queue: q.QueueKey, From: from, To: to.ID, Gain: gain, Cause: cause, Reason: fmt.Sprintf(format, args...)})
}

// movable reports whether a queue may leave its worker now, to which it came at least as long ago as it is to stay. Who
// leaves a worker above the upper threshold stays shorter than others, but long enough to show what it really takes.
func (p *plan) movable(q *queue, stay time.Duration) bool {
	return !q.fixed && q.at == q.from && !q.state.place.resting(p.b.now, stay)
}

// usable reports whether a worker may get queues.
func (w *worker) usable() bool { return w.State == Running }

// inUse reports whether a worker has something to do, or would have if traffic came.
func (w *worker) inUse() bool { return len(w.queues) > 0 || w.load > idle }

// idle is a load that keeps no worker in use.
const idle = 0.02

func (w *worker) name() string { return fmt.Sprintf("worker %d", w.ID) }

func (q *queue) name() string {
	if q.Name != "" {
		return "queue " + q.Name
	}
	return fmt.Sprintf("queue %d of port %d", q.Queue, q.Port)
}

func (v *vport) name() string {
	if v.Name != "" {
		return v.Name
	}
	return fmt.Sprintf("vport %d", v.Vport)
}

func percent(share float64) string {
	if share*100 < 9.95 && share > 0 {
		return fmt.Sprintf("%.1f %%", share*100)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}
