package dataplane

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// The rules of vports. Their verdict about a flow is part of its action; by themselves are decided only frames that are
// flooded, whose targets differ, and ARP and neighbour discovery of virtual subnets, which the switch answers itself.
// What the switch sends of its own is not subject to rules.

// aclOut applies the rules of the sender's vport.
func aclOut(_ *Switch, f *newFlow) bool {
	if f.port.ACL == 0 {
		return false
	}
	return f.rules(f.snap.ACL(f.port.ACL), policy.DirOut, f.srcMAC)
}

// aclIn applies the rules of the target's vport, once forwarding has found it on this switch.
func aclIn(_ *Switch, f *newFlow) bool {
	port := f.act.out
	if f.sub != nil {
		port = f.target.Port
	}
	acl := f.snap.Port(port).ACL
	if acl == 0 || port == f.in {
		return false
	}
	src := f.srcMAC
	if f.act.flags&flagRoute != 0 {
		src = f.snap.RouterMAC
	}
	return f.rules(f.snap.ACL(acl), policy.DirIn, src)
}

// rules decides by the rules of one direction. src is the Ethernet address that the VM sees.
func (f *newFlow) rules(acl *policy.ACL, d policy.Direction, src packet.MAC) bool {
	var p policy.ACLPacket
	policy.PacketOf(d, f.meta, f.src, f.dst, src, f.dstMAC, &p)
	if f.note != nil {
		return f.explainRules(acl, d, &p)
	}
	if r := acl.Decide(d, &p); r != nil && r.Denies() {
		return f.drop(denyReason(d))
	}
	return false
}

func denyReason(d policy.Direction) Reason {
	if d == policy.DirIn {
		return ReasonACLDenyIn
	}
	return ReasonACLDenyOut
}

// explainRules names the rules that a packet may meet whose protocol and ports are not known.
func (f *newFlow) explainRules(acl *policy.ACL, d policy.Direction, p *policy.ACLPacket) bool {
	verb := func(r *policy.ACLRule) string {
		if r.Denies() {
			return "denies"
		}
		return "allows"
	}
	maybe, decisive := acl.DecideAddrs(d, p)
	for _, r := range maybe {
		f.notef("%s: %s %s %s", d, acl.Describe(r), verb(r), r.Transport())
	}
	rest := "it"
	if len(maybe) > 0 {
		rest = "the rest"
	}
	if decisive == nil {
		f.notef("%s: no other rule of %s matches, so %s is allowed", d, acl.Owner, rest)
		return false
	}
	f.notef("%s: %s %s %s", d, acl.Describe(decisive), verb(decisive), rest)
	return decisive.Denies() && f.drop(denyReason(d))
}

// denies reports whether the rules of a vport drop a frame that is decided by itself.
func (w *worker) denies(i int, d policy.Direction, port *policy.Port, snap *policy.Snapshot) bool {
	if port.ACL == 0 {
		return false
	}
	var p policy.ACLPacket
	m := &w.meta[i]
	src, dst := w.addrs(i)
	policy.PacketOf(d, m, src, dst, m.SrcMAC(), m.DstMAC(), &p)
	r := snap.ACL(port.ACL).Decide(d, &p)
	return r != nil && r.Denies()
}

// addrs are the addresses of an IP packet as its flow key holds them, zero in other frames.
func (w *worker) addrs(i int) (src, dst packet.Addr) {
	switch w.meta[i].Kind {
	case packet.L3IPv4:
		k := w.meta[i].Key[3]
		return packet.AddrFrom4(bits.ReverseBytes32(uint32(k))), packet.AddrFrom4(bits.ReverseBytes32(uint32(k >> 32)))
	case packet.L3IPv6:
		var b [32]byte
		for n, word := range w.wide[i][3:7] {
			binary.LittleEndian.PutUint64(b[8*n:], word)
		}
		return packet.AddrFrom16(b[:16]), packet.AddrFrom16(b[16:])
	}
	return packet.Addr{}, packet.Addr{}
}
