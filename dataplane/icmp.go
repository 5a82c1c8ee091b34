package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

const (
	icmpErrorsPerSecond = 1000 // per worker; a flood of packets that deserve an error must not cost the worker its time
	icmpErrorBurst      = 100
	icmpQuote           = 548 // bytes of the original packet in an error: 576 with the new headers (RFC 1812, section 4.3.2.3)
	icmpEchoReply       = 0
	icmpUnreachable     = 3
	icmpFragNeeded      = 4 // code of icmpUnreachable
	icmpEcho            = 8
	icmpTimeExceeded    = 11
	flagDF              = 0x4000
)

// rateLimit is a token bucket over the worker's clock.
type rateLimit struct {
	perSecond, burst float64
	tokens           float64
	last             int64
}

func (r *rateLimit) take(now int64) bool {
	r.tokens = min(r.burst, r.tokens+float64(now-r.last)*r.perSecond/1e9)
	r.last = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// tooBig drops a packet that does not fit its output. A sender that set DF learns the size that does (RFC 1191), so that
// its path MTU discovery works.
func (w *worker) tooBig(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action) {
	if m.Kind == packet.L3IPv4 && a.flags&flagAnswer != 0 {
		ip := p.Data()[m.L3:]
		if binary.BigEndian.Uint16(ip[6:])&flagDF != 0 {
			w.icmpError(q, p, m, a, icmpUnreachable, icmpFragNeeded, uint32(a.mtu), ReasonTooBig)
			return
		}
	}
	w.discard(q.port, p, ReasonTooBig)
}

// ttlExceeded drops a packet whose TTL ran out and tells its sender (RFC 792).
func (w *worker) ttlExceeded(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action) {
	if m.Kind == packet.L3IPv4 {
		w.icmpError(q, p, m, a, icmpTimeExceeded, 0, 0, ReasonTTLExceeded)
		return
	}
	w.discard(q.port, p, ReasonTTLExceeded)
}

// icmpError counts the packet as dropped for reason r and, where RFC 1122, section 3.2.2, allows it, turns its buffer
// into an ICMP error from the subnet's gateway to the sender.
func (w *worker) icmpError(q *rxQueue, p *packet.Packet, m *packet.Parsed, a *action, typ, code uint8, rest uint32, r Reason) {
	data := p.Data()
	if a.gateway == 0 || !p.Writable() || (m.Fragment && m.L4 == 0) || isICMPError(m, data) ||
		int(m.L3)+p.Headroom() < icmpHeaders || !w.icmp.take(w.now) {
		w.discard(q.port, p, r)
		return
	}
	ip := data[m.L3:m.Len]
	quote := min(len(ip), icmpQuote)
	src, dst := binary.BigEndian.Uint32(ip[12:]), packet.MAC(data[6:12])
	p.SetLen(int(m.L3) + quote)
	p.TrimFront(int(m.L3))
	p.Prepend(icmpHeaders)
	data = p.Data()
	copy(data[0:6], dst[:])
	copy(data[6:12], a.srcMAC[:])
	binary.BigEndian.PutUint16(data[12:], packet.EtherTypeIPv4)
	h := data[14:34]
	clear(h)
	h[0], h[1], h[8], h[9] = 0x45, 0xc0, 64, packet.ProtoICMP // internetwork control (RFC 1812, section 4.3.2.5)
	binary.BigEndian.PutUint16(h[2:], uint16(28+quote))
	binary.BigEndian.PutUint32(h[12:], a.gateway)
	binary.BigEndian.PutUint32(h[16:], src)
	binary.BigEndian.PutUint16(h[10:], packet.Checksum(h, 0))
	icmp := data[34:]
	icmp[0], icmp[1], icmp[2], icmp[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(icmp[4:], rest)
	binary.BigEndian.PutUint16(icmp[2:], packet.Checksum(icmp, 0))
	w.ctr.drop(q.port, r)
	w.ctr.of(q.port).created++
	w.send(q.port, q.port, p)
}

// icmpHeaders is Ethernet, IPv4 and ICMP in front of the quoted packet.
const icmpHeaders = 14 + 20 + 8

// isICMPError reports messages that no ICMP error may be sent about.
func isICMPError(m *packet.Parsed, data []byte) bool {
	if m.Proto != packet.ProtoICMP || m.L4 == 0 {
		return false
	}
	switch data[m.L4] {
	case icmpUnreachable, 4, 5, icmpTimeExceeded, 12: // 4 source quench, 5 redirect, 12 parameter problem
		return true
	}
	return false
}

// answerPing answers an ICMP echo request to an address that the switch owns, in place; anything else is dropped for
// reason r.
func (w *worker) answerPing(in uint32, p *packet.Packet, m *packet.Parsed, r Reason) {
	data := p.Data()
	if m.Kind != packet.L3IPv4 || m.Proto != packet.ProtoICMP || m.Fragment || data[m.L4] != icmpEcho || data[m.L4+1] != 0 {
		w.discard(in, p, r)
		return
	}
	if !p.Writable() {
		w.discard(in, p, ReasonNotWritable)
		return
	}
	if packet.Checksum(data[m.L4:m.Len], 0) != 0 {
		w.discard(in, p, r)
		return
	}
	mac := packet.MAC(data[0:6])
	copy(data[0:6], data[6:12])
	copy(data[6:12], mac[:])
	ip := data[m.L3:]
	src := binary.BigEndian.Uint32(ip[12:])
	copy(ip[12:16], ip[16:20])
	binary.BigEndian.PutUint32(ip[16:], src)
	ttl := binary.BigEndian.Uint16(ip[8:])
	ip[8] = 64
	binary.BigEndian.PutUint16(ip[10:], packet.UpdateChecksum16(binary.BigEndian.Uint16(ip[10:]), ttl, binary.BigEndian.Uint16(ip[8:])))
	icmp := data[m.L4:]
	icmp[0] = icmpEchoReply
	binary.BigEndian.PutUint16(icmp[2:], packet.UpdateChecksum16(binary.BigEndian.Uint16(icmp[2:]), icmpEcho<<8, icmpEchoReply<<8))
	w.answered(in, p)
}
