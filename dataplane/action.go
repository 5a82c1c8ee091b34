package dataplane

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluicenet/sluice/packet"
)

// actionKind says what is done with the packets of a flow. The zero kind drops.
type actionKind uint8

const (
	actDrop       actionKind = iota
	actForward               // to a port of this switch, perhaps routed, perhaps with an 802.1Q tag added or taken off
	actEncap                 // into NVGRE and to an uplink
	actFlood                 // to every other port of a bridge
	actGateway               // to the switch itself: it answers ping
	actRewriteOut            // with provider addresses in place of customer addresses to an uplink
	actRewriteIn             // with customer addresses again to a port of this switch

	actFree actionKind = 0xff // a slot on the free list of the table
)

// Flags of an action.
const (
	flagRoute     = 1 << iota // rewrite both MACs, decrement the TTL
	flagStripTag              // take the 802.1Q tag off
	flagPushTag               // add an 802.1Q tag with VLAN tag
	flagLearn                 // the source MAC is learned: keep it young while the flow lives
	flagDecap                 // came in NVGRE: the outer source is compared for every packet
	flagAnswer                // ICMP errors about these packets may be sent back to where they came from
	flagDSCP                  // set the DSCP
	flagOuterDSCP             // set the DSCP of the outer header, which is otherwise that of the packet
	flagPCP                   // set the priority of the frame that leaves by the uplink, in a tag of VLAN 0 if it has none
)

// flagRewrites are the flags that change bytes of the frame itself.
const flagRewrites = flagRoute | flagStripTag | flagPushTag | flagDecap | flagDSCP | flagOuterDSCP | flagPCP

// outerLen is what NVGRE adds: Ethernet, IPv4 and GRE with a key (RFC 7637, section 3).
const outerLen = 14 + 20 + 8

// Offsets in the outer header.
const (
	outerIPOff  = 14
	outerTOSOff = outerIPOff + 1
	outerTotOff = outerIPOff + 2
	outerSumOff = outerIPOff + 10
	outerSrcOff = outerIPOff + 12
	outerDstOff = outerIPOff + 16
	outerGREOff = outerIPOff + 20
	outerKeyOff = outerGREOff + 4
)

// action is what is done with every packet of a flow: the composed verdict of the layers. It holds no pointers and is
// compared as a whole, so that flows with the same fate share one.
type action struct {
	kind                 actionKind
	reason               Reason // of actDrop
	flags                uint16
	maxLen               uint16     // longest frame that fits, from its Ethernet header on, after tags and routing
	mtu                  uint16     // what a too-big answer tells the sender
	out                  uint32     // port, or bridge id for actFlood
	nextHop              uint32     // index in neighbours, of actEncap and actRewriteOut
	outerSrc             uint32     // flagDecap: the provider address that the flow comes from
	gateway              uint32     // IPv4 address that ICMP errors come from
	tag                  uint16     // of flagPushTag: the VLAN
	delta                uint16     // of actRewrite*: what the new addresses add to a checksum
	vsid                 uint32     // of the frames on the wire: counters and explanations
	dstMAC               packet.MAC // of flagRoute
	srcMAC               packet.MAC // of flagRoute, and of ICMP errors: the router
	dscp, outerDSCP, pcp uint8      // of flagDSCP, flagOuterDSCP and flagPCP
	// header is the outer header of actEncap. Of actRewrite* only the Ethernet addresses and the IP addresses count, where
	// an outer header has them.
	header [outerLen]byte
	queue  uint16 // of the output, where it has a scheduler: traffic class, destination class (makeQueue)
	sum    uint32 // of the outer IPv4 header's words, as they stand in header
}

// spoofed reports that a packet came out of NVGRE from another provider address than the flow's.
func (a *action) spoofed(o *packet.Outer) bool { return a.flags&flagDecap != 0 && a.outerSrc != o.Src }

// actionTable holds the actions of one queue's flows, shared and counted. Index 0 is never used: it marks a free flow
// slot. It belongs to the queue's worker, so that an index is reused without asking anybody.
type actionTable struct {
	slots   []action     // off the heap; slots[0] unused
	fast    []fastAction // of the same slots
	numbers []uint32     // refs, then index
	refs    []uint32     // flows that use the slot
	index   []uint32     // open addressing: slot numbers by the action's hash, 0 is empty
	used    int          // slots handed out, the unreferenced ones included
	freed   uint32       // head of the free list, 0 when empty
	idle    int          // slots that no flow uses and that are not on the free list
	limit   int
}

const minActions = 16

