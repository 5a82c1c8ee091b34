package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// The loops in which a host spends its time: plain packets of known flows whose action needs nothing else. Each takes a
// row of packets with the same output and kind of action from a place in the burst on, stages them, and tells where the
// row ends. Packets of unknown flows are passed over, and what turns out to need more is left to execute.

// fastAction is what these loops need of an action: one cache line, with the next hop's MAC in place.
type fastAction struct {
	row     uint64 // what packets that are handled together have in common; 0 when no loop serves the action
	nextHop uint32
	sum     uint32 // of the outer IPv4 header's words without length, TOS and checksum
	maxLen  uint16
	delta   uint16
	header  [outerLen]byte
	_       uint16
}

// Kinds of rows.
const (
	rowNone uint32 = iota
	rowForward
	rowDecap
	rowEncap
	rowRewriteOut
	rowRewriteIn
)

// Fields of a row.
const (
	rowQueueShift   = 14 // above the port: one row for each queue of an output
	rowKindShift    = 24 // above the queue, which has 10 bits
	rowChangesShift = 32 // neighbours.changes + 1 when header got the next hop's MAC; 0 when it never did, or has none
)

// maxPorts keeps the port of a row within its bits.
const maxPorts = 1 << rowQueueShift

func rowKind(row uint64) uint32 { return uint32(row) >> rowKindShift }

// longestFast keeps the sum of a header, a length and a TOS within what one fold of a checksum takes.
const longestFast = 0xff00 - outerLen

func makeFast(a *action) fastAction {
	f := fastAction{nextHop: a.nextHop, sum: a.sum, maxLen: min(a.maxLen, longestFast), delta: a.delta, header: a.header}
	kind := rowNone
	switch a.flags & flagRewrites {
	case 0:
		kind = [...]uint32{actForward: rowForward, actEncap: rowEncap, actRewriteOut: rowRewriteOut, actRewriteIn: rowRewriteIn}[a.kind]
	case flagDecap:
		if a.kind == actForward {
			kind = rowDecap
		}
	}
	if kind != rowNone {
		f.row = uint64(kind<<rowKindShift | uint32(a.queue)<<rowQueueShift | a.out)
	}
	return f
}

// runFast executes a row of packets from a place in the burst on, and tells where it ended: there if nothing could be done.
func (w *worker) runFast(q *rxQueue, pkts []*packet.Packet, from int, unknown uint64) (end int) {
	actions := q.actions.fast
	f := &actions[w.known[from]]
	if f.row == 0 || !w.resolve(f) {
		return from
	}
	first, bytes := w.out.n, uint64(0)
	pkts = pkts[:min(len(pkts), from+packet.MaxTx-first, packet.RxBurst)]
	switch rowKind(f.row) {
	case rowForward, rowDecap:
		end, bytes = w.forwardRow(pkts, from, actions, f.row, unknown)
	case rowEncap:
		end, bytes = w.encapsulateRow(pkts, from, actions, f.row, unknown)
	default:
		end, bytes = w.rewriteRow(pkts, from, actions, f.row, unknown)
	}
	if end > from {
		w.out.extend(q.port, uint32(f.row)&(1<<rowKindShift-1), first, bytes)
	}
	return end
}

// resolve brings the next hop's MAC into an action, unless it is there and no MAC has changed since. It reports false when
// there is none. Packets wait only for a next hop without a MAC; getting one is a change, so every action for it comes by
// here before its packets leave, and those that wait go first. Other next hops' packets do not concern it: one that stays
// silent must not take the loops from all flows.
func (w *worker) resolve(f *fastAction) bool {
	if rowKind(f.row) < rowEncap {
		return true
	}
	changes := uint64(w.sw.neighbours.changes.Load() + 1) // never that of an action that has no MAC yet
	if f.row>>rowChangesShift == changes {
		return true
	}
	if rowKind(f.row) != rowRewriteIn { // whose header has the VM's MAC
		mac := w.sw.neighbours.entries[f.nextHop].mac.Load()
		if mac == 0 {
			return false
		}
		if len(w.held) > 0 {
			w.releaseHop(f.nextHop, mac)
		}
		setNextHop(&f.header, mac)
	}
	f.row = f.row&(1<<rowChangesShift-1) | changes<<rowChangesShift
	return true
}

