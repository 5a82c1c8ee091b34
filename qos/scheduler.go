package qos

import "github.com/sluicenet/sluice/packet"

// Scheduler is one uplink's. Its methods are for one goroutine at a time.
type Scheduler struct{}

// New makes a scheduler with empty queues. It fails where Config contradicts itself; Close gives its memory back.
func New(c *Config) (*Scheduler, error) { return &Scheduler{}, nil }

// Close gives the memory back. Packets that still wait must have been taken before, see Flush.
func (s *Scheduler) Close() {}

// Plan is a configuration made ready for a scheduler.
type Plan struct{}

// Compile checks a configuration and allocates all it needs. Any goroutine may do so; Install is then short.
func Compile(c *Config) (*Plan, error) { return &Plan{}, nil }

// Install changes the configuration under load. Leaves of the same key keep their packets, in order, and their counters.
// Leaves that are gone send what waits, in their old class, without minimum.
func (s *Scheduler) Install(now int64, p *Plan) {}

// Reconfigure is Compile and Install.
func (s *Scheduler) Reconfigure(now int64, c *Config) error { return nil }

// Enqueue accepts packets for one leaf in one class, in order: the first accepted ones of pkts. The rest does not fit.
// now is in nanoseconds, from any clock; a step back counts as standing still.
func (s *Scheduler) Enqueue(now int64, class uint8, leaf uint32, pkts []*packet.Packet) (accepted int) {
	return 0
}

// Dequeue gives back packets in the order of sending, at most len(pkts), and never more than link, class, groups and
// leaves may send by now. from may be nil, or tells of each packet where it waited.
func (s *Scheduler) Dequeue(now int64, pkts []*packet.Packet, from []Origin) (n int) { return 0 }

// Next is the earliest time at which Dequeue can give a packet: now or before if it can already, math.MaxInt64 if none
// waits.
func (s *Scheduler) Next(now int64) int64 { return now }

// Pass reports whether packets may go straight to the device: nothing waits, and all limits have room for them. Then they
// are charged, as if they had been queued.
func (s *Scheduler) Pass(now int64, class uint8, leaf uint32, packets, bytes uint32) bool {
	return false
}

// Mark reports whether the next packet of a leaf in a class should carry a congestion mark, by depth: the class holds
// MarkBytes or more, and the leaf more than its even part of that. Whoever sets the mark calls Marked.
func (s *Scheduler) Mark(class uint8, leaf uint32) bool { return false }

// Marked counts packets of a leaf that were marked.
func (s *Scheduler) Marked(class uint8, leaf uint32, packets uint32) {}

// Flush gives back waiting packets without regard to limits, for an uplink that is closed. Call until it returns 0.
func (s *Scheduler) Flush(pkts []*packet.Packet, from []Origin) (n int) { return 0 }

// Packets is how many packets wait, and Bytes their length.
func (s *Scheduler) Packets() int { return 0 }

// Bytes is what waits in one class.
func (s *Scheduler) Bytes(class uint8) uint64 { return 0 }

// Stats tells of one leaf's queue in one class.
func (s *Scheduler) Stats(class uint8, leaf uint32) QueueStats { return QueueStats{} }