func newActionTable(limit int) (*actionTable, error) {
	t := &actionTable{limit: limit}
	return t, t.resize(minActions)
}

func (t *actionTable) free() {
	freeOffHeap(t.slots)
	freeOffHeap(t.fast)
	freeOffHeap(t.numbers)
	*t = actionTable{}
}

func (t *actionTable) resize(n int) error {
	slots, err := offHeap[action](n)
	if err != nil {
		return err
	}
	fast, err := offHeap[fastAction](n)
	if err != nil {
		freeOffHeap(slots)
		return err
	}
	numbers, err := offHeap[uint32](n + 2*n)
	if err != nil {
		freeOffHeap(slots)
		freeOffHeap(fast)
		return err
	}
	refs, index := numbers[:n], numbers[n:]
	copy(slots, t.slots)
	copy(fast, t.fast)
	copy(refs, t.refs)
	freeOffHeap(t.slots)
	freeOffHeap(t.fast)
	freeOffHeap(t.numbers)
	t.slots, t.fast, t.numbers, t.refs, t.index = slots, fast, numbers, refs, index
	t.used = max(t.used, 1)
	t.reindex()
	return nil
}

// reindex rebuilds the index, leaving out actions that no flow uses.
func (t *actionTable) reindex() {
	clear(t.index)
	for i := 1; i < t.used; i++ {
		if t.refs[i] != 0 {
			t.index[t.find(&t.slots[i])] = uint32(i)
		}
	}
}

// find gives the position in index of an equal action, or of the empty place where it belongs.
func (t *actionTable) find(a *action) int {
	mask := len(t.index) - 1
	for at := int(a.hash()) & mask; ; at = (at + 1) & mask {
		if i := t.index[at]; i == 0 || t.slots[i] == *a {
			return at
		}
	}
}

// intern returns the slot of an action equal to a, and counts one more flow for it. It returns 0 when the table is at
// its bound and every slot is in use.
func (t *actionTable) intern(a *action) uint32 {
	at := t.find(a)
	if i := t.index[at]; i != 0 {
		if t.refs[i] == 0 {
			t.idle--
		}
		t.refs[i]++
		return i
	}
	i := t.take()
	if i == 0 {
		return 0
	}
	t.slots[i], t.fast[i] = *a, makeFast(a)
	t.refs[i] = 1
	t.index[t.find(a)] = i
	return i
}

func (t *actionTable) take() uint32 {
	if t.used == len(t.slots) && t.freed == 0 {
		if t.reclaim() < len(t.slots)/8 && 2*len(t.slots) <= t.limit {
			_ = t.resize(2 * len(t.slots)) // without memory the few reclaimed ones must do
		}
	}
	if i := t.freed; i != 0 {
		t.freed = t.slots[i].out
		return i
	}
	if t.used == len(t.slots) {
		return 0
	}
	t.used++
	return uint32(t.used - 1)
}

// reclaim puts the slots that no flow uses onto the free list, linked by their out field, and counts them; without any it
// does not search, or each new action of a full table would cost a search. It runs only inside intern: no packet that
// still waits to be executed may refer to an unreferenced slot then (worker.run executes the known flows of a burst
// before it decides the new ones).
func (t *actionTable) reclaim() int {
	if t.idle == 0 {
		return 0
	}
	n := 0
	for i := 1; i < t.used; i++ {
		if t.refs[i] == 0 {
			t.slots[i] = action{kind: actFree, out: t.freed}
			t.freed = uint32(i)
			n++
		}
	}
	t.idle = 0
	t.reindex()
	return n
}

// release counts one flow less. The slot stays as it is, for the next flow of the same fate, until room is needed.
func (t *actionTable) release(i uint32) {
	if t.refs[i]--; t.refs[i] == 0 {
		t.idle++
	}
}

func (a *action) hash() uint64 {
	h := uint64(a.kind)<<56 ^ uint64(a.reason)<<48 ^ uint64(a.flags)<<32 ^ uint64(a.out)
	h = mix(h, uint64(a.nextHop)<<32|uint64(a.outerSrc))
	h = mix(h, a.dstMAC.Uint64()<<16|uint64(a.maxLen))
	h = mix(h, binary.LittleEndian.Uint64(a.header[outerSrcOff:]))
	h = mix(h, uint64(a.dscp)<<16|uint64(a.outerDSCP)<<8|uint64(a.pcp))
	return mix(h, uint64(a.vsid)<<32|uint64(a.queue)<<16|uint64(a.tag))
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	return hi ^ lo
}
