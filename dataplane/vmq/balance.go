package vmq

import (
	"cmp"
	"slices"
	"time"
)

// candidate is a move that could be made.
type candidate struct {
	q    *queue
	to   *worker
	most float64 // load of the busier of both workers afterwards

	price float64 // by which candidates are compared
}

// nearest are the least loaded workers of every node that may be chosen: no other can be a better target.
func (p *plan) nearest(choose func(*worker) bool) (some []*worker) {
	for _, w := range p.workers {
		if !w.usable() || !choose(w) {
			continue
		}
		i := slices.IndexFunc(some, func(o *worker) bool { return o.Node == w.Node })
		switch {
		case i < 0:
			some = append(some, w)
		case w.load < some[i].load:
			some[i] = w
		}
	}
	return some
}

// best finds the move away from a worker that leaves the busier of both workers with least, if it relieves it by at least
// the gain that is asked, and fills the target to no more than limit.
func (p *plan) best(from *worker, limit, gain float64, stay time.Duration, choose func(*worker) bool) (c candidate, ok bool) {
	targets := p.nearest(func(w *worker) bool { return w != from && w.Busy < saturated && choose(w) }) // a busy one would only lose packets in its stead
	for _, q := range from.queues {
		if !p.movable(q, stay) {
			continue
		}
		left := from.load - p.cost(q, from)
		for _, to := range targets {
			filled := to.load + p.cost(q, to)
			most := max(left, filled)
			price := most
			if remote(q, to) {
				price += p.b.limits.MinGain // not for a trifle
			}
			if filled <= limit && from.load-most >= gain && (!ok || price < c.price) {
				c, ok = candidate{q, to, most, price}, true
			}
		}
	}
	return c, ok
}

// full is how far a worker in use is filled before another is taken into use.
func (p *plan) full() float64 { return (p.b.limits.Upper + p.b.limits.Lower) / 2 }

// apart reports whether workers are left without queues where few are enough.
func (p *plan) apart() bool { return p.b.limits.Lower > 0 }

// evacuate gives queues that nobody polls to others, the greatest first, each to where it weighs least.
func (p *plan) evacuate() {
	var orphans []*queue
	for _, q := range p.queues {
		if q.at == nil {
			orphans = append(orphans, q)
		}
	}
	slices.SortStableFunc(orphans, func(x, y *queue) int { return cmp.Compare(y.state.load.level, x.state.load.level) })
	for _, q := range orphans {
		cause, why := Unpolled, "nobody polls it"
		if q.from != nil {
			cause, why = WorkerGone, q.from.name()+", which polled it, is gone"
		}
		to := p.lightest(q, p.full(), func(w *worker) bool { return w.inUse() && w.ID != p.b.emptying })
		if to == nil || !p.apart() {
			to = p.lightest(q, 1e9, func(*worker) bool { return true })
		}
		if to == nil {
			p.refuse("orphan "+q.name(), Decision{Queue: q.QueueKey, From: q.Worker, To: NoWorker, Cause: cause, Reason: q.name() + ": " + why + ", and no worker runs that could take it"})
			continue
		}
		p.move(q, to, cause, 0, "%s (%s): %s; %s has the most room, and is at %s with it", q.name(), percent(q.state.load.level), why, to.name(), percent(to.load+p.cost(q, to)))
	}
}

// lightest is the worker that is least loaded with the queue, and not above limit.
func (p *plan) lightest(q *queue, limit float64, choose func(*worker) bool) (to *worker) {
	least := limit
	for _, w := range p.nearest(choose) {
		if with := w.load + p.cost(q, w); with <= least && (to == nil || with < least) {
			to, least = w, with
		}
	}
	return to
}

// relieve takes queues from workers above the upper threshold: to workers in use while those have room, else to one more.
func (p *plan) relieve() {
	stuck := map[*worker]bool{}
	for p.moves > 0 {
		var from *worker
		for _, w := range p.workers {
			if w.usable() && !stuck[w] && w.load > p.b.limits.Upper && (from == nil || w.load > from.load) {
				from = w
			}
		}
		if from == nil {
			return
		}
		p.relief = true
		c, ok := p.best(from, p.full(), p.b.limits.MinGain, p.b.wait(), func(w *worker) bool { return w.inUse() && w.ID != p.b.emptying })
		if !ok || !p.apart() {
			c, ok = p.best(from, 1e9, p.b.limits.MinGain, p.b.wait(), func(*worker) bool { return true })
		}
		if !ok {
			stuck[from] = true
			p.complain(from)
			continue
		}
		p.moves--
		if c.to.ID == p.b.emptying {
			p.b.emptying = NoWorker
		}
		p.move(c.q, c.to, Overload, from.load-c.most, "%s is at %s, above %s: %s (%s) goes to %s, which is at %s; then they are at %s and %s", from.name(), demanded(from), percent(p.b.limits.Upper),
			c.q.name(), percent(p.cost(c.q, from)), c.to.name(), percent(c.to.load), percent(from.load-p.cost(c.q, from)), percent(c.to.load+p.cost(c.q, c.to)))
	}
}

