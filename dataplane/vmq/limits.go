package vmq

import (
	"errors"
	"fmt"
	"time"
)

// ErrLimits is what every error about limits wraps.
var ErrLimits = errors.New("vmq limits")

// Limits say when and how much is changed. Loads are shares of a worker's time, 0 to 1.
type Limits struct {
	Upper        float64       // a worker busier than this is relieved
	Lower        float64       // a worker is emptied where those that take its queues stay below this; 0: never, all workers are used
	MinGain      float64       // a move, or several in a row, must relieve the busiest of their workers by this much
	MaxMoves     int           // most moves, and most changes of owners, in one interval; those away from workers that are gone do not count
	Interval     time.Duration // between two rounds of decisions; samples may come more often
	Residence    time.Duration // a queue that moved, or a vport that got one, stays so for this long; above Upper, and where quiet, it may go earlier
	Smoothing    time.Duration // loads are averaged over about this time; two samples in a row that differ much count at once
	Calm         time.Duration // for how long fewer workers must have been enough, or one worker without hand-over
	RemoteCost   float64       // what a packet costs more where worker and device are of different NUMA nodes, 0.2: a fifth
	OwnFrom      float64       // a vport busier than this is worth a queue of its own
	OwnMargin    float64       // a vport takes another's queue if it is busier by this factor
	CyclesPerSec float64       // of a worker's core; 0: unknown, and hand-over is never switched on
	HandOver     []BurstCost   // what handing a packet to another worker costs both together, by rising size of bursts, as measured
	HandOverGain float64       // hand-over must carry this much more than without it, 0.1: a tenth
}

// BurstCost is what a packet costs in bursts of a size.
type BurstCost struct {
	Burst  float64 // packets
	Cycles float64 // a packet
}

// DefaultLimits need no change on most machines. CyclesPerSec is the caller's to measure.
func DefaultLimits() Limits {
	return Limits{
		Upper: 0.8, Lower: 0.5, MinGain: 0.02, MaxMoves: 8,
		Interval: 250 * time.Millisecond, Residence: 5 * time.Second, Smoothing: 2 * time.Second, Calm: 10 * time.Second,
		RemoteCost: 0.2, OwnFrom: 0.05, OwnMargin: 1.5,
		HandOver: []BurstCost{{1, 231}, {8, 33}, {32, 14}}, HandOverGain: 0.1,
	}
}

// Bounds of what limits may be.
const (
	leastApart    = 0.1 // between the thresholds
	mostMoves     = 1024
	leastInterval = 10 * time.Millisecond
	mostInterval  = time.Minute
	mostTime      = time.Hour
	leastCycles   = 1e8
)

// Check refuses limits that contradict themselves. The error names all that is wrong, and what to choose.
func (l *Limits) Check() error {
	return errors.Join(l.checkThresholds(), l.checkTimes(), l.checkOwners(), l.checkHandOver())
}

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimits, fmt.Sprintf(format, args...))
}

// within is false for numbers that are none, too.
func within(v, least, most float64) bool { return v >= least && v <= most }

func (l *Limits) checkThresholds() error {
	switch {
	case !within(l.Upper, leastApart, 1):
		return fault("upper threshold %s: choose %s to 100 %%", percent(l.Upper), percent(leastApart))
	case !within(l.Lower, 0, 1):
		return fault("lower threshold %s: choose 0 (workers are never emptied) to %s", percent(l.Lower), percent(l.Upper-leastApart))
	case l.Lower >= l.Upper:
		return fault("thresholds are crossed over: lower %s is not below upper %s, so that workers would be emptied and filled in turn; choose lower at most %s",
			percent(l.Lower), percent(l.Upper), percent(l.Upper-leastApart))
	case l.Lower > l.Upper-leastApart+1e-9:
		return fault("lower threshold %s is too near to upper %s: what one move empties another would fill again; choose at most %s, or a higher upper one",
			percent(l.Lower), percent(l.Upper), percent(l.Upper-leastApart))
	case !within(l.MinGain, 0.001, leastApart):
		return fault("least gain of a move is %s: choose 0.1 %% to %s", percent(l.MinGain), percent(leastApart))
	case l.MaxMoves < 1 || l.MaxMoves > mostMoves:
		return fault("%d moves in an interval: choose 1 to %d", l.MaxMoves, mostMoves)
	case !within(l.RemoteCost, 0, 10):
		return fault("a packet of another NUMA node costs %.3g times more: choose 0 to 10", l.RemoteCost)
	}
	return nil
}

func (l *Limits) checkTimes() error {
	switch {
	case l.Interval < leastInterval || l.Interval > mostInterval:
		return fault("interval of %v: choose %v to %v", l.Interval, leastInterval, mostInterval)
	case l.Residence < l.Interval || l.Residence > mostTime:
		return fault("residence of %v: a queue stays at least one interval, so choose %v to %v", l.Residence, l.Interval, mostTime)
	case l.Smoothing < 0 || l.Smoothing > mostTime:
		return fault("smoothing over %v: choose 0 (none) to %v", l.Smoothing, mostTime)
	case l.Calm < 0 || l.Calm > mostTime:
		return fault("calm of %v: choose 0 (workers are emptied at once) to %v", l.Calm, mostTime)
	}
	return nil
}

func (l *Limits) checkOwners() error {
	switch {
	case !within(l.OwnFrom, 0.001, 1):
		return fault("vports own a queue from %s of a worker: choose 0.1 %% to 100 %%", percent(l.OwnFrom))
	case !within(l.OwnMargin, 1.1, 100):
		return fault("a vport takes another's queue if it is %.3g times as busy: choose 1.1 to 100; nearer to 1, two equal ones would take it from each other in turn", l.OwnMargin)
	}
	return nil
}

func (l *Limits) checkHandOver() error {
	if l.CyclesPerSec != 0 && !within(l.CyclesPerSec, leastCycles, 1e11) {
		return fault("a core of %.3g cycles/s: choose 0 (unknown) or what was measured, %.0e to 1e11", l.CyclesPerSec, leastCycles)
	}
	if !within(l.HandOverGain, 0, 10) {
		return fault("hand-over must carry %.3g times more: choose 0 to 10", l.HandOverGain)
	}
	if len(l.HandOver) == 0 && l.CyclesPerSec != 0 {
		return fault("nothing says what hand-over costs: give cycles a packet for at least one size of bursts")
	}
	for i, c := range l.HandOver {
		if !within(c.Burst, 1, 65536) || !within(c.Cycles, 0, 1e9) {
			return fault("hand-over at bursts of %.3g costs %.3g cycles a packet: choose bursts of 1 to 65536 and a cost that was measured", c.Burst, c.Cycles)
		}
		if i > 0 && c.Burst <= l.HandOver[i-1].Burst {
			return fault("costs of hand-over are to be in rising order of bursts: %.3g stands behind %.3g", c.Burst, l.HandOver[i-1].Burst)
		}
	}
	return nil
}
