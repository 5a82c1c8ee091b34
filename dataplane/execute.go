package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// execute does with one packet what its flow's action says.
func (w *worker) execute(q *rxQueue, p *packet.Packet, i int, a *action) {
	switch a.kind {
	case actForward:
		if w.transform(q, p, i, a) {
			w.sendQueue(q.port, a.out, a.queue, p)
		}
	case actEncap:
		if w.transform(q, p, i, a) {
			w.encapsulate(q, p, i, a)
		}
	case actRewriteOut, actRewriteIn:
		if w.transform(q, p, i, a) {
			w.rewrite(q, p, i, a)
		}
	case actFlood:
		if start, ok := w.mayCopy(q, p); ok {
			w.flood(q, p, i, a)
			w.copied(q, start)
		}
	case actGateway:
		if start, ok := w.mayCopy(q, p); ok {
			w.answerPing(q.port, p, &w.meta[i], ReasonGatewayService)
			w.copied(q, start)
		}
	default:
		w.discard(q.port, p, a.reason)
	}
}

// transform checks that the frame fits, and rewrites what routing, tags and ECN ask for. It reports false when the
// packet has come to its end.
func (w *worker) transform(q *rxQueue, p *packet.Packet, i int, a *action) bool {
	m := &w.meta[i]
	size := int(p.PktLen)
	if a.flags&flagStripTag != 0 && m.Tagged {
		size -= 4
	}
	if size > int(a.maxLen) {
		w.tooBig(q, p, m, a)
		return false
	}
	if a.kind == actForward && a.flags&(flagRewrites&^flagDecap) == 0 && (a.flags&flagDecap == 0 || w.burst.Outer[i].TOS&3 == m.TOS&3) {
		return true // not a byte changes
	}
	if !headWritable(p) {
		w.discard(q.port, p, ReasonNotWritable)
		return false
	}
	if a.flags&flagDecap != 0 && !w.mergeECN(q, p, i) {
		return false
	}
	if a.flags&flagStripTag != 0 && m.Tagged {
		popTag(p)
		m.Untag()
	}
	if a.flags&flagRoute != 0 && !w.route(q, p, m, a) {
		return false
	}
	if a.flags&flagDSCP != 0 {
		setDSCP(p.Data(), m, a.dscp)
	}
	if a.kind == actForward && a.flags&(flagPushTag|flagPCP) != 0 && !setTag(p, m, a) {
		w.discard(q.port, p, ReasonNoHeadroom)
		return false
	}
	return true
}

// headWritable reports whether the first segment may be written: all headers stand there.
func headWritable(p *packet.Packet) bool {
	return p.RefCnt == 1 && p.OlFlags&(packet.FlagExternal|packet.FlagIndirect) == 0
}

// popTag takes the tag off a frame that has one in its writable first segment; others may follow.
func popTag(p *packet.Packet) {
	data := p.Data()
	copy(data[packet.VLANLen:], data[:12])
	p.TrimFront(packet.VLANLen)
}

// route is the distributed router's part: the header's checksum (RFC 1812, section 5.2.2), both MACs and the TTL (5.3.1).
func (w *worker) route(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action) bool {
	data := p.Data()
	if m.Kind == packet.L3IPv6 {
		if !packet.IPv6(data[m.L3:]).DecHopLimit() {
			w.ttlExceeded(q, p, m, a)
			return false
		}
	} else {
		ip := packet.IPv4(data[m.L3:])
		if !ip.ChecksumOK() {
			w.discard(q.port, p, ReasonIPv4Checksum)
			return false
		}
		if !ip.DecTTL() {
			w.ttlExceeded(q, p, m, a)
			return false
		}
	}
	eth := packet.Ethernet(data)
	eth.SetDst(a.dstMAC)
	eth.SetSrc(a.srcMAC)
	return true
}

// mergeECN brings congestion marks of the fabric to the inner packet (RFC 6040, section 4.2). A frame that is not IP bears
// none, as a packet whose transport does not understand them.
func (w *worker) mergeECN(q *rxQueue, p *packet.Packet, i int) bool {
	m := &w.meta[i]
	ecn, ok := packet.ECNDecap(w.burst.Outer[i].TOS&3, m.TOS&3)
	if !ok {
		w.discard(q.port, p, ReasonECN)
		return false
	}
	if ecn == m.TOS&3 || m.Kind != packet.L3IPv4 && m.Kind != packet.L3IPv6 {
		return true
	}
	if m.Kind == packet.L3IPv4 {
		packet.SetECN4(p.Data()[m.L3:], ecn)
	} else {
		packet.SetECN6(p.Data()[m.L3:], ecn)
	}
	return true
}

// encodeOuter makes the outer header of a flow: DF set, TTL 64, identification 0 (RFC 6864: the datagram is atomic).
// Length, DSCP with ECN, checksum, FlowID and next hop are filled in for every packet; sum is that of the IPv4 header
// without them.
func encodeOuter(h *[outerLen]byte, src packet.MAC, from, to, vsid uint32) (sum uint32) {
	*h = [outerLen]byte{}
	copy(h[6:12], src[:])
	binary.BigEndian.PutUint16(h[12:], packet.EtherTypeIPv4)
	h[outerIPOff] = 0x45
	h[outerIPOff+6] = 0x40
	h[outerIPOff+8] = 64
	h[outerIPOff+9] = packet.ProtoGRE
	binary.BigEndian.PutUint32(h[outerSrcOff:], from)
	binary.BigEndian.PutUint32(h[outerDstOff:], to)
	binary.BigEndian.PutUint16(h[outerGREOff:], nvgreFlags)
	binary.BigEndian.PutUint16(h[outerGREOff+2:], packet.EtherTypeTEB)
	binary.BigEndian.PutUint32(h[outerKeyOff:], vsid<<8)
	return uint32(^packet.Checksum(h[outerIPOff:outerGREOff], 0))
}

