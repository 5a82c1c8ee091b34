package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// NextHop explains what becomes of a packet between two customer addresses.
type NextHop struct {
	Verdict    string // local, nvgre, rewrite, gateway or drop
	Reason     Reason // of drop
	Steps      []string
	Port       uint32     // of local: the vport
	Uplink     uint32     // of nvgre and rewrite
	VSID       uint32     // on the wire
	MAC        packet.MAC // inner destination
	PA         packet.Addr
	NextHop    packet.Addr
	NextHopMAC packet.MAC // zero until ARP has answered
	MTU        uint16     // largest IP packet that passes
}

// ErrUnknownSubnet is returned for a VSID that the host does not know.
var ErrUnknownSubnet = errors.New("no subnet with this VSID on this host")

// NextHop runs the very layers of the data path for a packet from src in subnet vsid to dst. The sender need not be on
// this host: its guard is left out then, and the steps say so.
func (s *Switch) NextHop(vsid uint32, src, dst packet.Addr) (NextHop, error) {
	snap := s.snap.Load()
	sub := snap.SubnetByVSID(vsid)
	if sub == nil {
		return NextHop{}, fmt.Errorf("next hop from VSID %d: %w", vsid, ErrUnknownSubnet)
	}
	var hop NextHop
	f := &newFlow{snap: snap, sub: sub, in: policy.NoIndex, port: snap.Port(policy.NoIndex), now: s.clock(), src: src, dst: dst,
		meta: &packet.Parsed{Kind: kindOf(dst)}, note: func(step string) { hop.Steps = append(hop.Steps, step) }}
	s.explainEnds(f, sub)
	sender := sub.ByCA(src)
	if sender != nil {
		f.srcMAC = sender.MAC
	}
	if sender != nil && sender.Local() {
		f.in, f.port = sender.Port, snap.Port(sender.Port)
		f.notef("sender %s is on this host", src)
		if guardVport(f) || aclOut(s, f) || classify(s, f) {
			hop.fill(s, f)
			return hop, nil
		}
	} else {
		f.notef("sender %s is not on this host: the decision is this host's, without the sender's guard", src)
	}
	if !forward(s, f) && !aclIn(s, f) {
		virtualise(s, f)
	}
	hop.fill(s, f)
	return hop, nil
}

func kindOf(a packet.Addr) packet.Layer3 {
	if a.Is4() {
		return packet.L3IPv4
	}
	return packet.L3IPv6
}

// explainEnds sets the destination MAC that the sender would use: the target's inside the subnet, the router's else.
func (s *Switch) explainEnds(f *newFlow, sub *policy.Subnet) {
	f.dstMAC = f.snap.RouterMAC
	if !sub.Contains(f.dst) || sub.IsGateway(f.dst) {
		return
	}
	if r := sub.ByCA(f.dst); r != nil {
		f.dstMAC = r.MAC
	}
}

func (h *NextHop) fill(s *Switch, f *newFlow) {
	a := &f.act
	h.Reason, h.VSID, h.MTU = a.reason, f.wire, a.mtu
	h.MAC = f.dstMAC
	if a.flags&flagRoute != 0 {
		h.MAC = a.dstMAC
	}
	switch a.kind {
	case actForward:
		h.Verdict, h.Port = "local", a.out
	case actEncap, actRewriteOut:
		h.Verdict, h.Uplink = "nvgre", a.out
		if a.kind == actRewriteOut {
			h.Verdict = "rewrite"
		}
		e := &s.neighbours.entries[a.nextHop]
		h.NextHop, h.NextHopMAC = packet.AddrFrom4(e.addr()), packet.MACFromUint64(e.mac.Load())
		h.PA = packet.AddrFrom4(binary.BigEndian.Uint32(a.header[outerDstOff:]))
	case actGateway:
		h.Verdict = "gateway"
	default:
		h.Verdict = "drop"
	}
}
