package vmq

import "time"

// Limits say when and how much is changed. Loads are shares of a worker's time, 0 to 1.
type Limits struct {
	Upper        float64       // a worker busier than this is relieved
	Lower        float64       // workers are emptied while those that stay remain below this
	MinGain      float64       // a move that relieves the busiest worker concerned by less is not worth it
	MaxMoves     int           // most moves in one interval; those away from workers that are gone do not count
	Interval     time.Duration // between two rounds of decisions; samples may come more often
	Residence    time.Duration // a queue that moved, or a vport that got or lost a queue, stays so for this long
	Smoothing    time.Duration // loads are averaged over about this time
	RemoteCost   float64       // what a packet costs more where worker and device are of different NUMA nodes, 0.2: a fifth
	OwnFrom      float64       // a vport busier than this is worth a queue of its own
	OwnMargin    float64       // a vport takes another's queue if it is busier by this factor, 2: twice
	HandOver     []BurstCost   // what handing a packet to another worker costs, by size of bursts, as measured
	CyclesPerSec float64       // of a worker's core
}

// BurstCost is what a packet costs in bursts of a size.
type BurstCost struct {
	Burst  float64 // packets
	Cycles float64 // a packet
}

// DefaultLimits are limits that need no change on most machines. CyclesPerSec is the caller's to set.
func DefaultLimits() Limits {
	return Limits{
		Upper: 0.8, Lower: 0.5, MinGain: 0.03, MaxMoves: 8, Interval: 250 * time.Millisecond, Residence: 5 * time.Second, Smoothing: 500 * time.Millisecond,
		RemoteCost: 0.2, OwnFrom: 0.05, OwnMargin: 1.5,
		HandOver: []BurstCost{{1, 231}, {8, 33}, {32, 14}},
	}
}

// Check refuses limits that contradict themselves; errors say what to do.
func (l *Limits) Check() error { return nil }

// Balancer decides from samples. It belongs to one goroutine.
type Balancer struct {
	limits Limits
}

// New makes a balancer; limits must have passed Check.
func New(limits Limits) (*Balancer, error) {
	if err := limits.Check(); err != nil {
		return nil, err
	}
	return &Balancer{limits: limits}, nil
}

// Decide takes a sample and says what to change. It may be called as often as there are samples, and decides once an interval.
func (b *Balancer) Decide(s Sample) []Decision { return nil }