// fillOuter completes the outer header for an inner frame of size bytes.
func fillOuter(h *[outerLen]byte, sum, size uint32, tos, flowID uint8) {
	total := size + outerLen - outerIPOff
	check := sum + total + uint32(tos)
	check = check&0xffff + check>>16
	h[outerTOSOff] = tos
	binary.BigEndian.PutUint16(h[outerTotOff:], uint16(total))
	binary.BigEndian.PutUint16(h[outerSumOff:], ^uint16(check&0xffff+check>>16))
	h[outerKeyOff+3] = flowID
}

// encapsulate puts a frame into NVGRE (RFC 7637) and stages it, or holds it until the next hop's MAC is known.
func (w *worker) encapsulate(q *rxQueue, p *packet.Packet, i int, a *action) {
	size := p.PktLen
	if !p.Prepend(outerLen) {
		w.discard(q.port, p, ReasonNoHeadroom)
		return
	}
	h := p.NVGREFront()
	*h = a.header
	tos := w.meta[i].TOS
	if a.flags&flagOuterDSCP != 0 {
		tos = a.outerDSCP<<2 | tos&packet.ECNMask
	}
	fillOuter(h, a.sum, size, tos, byte(w.burst.Hash[i]>>56))
	w.toNextHop(q, a, p)
}

// toNextHop sends a packet that is complete but for the next hop's MAC to the fabric, or holds it until that is known.
func (w *worker) toNextHop(q *rxQueue, a *action, p *packet.Packet) {
	in := q.port
	if a.flags&flagPCP != 0 && !insertTag(p, packet.MakeTCI(a.pcp, false, packet.VIDPriority)) {
		w.discard(in, p, ReasonNoHeadroom)
		return
	}
	mac := w.sw.neighbours.entries[a.nextHop].mac.Load()
	if mac == 0 {
		w.hold(q, a, p)
		return
	}
	if len(w.held) > 0 {
		w.releaseHop(a.nextHop, mac) // what waits for it goes first
	}
	setNextHop(p.NVGREFront(), mac)
	w.sendQueue(in, a.out, a.queue, p)
}

func setNextHop(h *[outerLen]byte, mac uint64) {
	binary.BigEndian.PutUint16(h[:], uint16(mac>>32))
	binary.BigEndian.PutUint32(h[2:], uint32(mac))
}

// flood copies a frame to every other port of its bridge; the last one gets the frame itself.
func (w *worker) flood(q *rxQueue, p *packet.Packet, i int, a *action) {
	snap := w.sw.snap.Load() // one for all: who gets the frame and what their rules say
	br := snap.Bridges[a.out]
	if br == nil {
		w.discard(q.port, p, ReasonFloodNowhere)
		return
	}
	last := uint32(0)
	have := false
	each := func(port uint32) {
		if port == q.port {
			return
		}
		if have {
			w.floodCopy(q, p, i, a, last, snap)
		}
		last, have = port, true
	}
	each(br.Uplink)
	for _, port := range br.Ports {
		each(port)
	}
	if !have {
		w.discard(q.port, p, ReasonFloodNowhere)
		return
	}
	if r := w.keepsOut(p, i, last, snap); r != ReasonUndecided {
		w.discard(q.port, p, r)
		return
	}
	w.floodTo(q, p, i, a, last, snap.Port(last))
}

// keepsOut says why a flooded frame does not go to a port, ReasonUndecided when it may.
func (w *worker) keepsOut(p *packet.Packet, i int, port uint32, snap *policy.Snapshot) Reason {
	switch {
	case w.denies(i, policy.DirIn, snap.Port(port), snap):
		return ReasonACLDenyIn
	case !w.sw.storms.calm(snap, port, p, w.now):
		return ReasonStorm
	}
	return ReasonUndecided
}

func (w *worker) floodCopy(q *rxQueue, p *packet.Packet, i int, a *action, port uint32, snap *policy.Snapshot) {
	w.ctr.of(q.port).created++
	if r := w.keepsOut(p, i, port, snap); r != ReasonUndecided {
		w.ctr.drop(q.port, r)
		return
	}
	c := w.clone(p)
	if c == nil {
		w.ctr.drop(q.port, ReasonNoBuffer)
		return
	}
	w.floodTo(q, c, i, a, port, snap.Port(port))
}

func (w *worker) floodTo(q *rxQueue, p *packet.Packet, i int, a *action, port uint32, to *policy.Port) {
	one := action{kind: actForward, out: port, tag: a.tag, maxLen: bridgedMax(to), flags: tagFlags(to, a.tag, w.meta[i].VID() != 0)}
	one.flags |= a.flags & flagDSCP
	one.dscp = a.dscp
	if to.Kind == policy.PortUplink {
		one.flags |= a.flags & flagPCP
		one.pcp, one.queue = a.pcp, a.queue
	}
	saved := w.meta[i] // transform moves offsets when it strips a tag
	if w.transform(q, p, i, &one) {
		w.sendQueue(q.port, port, one.queue, p)
	}
	w.meta[i] = saved
}
