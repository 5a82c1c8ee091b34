package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// The loops in which a host spends its time: plain packets of known flows whose action needs nothing else. They are in
// assembly on amd64 (rows_amd64.s), where they take half the instructions; what is here serves other processors and the
// race detector, and a test holds both equal.

// firstLook is a burst whose plain packets are looked for in the first places of their keys, where nearly every flow
// stands.
type firstLook struct {
	pkts    []*packet.Packet
	slots   []flow[packet.Key] // more than mask
	actions []fastAction       // of an uplink's queue, to compare outer sources with; nil for VMs'
	burst   *packet.Burst
	cells   *epochs
	known   *[packet.RxBurst]uint32 // out: actions of the flows that were found, 0 for all other places
	mask    uint64
	plain   uint64
	tick    uint64

	elsewhere uint64 // out: plain packets whose flow does not stand there, or is to be decided again
}

func (l *firstLook) lookGo() {
	b := l.burst
	for i, p := range l.pkts {
		l.known[i] = 0
		if l.plain>>i&1 == 0 {
			continue
		}
		f := &l.slots[b.Hash[i]&l.mask]
		if f.key != b.Key[i] || f.epoch != l.cells.sum(f.srcCell, f.dstCell) || l.actions != nil && l.actions[f.action].peer != b.Outer[i].Src {
			l.elsewhere |= 1 << i
			continue
		}
		l.known[i] = f.action // 0 is that of a free place
		f.packets++
		f.bytes += uint64(p.PktLen)
		f.seen = uint32(l.tick)
	}
}

// row is packets with the same output and kind of action, from a place in the burst on. A loop stages them and tells
// where they end. Packets of unknown flows are passed over, and what turns out to need more is left to execute.
type row struct {
	pkts    []*packet.Packet // all of the burst, at most RxBurst, that there is room for
	actions []fastAction
	known   *[packet.RxBurst]uint32
	burst   *packet.Burst
	tx      *[packet.MaxTx]*packet.Packet
	sizes   *[packet.MaxTx]uint32
	id      uint64 // fastAction.row of all of them
	unknown uint64
	first   uint64 // place in tx and sizes of the first

	at     uint64 // in: place of the first packet; out: of the first that does not belong to the row
	staged uint64 // out
	bytes  uint64 // out: of the staged ones
}

// next finds the next packet of the row and its action, nil at the end of the row.
func (r *row) next() (p *packet.Packet, f *fastAction) {
	for ; r.at < uint64(len(r.pkts)); r.at++ {
		p, f = r.pkts[r.at], &r.actions[r.known[r.at]]
		if f.row == r.id && p.PktLen <= uint32(f.maxLen) {
			return p, f
		}
		if r.unknown>>r.at&1 == 0 {
			break
		}
	}
	return nil, nil
}

func (r *row) stage(p *packet.Packet) {
	r.tx[r.first+r.staged], r.sizes[r.first+r.staged] = p, p.PktLen
	r.bytes += uint64(p.PktLen)
	r.staged++
	r.at++
}

// forwardGo sends packets on as they are.
func (r *row) forwardGo() {
	for p, _ := r.next(); p != nil; p, _ = r.next() {
		r.stage(p)
	}
}

// decapGo sends packets on that came out of NVGRE; only those whose marks of congestion need no merging (RFC 6040).
func (r *row) decapGo() {
	for p, _ := r.next(); p != nil; p, _ = r.next() {
		if (r.burst.Outer[r.at].TOS^packet.PlainTOS(p))&packet.ECNMask != 0 {
			return
		}
		r.stage(p)
	}
}

// encapsulateGo is encapsulate for a row.
func (r *row) encapsulateGo() {
	for p, f := r.next(); p != nil; p, f = r.next() {
		if p.DataOff < outerLen {
			return
		}
		size := p.PktLen
		p.GrowPlain(outerLen)
		h := p.PlainEncapFront()
		*(*[outerLen]byte)(h[:]) = f.header
		tos := h[outerLen+packet.EthernetLen+1]
		total := size + outerLen - outerIPOff
		check := f.sum + total + uint32(tos) // at most 0x1fffe (longestFast)
		h[outerTOSOff] = tos
		binary.BigEndian.PutUint16(h[outerTotOff:], uint16(total))
		binary.BigEndian.PutUint16(h[outerSumOff:], ^uint16(check+check>>16))
		h[outerKeyOff+3] = uint8(r.burst.Hash[r.at] >> 56)
		r.stage(p)
	}
}

// Offsets in an untagged frame whose IPv4 header has no options.
const (
	plainProto  = packet.EthernetLen + 9
	plainIPSum  = packet.EthernetLen + 10
	plainAddrs  = packet.EthernetLen + 12
	plainL4Off  = packet.EthernetLen + packet.IPv4Len
	plainUDPSum = plainL4Off + 6
	plainTCPSum = plainL4Off + 16
)

// rewriteGo is rewrite for a row.
func (r *row) rewriteGo() {
	for p, f := r.next(); p != nil; p, f = r.next() {
		h := p.PlainFront()
		if h[plainProto] == packet.ProtoTCP {
			binary.BigEndian.PutUint16(h[plainTCPSum:], packet.ApplyDelta(binary.BigEndian.Uint16(h[plainTCPSum:]), f.delta))
		} else {
			binary.BigEndian.PutUint16(h[plainUDPSum:], packet.ApplyDeltaUDP(binary.BigEndian.Uint16(h[plainUDPSum:]), f.delta))
		}
		binary.BigEndian.PutUint16(h[plainIPSum:], packet.ApplyDelta(binary.BigEndian.Uint16(h[plainIPSum:]), f.delta))
		binary.LittleEndian.PutUint64(h[plainAddrs:], binary.LittleEndian.Uint64(f.header[outerSrcOff:]))
		*(*[12]byte)(h[:]) = *(*[12]byte)(f.header[:])
		r.stage(p)
	}
}
