package vmq

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

const testHz = 2.6e9

// host is a model of a switch: queues that want shares of a worker, and workers that serve their queues in turn.
type host struct {
	limits  Limits
	b       *Balancer
	at      time.Duration
	step    time.Duration
	workers []WorkerLoad
	queues  []*wish
	uplinks []Uplink
	vports  []VportLoad
	blind   bool // nothing tells which queues had more waiting
	refuse  func(Decision) bool
	told    []Decision // of the last round
}

// wish is a queue and the share of a worker of its own node that it asks for.
type wish struct {
	QueueLoad
	want float64
}

func newHost(t require.TestingT, workers int, limits Limits) *host {
	b, err := New(limits)
	require.NoError(t, err)
	h := &host{limits: limits, b: b, step: limits.Interval}
	for i := range workers {
		h.workers = append(h.workers, WorkerLoad{ID: i})
	}
	return h
}

func quick() Limits {
	l := DefaultLimits()
	l.CyclesPerSec = testHz
	return l
}

// queue adds a queue of port 1.
func (h *host) queue(worker int, want float64) *wish {
	q := &wish{QueueLoad{QueueKey: QueueKey{1, uint16(len(h.queues))}, Worker: worker}, want}
	h.queues = append(h.queues, q)
	return q
}

func (h *host) find(k QueueKey) *wish {
	i := slices.IndexFunc(h.queues, func(q *wish) bool { return q.QueueKey == k })
	if i < 0 {
		return nil
	}
	return h.queues[i]
}

func (h *host) cost(q *wish, w int) float64 {
	i := slices.IndexFunc(h.workers, func(l WorkerLoad) bool { return l.ID == w })
	if i >= 0 && q.Node >= 0 && h.workers[i].Node >= 0 && q.Node != h.workers[i].Node {
		return q.want * (1 + h.limits.RemoteCost)
	}
	return q.want
}

// serve shares every worker's time among its queues: all that fits, else in turn, so that the small ones get all they want.
func (h *host) serve() {
	for i := range h.workers {
		w := &h.workers[i]
		var mine []*wish
		for _, q := range h.queues {
			if q.Worker == w.ID {
				mine = append(mine, q)
			}
		}
		slices.SortStableFunc(mine, func(x, y *wish) int {
			if h.cost(x, w.ID) < h.cost(y, w.ID) {
				return -1
			}
			return 1
		})
		left := 1.0
		for n, q := range mine {
			asked := h.cost(q, w.ID)
			q.Busy = min(asked, left/float64(len(mine)-n))
			q.Full = 0.01
			if q.Busy < asked {
				q.Full = 1
			}
			if h.blind {
				q.Full = 0
			}
			left -= q.Busy
		}
		if w.Busy = 1 - left; w.State != Running {
			w.Busy = 0
		}
	}
}

func (h *host) sample() Sample {
	h.serve()
	s := Sample{At: h.at, Workers: slices.Clone(h.workers), Uplinks: h.uplinks, Vports: slices.Clone(h.vports)}
	for _, q := range h.queues {
		s.Queues = append(s.Queues, q.QueueLoad)
	}
	return s
}

func (h *host) carryOut(all []Decision) {
	for _, d := range all {
		if h.refuse != nil && h.refuse(d) {
			continue
		}
		switch d.Kind {
		case MoveQueue:
			h.find(d.Queue).Worker = d.To
		case Steer, Unsteer:
			for i := range h.vports {
				if v := &h.vports[i]; v.Vport == d.Vport {
					v.Queue = NoQueue
					if d.Kind == Steer {
						v.Queue = int(d.Queue.Queue)
					}
				}
			}
		case HandOverOn:
			h.find(d.Queue).Handed = d.Workers
		case HandOverOff:
			h.find(d.Queue).Handed = nil
		}
	}
}

// round is one interval.
func (h *host) round() []Decision {
	h.told = h.b.Decide(h.sample())
	h.carryOut(h.told)
	h.at += h.step
	return h.told
}

func (h *host) run(d time.Duration) (all []Decision) {
	for end := h.at + d; h.at < end; {
		all = append(all, h.round()...)
	}
	return all
}

func (h *host) loads() []float64 {
	loads := make([]float64, len(h.workers))
	for i, w := range h.workers {
		for _, q := range h.queues {
			if q.Worker == w.ID {
				loads[i] += h.cost(q, w.ID)
			}
		}
	}
	return loads
}

func (h *host) used() (n int) {
	for _, w := range h.workers {
		if slices.ContainsFunc(h.queues, func(q *wish) bool { return q.Worker == w.ID }) {
			n++
		}
	}
	return n
}

func count(all []Decision, k Kind) (n int) {
	for _, d := range all {
		if d.Kind == k {
			n++
		}
	}
	return n
}
