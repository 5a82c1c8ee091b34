package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// classifyUplink looks at a frame from the fabric that packet.DecapPlain left over: NVGRE for this host is decapsulated and
// its inner frame parsed, ping and ARP for a provider address are answered, packets for a VM's provider address are
// rewritten, and everything else belongs to the ports that are not virtualised.
func (w *worker) classifyUplink(q *rxQueue, p *packet.Packet, i int) frameClass {
	data := p.Data()
	if len(q.local.PAs) == 0 || len(data) < outerLen-8 || packet.MAC(data[:6]) != q.mac {
		return w.classify(q, p, i, q.scope)
	}
	l2, etherType := packet.EthernetLen, binary.BigEndian.Uint16(data[12:])
	if etherType == packet.EtherTypeVLAN && packet.TCIVID(binary.BigEndian.Uint16(data[14:])) == packet.VIDPriority {
		l2, etherType = l2+packet.VLANLen, binary.BigEndian.Uint16(data[16:]) // as if it had no tag
	}
	ip := data[l2:]
	if etherType != packet.EtherTypeIPv4 || len(ip) < packet.IPv4Len {
		return w.classify(q, p, i, q.scope)
	}
	header, total := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || header < 20 || total < header || total > int(p.PktLen)-l2 {
		return w.refuse(q, p, ReasonOuterHeader)
	}
	if header > len(ip) {
		return w.refuse(q, p, shortOf(p, ReasonOuterHeader))
	}
	if !packet.IPv4(ip).ChecksumOK() {
		return w.refuse(q, p, ReasonOuterChecksum)
	}
	if !q.ownsPA(binary.BigEndian.Uint32(ip[16:])) {
		return classRewritten
	}
	if binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return w.refuse(q, p, ReasonOuterFragment)
	}
	switch ip[9] {
	case packet.ProtoGRE:
		return w.decapsulate(q, p, i, l2, header, total)
	case packet.ProtoICMP:
		if w.classify(q, p, i, q.scope) == classFlow {
			w.answerPing(q.port, p, &w.meta[i], ReasonNotForProvider)
		}
		return classDone
	}
	return w.refuse(q, p, ReasonNotForProvider)
}

func (w *worker) refuse(q *rxQueue, p *packet.Packet, r Reason) frameClass {
	w.discard(q.port, p, r)
	return classDone
}

// shortOf tells a header that goes on in the next segment from one that is cut off, which is counted under r.
func shortOf(p *packet.Packet, r Reason) Reason {
	if p.NbSegs > 1 {
		return reasonOf(packet.ErrSegments)
	}
	return r
}

// nvgreFlags are C=0 K=1 S=0, all reserved bits and the version 0 (RFC 7637, section 3.2).
const nvgreFlags = 0x2000

// decapsulate checks the GRE header and cuts the packet down to its inner frame: what lies beyond the outer IP length is
// padding of the link. The checks that need policy follow in the guard layer, or by the known flow's outer source.
func (w *worker) decapsulate(q *rxQueue, p *packet.Packet, i, l2, header, total int) frameClass {
	ip := p.Data()[l2:]
	if total < header+8 {
		return w.refuse(q, p, ReasonOuterHeader)
	}
	if len(ip) < header+8 {
		return w.refuse(q, p, shortOf(p, ReasonOuterHeader))
	}
	gre := ip[header : header+8]
	if binary.BigEndian.Uint16(gre) != nvgreFlags {
		return w.refuse(q, p, ReasonGREFlags)
	}
	if binary.BigEndian.Uint16(gre[2:]) != packet.EtherTypeTEB {
		return w.refuse(q, p, ReasonGREProtocol)
	}
	vsid := binary.BigEndian.Uint32(gre[4:]) >> 8
	if !packet.ValidVSID(vsid) {
		return w.refuse(q, p, ReasonReservedVSID)
	}
	w.burst.Outer[i] = packet.Outer{Src: binary.BigEndian.Uint32(ip[12:]), VSID: vsid, TOS: ip[1]}
	inner := total - header - 8
	p.TrimFront(l2 + header + 8)
	if int(p.PktLen) != inner && !p.SetLen(inner) {
		return w.refuse(q, p, ReasonNotWritable)
	}
	if w.burst.Outer[i].Src == 0 {
		return w.refuse(q, p, ReasonProviderSpoof) // 0.0.0.0 is no host's address
	}
	return w.classify(q, p, i, packet.NVGREScope(vsid))
}