// forwardRow sends packets on as they are; out of NVGRE only those whose marks of congestion need no merging (RFC 6040).
func (w *worker) forwardRow(pkts []*packet.Packet, from int, actions []fastAction, row, unknown uint64) (end int, bytes uint64) {
	io, decap := w.io, rowKind(row) == rowDecap
	ahead := uint(w.out.n - from)
	for i := uint(from); i < uint(len(pkts)); i++ {
		p := pkts[i]
		f, size := within(actions, uint64(w.known[i%packet.RxBurst])), p.PktLen
		if f.row != row || size > uint32(f.maxLen) ||
			decap && (w.burst.Outer[i%packet.RxBurst].TOS^packet.PlainTOS(p))&packet.ECNMask != 0 {
			if unknown>>i&1 != 0 {
				ahead--
				continue
			}
			w.out.n = int(i + ahead)
			return int(i), bytes
		}
		io.PutTx((i+ahead)%packet.MaxTx, p)
		w.out.size[(i+ahead)%packet.MaxTx] = size
		bytes += uint64(size)
	}
	w.out.n = len(pkts) + int(ahead)
	return len(pkts), bytes
}

// encapsulateRow is encapsulate for a row.
func (w *worker) encapsulateRow(pkts []*packet.Packet, from int, actions []fastAction, row, unknown uint64) (end int, bytes uint64) {
	io, ahead := w.io, uint(w.out.n-from)
	for i := uint(from); i < uint(len(pkts)); i++ {
		p := pkts[i]
		f, size := within(actions, uint64(w.known[i%packet.RxBurst])), p.PktLen
		if f.row != row || size > uint32(f.maxLen) || p.DataOff < outerLen {
			if unknown>>i&1 != 0 {
				ahead--
				continue
			}
			w.out.n = int(i + ahead)
			return int(i), bytes
		}
		p.GrowPlain(outerLen)
		h := p.PlainEncapFront()
		*(*[outerLen]byte)(h[:]) = f.header
		tos := h[outerLen+packet.EthernetLen+1]
		total := size + outerLen - outerIPOff
		check := f.sum + total + uint32(tos) // at most 0x1fffe (longestFast)
		h[outerTOSOff] = tos
		binary.BigEndian.PutUint16(h[outerTotOff:], uint16(total))
		binary.BigEndian.PutUint16(h[outerSumOff:], ^uint16(check+check>>16))
		h[outerKeyOff+3] = uint8(w.burst.Hash[i%packet.RxBurst] >> 56)
		io.PutTx((i+ahead)%packet.MaxTx, p)
		w.out.size[(i+ahead)%packet.MaxTx] = size + outerLen
		bytes += uint64(size + outerLen)
	}
	w.out.n = len(pkts) + int(ahead)
	return len(pkts), bytes
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

// rewriteRow is rewrite for a row.
func (w *worker) rewriteRow(pkts []*packet.Packet, from int, actions []fastAction, row, unknown uint64) (end int, bytes uint64) {
	io, ahead := w.io, uint(w.out.n-from)
	for i := uint(from); i < uint(len(pkts)); i++ {
		p := pkts[i]
		f, size := within(actions, uint64(w.known[i%packet.RxBurst])), p.PktLen
		if f.row != row || size > uint32(f.maxLen) {
			if unknown>>i&1 != 0 {
				ahead--
				continue
			}
			w.out.n = int(i + ahead)
			return int(i), bytes
		}
		h := p.PlainFront()
		if h[plainProto] == packet.ProtoTCP {
			binary.BigEndian.PutUint16(h[plainTCPSum:], packet.ApplyDelta(binary.BigEndian.Uint16(h[plainTCPSum:]), f.delta))
		} else {
			binary.BigEndian.PutUint16(h[plainUDPSum:], packet.ApplyDeltaUDP(binary.BigEndian.Uint16(h[plainUDPSum:]), f.delta))
		}
		binary.BigEndian.PutUint16(h[plainIPSum:], packet.ApplyDelta(binary.BigEndian.Uint16(h[plainIPSum:]), f.delta))
		binary.LittleEndian.PutUint64(h[plainAddrs:], binary.LittleEndian.Uint64(f.header[outerSrcOff:]))
		*(*[12]byte)(h[:]) = *(*[12]byte)(f.header[:])
		io.PutTx((i+ahead)%packet.MaxTx, p)
		w.out.size[(i+ahead)%packet.MaxTx] = size
		bytes += uint64(size)
	}
	w.out.n = len(pkts) + int(ahead)
	return len(pkts), bytes
}
