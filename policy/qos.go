package policy

import (
	"slices"

	"github.com/sluicenet/sluice/packet"
)

// TrafficClasses is the number of traffic classes (IEEE 802.1Q has eight priorities).
const TrafficClasses = 8

// MaxDestinations is how many destination classes a vport may have.
const MaxDestinations = 127

// QoS is what the switch is told of shares and limits. It is immutable once it is part of a Snapshot, and the same as in
// the snapshot before when nothing of it changed. It holds slices without pointers but for names.
type QoS struct {
	// Schedulers are those of ports whose output has shares or limits: uplinks with qos, and vports with a limit of what
	// their VM gets. They are in the order of their ports.
	Schedulers []SchedulerQoS
	// Storms are limits of flooded frames towards vports, in the order of their ports.
	Storms []StormQoS

	schedulerOf  []uint32 // by port index: place in Schedulers + 1
	destinations []destination
	destOf       [][2]uint32 // by port index of the sender: where its destinations begin and end
}

// SchedulerQoS is the configuration of one output's scheduler.
type SchedulerQoS struct {
	Port uint32 // port index of the output
	// RateBytesPerSec is the rate of the link in wire bytes; 0: that of the device.
	RateBytesPerSec uint64
	BurstBytes      uint64 // of the rate, towards a VM; 0 for uplinks
	Classes         [TrafficClasses]ClassQoS
	Groups          []GroupQoS
	// Leaves are the queues of each class. The first is the default flow: what no other leaf is for.
	Leaves    []LeafQoS
	classOf   [TrafficClasses]uint8 // the class of the link for each: of those without an owner that of the default rule
	firstLeaf []uint32              // by port index of the sender: its first leaf; 0 and beyond it: the default flow
}

// ClassQoS is one traffic class of an uplink. A class without Weight that is not Strict has no owner: nothing is classified
// into it.
type ClassQoS struct {
	Name                     string
	Strict                   bool
	Weight                   uint32 // percent of what strict classes leave
	MaxBytesPerSec           uint64 // 0: no limit
	MarkBytes, MarkFullBytes uint32 // depth at which CE marking begins, and that at which every packet is marked; 0: none
	QueueBytes               uint32 // bound of each leaf's queue
}

// GroupQoS is a VM network or a named set of vports with a share of its own.
type GroupQoS struct {
	Name           string
	Key            uint64 // the same for the same group in every snapshot
	MinBytesPerSec uint64
	MaxBytesPerSec uint64 // 0: no limit
	BurstBytes     uint64
	Weight         uint32
}

// LeafQoS is a vport, or what a vport sends to one of its destination classes.
type LeafQoS struct {
	Name           string // of the destination class; "" without one
	Key            uint64 // the same for the same vport and destination in every snapshot; 0 is the default flow
	Port           uint32 // port index of the sender; NoIndex for the default flow
	Dest           uint8  // 0: all that goes to no destination class
	Group          int32  // index in Groups; -1: none
	Parent         int32  // of a destination: the sender's first leaf, whose maximum holds for it too; else -1
	MinBytesPerSec uint64
	MaxBytesPerSec uint64 // 0: no limit
	BurstBytes     uint64
	Weight         uint32
}

// StormQoS limits the flooded frames that a vport gets.
type StormQoS struct {
	Port        uint32
	BytesPerSec uint64
	BurstBytes  uint64
}

// destination is a prefix of a vport's destination class.
type destination struct {
	prefix Prefix
	dest   uint8
}

// Dest is the destination class of an address for a vport, 0 without one.
func (q *QoS) Dest(in uint32, to packet.Addr) uint8 {
	list := q.destinationsOf(in)
	for i := range list {
		if p := list[i].prefix; p.Contains(to) || p == (Prefix{}) && !to.Is4() { // ::/0 is all zeros
			return list[i].dest
		}
	}
	return 0
}

func (q *QoS) destinationsOf(in uint32) []destination {
	if q == nil || int(in) >= len(q.destOf) {
		return nil
	}
	return q.destinations[q.destOf[in][0]:q.destOf[in][1]]
}

// sameQueues reports that packets are put into the same classes of the same outputs, all but what Dest says.
func (q *QoS) sameQueues(o *QoS) bool {
	same := func(a, b *SchedulerQoS) bool { return a.Port == b.Port && a.classOf == b.classOf }
	return q == o || slices.EqualFunc(q.sorting(), o.sorting(), same)
}

// sorting lists the schedulers with more than one queue for a sender. Flows towards any other output are decided alike
// whether it has a scheduler or not: those of vports come and go with VMs.
func (q *QoS) sorting() (list []*SchedulerQoS) {
	if q == nil {
		return nil
	}
	for i := range q.Schedulers {
		s := &q.Schedulers[i]
		if s.classOf != [TrafficClasses]uint8{} || slices.ContainsFunc(s.Leaves, func(l LeafQoS) bool { return l.Dest != 0 }) {
			list = append(list, s)
		}
	}
	return list
}

// Equal reports that two say the same.
func (q *QoS) Equal(o *QoS) bool {
	return q == o || q != nil && o != nil && slices.Equal(q.Storms, o.Storms) && slices.Equal(q.destinations, o.destinations) &&
		slices.Equal(q.destOf, o.destOf) &&
		slices.EqualFunc(q.Schedulers, o.Schedulers, func(a, b SchedulerQoS) bool { return a.Equal(&b) })
}

// Scheduler finds the scheduler of an output, nil without one.
func (q *QoS) Scheduler(port uint32) *SchedulerQoS {
	if q == nil || int(port) >= len(q.schedulerOf) || q.schedulerOf[port] == 0 {
		return nil
	}
	return &q.Schedulers[q.schedulerOf[port]-1]
}

// Class is the class of the link that packets of a traffic class are in.
func (s *SchedulerQoS) Class(tc uint8) uint8 { return s.classOf[tc%TrafficClasses] }

// Leaf is the queue of a packet that came in by a port, for one of the destination classes of that port.
func (s *SchedulerQoS) Leaf(in uint32, dest uint8) uint32 {
	if int(in) >= len(s.firstLeaf) || s.firstLeaf[in] == 0 {
		return 0
	}
	leaf := s.firstLeaf[in] + uint32(dest)
	if int(leaf) >= len(s.Leaves) || s.Leaves[leaf].Port != in {
		return s.firstLeaf[in]
	}
	return leaf
}

// Equal reports that two schedulers are told the same.
func (s *SchedulerQoS) Equal(o *SchedulerQoS) bool {
	return s == o || s.Port == o.Port && s.RateBytesPerSec == o.RateBytesPerSec && s.BurstBytes == o.BurstBytes &&
		s.Classes == o.Classes && slices.Equal(s.Groups, o.Groups) && slices.Equal(s.Leaves, o.Leaves) &&
		slices.Equal(s.firstLeaf, o.firstLeaf) && s.classOf == o.classOf
}
