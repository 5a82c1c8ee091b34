package dataplane

import (
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

const (
	icmpErrorsPerSecond = 1000 // per receive queue: a flood of packets that deserve an error costs nobody else's answers
	icmpErrorBurst      = 100
	tosControl          = 0xc0 // internetwork control (RFC 1812, section 4.3.2.5)
	answerTTL           = 64
)

// linkLocalRouter is fe80::1, from which the distributed router sends in IPv6.
var linkLocalRouter = packet.Addr{Hi: 0xfe80 << 48, Lo: 1}

// rateLimit is a token bucket over the worker's clock.
type rateLimit struct {
	perSecond, burst float64
	tokens           float64
	last             int64
}

// ready refills the bucket and reports whether it holds a token. The one who uses it takes it off.
func (r *rateLimit) ready(now int64) bool {
	r.tokens = min(r.burst, r.tokens+float64(now-r.last)*r.perSecond/1e9)
	r.last = now
	return r.tokens >= 1
}

// tooBig drops a packet that does not fit its output. A sender that set DF, and every IPv6 sender, learns the size that
// does (RFC 1191, RFC 8201), so that its path MTU discovery works.
func (w *worker) tooBig(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action) {
	data := p.Data()
	switch {
	case m.Kind == packet.L3IPv4 && packet.IPv4(data[m.L3:]).DontFragment():
		w.answerError(q, p, m, a, packet.ICMPUnreachable, packet.ICMPFragNeeded)
	case m.Kind == packet.L3IPv6:
		w.answerError(q, p, m, a, packet.ICMPv6PacketTooBig, 0)
	}
	w.discard(q.port, p, ReasonTooBig)
}

// ttlExceeded drops a packet whose TTL or hop limit ran out and tells its sender (RFC 792, RFC 4443).
func (w *worker) ttlExceeded(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action) {
	if m.Kind == packet.L3IPv4 {
		w.answerError(q, p, m, a, packet.ICMPTimeExceeded, 0)
	} else {
		w.answerError(q, p, m, a, packet.ICMPv6TimeExceeded, 0)
	}
	w.discard(q.port, p, ReasonTTLExceeded)
}

// answerError sends an ICMP error about a packet back to where it came from, from the subnet's gateway, when the flow
// is one that may be answered, the RFCs allow it, and the rate limit does.
func (w *worker) answerError(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action, typ, code uint8) {
	if a.flags&flagAnswer == 0 || m.DstMAC().IsGroup() || !q.icmp.ready(w.now) {
		return
	}
	data := p.Data()
	orig := data[m.L3:min(int(m.Len), len(data))] // of a packet in segments the first one is quoted
	c := w.spare()
	if c == nil {
		return
	}
	n := 0
	if c.Append(min(packet.IPv6MinMTU+packet.EthernetLen, c.Tailroom())) {
		packet.EncodeEthernet(c.Data(), m.SrcMAC(), a.srcMAC, 0)
		if m.Kind == packet.L3IPv4 {
			n = encodeError4(c.Data(), orig, a, typ, code)
		} else {
			n = encodeError6(c.Data(), orig, a, typ, code, w.router6(q.port, packet.IPv6(orig).Src()))
		}
	}
	if n == 0 {
		w.free(c)
		return
	}
	q.icmp.tokens--
	c.SetLen(n)
	w.ctr.of(q.port).created++
	w.sendOwn(q.port, c)
}

// router6 is the address that the router answers to from: the gateway of the port's subnet, or fe80::1 to those that use
// a link-local address themselves (RFC 4443, section 2.2; RFC 6724, rule 2 of section 5).
func (w *worker) router6(port uint32, to packet.Addr) packet.Addr {
	snap := w.sw.snap.Load()
	if p := snap.Port(port); p.Attach == policy.AttachSubnet && !packet.IsLinkLocal6(to) {
		if g := snap.Subnets[p.Subnet].Gateway6; !g.IsZero() {
			return g
		}
	}
	return linkLocalRouter
}

// encodeError4 writes an ICMP error behind the Ethernet header of frame and returns the frame's length, 0 when none may
// be sent.
func encodeError4(frame, orig []byte, a *action, typ, code uint8) int {
	ip := packet.IPv4(orig)
	if a.gateway == 0 || !packet.MayAnswerIPv4(ip) {
		return 0
	}
	packet.Ethernet(frame).SetEtherType(packet.EtherTypeIPv4)
	body := frame[packet.EthernetLen+packet.IPv4Len:]
	n := 0
	if typ == packet.ICMPUnreachable && code == packet.ICMPFragNeeded {
		n = packet.EncodeICMPFragNeeded(body, a.mtu, ip)
	} else {
		n = packet.EncodeICMPError(body, typ, code, ip)
	}
	if n == 0 {
		return 0
	}
	h := packet.IPv4Fields{TOS: tosControl, TTL: answerTTL, Proto: packet.ProtoICMP, TotalLen: uint16(packet.IPv4Len + n),
		Src: a.gateway, Dst: ip.Src()}
	h.Encode(frame[packet.EthernetLen:])
	return packet.EthernetLen + packet.IPv4Len + n
}

// encodeError6 does the same for IPv6.
func encodeError6(frame, orig []byte, a *action, typ, code uint8, from packet.Addr) int {
	ip := packet.IPv6(orig)
	if !packet.MayAnswerIPv6(ip, typ, code) {
		return 0
	}
	mtu := uint32(0)
	if typ == packet.ICMPv6PacketTooBig {
		mtu = uint32(a.mtu)
	}
	packet.Ethernet(frame).SetEtherType(packet.EtherTypeIPv6)
	n := packet.EncodeICMPv6Error(frame[packet.EthernetLen+packet.IPv6Len:], from, ip.Src(), typ, code, mtu, ip)
	if n == 0 {
		return 0
	}
	h := packet.IPv6Fields{TrafficClass: tosControl, PayloadLen: uint16(n), NextHeader: packet.ProtoICMPv6, HopLimit: answerTTL,
		Src: from, Dst: ip.Src()}
	h.Encode(frame[packet.EthernetLen:])
	return packet.EthernetLen + packet.IPv6Len + n
}

// answerPing answers an echo request to an address that the switch owns, in place; anything else is dropped for
// reason r.
func (w *worker) answerPing(in uint32, p *packet.Packet, m *packet.Parsed, r Reason) {
	if !p.Writable() {
		w.discard(in, p, ReasonNotWritable)
		return
	}
	if m.Fragment || m.L4 == 0 {
		w.discard(in, p, r)
		return
	}
	data := p.Data()
	if m.Kind == packet.L3IPv4 && !packet.IPv4(data[m.L3:]).ChecksumOK() {
		w.discard(in, p, ReasonIPv4Checksum)
		return
	}
	ok := false
	switch {
	case m.Kind == packet.L3IPv4 && m.Proto == packet.ProtoICMP:
		ok = turnEcho4(data[m.L3:m.Len], data[m.L4:m.Len])
	case m.Kind == packet.L3IPv6 && m.Proto == packet.ProtoICMPv6:
		ok = turnEcho6(data[m.L3:m.Len], data[m.L4:m.Len])
	}
	if !ok {
		w.discard(in, p, r)
		return
	}
	eth := packet.Ethernet(data)
	src, dst := eth.Src(), eth.Dst()
	eth.SetSrc(dst)
	eth.SetDst(src)
	w.answered(in)
	w.sendQueue(in, in, w.defaultQueue(in), p) // it is as long as the asker likes, so it waits as others do
}

func turnEcho4(ip packet.IPv4, icmp packet.ICMP) bool {
	if !icmp.ChecksumOK() || !icmp.TurnEcho() {
		return false
	}
	src, dst := ip.Src(), ip.Dst()
	ip.SetSrc(dst)
	ip.SetDst(src)
	ip.SetTTL(answerTTL)
	return true
}

func turnEcho6(ip packet.IPv6, icmp packet.ICMPv6) bool {
	src, dst := ip.Src(), ip.Dst()
	if icmp.Type() != packet.ICMPv6Echo || icmp.Code() != 0 || !icmp.ChecksumOK(src, dst) {
		return false
	}
	icmp[0] = packet.ICMPv6EchoReply
	ip.SetSrc(dst)
	ip.SetDst(src)
	icmp.SetChecksum(dst, src)
	ip[7] = answerTTL // hop limit (RFC 8200, section 3)
	return true
}
