package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// IP rewrite: packets cross the fabric between provider addresses of the VMs, with nothing around them. The sender's host
// guards and routes as for NVGRE; the receiver's host learns sender and target from the two addresses.

// ownedHere reports an address of the fabric that this host answers for, its own or a VM's.
func ownedHere(snap *policy.Snapshot, a packet.Addr) bool {
	if snap.LocalPA(a) != nil {
		return true
	}
	vm, _ := snap.VMByPA(a)
	return vm != nil
}

// answersFor reports whether addr is the uplink's own, or that of a VM that is reached by it.
func (q *rxQueue) answersFor(snap *policy.Snapshot, addr uint32) bool {
	if q.ownsPA(addr) {
		return true
	}
	vm, uplink := snap.VMByPA(packet.AddrFrom4(addr))
	return vm != nil && uplink == q.port
}

// forRewrittenVM is true of the frames that classifyUplink left over: IPv4 for the uplink, but not for its own address.
func (f *newFlow) forRewrittenVM() bool {
	if f.port.Kind != policy.PortUplink || f.meta.Kind != packet.L3IPv4 || f.meta.VID() != 0 || f.dstMAC != f.port.MAC {
		return false
	}
	for i := range f.snap.PAs {
		if f.snap.PAs[i].Uplink == f.in {
			return true
		}
	}
	return false
}

// guardRewritten finds both VMs by their provider addresses, and refuses what comes from no VM of the target's routing
// domain. Source and target are in the flow's key, so a known flow cannot be spoofed from another address. The layers
// behind it see the packet as the VM will.
func guardRewritten(f *newFlow) bool {
	f.rewritten = true
	f.srcCell, f.dstCell = paCell(f.src), paCell(f.dst)
	target, uplink := f.snap.VMByPA(f.dst)
	if target == nil || uplink != f.in {
		return f.drop(ReasonNotForUs)
	}
	sub := f.snap.Subnets[target.Subnet]
	sender := f.snap.RecordByPA(sub.RDID, f.src)
	switch {
	case sender == nil:
		return f.drop(ReasonUnknownSender)
	case sender.Local():
		return f.drop(ReasonProviderSpoof)
	case f.meta.Proto == packet.ProtoAH:
		return f.drop(ReasonRewriteAH)
	}
	f.act.replace(f.src, f.dst, sender.CA, target.CA)
	f.sub, f.target, f.wire = sub, target, sub.VSID
	f.src, f.dst, f.srcMAC, f.dstMAC = sender.CA, target.CA, sender.MAC, target.MAC
	if sender.Subnet != target.Subnet {
		f.srcMAC = f.snap.RouterMAC
	}
	copy(f.act.header[:6], f.dstMAC[:])
	copy(f.act.header[6:12], f.srcMAC[:])
	if f.meta.Tagged {
		f.act.flags |= flagStripTag
	}
	return false
}

// exactTarget finds the record of the very address that a switched frame is for: a VM may have several, each with its
// own provider address.
func (f *newFlow) exactTarget() {
	if f.act.flags&flagRoute != 0 || f.dst.IsZero() {
		return
	}
	if r := f.sub.ByCA(f.dst); r != nil && r.MAC == f.target.MAC {
		f.target = r
	}
}

// rewriteOut completes the action for a VM that is reached by rewriting.
func rewriteOut(s *Switch, f *newFlow) bool {
	sender := f.sub.ByCA(f.src)
	switch {
	case !f.src.Is4() || !f.dst.Is4():
		return f.drop(ReasonRewriteNonIPv4)
	case f.target.CA != f.dst || sender == nil || !sender.Rewrite: // a VM that forwards for others
		return f.drop(ReasonRewriteAddress)
	case f.meta.Proto == packet.ProtoAH:
		return f.drop(ReasonRewriteAH)
	}
	path, ok := f.snap.PathFrom(sender.PA, f.target.PA, f.entropy)
	if !ok || !path.NextHop.Is4() {
		return f.drop(ReasonNoProviderPath)
	}
	hop, ok := s.neighbours.index(path.Uplink, path.NextHop.V4())
	if !ok {
		return f.drop(ReasonNextHopTableFull)
	}
	uplink := f.snap.Port(path.Uplink)
	f.act.kind = actRewriteOut
	f.act.out = path.Uplink
	f.act.nextHop = hop
	f.act.vsid = f.wire
	f.act.maxLen = addMTU(uplink.MTU, 14) // the packet does not grow
	f.act.mtu = uplink.MTU
	copy(f.act.header[6:12], uplink.MAC[:])
	f.act.replace(f.src, f.dst, sender.PA, f.target.PA)
	if f.note != nil {
		f.notef("IP rewrite, from provider address %s to %s by next hop %s", sender.PA, f.target.PA, path.NextHop)
	}
	return true
}

// replace notes the addresses that take the place of those in the packets, and what that adds to a checksum.
func (a *action) replace(src, dst, newSrc, newDst packet.Addr) {
	to := packet.MakeAddrPair(newSrc.V4(), newDst.V4())
	binary.LittleEndian.PutUint64(a.header[outerSrcOff:], uint64(to))
	a.delta = packet.ChecksumDelta(packet.MakeAddrPair(src.V4(), dst.V4()), to)
}

// plainIPv4 begins an IPv4 header without options.
const plainIPv4 = 0x45

// rewrite replaces the addresses of an IPv4 packet whose first segment may be written, and sends it on.
func (w *worker) rewrite(q *rxQueue, p *packet.Packet, i int, a *action) {
	m := &w.meta[i]
	data := p.Data()
	ip := packet.IPv4(data[m.L3:])
	to := packet.AddrPair(binary.LittleEndian.Uint64(a.header[outerSrcOff:]))
	if ip[0] != plainIPv4 && ip.NamesAddresses() {
		w.discard(q.port, p, ReasonRewriteOption)
		return
	}
	switch l4 := data[m.L4:]; { // Parse has seen that the headers of TCP and UDP are there
	case m.L4 == 0: // a later fragment
	case m.Proto == packet.ProtoTCP:
		binary.BigEndian.PutUint16(l4[16:], packet.ApplyDelta(binary.BigEndian.Uint16(l4[16:]), a.delta))
	case m.Proto == packet.ProtoUDP:
		binary.BigEndian.PutUint16(l4[6:], packet.ApplyDeltaUDP(binary.BigEndian.Uint16(l4[6:]), a.delta))
	case !packet.RewriteTransport(data[m.L4:min(int(m.Len), len(data))], m.Proto, ip.Addrs(), to, a.delta):
		w.discard(q.port, p, rewriteFault(m.Proto))
		return
	}
	ip.SetAddrs(to, a.delta)
	if a.kind == actRewriteIn {
		*(*[12]byte)(data) = *(*[12]byte)(a.header[:])
		w.send(q.port, a.out, p)
		return
	}
	*(*packet.MAC)(data[6:]) = *(*packet.MAC)(a.header[6:])
	w.toNextHop(q, a, p)
}

// rewriteFault says why a payload could not be rewritten.
func rewriteFault(proto uint8) Reason {
	if proto == packet.ProtoICMP {
		return ReasonRewriteICMP
	}
	return reasonOf(packet.ErrTruncatedL4)
}
