package dataplane

import (
	"runtime"
	"sync/atomic"
)

// PortCounters are the counters of one port. Packets are charged to the port they came in by, and at any quiet moment
//
//	RxPackets + Created = Sent + Consumed + Dropped + Queued
//
// holds exactly. TxPackets and TxBytes count what devices accepted for delivery to this port, whoever sent it.
type PortCounters struct {
	RxPackets uint64 // received from the device
	RxBytes   uint64
	Created   uint64 // made by the switch on behalf of a received packet: answers, copies, ARP requests
	Sent      uint64 // accepted by an output device
	Consumed  uint64 // for the switch itself
	Dropped   uint64 // sum of Drops
	Queued    uint64 // held for a next hop, or waiting for a scheduler, at this moment
	TxPackets uint64
	TxBytes   uint64
	Drops     map[Reason]uint64 // without the zeros
}

// portBlock is the counters of one port in one worker, without pointers. What forwarded packets touch is a cache line: with
// thousands of ports it is in no cache.
type portBlock struct {
	touched                                         bool // in counters.touched
	seldom                                          bool // what follows the first line changed since the last publish
	rx, rxBytes, created, sent, queued, tx, txBytes uint64

	consumed, dropped uint64
	drops             [NumReasons]uint64
	_                 [(8 - (2+NumReasons)%8) % 8]uint64
}

// counters belong to one worker. It counts into local without any atomics, and once per burst copies the blocks that
// changed to public, between two increments of seq: a reader that finds seq even and unchanged has read a consistent
// block. Both arrays live off the heap, one block per port index; pages of ports that do not exist are never touched.
type counters struct {
	seq     atomic.Uint32
	local   []portBlock
	public  []portBlock
	touched []uint32
}

func newCounters(ports int) (*counters, error) {
	c := &counters{touched: make([]uint32, 0, ports)}
	var err error
	if c.local, err = offHeap[portBlock](ports); err != nil {
		return nil, err
	}
	if c.public, err = offHeap[portBlock](ports); err != nil {
		freeOffHeap(c.local)
		return nil, err
	}
	return c, nil
}

func (c *counters) free() {
	freeOffHeap(c.local)
	freeOffHeap(c.public)
	c.local, c.public = nil, nil
}

// of gives the block of a port to count into.
func (c *counters) of(port uint32) *portBlock {
	b := &c.local[port]
	if !b.touched {
		b.touched = true
		c.touched = append(c.touched, port)
	}
	return b
}

func (c *counters) drop(port uint32, r Reason) { c.dropMany(port, r, 1) }

func (c *counters) dropMany(port uint32, r Reason, n uint64) {
	b := c.of(port)
	b.dropped += n
	b.drops[r] += n
	b.seldom = true
}

// publish makes what was counted visible. It is called when every packet of the burst has reached its end.
func (c *counters) publish() {
	if len(c.touched) == 0 {
		return
	}
	c.seq.Add(1)
	for _, port := range c.touched {
		from, to := &c.local[port], &c.public[port]
		to.rx, to.rxBytes, to.created, to.sent = from.rx, from.rxBytes, from.created, from.sent
		to.queued, to.tx, to.txBytes = from.queued, from.tx, from.txBytes
		if from.seldom {
			to.consumed, to.dropped, to.drops = from.consumed, from.dropped, from.drops
			from.seldom = false
		}
		from.touched = false
	}
	c.seq.Add(1)
	c.touched = c.touched[:0]
}

// reset forgets a port's counters; only the worker itself calls it, when an index gets a new owner.
func (c *counters) reset(port uint32) {
	touched := c.local[port].touched
	c.seq.Add(1)
	c.local[port] = portBlock{touched: touched}
	c.public[port] = portBlock{}
	c.seq.Add(1)
}

// read adds a port's published counters to sum, consistently; it may be called from any goroutine.
func (c *counters) read(port uint32, sum *PortCounters) {
	var b portBlock
	for {
		before := c.seq.Load()
		if before&1 == 0 {
			b = c.public[port]
			if c.seq.Load() == before {
				break
			}
		}
		runtime.Gosched()
	}
	sum.RxPackets += b.rx
	sum.RxBytes += b.rxBytes
	sum.Created += b.created
	sum.Sent += b.sent
	sum.Consumed += b.consumed
	sum.Dropped += b.dropped
	sum.Queued += b.queued
	sum.TxPackets += b.tx
	sum.TxBytes += b.txBytes
	for r, n := range b.drops {
		if n != 0 {
			sum.Drops[Reason(r)] += n
		}
	}
}
