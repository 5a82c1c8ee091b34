package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// classifyUplink looks at a frame from the fabric: NVGRE for this host is decapsulated and its inner frame parsed, ping
// and ARP for a provider address are answered, packets for a VM's provider address are rewritten, and everything else
// belongs to the ports that are not virtualised.
func (w *worker) classifyUplink(q *rxQueue, p *packet.Packet, i int) frameClass {
	if w.decapsulatePlain(q, p, i) {
		return classFlow
	}
	data := p.Data()
	if q.count == 0 || len(data) < outerLen-8 || packet.MAC(data[:6]) != q.mac {
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
		return w.classifyRewritten(q, p, i)
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

// decapsulatePlain is the way of most packets: NVGRE for this host, without tag or IP options outside, around what
// packet.ParsePlain reads. It reports false, having changed nothing that counts, for all others and for everything
// malformed, which the general way decides about.
func (w *worker) decapsulatePlain(q *rxQueue, p *packet.Packet, i int) bool {
	data := p.Data()
	if p.NbSegs != 1 || len(data) < outerLen {
		return false
	}
	h := (*[outerLen]byte)(data)
	total := int(binary.BigEndian.Uint16(h[outerTotOff:]))
	if binary.BigEndian.Uint32(h[12:]) != packet.EtherTypeIPv4<<16|0x45<<8|uint32(h[outerTOSOff]) || h[outerIPOff+9] != packet.ProtoGRE ||
		binary.BigEndian.Uint16(h[outerIPOff+6:])&0x3fff != 0 || total > len(data)-outerIPOff || total < outerLen-outerIPOff ||
		binary.BigEndian.Uint32(h[outerGREOff:]) != nvgreFlags<<16|packet.EtherTypeTEB || packet.MAC(h[:6]) != q.mac {
		return false
	}
	vsid, src := binary.BigEndian.Uint32(h[outerKeyOff:])>>8, binary.BigEndian.Uint32(h[outerSrcOff:])
	if !packet.ValidVSID(vsid) || src == 0 || !q.ownsPA(binary.BigEndian.Uint32(h[outerDstOff:])) || !packet.IPv4(h[outerIPOff:outerGREOff]).ChecksumOK() {
		return false
	}
	hash, ok := packet.ParsePlain(data[outerLen:outerIPOff+total], packet.NVGREScope(vsid), q.flows.seed, &w.meta[i])
	if !ok {
		return false
	}
	o := &w.outer[i] // field by field, as in packet.ParsePlain
	o.src, o.vsid, o.tos = src, vsid, h[outerTOSOff]
	w.hash[i] = hash
	inner := uint16(total - (outerLen - outerIPOff))
	p.DataOff += outerLen
	p.DataLen, p.PktLen = inner, uint32(inner)
	return true
}

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
	w.outer[i] = outerInfo{src: binary.BigEndian.Uint32(ip[12:]), vsid: vsid, tos: ip[1]}
	inner := total - header - 8
	p.TrimFront(l2 + header + 8)
	if int(p.PktLen) != inner && !p.SetLen(inner) {
		return w.refuse(q, p, ReasonNotWritable)
	}
	if w.outer[i].src == 0 {
		return w.refuse(q, p, ReasonProviderSpoof) // 0.0.0.0 is no host's address
	}
	return w.classify(q, p, i, packet.NVGREScope(vsid))
}
