package vmq

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	mostHelpers  = 7 // workers that one queue's packets are handed to
	shareSteps   = 64
	worthAnother = 0.05 // what one helper more must add
	saturatedFor = 4    // intervals before a queue is divided: other ways are tried first
)

// handState is what is known of a queue's hand-over.
type handState struct {
	state   pending
	since   time.Duration // the queue has been too much for its worker
	hard    bool
	quiet   time.Duration // one worker has been enough since
	quieted bool
	cycles  float64 // a packet, when hand-over began
}

// offer is what hand-over would do.
type offer struct {
	helpers int
	handed  float64 // share of packets
	burst   float64 // in which they are handed
	cost    float64 // cycles a packet of doing so
	times   float64 // what is carried then, by what is carried without
}

// HandOverCycles is what handing over costs a packet at a size of bursts, between the sizes that were measured by a power
// law, outside of them as at the nearest.
func (l *Limits) HandOverCycles(burst float64) float64 {
	c := l.HandOver
	switch i := slices.IndexFunc(c, func(c BurstCost) bool { return c.Burst >= burst }); {
	case len(c) == 0:
		return math.Inf(1)
	case i == 0:
		return c[0].Cycles
	case i < 0:
		return c[len(c)-1].Cycles
	case c[i-1].Cycles <= 0 || c[i].Cycles <= 0:
		return max(c[i-1].Cycles, c[i].Cycles)
	default:
		along := math.Log(burst/c[i-1].Burst) / math.Log(c[i].Burst/c[i-1].Burst)
		return c[i-1].Cycles * math.Pow(c[i].Cycles/c[i-1].Cycles, along)
	}
}

// bestOffer finds how to divide packets of which each takes cycles, receive of them where it is received. own is the share
// of its worker's time that the queue has, spare what each helper has left, the most first. Half of the price of handing
// over is paid by either side.
func (l *Limits) bestOffer(cycles, receive, burst, own float64, spare []float64) (best offer) {
	work := cycles - receive
	for k := 1; k <= min(len(spare), mostHelpers); k++ {
		for i := 1; i <= shareSteps; i++ {
			x := float64(i) / shareSteps
			o := offer{helpers: k, handed: x, burst: max(burst*x/float64(k), 1)}
			o.cost = l.HandOverCycles(o.burst)
			first := own / (receive + (1-x)*work + x*o.cost/2)
			others := float64(k) * spare[k-1] / (x * (work + o.cost/2))
			o.times = min(first, others) * cycles / own
			need := best.times
			if k > best.helpers && best.helpers > 0 {
				need += worthAnother
			}
			if o.times > need {
				best = o
			}
		}
	}
	return best
}

// undivide ends hand-over to workers that are gone, at once.
func (p *plan) undivide() {
	for _, q := range p.queues {
		for _, id := range q.Handed {
			if w := p.byID[id]; (w == nil || w.State == Gone) && !q.state.shared.state.open {
				p.handOff(q, WorkerGone, "%s is not divided any more: worker %d, which had a part of it, is gone", q.name(), id)
				break
			}
		}
	}
}

func (p *plan) handOff(q *queue, cause Cause, format string, args ...any) {
	q.state.shared.state.begin(p.b.now, 0)
	q.state.shared.quieted, q.state.shared.hard = false, false
	p.out = append(p.out, Decision{Kind: HandOverOff, Queue: q.QueueKey, From: q.Worker, To: q.Worker, Cause: cause, Reason: fmt.Sprintf(format, args...)})
}

// divide switches hand-over on where a single queue is too much for its worker, and off where one worker is enough.
func (p *plan) divide() {
	for _, q := range p.queues {
		st := &q.state.shared
		if q.at == nil || !q.at.usable() || q.at != q.from || st.state.open || st.state.resting(p.b.now, p.b.limits.Residence) {
			continue
		}
		if len(q.Handed) > 0 {
			p.rejoin(q)
			continue
		}
		if hard := p.tooMuch(q); !hard || !st.hard {
			st.hard, st.since = hard, p.b.now
			continue
		}
		if p.b.now-st.since >= saturatedFor*p.b.limits.Interval {
			p.handOn(q)
		}
	}
}

// tooMuch reports whether a queue saturates its worker, and neither a move nor a queue of their own for its vports would
// help.
func (p *plan) tooMuch(q *queue) bool {
	w := q.at
	if !q.Divisible || w.Busy < saturated || w.load <= p.b.limits.Upper {
		return false
	}
	for _, o := range w.queues {
		if p.cost(o, w) > p.cost(q, w) || (!o.fixed && o != q && !p.movable(o, p.b.wait())) {
			return false
		}
	}
	for _, v := range p.vports {
		if v.Uplink == q.Port && v.state.owned.ever && v.state.owned.to != NoQueue && p.b.now-v.state.owned.at < p.b.wait() {
			return false
		}
	}
	if q.fixed {
		return true
	}
	_, better := p.best(w, 1e9, p.b.limits.MinGain, 0, func(*worker) bool { return true })
	return !better
}

