// Package qos divides an uplink among eight traffic classes, groups and vports: minimum shares by weight or rate, maximums
// by token bucket, bounded queues. It is pure: packets in, packets out, time is an argument.
//
//	link ── 8 classes ── groups (optional, may nest) ── leaves
//	        strict, then ETS       by weight or minimum     a vport, or a vport's traffic to one kind of destination
//
// A Scheduler belongs to one goroutine at a time, the worker that owns the uplink. Packets handed to Enqueue are the
// scheduler's until Dequeue gives them back; what Enqueue does not accept stays the caller's. All rates and lengths are
// bytes on the wire, see WireBytes. Nothing here holds a Go pointer to a packet: packets live outside the Go heap.
package qos

import "github.com/sluicenet/sluice/packet"

// Classes is the number of traffic classes of IEEE 802.1Q.
const Classes = 8

// NoGroup is the parent of a leaf or group that stands directly below its class.
const NoGroup int32 = -1

// What a frame takes of the wire besides its bytes in memory: preamble and start delimiter 8, FCS 4, gap 12 (IEEE 802.3).
const (
	wireOverhead = 24
	minWireBytes = 84
)

// WireBytes is what a frame takes of the wire. A packet that the device cuts into segments counts as one frame.
func WireBytes(p *packet.Packet) uint32 { return WireLen(p.PktLen) }

// WireLen is WireBytes by the length of the frame, without FCS.
func WireLen(bytes uint32) uint32 { return max(bytes+wireOverhead, minWireBytes) }

// Config is a scheduler's configuration. It is not changed once it was given to New or Compile.
type Config struct {
	RateBytesPerSec uint64 // of the link; 0 leaves the pace to the device
	BurstBytes      uint64 // what may leave at once after a pause; 0 is half a millisecond of the rate, at least 128 KiB
	Classes         [Classes]Class
	Groups          []Group // parents before their members
	Leaves          []Leaf  // the index is the leaf that Enqueue is told
	Packets         int     // most packets that wait in all queues together, of which one may hold half; 0 is 65,536
}

// Class is one traffic class. Strict classes go first, the one of the highest number foremost; the others share what is
// left by weight (ETS, IEEE 802.1Q clause 37).
type Class struct {
	Strict         bool
	Weight         uint32 // of an ETS class; 0 is 1
	MaxBytesPerSec uint64 // 0 is none
	BurstBytes     uint64 // of the maximum; 0 is a default
	QueueBytes     uint32 // most bytes that wait for one leaf; 0 is a default
	MarkBytes      uint32 // depth of the class from which Mark says yes (DCTCP's K); 0 is never
	MarkFullBytes  uint32 // depth from which it always says yes, in proportion between; 0 is MarkBytes
}

// Group is a set of leaves and groups that share a minimum and a maximum, over all classes.
type Group struct {
	Key            uint64 // names it over reconfigurations
	Parent         int32  // index of a group before this one, or NoGroup
	MinBytesPerSec uint64 // 0 is none: then Weight counts
	MaxBytesPerSec uint64 // 0 is none
	BurstBytes     uint64 // of the maximum; 0 is a default
	Weight         uint32 // share of what minimums leave; 0 is 1
}

// Leaf is what packets are queued for, in each class by itself.
type Leaf struct {
	Key            uint64 // names it over reconfigurations
	Group          int32  // index of its group, or NoGroup
	MinBytesPerSec uint64 // 0 is none: then Weight counts
	MaxBytesPerSec uint64 // over all classes; 0 is none
	BurstBytes     uint64 // of the maximum; 0 is a default
	Weight         uint32 // share of what minimums leave; 0 is 1
}

// Origin tells where a packet waited that Dequeue gives back.
type Origin struct {
	Leaf  uint32 // index in Config.Leaves; at or beyond its length for leaves that a reconfiguration took away
	Bytes uint32 // on the wire
	Class uint8
}

// QueueStats is what one leaf's queue in one class did since the leaf exists.
type QueueStats struct {
	Packets, Bytes               uint64 // waiting now
	SentPackets, SentBytes       uint64
	RefusedPackets, RefusedBytes uint64 // not accepted by Enqueue
	Capable, Marked              uint64 // packets whose transport understands marks, in classes that mark, and that got one
}
