package vmq

import (
	"cmp"
	"slices"
	"time"
)

const (
	// saturated is how busy a worker is that may have more to do than it shows: its numbers say what it did, not what it was
	// asked to do.
	saturated = 0.97
	// hiddenFactor is by how much the demand of a queue is taken to exceed what was fetched of it, where nothing tells. Too
	// little, and a second look follows; too much, and a worker more is used for a while.
	hiddenFactor = 1.5
	// grace is for how many intervals a decision may be under way before it counts as one that could not be carried out.
	grace      = 4
	mostDemand = 4 // of one queue: more than a few workers can never be given to it
	mostTries  = 4 // doublings of the residence of what could not be carried out
)

// Balancer decides from samples. It belongs to one goroutine.
type Balancer struct {
	limits  Limits
	now     time.Duration // of the last sample
	decided time.Duration // when the last round was
	started bool

	queues  map[QueueKey]*queueState
	vports  map[vportKey]*vportState
	workers map[int]*workerState

	emptying  int           // the worker that is being emptied, or NoWorker
	restless  time.Duration // when fewer workers were last found to be too few
	complains map[string]time.Duration

	room room
}

type vportKey struct{ uplink, vport uint32 }

// pending is a decision under way: for some intervals it counts as done, then what the sample says counts again.
type pending struct {
	at    time.Duration
	to    int
	open  bool // not yet seen done
	ever  bool
	tries int // that were not seen done, in a row
}

func (p *pending) begin(at time.Duration, to int) { p.at, p.to, p.open, p.ever = at, to, true, true }

// see compares with what is, and closes what is done or took too long.
func (p *pending) see(is int, now, wait time.Duration) {
	switch {
	case p.open && is == p.to:
		p.open, p.tries = false, 0
	case p.open && now-p.at >= wait:
		p.open, p.tries = false, min(p.tries+1, mostTries)
	}
}

// resting reports whether it is too early for another decision about the same thing.
func (p *pending) resting(now, residence time.Duration) bool {
	return p.ever && now-p.at < residence<<p.tries
}

type queueState struct {
	load    filter  // demand, as share of a worker of the queue's own node
	guessed bool    // it hid behind a saturated worker
	known   float64 // what it was when it last did not
	place   pending
	shared  handState
	sample  time.Duration // that it was last seen in
}

type vportState struct {
	load   filter
	owned  pending
	sample time.Duration
}

type workerState struct {
	rest    filter        // load that belongs to no queue: schedulers, what others hand over
	changed time.Duration // when its queues last changed
	sample  time.Duration
}

// New makes a balancer. It refuses limits that do not pass Check.
func New(limits Limits) (*Balancer, error) {
	if err := limits.Check(); err != nil {
		return nil, err
	}
	limits.HandOver = slices.Clone(limits.HandOver)
	return &Balancer{limits: limits, queues: map[QueueKey]*queueState{}, vports: map[vportKey]*vportState{}, workers: map[int]*workerState{},
		emptying: NoWorker, complains: map[string]time.Duration{}}, nil
}

// Decide takes a sample and says what to change, in the order in which to carry it out. It may be called as often as there
// are samples: it decides once an interval, but takes queues from workers that are gone at once.
func (b *Balancer) Decide(s Sample) []Decision {
	first := !b.started
	past := max(s.At-b.now, 0)
	if first {
		past, b.now, b.started = 0, s.At, true
		b.restless = s.At - b.limits.Calm
	}
	b.now += past
	p := newPlan(b, s)
	if first || past > 0 {
		p.observe(past)
	}
	p.place()
	p.evacuate()
	p.undivide()
	if first || b.now-b.decided >= b.limits.Interval {
		b.decided = b.now
		p.moves, p.changes = b.limits.MaxMoves, b.limits.MaxMoves
		p.own()
		p.relieve()
		p.even()
		p.bringHome()
		p.coalesce()
		p.divide()
	}
	slices.SortStableFunc(p.out, func(x, y Decision) int { return cmp.Compare(x.Kind, y.Kind) })
	return p.out
}

// wait is how long a decision may be under way.
func (b *Balancer) wait() time.Duration { return grace * b.limits.Interval }

// follow takes in a sample. What was a guess gives way to knowledge at once.
func (st *queueState) follow(p *plan, q *queue, past time.Duration) {
	demand, guessed := p.demand(q)
	if st.guessed && !guessed {
		st.load.set(demand)
	} else {
		st.load.add(demand, past, p.b.limits.Smoothing)
	}
	if st.guessed = guessed; !guessed {
		st.known = st.load.level
	}
}

// observe takes the sample's loads into the filters, and forgets what is not in it.
func (p *plan) observe(past time.Duration) {
	b := p.b
	for _, q := range p.queues {
		q.state.place.see(q.Worker, b.now, b.wait())
		handed := 0
		if len(q.Handed) > 0 {
			handed = 1
		}
		q.state.shared.state.see(handed, b.now, b.wait())
		q.state.follow(p, q, past)
		q.state.sample = b.now
	}
	for _, w := range p.workers {
		// A sample that lies across a move counts the queue at both its workers or at none.
		if st := w.state; !st.rest.seen || b.now-past > st.changed {
			st.rest.add(w.unexplained, past, b.limits.Smoothing)
		}
		w.state.sample = b.now
	}
	for _, v := range p.vports {
		v.state.owned.see(v.Queue, b.now, b.wait())
		v.state.load.add(clamp(v.Busy), past, b.limits.Smoothing)
		v.state.sample = b.now
	}
	for k, st := range b.queues {
		if st.sample != b.now {
			delete(b.queues, k)
		}
	}
	for k, st := range b.vports {
		if st.sample != b.now {
			delete(b.vports, k)
		}
	}
	for k, st := range b.workers {
		if st.sample != b.now {
			delete(b.workers, k)
		}
	}
	for what, at := range b.complains {
		if b.now-at > complainAgain {
			delete(b.complains, what)
		}
	}
}

// complainAgain is after what time a refusal that still stands is told again.
const complainAgain = time.Minute

// refuse tells once in a while that nothing is done though something is wrong.
func (p *plan) refuse(what string, d Decision) {
	if _, told := p.b.complains[what]; told {
		return
	}
	p.b.complains[what] = p.b.now
	d.Kind = Refused
	p.out = append(p.out, d)
}
