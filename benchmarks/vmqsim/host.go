package vmqsim

import (
	"slices"
	"time"
)

// Host is one contender's machine: the same demands, its own assignment.
type Host struct {
	Cores  int
	Nodes  int
	Node   []int     // of each queue's device
	At     []int     // worker that polls each queue
	Asked  []float64 // load that each worker is asked for; above 1 it cannot do all
	Served []float64 // share of its worker that each queue gets
	Busy   []float64 // of each worker
	Moves  int       // since the start
	remote float64

	queues [][]int // of each worker, scratch
}

func newHost(s Scenario, l *Load) *Host {
	n := len(l.Demand)
	h := &Host{Cores: s.Cores, Nodes: s.Nodes, Node: l.Node, At: make([]int, n), Asked: make([]float64, s.Cores), Served: make([]float64, n), Busy: make([]float64, s.Cores),
		remote: remoteCost, queues: make([][]int, s.Cores)}
	return h
}

// remoteCost is what a packet costs more on a worker of another node than its device's.
const remoteCost = 0.2

// NodeOf is the node of a worker's core: the first half of the cores is of the first of two nodes.
func (h *Host) NodeOf(worker int) int { return worker * h.Nodes / h.Cores }

// cost is what a queue's demand takes of a worker.
func (h *Host) cost(demand float64, queue, worker int) float64 {
	if h.Node[queue] != h.NodeOf(worker) {
		return demand * (1 + h.remote)
	}
	return demand
}

// Move lets a worker poll a queue.
func (h *Host) Move(queue, worker int) {
	if h.At[queue] != worker {
		h.At[queue] = worker
		h.Moves++
	}
}

// Serve lets every worker poll its queues in turn: who asks for little gets it, the others share alike what is left.
func (h *Host) Serve(demand []float64) {
	clear(h.Asked)
	for w := range h.queues {
		h.queues[w] = h.queues[w][:0]
	}
	for q, w := range h.At {
		h.Served[q] = h.cost(demand[q], q, w)
		h.Asked[w] += h.Served[q]
		h.queues[w] = append(h.queues[w], q)
	}
	for w, asked := range h.Asked {
		if h.Busy[w] = min(asked, 1); asked <= 1 {
			continue
		}
		mine := h.queues[w]
		slices.SortFunc(mine, func(x, y int) int {
			if h.Served[x] < h.Served[y] {
				return -1
			} else if h.Served[x] > h.Served[y] {
				return 1
			}
			return x - y
		})
		left := 1.0
		for i, q := range mine {
			h.Served[q] = min(h.Served[q], left/float64(len(mine)-i))
			left -= h.Served[q]
		}
	}
}

// Used is how many workers have a queue to poll.
func (h *Host) Used() (n int) {
	for _, mine := range h.queues {
		if len(mine) > 0 {
			n++
		}
	}
	return n
}

// contender assigns queues to workers. It sees what was served, never what was asked for.
type contender interface {
	// start assigns all queues before there was any load.
	start(h *Host)
	// balance looks at what was served in the step that ended at a time, and moves queues.
	balance(h *Host, at time.Duration)
}
