package sequence

import (
	"fmt"
	"math"
	"sync/atomic"
)

// RingSize is how many packets wait in a paced receive queue for a worker that does not fetch them, as in a NIC's. Those
// that come on top are missed: the device drops them, and they have no number.
const RingSize = 1024

// pace is the load of one receive queue. But for the atomics its fields belong to the worker that polls the queue, and go
// along when another one takes it over.
type pace struct {
	rate   atomic.Uint64 // bits of a float64, packets per cycle; unpaced: as many as are fetched
	last   uint64        // time stamp of the last look
	waits  float64       // packets in the ring
	left   float64       // part of a missed packet
	made   atomic.Uint64 // one writer
	missed atomic.Uint64
	_      [64]byte // neighbours may belong to another worker
}

var unpaced = math.Float64bits(math.Inf(1))

// Pace lets a receive queue bring so many packets a second from now on, instead of as many as are fetched.
func (n *Net) Pace(name string, queue int, packetsPerSecond float64) error {
	p := n.byName[name]
	if p == nil || queue < 0 || queue >= p.RxQueues || packetsPerSecond < 0 {
		return fmt.Errorf("pace of %g packets a second at queue %d of %q: want a queue of a sequence port, and no negative rate", packetsPerSecond, queue, name)
	}
	p.paces[queue].rate.Store(math.Float64bits(packetsPerSecond / float64(n.tscHz)))
	return nil
}

// Brought is what a receive queue brought since the Net was made, and what its device missed.
func (n *Net) Brought(name string, queue int) (made, missed uint64) {
	p := &n.byName[name].paces[queue]
	return p.made.Load(), p.missed.Load()
}

// due is how many packets of at most count are there to be fetched at a time stamp.
func (p *pace) due(now uint64, count uint32) uint32 {
	bits := p.rate.Load()
	if bits == unpaced {
		p.last, p.waits = now, 0
		return count
	}
	if p.last == 0 || now < p.last {
		p.last = now
	}
	p.waits += math.Float64frombits(bits) * float64(now-p.last)
	p.last = now
	if over := p.waits - RingSize; over > 0 {
		p.waits = RingSize
		p.left += over
		if whole := uint64(p.left); whole > 0 {
			p.left -= float64(whole)
			p.missed.Store(p.missed.Load() + whole)
		}
	}
	return min(count, uint32(p.waits))
}

// fetched takes packets out of the ring.
func (p *pace) fetched(count uint32) {
	if count > 0 {
		p.waits = max(p.waits-float64(count), 0)
		p.made.Store(p.made.Load() + uint64(count))
	}
}
