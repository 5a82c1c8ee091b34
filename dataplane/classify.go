package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Classification: which traffic class a packet of a vport is in, and how it is marked. The layer of this name looks at the
// packet as the VM sent it; what its verdict means for the action is known once the other layers have found the output
// (newFlow.settle).

// classify finds the traffic class and the marks of what a vport sends. What comes from the fabric has its marks already.
func classify(_ *Switch, f *newFlow) bool {
	if f.snap.Classes == nil || f.port.Kind != policy.PortVport {
		return false
	}
	var p policy.ClassPacket
	f.classPacket(&p)
	f.class = f.snap.Classes.Decide(&p)
	if f.note != nil {
		for _, step := range f.snap.Classes.Describe(&p) {
			f.note(step)
		}
	}
	return false
}

func (f *newFlow) classPacket(p *policy.ClassPacket) {
	policy.PacketOf(policy.DirOut, f.meta, f.src, f.dst, f.srcMAC, f.dstMAC, &p.ACLPacket)
	p.In = f.in
	if f.sub != nil {
		p.VSID, p.RDID = f.sub.VSID, f.sub.RDID
	}
	p.DSCP, p.PCP, p.Tagged = f.meta.TOS>>2, packet.TCIPCP(f.meta.TCI), f.meta.Tagged
}

// settle brings the verdict of classification into the action. Marks that the packets have already are left out, so that
// their flow keeps to the fast loops: what they bear is part of the flow's key.
func (f *newFlow) settle() {
	a, c := &f.act, f.snap.Classes
	out := a.out
	switch a.kind {
	case actFlood:
		br := f.snap.Bridges[a.out]
		if br == nil {
			return
		}
		out = br.Uplink
	case actForward, actEncap, actRewriteOut, actRewriteIn:
	default:
		return
	}
	if s := f.snap.QoS.Scheduler(out); s != nil {
		dest := uint8(0)
		if f.isIP() && f.snap.Port(out).Kind == policy.PortUplink {
			dest = f.snap.QoS.Dest(f.in, f.dst)
		}
		a.queue = makeQueue(s.Class(f.class.TC), dest)
	}
	if c == nil || f.port.Kind != policy.PortVport {
		return
	}
	dscp := f.meta.TOS >> 2
	if m := f.class.DSCP; m.Set && f.isIP() && m.Value != dscp {
		dscp = m.Value
		a.flags |= flagDSCP
		a.dscp = dscp
	}
	switch pcp := f.class.PCP; a.kind {
	case actForward, actFlood:
		if f.snap.Port(out).Kind == policy.PortUplink && pcp.Set && pcp.Value != f.priority() {
			a.flags |= flagPCP
			a.pcp = pcp.Value
		}
	case actEncap, actRewriteOut:
		outer := c.Outer(f.class.TC)
		if outer.PCP.Set {
			pcp = outer.PCP
		}
		if pcp.Set && pcp.Value != 0 {
			a.flags |= flagPCP
			a.pcp = pcp.Value
		}
		if a.kind == actEncap && outer.DSCP.Set && outer.DSCP.Value != dscp {
			a.flags |= flagOuterDSCP
			a.outerDSCP = outer.DSCP.Value
		}
	}
}

// priority is what the frame bears: without a tag it is that of best effort.
func (f *newFlow) priority() uint8 {
	if !f.meta.Tagged {
		return 0
	}
	return packet.TCIPCP(f.meta.TCI)
}

// setDSCP marks an IP packet whose headers may be written.
func setDSCP(data []byte, m *packet.Parsed, dscp uint8) {
	switch m.Kind {
	case packet.L3IPv4:
		packet.SetDSCP4(data[m.L3:], dscp)
	case packet.L3IPv6:
		packet.SetDSCP6(data[m.L3:], dscp)
	default:
		return
	}
	m.TOS = dscp<<2 | m.TOS&packet.ECNMask
}

// setTag gives a frame that is forwarded its VLAN and priority, in its tag or a new one; false without headroom.
func setTag(p *packet.Packet, m *packet.Parsed, a *action) bool {
	tci := uint16(0)
	if m.Tagged {
		tci = m.TCI
	}
	if a.flags&flagPushTag != 0 {
		tci = tci&^0xfff | a.tag
	}
	if a.flags&flagPCP != 0 {
		tci = tci&0x1fff | packet.MakeTCI(a.pcp, false, 0)
	}
	if !m.Tagged {
		return insertTag(p, tci)
	}
	binary.BigEndian.PutUint16(p.Data()[14:], tci)
	return true
}

// insertTag puts a tag in front of the EtherType of a frame whose first segment may be written; false without headroom.
func insertTag(p *packet.Packet, tci uint16) bool {
	if !p.Prepend(packet.VLANLen) {
		return false
	}
	data := p.Data()
	copy(data[:12], data[packet.VLANLen:])
	binary.BigEndian.PutUint32(data[12:], packet.EtherTypeVLAN<<16|uint32(tci))
	return true
}
