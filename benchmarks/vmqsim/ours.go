package vmqsim

import (
	"time"

	"github.com/sluicenet/sluice/dataplane/vmq"
)

// ours is the balancer of the daemon. Its samples say what was served, not which queue had more waiting, nor what was lost:
// some devices tell neither.
type ours struct {
	limits vmq.Limits
	b      *vmq.Balancer
	sample vmq.Sample
	causes map[vmq.Cause]int
}

func newOurs(limits vmq.Limits) (*ours, error) {
	b, err := vmq.New(limits)
	return &ours{limits: limits, b: b, causes: map[vmq.Cause]int{}}, err
}

func (o *ours) start(h *Host) {
	static{}.start(h) // as the switch attaches them
	for w := range h.Cores {
		o.sample.Workers = append(o.sample.Workers, vmq.WorkerLoad{ID: w, Node: h.NodeOf(w)})
	}
	for q := range h.At {
		o.sample.Queues = append(o.sample.Queues, vmq.QueueLoad{QueueKey: vmq.QueueKey{Port: uint32(q)}, Node: h.Node[q]})
	}
}

func (o *ours) balance(h *Host, at time.Duration) {
	o.sample.At = at
	for w := range o.sample.Workers {
		o.sample.Workers[w].Busy = h.Busy[w]
	}
	for q := range o.sample.Queues {
		o.sample.Queues[q].Worker, o.sample.Queues[q].Busy = h.At[q], h.Served[q]
	}
	for _, d := range o.b.Decide(o.sample) {
		if d.Kind == vmq.MoveQueue {
			o.causes[d.Cause]++
			h.Move(int(d.Queue.Port), d.To)
		}
	}
}
