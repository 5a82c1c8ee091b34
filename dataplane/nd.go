package dataplane

import (
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// isND reports a neighbour solicitation or advertisement, which is looked at by itself, as ARP is. So is one that is the
// first part of a fragmented packet.
func isND(m *packet.Parsed, data []byte) bool {
	if m.Proto != packet.ProtoICMPv6 || m.L4 == 0 || int(m.L4) >= len(data) {
		return false
	}
	t := data[m.L4]
	return t == packet.ICMPv6NeighborSolicit || t == packet.ICMPv6NeighborAdvert
}

// handleND is for IPv6 what handleARP is for IPv4 (RFC 4861).
func (w *worker) handleND(q *rxQueue, p *packet.Packet, i int) {
	m := &w.meta[i]
	snap := w.sw.snap.Load()
	port := snap.Port(q.port)
	virtual := w.burst.Outer[i].Src != 0 || port.Kind == policy.PortVport && port.Attach == policy.AttachSubnet
	if !virtual {
		decideFlow(w, q, q.wide, &w.wide[i], i, p)
		return
	}
	if p.NbSegs != 1 {
		w.discard(q.port, p, reasonOf(packet.ErrSegments))
		return
	}
	data := p.Data()
	nd := ndMessage{ip: packet.IPv6(data[m.L3:m.Len]), src: m.SrcMAC(), dst: m.DstMAC()}
	if m.Fragment || !nd.parse(data[m.L4:m.Len]) { // RFC 6980: nobody may fragment them, and so hide what they say
		w.discard(q.port, p, ReasonBadND)
		return
	}
	if w.burst.Outer[i].Src != 0 {
		w.ndFromNVGRE(q, p, i, &nd, snap)
	} else {
		w.ndFromVport(q, p, i, &nd, snap, port)
	}
}

// ndMessage is a checked solicitation or advertisement.
type ndMessage struct {
	ip        packet.IPv6
	src, dst  packet.MAC
	solicit   bool
	target    packet.Addr
	claims    packet.MAC // link-layer address in the message, when named
	hasClaims bool
}

func (nd *ndMessage) parse(body []byte) bool {
	if s, f := packet.CheckNeighborSolicit(nd.ip, body); f == packet.FaultNone {
		nd.solicit, nd.target = true, s.Target()
		nd.claims, nd.hasClaims = s.SourceMAC()
		return true
	}
	a, f := packet.CheckNeighborAdvert(nd.ip, body)
	if f != packet.FaultNone {
		return false
	}
	nd.target = a.Target()
	nd.claims, nd.hasClaims = a.TargetMAC()
	return true
}

// ndFromVport is the neighbour discovery proxy of virtual subnets.
func (w *worker) ndFromVport(q *rxQueue, p *packet.Packet, i int, nd *ndMessage, snap *policy.Snapshot, port *policy.Port) {
	m := &w.meta[i]
	sub := snap.Subnets[port.Subnet]
	if reason := nd.guard(m, sub, q.port, port.MAC); reason != ReasonUndecided {
		w.discard(q.port, p, reason)
		return
	}
	if w.denies(i, policy.DirOut, port, snap) {
		w.discard(q.port, p, ReasonACLDenyOut)
		return
	}
	gateway := nd.solicit && sub.IsGateway(nd.target) && !nd.target.Is4()
	switch {
	case gateway && (nd.dst == snap.RouterMAC || nd.dst.IsGroup()):
		w.answerND(q.port, p, nd, snap.RouterMAC, packet.NAFlagRouter)
	case nd.dst == snap.RouterMAC:
		w.consume(q.port, p)
	case !nd.dst.IsGroup():
		decideFlow(w, q, q.wide, &w.wide[i], i, p)
	default:
		if r := sub.ByCA(nd.target); nd.solicit && r != nil && !r.Local() {
			w.answerND(q.port, p, nd, r.MAC, 0)
			return
		}
		w.floodSubnet(q, p, i, snap, port.Subnet, nd.solicit)
	}
}

// guard refuses messages that claim what is not the sender's.
func (nd *ndMessage) guard(m *packet.Parsed, sub *policy.Subnet, in uint32, mac packet.MAC) Reason {
	if m.Nested || m.VID() != 0 {
		return ReasonVLANTag
	}
	if nd.src != mac {
		return ReasonSourceMACSpoof
	}
	if nd.hasClaims && nd.claims != mac {
		return ReasonNeighbourSpoof
	}
	own := func(a packet.Addr) bool {
		if packet.IsLinkLocal6(a) {
			return a != linkLocalRouter
		}
		r := sub.ByCA(a)
		return r != nil && r.Port == in
	}
	if src := nd.ip.Src(); !packet.IsUnspecified6(src) && !own(src) {
		return ReasonNeighbourSpoof
	}
	if !nd.solicit && !own(nd.target) {
		return ReasonNeighbourSpoof
	}
	return ReasonUndecided
}

// ndFromNVGRE carries unicast messages that claim no address but the sender's; the guard layer checks the sender.
func (w *worker) ndFromNVGRE(q *rxQueue, p *packet.Packet, i int, nd *ndMessage, snap *policy.Snapshot) {
	sub := snap.SubnetByVSID(w.burst.Outer[i].VSID)
	if sub != nil && !nd.dst.IsGroup() {
		forged := nd.hasClaims && nd.claims != nd.src || nd.src == snap.RouterMAC || // no router passes these on
			!nd.solicit && nd.target == linkLocalRouter
		if !nd.solicit && !packet.IsLinkLocal6(nd.target) {
			r := sub.ByCA(nd.target)
			forged = forged || r == nil || r.MAC != nd.src
		}
		if forged {
			w.discard(q.port, p, ReasonNeighbourSpoof)
			return
		}
	}
	decideFlow(w, q, q.wide, &w.wide[i], i, p)
}

var allNodes = packet.Addr{Hi: 0xff02 << 48, Lo: 1}

// answerND answers a solicitation from a fresh buffer: the answer is often longer than the question.
func (w *worker) answerND(in uint32, p *packet.Packet, nd *ndMessage, mac packet.MAC, flags uint8) {
	c := w.spare()
	if c == nil || !c.Append(packet.EthernetLen+packet.IPv6Len+packet.NeighborMACLen) {
		if c != nil {
			w.free(c)
		}
		w.discard(in, p, ReasonNoBuffer)
		return
	}
	to, dst := nd.ip.Src(), nd.src
	flags |= packet.NAFlagOverride | packet.NAFlagSolicited
	if packet.IsUnspecified6(to) { // a probe for duplicates is answered to all nodes (RFC 4861, section 7.2.4)
		to, dst = allNodes, packet.MulticastMAC6(allNodes)
		flags &^= packet.NAFlagSolicited
	}
	data := c.Data()
	packet.EncodeEthernet(data, dst, mac, packet.EtherTypeIPv6)
	n := packet.EncodeNeighborAdvert(data[packet.EthernetLen+packet.IPv6Len:], nd.target, to, nd.target, flags, mac)
	h := packet.IPv6Fields{PayloadLen: uint16(n), NextHeader: packet.ProtoICMPv6, HopLimit: 255, Src: nd.target, Dst: to}
	h.Encode(data[packet.EthernetLen:])
	w.consume(in, p)
	w.ctr.of(in).created++
	w.sendOwn(in, c)
}
