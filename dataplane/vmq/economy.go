package vmq

import (
	"cmp"
	"math"
	"slices"
)

// bringHome takes queues back to workers of their device's node, where their packets cost less; where there is no room, it
// exchanges them for others.
func (p *plan) bringHome() {
	for _, q := range p.queues {
		if p.moves == 0 {
			return
		}
		if !p.away(q) {
			continue
		}
		from := q.at
		to := p.lightest(q, min(from.load, p.full()), func(w *worker) bool {
			return w.Node == q.Node && w.ID != p.b.emptying && (!p.apart() || w.inUse())
		})
		if to == nil {
			p.exchange(q)
			continue
		}
		p.moves--
		p.goHome(q, to)
	}
}

// away reports whether a queue may move, and would cost noticeably less at home.
func (p *plan) away(q *queue) bool {
	return q.at != nil && q.at.usable() && p.movable(q, p.b.limits.Residence) && remote(q, q.at) && p.cost(q, q.at)-q.state.load.level >= p.b.limits.MinGain/4
}

func (p *plan) goHome(q *queue, to *worker) {
	from := q.at
	p.move(q, to, Remote, p.cost(q, from)-q.state.load.level, "%s takes %s of %s, which is on NUMA node %d: %s on its own node %d does it for %s", q.name(), percent(p.cost(q, from)),
		from.name(), from.Node, to.name(), to.Node, percent(q.state.load.level))
}

// exchange sends a queue home to a worker that makes room for it: some of its queues come here instead. Neither worker gets
// busier than the busier one is, and together they have less to do.
func (p *plan) exchange(q *queue) {
	a := q.at
	for _, b := range p.workers {
		if !b.usable() || b.Node != q.Node || b.ID == p.b.emptying || b.Busy >= saturated || (p.apart() && !b.inUse()) {
			continue
		}
		most, here, there := max(a.load, b.load), a.load-p.cost(q, a), b.load+q.state.load.level
		before := a.load + b.load
		var come []*queue
		for _, o := range p.byPull(b, a) {
			if there <= most || len(come)+2 > p.moves {
				break
			}
			come = append(come, o)
			here, there = here+p.cost(o, a), there-p.cost(o, b)
		}
		if there > most || here > most || before-here-there < p.b.limits.MinGain {
			continue
		}
		p.moves -= len(come) + 1
		p.goHome(q, b)
		for _, o := range come {
			p.move(o, a, Remote, 0, "%s (%s) makes room at %s for %s, and goes to %s", o.name(), percent(o.state.load.level), b.name(), q.name(), a.name())
		}
		return
	}
}

// byPull are the queues of b that may move, those first that cost less at a, then the greatest.
func (p *plan) byPull(b, a *worker) []*queue {
	some := slices.DeleteFunc(slices.Clone(b.queues), func(o *queue) bool { return !p.movable(o, p.b.limits.Residence) })
	pull := func(o *queue) int {
		if remote(o, b) && !remote(o, a) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(some, func(x, y *queue) int {
		return cmp.Or(cmp.Compare(pull(x), pull(y)), cmp.Compare(y.state.load.level, x.state.load.level))
	})
	return some
}

// coalesce empties the least loaded workers, while the others stay below the lower threshold with what they do, and have
// been able to for a while.
func (p *plan) coalesce() {
	b := p.b
	for p.moves > 0 {
		x := p.emptiest()
		var to map[*queue]*worker
		if x != nil && !p.relief {
			to = p.fits(x)
		}
		if to == nil {
			if b.emptying = NoWorker; !p.coalesced {
				b.restless = b.now
			}
			return
		}
		if b.now-b.restless < b.limits.Calm {
			return
		}
		if b.emptying = x.ID; !p.empty(x, to) {
			return
		}
	}
}

// empty moves what may move of a worker's queues, and reports whether it has none left.
func (p *plan) empty(x *worker, to map[*queue]*worker) bool {
	for _, q := range slices.Clone(x.queues) {
		if p.moves == 0 || !p.movable(q, p.b.limits.Residence) {
			continue
		}
		p.moves--
		p.coalesced = true
		w := to[q]
		p.move(q, w, Coalesce, 0, "%s is at %s, and others can do its work below %s: %s (%s) goes to %s, which is at %s then; %s is to rest", x.name(), percent(x.load),
			percent(p.b.limits.Lower), q.name(), percent(q.state.load.level), w.name(), percent(w.load+p.cost(q, w)), x.name())
	}
	return len(x.queues) == 0
}

// emptiest is the least loaded worker in use that could be emptied, while there are others; one whose emptying has begun
// comes first.
func (p *plan) emptiest() (x *worker) {
	if !p.apart() {
		return nil
	}
	used := 0
	for _, w := range p.workers {
		if !w.usable() || !w.inUse() {
			continue
		}
		used++
		if w.state.rest.level > idle || len(w.queues) == 0 || slices.ContainsFunc(w.queues, func(q *queue) bool { return q.fixed }) {
			continue
		}
		if x == nil || w.ID == p.b.emptying || (x.ID != p.b.emptying && w.load < x.load) {
			x = w
		}
	}
	if used < 2 {
		return nil
	}
	return x
}

// fits says where the queues of a worker would go so that nobody passes the lower threshold; nil: they do not fit. It
// spares the workers that may be emptied next, so that no queue has to move twice.
func (p *plan) fits(x *worker) map[*queue]*worker {
	var others []*worker
	total := x.load
	for _, w := range p.workers {
		if w != x && w.usable() && w.inUse() {
			others = append(others, w)
			total += w.load
		}
	}
	slices.SortStableFunc(others, func(a, b *worker) int { return cmp.Compare(b.load, a.load) })
	enough := int(math.Ceil(total / (0.9 * p.b.limits.Lower)))
	if stay := min(max(enough, 1), len(others)); stay < len(others) {
		if to := p.pack(x, others[:stay]); to != nil {
			return to
		}
	}
	return p.pack(x, others)
}

// pack gives each queue of x, the greatest first, to where it weighs least.
func (p *plan) pack(x *worker, others []*worker) map[*queue]*worker {
	order := slices.Clone(x.queues)
	slices.SortStableFunc(order, func(a, b *queue) int { return cmp.Compare(b.state.load.level, a.state.load.level) })
	loads := map[*worker]float64{}
	for _, w := range others {
		loads[w] = w.load
	}
	to := map[*queue]*worker{}
	for _, q := range order {
		var best *worker
		for _, w := range others {
			if with := loads[w] + p.cost(q, w); with <= p.b.limits.Lower && (best == nil || with < loads[best]+p.cost(q, best)) {
				best = w
			}
		}
		if best == nil {
			return nil
		}
		loads[best] += p.cost(q, best)
		to[q] = best
	}
	return to
}
