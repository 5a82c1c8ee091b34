// Package packet is the vocabulary of the data path: the packet buffer, bursts, addresses, header views,
// parsing into flow keys, and checksums. It depends on the standard library only.
//
// Ownership: a *Packet belongs to whoever was handed it last. Poll hands received packets to the worker;
// the worker hands each back exactly once, by IO.Tx or IO.Free.
package packet

import "unsafe"

// Packet has the memory layout of DPDK 22.11's struct rte_mbuf (package dpdk asserts every offset at compile
// time), so that a received mbuf is used in place: no copy, no descriptor beside it.
// Packets live in memory outside the Go heap: a DPDK mempool or an mmap-ed arena. Never allocate one with new
// outside of tests, and never keep one after handing it back.
type Packet struct {
	BufAddr      unsafe.Pointer // start of the buffer, headroom included
	BufIOVA      uint64         // the buffer's I/O address
	DataOff      uint16         // bytes from BufAddr to the first byte of the frame
	RefCnt       uint16         // owners of the buffer; bytes are written only where it is 1
	NbSegs       uint16         // segments in the chain that this packet heads
	Port         uint16         // device the packet came from, as the device layer numbers it
	OlFlags      uint64         // RTE_MBUF_F_* offload flags
	PacketType   uint32
	PktLen       uint32 // bytes in all segments
	DataLen      uint16 // bytes in this segment
	VLANTCI      uint16
	RSSHash      uint32
	HashHigh     uint32
	VLANTCIOuter uint16
	BufLen       uint16 // bytes from BufAddr to the end of the buffer
	Pool         unsafe.Pointer

	Next      *Packet // next segment, nil in the last one
	TxOffload uint64
	ShInfo    unsafe.Pointer
	PrivSize  uint16
	TimeSync  uint16
	DynField  [9]uint32
}

// Size is sizeof(struct rte_mbuf), bytes.
const Size = 128

// Offload flags of struct rte_mbuf that matter here (rte_mbuf_core.h).
const (
	FlagExternal uint64 = 1 << 61 // buffer belongs to somebody else
	FlagIndirect uint64 = 1 << 62 // buffer is another mbuf's
)

// Data returns the bytes of the first segment, without copying. The slice is valid until the packet is handed back.
func (p *Packet) Data() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(p.BufAddr, uintptr(p.DataOff))), p.DataLen)
}

// NVGREFront views the first 42 bytes of the frame, which the caller has made sure of: what NVGRE over IPv4 adds.
func (p *Packet) NVGREFront() *[42]byte {
	return (*[42]byte)(unsafe.Add(p.BufAddr, uintptr(p.DataOff)))
}

// PlainFront views the first 54 bytes of the frame, which the caller has made sure of: Ethernet, IPv4 and TCP.
func (p *Packet) PlainFront() *[plainLen]byte {
	return (*[plainLen]byte)(unsafe.Add(p.BufAddr, uintptr(p.DataOff)))
}

// PlainEncapFront views the first bytes of an NVGRE frame around a frame that ParsePlain accepted.
func (p *Packet) PlainEncapFront() *[nvgreLen + plainLen]byte {
	return (*[nvgreLen + plainLen]byte)(unsafe.Add(p.BufAddr, uintptr(p.DataOff)))
}

// simple is Writable in two loads: RefCnt and NbSegs stand in one word.
func (p *Packet) simple() bool {
	return *(*uint32)(unsafe.Pointer(&p.RefCnt)) == 1<<16|1 && p.OlFlags>>61&3 == 0
}

// GrowPlain is Prepend for a packet of one segment that has the headroom: PktLen and DataLen stand in one word, and
// neither overflows.
func (p *Packet) GrowPlain(n uint16) {
	p.DataOff -= n
	*(*uint64)(unsafe.Pointer(&p.PktLen)) += uint64(n)<<32 | uint64(n)
}

// Headroom is the number of bytes that Prepend can still give.
func (p *Packet) Headroom() int { return int(p.DataOff) }

// Tailroom is the number of bytes that Append can still give in the first segment.
func (p *Packet) Tailroom() int { return int(p.BufLen) - int(p.DataOff) - int(p.DataLen) }

// Prepend makes room for n bytes in front of the frame. It reports false, and changes nothing, when the
// headroom is too small: the caller drops the packet, and never sends it without its header.
func (p *Packet) Prepend(n int) bool {
	if n < 0 || n > int(p.DataOff) {
		return false
	}
	p.DataOff -= uint16(n)
	p.DataLen += uint16(n)
	p.PktLen += uint32(n)
	return true
}

// TrimFront removes n bytes from the front of the first segment; false, and no change, if it is shorter.
func (p *Packet) TrimFront(n int) bool {
	if n < 0 || n > int(p.DataLen) {
		return false
	}
	p.DataOff += uint16(n)
	p.DataLen -= uint16(n)
	p.PktLen -= uint32(n)
	return true
}

// Append grows a single-segment packet by n bytes, which are not cleared; false, and no change, without tailroom.
func (p *Packet) Append(n int) bool {
	if n < 0 || p.NbSegs != 1 || n > p.Tailroom() {
		return false
	}
	p.DataLen += uint16(n)
	p.PktLen += uint32(n)
	return true
}

// SetLen cuts a single-segment packet to n bytes; false, and no change, when it is shorter or has more segments.
func (p *Packet) SetLen(n int) bool {
	if n < 0 || p.NbSegs != 1 || n > int(p.DataLen) {
		return false
	}
	p.DataLen = uint16(n)
	p.PktLen = uint32(n)
	return true
}

// Writable reports whether the packet's bytes may be changed: a direct buffer with one owner, one segment.
func (p *Packet) Writable() bool {
	return p.RefCnt == 1 && p.NbSegs == 1 && p.OlFlags&(FlagExternal|FlagIndirect) == 0
}

// Reset empties the packet and gives it headroom bytes of headroom, as a fresh buffer from a pool has.
func (p *Packet) Reset(headroom int) {
	p.DataOff = uint16(headroom)
	p.DataLen, p.PktLen, p.NbSegs, p.OlFlags, p.Next = 0, 0, 1, 0, nil
}

// NoteIn notes the port that a packet is charged to while it waits in a scheduler: in the field that DPDK has for the
// queue of a scheduler (hash.sched.queue_id), which nothing reads from a packet on its way out.
func (p *Packet) NoteIn(port uint32) { p.RSSHash = port }

// In is the port that NoteIn noted.
func (p *Packet) In() uint32 { return p.RSSHash }
