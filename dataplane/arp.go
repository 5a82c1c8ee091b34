package dataplane

import (
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// handleARP looks at every ARP message by itself: a flow cannot stand for what it claims.
func (w *worker) handleARP(q *rxQueue, p *packet.Packet, i int) {
	m := &w.meta[i]
	arp, ok := packet.CheckARP(p.Data()[m.L3:])
	if !ok {
		w.discard(q.port, p, reasonOf(packet.ErrTruncatedARP))
		return
	}
	snap := w.sw.snap.Load()
	port := snap.Port(q.port)
	switch {
	case w.burst.Outer[i].Src != 0:
		w.arpFromNVGRE(q, p, i, arp, snap)
	case port.Kind == policy.PortUplink && len(q.local.PAs) > 0 && m.VID() == 0:
		w.arpFromFabric(q, p, i, arp, snap)
	case port.Kind == policy.PortVport && port.Attach == policy.AttachSubnet:
		w.arpFromVport(q, p, i, arp, snap, port)
	case port.Attach == policy.AttachPassThrough && m.VID() == 0 && ownedHere(snap, packet.AddrFrom4(arp.SenderIP())):
		w.discard(q.port, p, ReasonNeighbourSpoof)
	default:
		w.asFlow(q, p, i)
	}
}

// asFlow sends an ARP message the way of any other frame.
func (w *worker) asFlow(q *rxQueue, p *packet.Packet, i int) {
	k := &w.meta[i].Key
	w.burst.Hash[i] = k.Hash(q.flows.seed)
	decideFlow(w, q, q.flows, k, i, p)
}

// arpFromVport is the ARP proxy of virtual subnets: requests are answered from policy and never cross the fabric as
// broadcasts; unicast ones, such as Linux's confirmations of a neighbour, are carried to their target, or answered too
// when it is one that only IP reaches.
func (w *worker) arpFromVport(q *rxQueue, p *packet.Packet, i int, arp packet.ARP, snap *policy.Snapshot, port *policy.Port) {
	m := &w.meta[i]
	sub := snap.Subnets[port.Subnet]
	if reason := arpGuard(m, arp, sub, q.port, port.MAC); reason != ReasonUndecided {
		w.discard(q.port, p, reason)
		return
	}
	if w.denies(i, policy.DirOut, port, snap) {
		w.discard(q.port, p, ReasonACLDenyOut)
		return
	}
	request := arp.Op() == packet.ARPRequest
	target := packet.AddrFrom4(arp.TargetIP())
	dst := m.DstMAC()
	if dst == snap.RouterMAC || (dst.IsGroup() && request && target == sub.Gateway4) {
		if request && target == sub.Gateway4 {
			w.answerARP(q.port, p, m, snap.RouterMAC)
		} else {
			w.consume(q.port, p)
		}
		return
	}
	r := sub.ByCA(target)
	if !dst.IsGroup() {
		if request && r != nil && r.Rewrite && !r.Local() && r.MAC == dst {
			w.answerARP(q.port, p, m, r.MAC)
		} else {
			w.asFlow(q, p, i)
		}
		return
	}
	if request && r != nil && !r.Local() && arp.SenderIP() != arp.TargetIP() {
		w.answerARP(q.port, p, m, r.MAC)
		return
	}
	w.floodSubnet(q, p, i, snap, port.Subnet, request)
}

// arpGuard refuses messages that claim another's address: the sender's must be one of the vport's, or, in a probe for
// duplicates, none at all.
func arpGuard(m *packet.Parsed, arp packet.ARP, sub *policy.Subnet, in uint32, mac packet.MAC) Reason {
	if m.Nested || m.VID() != 0 {
		return ReasonVLANTag
	}
	if m.SrcMAC() != mac {
		return ReasonSourceMACSpoof
	}
	if arp.SenderMAC() != mac {
		return ReasonNeighbourSpoof
	}
	if sender := arp.SenderIP(); sender != 0 {
		if r := sub.ByCA(packet.AddrFrom4(sender)); r == nil || r.Port != in {
			return ReasonNeighbourSpoof
		}
	}
	return ReasonUndecided
}

// arpFromNVGRE carries unicast messages whose sender is who it says, and lives where the outer source says.
func (w *worker) arpFromNVGRE(q *rxQueue, p *packet.Packet, i int, arp packet.ARP, snap *policy.Snapshot) {
	sub := snap.SubnetByVSID(w.burst.Outer[i].VSID)
	if sub == nil {
		w.discard(q.port, p, ReasonUnknownVSID)
		return
	}
	m := &w.meta[i]
	if !m.DstMAC().IsGroup() {
		sender := sub.ByMAC(m.SrcMAC())
		if ip := arp.SenderIP(); ip != 0 {
			sender = sub.ByCA(packet.AddrFrom4(ip))
		}
		if sender == nil || sender.MAC != m.SrcMAC() || arp.SenderMAC() != m.SrcMAC() {
			w.discard(q.port, p, ReasonNeighbourSpoof)
			return
		}
	}
	w.asFlow(q, p, i)
}

// arpFromFabric keeps the cache of next hops and answers for the uplink's own provider addresses and those of rewritten
// VMs (RFC 826). What is meant for others belongs to the pass-through ports.
func (w *worker) arpFromFabric(q *rxQueue, p *packet.Packet, i int, arp packet.ARP, snap *policy.Snapshot) {
	m := &w.meta[i]
	sender := arp.SenderIP()
	if q.answersFor(snap, sender) && arp.SenderMAC() != q.mac {
		w.discard(q.port, p, ReasonAddressConflict)
		return
	}
	if sha := arp.SenderMAC(); sha == m.SrcMAC() && !q.answersFor(snap, sender) {
		if e := w.sw.neighbours.find(q.port, sender); e != nil {
			w.sw.neighbours.confirm(e, sha, w.now)
		}
	}
	dst := m.DstMAC()
	switch {
	case arp.Op() == packet.ARPRequest && q.answersFor(snap, arp.TargetIP()) && (dst == q.mac || dst.IsGroup()):
		w.answerARP(q.port, p, m, q.mac)
	case dst != q.mac && snap.Bridges[policy.BridgeID(q.port, 0)] != nil:
		w.asFlow(q, p, i)
	default:
		w.consume(q.port, p)
	}
}

// answerARP turns a request into its reply, in place.
func (w *worker) answerARP(in uint32, p *packet.Packet, m *packet.Parsed, mac packet.MAC) {
	if !p.Writable() {
		w.discard(in, p, ReasonNotWritable)
		return
	}
	data := p.Data()
	arp := packet.ARP(data[m.L3:])
	asker, askerIP, target := arp.SenderMAC(), arp.SenderIP(), arp.TargetIP()
	copy(data[0:6], data[6:12])
	copy(data[6:12], mac[:])
	packet.EncodeARP(data[m.L3:], packet.ARPReply, mac, target, asker, askerIP)
	w.answered(in)
	w.sendOwn(in, p)
}

// answered counts a packet that was turned into its own answer: the request was consumed, the answer created.
func (w *worker) answered(in uint32) {
	b := w.ctr.of(in)
	b.consumed++
	b.seldom = true
	b.created++
}

// floodSubnet gives a message of ARP or neighbour discovery to the other local vports of a virtual subnet.
func (w *worker) floodSubnet(q *rxQueue, p *packet.Packet, i int, snap *policy.Snapshot, subnet uint32, request bool) {
	last, have := uint32(0), false
	for _, port := range snap.Subnets[subnet].LocalPorts {
		if port == q.port {
			continue
		}
		if have {
			w.copyTo(q, p, i, snap, last)
		}
		last, have = port, true
	}
	switch {
	case have:
		if r := w.keepsOut(p, i, last, snap); r != ReasonUndecided {
			w.discard(q.port, p, r)
			return
		}
		w.send(q.port, last, p)
	case request:
		w.discard(q.port, p, ReasonNeighbourUnanswered)
	default:
		w.discard(q.port, p, ReasonTenantBroadcast)
	}
}

func (w *worker) copyTo(q *rxQueue, p *packet.Packet, i int, snap *policy.Snapshot, port uint32) {
	w.ctr.of(q.port).created++
	if r := w.keepsOut(p, i, port, snap); r != ReasonUndecided {
		w.ctr.drop(q.port, r)
	} else if c := w.clone(p); c != nil {
		w.send(q.port, port, c)
	} else {
		w.ctr.drop(q.port, ReasonNoBuffer)
	}
}

// askNeighbour sends an ARP request for a next hop, by unicast when its address only needs confirmation.
func (w *worker) askNeighbour(e *neighbour) {
	uplink := e.uplink()
	snap := w.sw.snap.Load()
	port := snap.Port(uplink)
	target := packet.AddrFrom4(e.addr())
	var from packet.Addr
	for i := range snap.PAs {
		if pa := &snap.PAs[i]; pa.Uplink == uplink && (from.IsZero() || pa.Prefix.Contains(target)) {
			from = pa.Addr
		}
	}
	if port.Kind != policy.PortUplink || !from.Is4() {
		return
	}
	p := w.spare()
	if p == nil {
		return
	}
	p.Append(minFrame)
	data := p.Data()
	clear(data)
	dst := packet.Broadcast
	if mac := e.mac.Load(); mac != 0 {
		dst = packet.MACFromUint64(mac)
	}
	packet.EncodeEthernet(data, dst, port.MAC, packet.EtherTypeARP)
	packet.EncodeARP(data[packet.EthernetLen:], packet.ARPRequest, port.MAC, from.V4(), packet.MAC{}, e.addr())
	w.ctr.of(uplink).created++
	w.sendOwn(uplink, p)
}

// minFrame is the shortest Ethernet frame without its FCS.
const minFrame = 60
