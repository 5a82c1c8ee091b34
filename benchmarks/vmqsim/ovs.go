package vmqsim

import (
	"cmp"
	"slices"
	"time"
)

// ovs follows the rules that Open vSwitch documents for "PMD Automatic Load Balance" and for the assignment of receive queues
// to PMD threads (Documentation/topics/dpdk/pmd.rst, release 3.1):
//
//   - a core is overloaded when it was above the load threshold (95 %) at every check of 10 s for a minute,
//   - then the assignment algorithm makes a dry run with the loads of the last minute, on each NUMA node by itself,
//   - which is put into effect if the variance of the cores' loads becomes smaller by the improvement threshold (25 %),
//   - and no earlier than the rebalance interval (1 minute) after the last one.
//
// Queues stay on the node of their device, as the rules demand. It starts with the assignment that the algorithm makes of
// the first minute's loads, as if the operator had asked for it, and its moves cost nothing.
type ovs struct {
	threshold   float64
	improvement float64
	interval    time.Duration
	group       bool // least loaded core next; else in zigzag over the cores, the default

	sum     []float64   // of what was served of each queue since the last check
	last    [][]float64 // the checks of the last minute
	above   []int       // checks in a row that found a core above the threshold
	busy    []float64
	steps   int
	tried   time.Duration
	settled bool
}

const (
	ovsCheck  = 10 * time.Second
	ovsChecks = 6
)

func newOVS(group bool, threshold float64) *ovs {
	return &ovs{threshold: threshold, improvement: 0.25, interval: time.Minute, group: group}
}

func (o *ovs) start(h *Host) {
	o.sum, o.above, o.busy = make([]float64, len(h.At)), make([]int, h.Cores), make([]float64, h.Cores)
	next := o.assign(h, make([]float64, len(h.At)))
	copy(h.At, next)
}

func (o *ovs) balance(h *Host, at time.Duration) {
	for q, v := range h.Served {
		o.sum[q] += v
	}
	for w, v := range h.Busy {
		o.busy[w] += v
	}
	if o.steps++; time.Duration(o.steps)*Step < ovsCheck {
		return
	}
	overloaded := false
	for w := range o.busy {
		if o.busy[w]/float64(o.steps) >= o.threshold {
			o.above[w]++
		} else {
			o.above[w] = 0
		}
		overloaded = overloaded || o.above[w] >= ovsChecks
	}
	o.last = append(o.last, slices.Clone(o.sum))
	if len(o.last) > ovsChecks {
		o.last = o.last[1:]
	}
	clear(o.sum)
	clear(o.busy)
	o.steps = 0
	switch {
	case len(o.last) < ovsChecks:
	case !o.settled:
		o.settled, o.tried = true, at
		o.apply(h, o.assign(h, o.minute()))
	case overloaded && at-o.tried >= o.interval:
		o.tried = at
		loads := o.minute()
		if next := o.assign(h, loads); o.improves(h, loads, next) {
			o.apply(h, next)
			clear(o.above)
		}
	}
}

// minute is the load of each queue in the last minute.
func (o *ovs) minute() []float64 {
	loads := make([]float64, len(o.sum))
	for _, check := range o.last {
		for q, v := range check {
			loads[q] += v * float64(Step) / float64(ovsChecks*ovsCheck)
		}
	}
	return loads
}

func (o *ovs) apply(h *Host, next []int) {
	for q, w := range next {
		h.Move(q, w)
	}
}

// assign gives the queues of each node, the busiest first, to its cores.
func (o *ovs) assign(h *Host, loads []float64) []int {
	next := make([]int, len(loads))
	for node := range h.Nodes {
		var cores, queues []int
		for w := range h.Cores {
			if h.NodeOf(w) == node {
				cores = append(cores, w)
			}
		}
		for q := range loads {
			if h.Node[q] == node {
				queues = append(queues, q)
			}
		}
		slices.SortStableFunc(queues, func(x, y int) int { return cmp.Compare(loads[y], loads[x]) })
		sums := make([]float64, len(cores))
		numbers := make([]int, len(cores))
		for i, q := range queues {
			c := i % (2 * len(cores))
			if c >= len(cores) {
				c = 2*len(cores) - 1 - c
			}
			if o.group {
				c = 0
				for k := range cores {
					if sums[k] < sums[c] || (sums[k] == sums[c] && numbers[k] < numbers[c]) {
						c = k
					}
				}
			}
			next[q] = cores[c]
			sums[c] += loads[q]
			numbers[c]++
		}
	}
	return next
}

// improves reports whether the variance of the loads of any node's cores becomes smaller by enough.
func (o *ovs) improves(h *Host, loads []float64, next []int) bool {
	for node := range h.Nodes {
		now, then := o.variance(h, node, loads, h.At), o.variance(h, node, loads, next)
		if now > 0 && (now-then)/now >= o.improvement {
			return true
		}
	}
	return false
}

func (o *ovs) variance(h *Host, node int, loads []float64, at []int) float64 {
	sums := map[int]float64{}
	for q, w := range at {
		if h.NodeOf(w) == node {
			sums[w] += loads[q]
		}
	}
	n, mean, squares := 0.0, 0.0, 0.0
	for w := range h.Cores {
		if h.NodeOf(w) == node {
			n++
			mean += sums[w]
		}
	}
	mean /= n
	for w := range h.Cores {
		if h.NodeOf(w) == node {
			squares += (sums[w] - mean) * (sums[w] - mean)
		}
	}
	return squares / n
}