func (p *plan) handOn(q *queue) {
	l, w := &p.b.limits, q.at
	busy := fmt.Sprintf("%s has no time for more of %s (%s of its time, %.3g packets/s)", w.name(), q.name(), percent(q.Busy), q.PacketsPerSec)
	decline := func(format string, args ...any) {
		p.refuse("divide "+q.name(), Decision{Queue: q.QueueKey, From: w.ID, To: NoWorker, Cause: Saturation, Reason: busy + ", and its packets are not handed to others: " + fmt.Sprintf(format, args...)})
	}
	if l.CyclesPerSec == 0 || q.PacketsPerSec <= 0 || q.Busy <= 0 {
		decline("what a packet costs is unknown")
		return
	}
	helpers, spare := p.helpers(q)
	if len(helpers) == 0 {
		decline("no other worker is below %s", percent(l.Upper-leastSpare))
		return
	}
	cycles := q.Busy * l.CyclesPerSec / q.PacketsPerSec
	receive, known := q.ReceiveCycles, ""
	if receive <= 0 || receive > cycles {
		receive, known = cycles/2, ", taken to be half"
	}
	own := max(1-(w.load-p.cost(q, w)), 0.1)
	o := l.bestOffer(cycles, receive, max(q.Burst, 1), own, spare)
	price := fmt.Sprintf("a packet takes %.0f cycles, %.0f of them where it is received%s; handing it over in bursts of %.3g costs %.0f more", cycles, receive, known, o.burst, o.cost)
	if o.times < 1+l.HandOverGain {
		decline("%s, so that %d workers would carry %.2f times what one carries, and at least %.2f times is asked for", price, o.helpers+1, o.times, 1+l.HandOverGain)
		return
	}
	ids := []int{w.ID}
	for _, h := range helpers[:o.helpers] {
		ids = append(ids, h.ID)
	}
	q.state.shared.cycles = cycles
	q.state.shared.state.begin(p.b.now, 1)
	p.out = append(p.out, Decision{Kind: HandOverOn, Queue: q.QueueKey, From: w.ID, To: w.ID, Workers: ids, Keep: 1 - o.handed, Gain: 1 - 1/o.times, Cause: Saturation,
		Reason: fmt.Sprintf("%s: %s of its packets go to %s; %s, and %d workers carry %.2f times as much as one", busy, percent(o.handed), listed(ids[1:]), price, len(ids), o.times)})
}

func listed(ids []int) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("worker %d", id)
	}
	return text
}

// leastSpare is how far below the upper threshold a worker is that gets packets of others.
const leastSpare = 0.1

// helpers are workers with time to spare, those with the most first.
func (p *plan) helpers(q *queue) (some []*worker, spare []float64) {
	left := func(w *worker) float64 {
		room := p.b.limits.Upper - w.load
		if remote(q, w) {
			room /= 1 + p.b.limits.RemoteCost
		}
		return room
	}
	for _, w := range p.workers {
		if w != q.at && w.usable() && left(w) >= leastSpare {
			some = append(some, w)
		}
	}
	slices.SortStableFunc(some, func(x, y *worker) int { return cmp.Compare(left(y), left(x)) })
	for _, w := range some {
		spare = append(spare, left(w))
	}
	return some, spare
}

// rejoin ends hand-over when one worker has been enough for a while.
func (p *plan) rejoin(q *queue) {
	st, l := &q.state.shared, &p.b.limits
	if st.cycles <= 0 { // begun before this balancer: the parts of all workers together, at most
		st.cycles = q.Busy * l.CyclesPerSec / max(q.PacketsPerSec, 1) * float64(len(q.Handed))
	}
	need := 0.0
	if l.CyclesPerSec > 0 {
		need = q.PacketsPerSec * st.cycles / l.CyclesPerSec
	}
	rest := q.at.load - p.cost(q, q.at)
	if need+rest > p.full() {
		st.quieted = false
		return
	}
	if !st.quieted {
		st.quieted, st.quiet = true, p.b.now
	}
	if p.b.now-st.quiet >= l.Calm {
		p.handOff(q, Enough, "%s brings %.3g packets/s, which take %s of one worker, and %s does %s besides: it needs nobody's help", q.name(), q.PacketsPerSec, percent(need), q.at.name(), percent(rest))
	}
}
