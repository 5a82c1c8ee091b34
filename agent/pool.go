package agent

import (
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Descriptors of one queue of an uplink. Drivers hold one packet per descriptor: received ones not yet taken, sent ones
// not yet reclaimed.
const (
	RxDescriptors = 1024
	TxDescriptors = 1024
)

// PoolCache is what a thread keeps of the packet pool for itself; DPDK flushes it at one and a half times that.
const PoolCache = 256

const (
	cachedPerThread = PoolCache * 3 / 2
	// tapRxBuffers are ready at a queue of a tap for the next frames.
	tapRxBuffers = packet.RxBurst
	// spareVports is how many vports apply can add before the pool would have to grow, which takes a restart.
	spareVports = 64

	frameOverhead = 14 + 8 // Ethernet and two VLAN tags around an IP packet
	encapsulation = 42     // outer Ethernet, IPv4 and GRE with key
	minFrameSize  = 1500 + frameOverhead + encapsulation
)

// Pool is the size of the one packet pool that all ports and workers share. It is fixed while the daemon runs.
type Pool struct {
	Packets   int
	FrameSize int // the largest frame that fits into one packet, bytes
}

// PoolFor is the pool that a daemon needs to run c on that many workers, with room for ports that apply adds later.
func PoolFor(c *policy.Config, workers int) Pool {
	return poolFor(specsOf(c, workers), queuesOf(c), workers, spareVports)
}

// covers reports whether a pool of size p serves what need asks for.
func (p Pool) covers(need Pool) bool {
	return p.Packets >= need.Packets && p.FrameSize >= need.FrameSize
}

// poolFor sums up who can hold packets at one moment, so that no port ever waits for a buffer because another one has
// its share. spare is the number of vports that may be added later.
func poolFor(ports []portSpec, queues waiting, workers, spare int) Pool {
	// Each worker: what one poll received, what it is about to send, its spares, what waits, and its thread's cache.
	packets := workers * (packet.MaxRx + packet.MaxTx + packet.MaxSpares + dataplane.HeldPerWorker + cachedPerThread)
	packets += cachedPerThread // the main thread, which fills the receive queues at start
	packets += queues.packets(ports, workers, spare)
	frame := minFrameSize
	for _, s := range ports {
		if s.uplink != nil {
			classes := s.uplink.Hardware.Classes // with a queue each, if the device runs with them
			packets += max(s.uplink.RxQueues, classes)*RxDescriptors + max(s.uplink.TxQueues, classes)*TxDescriptors
			frame = max(frame, s.uplink.MTU+frameOverhead)
		} else {
			packets += s.tap.Queues * tapRxBuffers
			frame = max(frame, s.tap.MTU+frameOverhead+encapsulation)
		}
	}
	return Pool{Packets: packets + spare*tapRxBuffers, FrameSize: frame}
}

// waiting says what quality of service a configuration asks for.
type waiting struct {
	leaves  int // queues of a class that an uplink's scheduler has at most
	inbound int // vports with a limit of what their VM gets
}

func queuesOf(c *policy.Config) (w waiting) {
	_, w.leaves, w.inbound = c.QoSSize()
	return w
}

// spareInbound is how many more vports apply can limit.
const spareInbound = 16

// packets sums up what waits for schedulers: in the queues of each uplink and each limited vport, and on its way there from
// the workers that do not own the scheduler. It has room for quality of service that apply turns on later.
func (q waiting) packets(ports []portSpec, workers, spare int) int {
	uplinks := 0
	for _, s := range ports {
		if s.uplink != nil {
			uplinks++
		}
	}
	inbound := q.inbound + min(spare, spareInbound)
	owners := min(uplinks+inbound, workers)
	return uplinks*dataplane.QueuedFor(q.leaves+spare) + inbound*dataplane.QueuedPerVport + owners*(workers-1)*dataplane.LaneSize
}
