package vmq

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ownership is who owns the queues of an uplink, as it will be once what is decided so far is done.
type ownership struct {
	*plan
	uplink Uplink
	vports []*vport
	owner  map[int]*vport
}

// own decides which vports own hardware queues.
func (p *plan) own() {
	for _, u := range p.uplinks {
		o := &ownership{plan: p, uplink: u, owner: map[int]*vport{}}
		for _, v := range p.vports {
			if v.Uplink == u.Port {
				o.vports = append(o.vports, v)
				if queue := v.queue(); queue != NoQueue {
					o.owner[queue] = v
				}
			}
		}
		switch u.Mode {
		case Off:
			o.dissolve()
		case Static:
			o.fill()
		default:
			o.contend()
		}
	}
}

// queue is what the vport owns, or will once a decision under way is carried out.
func (v *vport) queue() int {
	if v.state.owned.open {
		return v.state.owned.to
	}
	return max(v.Queue, NoQueue)
}

func (v *vport) load() float64 { return v.state.load.level }

func (o *ownership) resting(v *vport) bool {
	return v.state.owned.open || v.state.owned.resting(o.b.now, o.b.limits.Residence)
}

// failed reports whether a queue for the vport could not be had, so that it is too early to ask again. That it lost one a
// moment ago is no hindrance: it was quiet then.
func (o *ownership) failed(v *vport) bool {
	return v.state.owned.open || (v.state.owned.tries > 0 && o.resting(v))
}

// dissolve takes the queues of all vports.
func (o *ownership) dissolve() {
	for _, v := range o.vports {
		if queue := v.queue(); queue != NoQueue && o.changes > 0 && (!o.resting(v) || v.state.owned.to != NoQueue) {
			o.take(v, ByMode, "%s gives back queue %d: VMQ is off on this uplink", v.name(), queue)
		}
	}
}

// fill gives free queues to vports in their order, and takes none.
func (o *ownership) fill() {
	for _, v := range o.vports {
		if v.queue() != NoQueue || o.resting(v) || o.changes == 0 {
			continue
		}
		queue := o.free()
		if queue == NoQueue {
			return
		}
		o.give(v, queue, ByMode, "%s gets queue %d, which is free, and keeps it: VMQ is static on this uplink", v.name(), queue)
	}
}

// contend gives queues to the busiest vports: free ones first, then those of the quietest owners.
func (o *ownership) contend() {
	var asking []*vport
	for _, v := range o.vports {
		if v.queue() == NoQueue && v.load() >= o.b.limits.OwnFrom && !o.failed(v) {
			asking = append(asking, v)
		}
	}
	slices.SortStableFunc(asking, func(x, y *vport) int { return cmp.Compare(y.load(), x.load()) })
	for _, v := range asking {
		if o.changes == 0 {
			return
		}
		if queue := o.free(); queue != NoQueue {
			o.give(v, queue, Busy, "%s is at %s of a worker, at least %s: it gets queue %d, which is free%s", v.name(), percent(v.load()), percent(o.b.limits.OwnFrom), queue, o.polled(queue))
			continue
		}
		if o.changes < 2 {
			return
		}
		loser := o.quietest(v)
		if loser == nil {
			return // and nobody who asks for less finds one
		}
		queue := loser.queue()
		o.take(loser, Busy, "%s is at %s of a worker, and gives queue %d to %s, which is at %s", loser.name(), percent(loser.load()), queue, v.name(), percent(v.load()))
		o.give(v, queue, Busy, "%s is at %s of a worker, and no queue is free: it gets queue %d of %s, which is at %s%s", v.name(), percent(v.load()), queue, loser.name(), percent(loser.load()),
			o.polled(queue))
	}
}

// free is the free queue whose worker has the most room, or NoQueue. Queues of workers that get nothing more come last.
func (o *ownership) free() int {
	queue, least := NoQueue, math.Inf(1)
	own := slices.Clone(o.uplink.Own)
	slices.Sort(own)
	for _, n := range own {
		if o.owner[int(n)] != nil {
			continue
		}
		load := 1e6
		if q := o.find(n); q != nil && q.at != nil && q.at.usable() {
			load = q.at.load
		}
		if load < least {
			queue, least = int(n), load
		}
	}
	return queue
}

func (o *ownership) find(n uint16) *queue {
	i, ok := slices.BinarySearchFunc(o.queues, QueueKey{o.uplink.Port, n}, func(q *queue, k QueueKey) int { return q.compare(k) })
	if !ok {
		return nil
	}
	return o.queues[i]
}

// polled says for a reason who polls a queue.
func (o *ownership) polled(queue int) string {
	if q := o.find(uint16(queue)); q != nil && q.at != nil {
		return fmt.Sprintf("; %s polls it, at %s so far", q.at.name(), percent(q.at.load))
	}
	return ""
}

// quietest is the owner from whom the queue may be taken for v: the quietest one, if it is quieter by the margin. An owner
// that has become quiet loses it at once, others keep it for a while.
func (o *ownership) quietest(v *vport) (loser *vport) {
	for _, other := range o.vports {
		switch {
		case other.queue() == NoQueue || !slices.Contains(o.uplink.Own, uint16(other.queue())) || other.state.owned.open:
		case other.load() >= o.b.limits.OwnFrom/2 && o.resting(other):
		case loser == nil || other.load() < loser.load():
			loser = other
		}
	}
	if loser == nil || v.load() < loser.load()*o.b.limits.OwnMargin || v.load()-loser.load() < o.b.limits.OwnFrom/2 {
		return nil
	}
	return loser
}

func (o *ownership) take(v *vport, cause Cause, format string, args ...any) {
	queue := v.queue()
	o.changes--
	delete(o.owner, queue)
	v.state.owned.begin(o.b.now, NoQueue)
	o.out = append(o.out, Decision{Kind: Unsteer, Queue: QueueKey{o.uplink.Port, uint16(queue)}, From: NoWorker, To: NoWorker, Vport: v.Vport, Cause: cause, Reason: fmt.Sprintf(format, args...)})
}

func (o *ownership) give(v *vport, queue int, cause Cause, format string, args ...any) {
	o.changes--
	o.owner[queue] = v
	v.state.owned.begin(o.b.now, queue)
	o.out = append(o.out, Decision{Kind: Steer, Queue: QueueKey{o.uplink.Port, uint16(queue)}, From: NoWorker, To: NoWorker, Vport: v.Vport, Gain: v.load(), Cause: cause, Reason: fmt.Sprintf(format, args...)})
	// What the queue will bring is known, so its worker is relieved before it comes.
	if q := o.find(uint16(queue)); q != nil {
		if q.at != nil {
			q.at.load -= o.cost(q, q.at)
		}
		q.state.load.set(v.load())
		if q.at != nil {
			q.at.load += o.cost(q, q.at)
		}
	}
}