// demanded says how loaded a worker is; above its whole time it is an estimate.
func demanded(w *worker) string {
	if w.Busy >= saturated && w.load > 1 {
		return percent(w.Busy) + " (asked for more, about " + percent(w.load) + ")"
	}
	return percent(w.load)
}

// complain tells why a worker above the threshold keeps what it has. That its queues came lately is no news.
func (p *plan) complain(from *worker) {
	var greatest *queue
	for _, q := range from.queues {
		if !q.fixed && !p.movable(q, p.b.wait()) {
			return
		}
		if greatest == nil || p.cost(q, from) > p.cost(greatest, from) {
			greatest = q
		}
	}
	least := p.nearest(func(w *worker) bool { return w != from })
	d := Decision{From: from.ID, To: NoWorker, Cause: Overload}
	why := "it has no queue that could leave it"
	if greatest != nil {
		d.Queue = greatest.QueueKey
		switch {
		case greatest.fixed:
			why = greatest.name() + " (" + percent(p.cost(greatest, from)) + ") is pinned to it, set to static, or divided already"
		case len(least) == 0:
			why = "there is no other worker"
		default:
			slices.SortStableFunc(least, func(x, y *worker) int { return cmp.Compare(x.load, y.load) })
			why = "no move would relieve it by " + percent(p.b.limits.MinGain) + ": " + greatest.name() + " alone takes " + percent(p.cost(greatest, from)) + ", and the least loaded other, " +
				least[0].name() + ", is at " + percent(least[0].load)
		}
	}
	d.Reason = from.name() + " is at " + demanded(from) + ", above " + percent(p.b.limits.Upper) + ", and keeps its queues: " + why
	p.refuse("upper "+from.name(), d)
}

// even makes the busiest workers in use no busier than must be: the mean, or the greatest queue. Several small queues may
// go together where one by itself would gain too little.
func (p *plan) even() {
	among := func(w *worker) bool { return !p.apart() || (w.inUse() && w.ID != p.b.emptying) }
	order := slices.DeleteFunc(slices.Clone(p.workers), func(w *worker) bool { return !w.usable() || !among(w) })
	slices.SortStableFunc(order, func(x, y *worker) int { return cmp.Compare(y.load, x.load) })
	sum, greatest := 0.0, 0.0
	for _, w := range order {
		sum += w.load
		for _, q := range w.queues {
			greatest = max(greatest, q.state.load.level)
		}
	}
	for _, from := range order {
		if p.moves == 0 || from.load < max(sum/float64(len(order)), greatest)+p.b.limits.MinGain {
			return
		}
		p.level(from, among)
	}
}

// level moves queues away from a worker while that relieves it, if all together it gains enough.
func (p *plan) level(from *worker, among func(*worker) bool) {
	l := &p.b.limits
	before, out, moves := from.load, len(p.out), p.moves
	var undo []func()
	filled := 0.0
	for p.moves > 0 {
		c, ok := p.best(from, l.Upper, l.MinGain/smallest, l.Residence, among)
		if !ok {
			break
		}
		p.moves--
		undo = append(undo, p.undo(c.q, from, c.to))
		p.move(c.q, c.to, Imbalance, from.load-c.most, "%s is at %s and %s at %s: with %s (%s) moved they are at %s and %s", from.name(), percent(from.load), c.to.name(), percent(c.to.load),
			c.q.name(), percent(p.cost(c.q, from)), percent(from.load-p.cost(c.q, from)), percent(c.to.load+p.cost(c.q, c.to)))
		filled = max(filled, c.to.load)
	}
	if before-max(from.load, filled) < l.MinGain {
		for _, f := range slices.Backward(undo) {
			f()
		}
		p.out, p.moves = p.out[:out], moves
	}
}

// smallest is the part of the least gain that a single one of several moves must bring.
const smallest = 10

// undo remembers what a move changes.
func (p *plan) undo(q *queue, from, to *worker) func() {
	place, fromState, toState := q.state.place, from.state.changed, to.state.changed
	fromLoad, toLoad, fromQueues, toQueues := from.load, to.load, slices.Clone(from.queues), slices.Clone(to.queues)
	return func() {
		q.state.place, from.state.changed, to.state.changed = place, fromState, toState
		from.load, to.load, from.queues, to.queues, q.at = fromLoad, toLoad, fromQueues, toQueues, from
	}
}
