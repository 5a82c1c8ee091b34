package dataplane

import (
	"fmt"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// newFlow is what the layers know about a flow that no table holds yet, and the action that they compose for it.
type newFlow struct {
	snap    *policy.Snapshot
	now     int64 // clock, ns
	in      uint32
	port    *policy.Port // of in
	meta    *packet.Parsed
	src     packet.Addr // zero in frames that are not IP
	dst     packet.Addr
	srcMAC  packet.MAC
	dstMAC  packet.MAC
	entropy uint32

	rewritten    bool // came for the provider address of a VM
	encapsulated bool // came in NVGRE
	vsid         uint32
	outerSrc     packet.Addr

	sub    *policy.Subnet // of the sender, or of the VSID on the wire
	target *policy.Record // where it goes; nil until forwarding found it
	via    policy.Record  // target that stands for a provider gateway
	wire   uint32         // VSID for the wire: that of the target
	class  policy.Verdict

	srcCell, dstCell uint16
	act              action
	note             func(string) // takes the steps of an explanation; nil in the data path
}

func (f *newFlow) isIP() bool { return f.meta.Kind == packet.L3IPv4 || f.meta.Kind == packet.L3IPv6 }

// isMapped reports an IPv6 packet with an IPv4 address in it (RFC 4291, section 2.5.5.2), which would be taken for the
// IPv4 address itself.
func (f *newFlow) isMapped() bool {
	return f.meta.Kind == packet.L3IPv6 && (f.src.Is4() || f.dst.Is4())
}

// layer decides a part of a new flow. It returns true when nothing is left to decide. The verdict that f starts with is
// to drop; a layer that drops says why.
type layer struct {
	name   string
	decide func(*Switch, *newFlow) bool
}

// layers in their order. No layer touches packet bytes: all of a known flow's cost is its action.
var layers = []layer{
	{"guard", guard},
	{"acl-out", aclOut},
	{"classify", classify},
	{"forward", forward},
	{"acl-in", aclIn},
	{"virtualise", virtualise},
}

func (f *newFlow) drop(r Reason) bool {
	f.act = action{kind: actDrop, reason: r}
	if f.note != nil {
		f.note(fmt.Sprintf("dropped: %s (%s)", r, r.Explain()))
	}
	return true
}

// notef adds a step to an explanation. Callers ask for one first: the arguments would be allocated for every new flow.
func (f *newFlow) notef(format string, args ...any) { f.note(fmt.Sprintf(format, args...)) }

// decide runs the layers over f, whose fields in, meta, src, dst, the MACs and, for NVGRE, vsid and outerSrc are set.
// stable says that epoch belongs to the verdict; otherwise the policy kept changing, and the flow must not be remembered.
func (s *Switch) decide(f *newFlow) (epoch uint32, stable bool) {
	src, dst, srcMAC, dstMAC := f.src, f.dst, f.srcMAC, f.dstMAC // of the packet; guardRewritten puts the VMs' own in place
	for range 4 {
		f.src, f.dst, f.srcMAC, f.dstMAC = src, dst, srcMAC, dstMAC
		snap, learned := s.snap.Load(), s.fdb.version.Load()
		f.snap, f.port = snap, snap.Port(f.in)
		f.sub, f.target, f.wire, f.rewritten = nil, nil, 0, false
		f.act, f.class = action{}, policy.Verdict{}
		f.srcCell = portCell(f.in)
		f.dstCell = f.srcCell
		for i := range layers {
			if layers[i].decide(s, f) {
				break
			}
		}
		f.settle()
		epoch = s.epochs.sum(f.srcCell, f.dstCell)
		if s.snap.Load() == snap && s.fdb.version.Load() == learned {
			return epoch, true
		}
	}
	return epoch, false
}

// guard refuses what the sender may not send: isolation and anti-spoofing at the source, and on receipt the proof that
// the inner sender really lives where the outer source says.
func guard(s *Switch, f *newFlow) bool {
	switch {
	case f.encapsulated:
		return guardNVGRE(f)
	case f.port.Kind == policy.PortVport && f.port.Attach == policy.AttachSubnet:
		return guardVport(f)
	case f.forRewrittenVM():
		return guardRewritten(f)
	case f.port.Kind == policy.PortNone:
		return f.drop(ReasonPortGone)
	}
	return false
}

func guardVport(f *newFlow) bool {
	f.sub = f.snap.Subnets[f.port.Subnet]
	f.srcCell = portCell(f.in)
	if f.meta.Nested || f.meta.VID() != 0 {
		return f.drop(ReasonVLANTag)
	}
	if f.srcMAC != f.port.MAC {
		return f.drop(ReasonSourceMACSpoof)
	}
	if f.isMapped() {
		return f.drop(ReasonMartian)
	}
	if !f.isIP() || mayUse(f.snap, f.sub, f.in, f.src) {
		return false
	}
	if f.dstMAC.IsGroup() {
		return f.drop(ReasonTenantBroadcast) // DHCP and router solicitations come before an address is known
	}
	return f.drop(ReasonSourceAddrSpoof)
}

// mayUse reports whether the VM at port may send from address a: its own, its link-local IPv6 one, or, for a VM that is
// the next hop of a customer route, one that the route covers.
func mayUse(snap *policy.Snapshot, sub *policy.Subnet, port uint32, a packet.Addr) bool {
	if r := sub.ByCA(a); r != nil {
		return r.Port == port
	}
	if packet.IsLinkLocal6(a) {
		return a != linkLocalRouter
	}
	return behindRoute(snap, sub.RDID, a, func(r *policy.Route) bool {
		hop := recordOf(snap, sub.RDID, r.NextHop)
		return hop != nil && hop.Port == port
	})
}

// behindRoute reports whether a lies outside every subnet of the domain, behind a route that yes is true of. Any route
// will do, not only the best one: which of several a packet takes is decided at the other end.
func behindRoute(snap *policy.Snapshot, rdid uint32, a packet.Addr, yes func(*policy.Route) bool) bool {
	d := snap.Domain(rdid)
	if d == nil || !routable(a) || snap.SubnetOf(rdid, a) != nil {
		return false
	}
	for i := range d.Routes {
		if r := &d.Routes[i]; r.Prefix.Contains(a) && yes(r) {
			return true
		}
	}
	return false
}

func recordOf(snap *policy.Snapshot, rdid uint32, a packet.Addr) *policy.Record {
	if sub := snap.SubnetOf(rdid, a); sub != nil {
		return sub.ByCA(a)
	}
	return nil
}

// guardNVGRE looks the inner sender up by routing domain and inner source address, not by the VSID on the wire: a routed
// frame bears the router's MAC and the target's VSID.
func guardNVGRE(f *newFlow) bool {
	f.sub = f.snap.SubnetByVSID(f.vsid)
	if f.sub == nil {
		return f.drop(ReasonUnknownVSID)
	}
	f.srcCell = macCell(f.vsid, false, f.srcMAC)
	if f.meta.Tagged || f.meta.Nested {
		return f.drop(ReasonInnerVLAN)
	}
	if f.isMapped() {
		return f.drop(ReasonMartian)
	}
	if reason := guardSender(f); reason != ReasonUndecided {
		return f.drop(reason)
	}
	f.act.flags |= flagDecap
	f.act.outerSrc = f.outerSrc.V4()
	return false
}

// guardSender says why the inner source cannot live where the outer one says; ReasonUndecided when it can.
func guardSender(f *newFlow) Reason {
	if !f.isIP() || packet.IsLinkLocal6(f.src) {
		return senderFault(f, f.sub.ByMAC(f.srcMAC))
	}
	f.srcCell = addrCell(f.sub.RDID, f.src)
	if sender := recordOf(f.snap, f.sub.RDID, f.src); sender != nil {
		return senderFault(f, sender)
	}
	reason := ReasonUnknownSender
	behindRoute(f.snap, f.sub.RDID, f.src, func(r *policy.Route) bool {
		if fault := routeFault(f, r); fault != ReasonUnknownSender {
			reason = fault
		}
		return reason == ReasonUndecided
	})
	return reason
}

// routeFault says why a frame cannot come from the next hop of a route. A provider gateway may bear any MAC but a VM's,
// and answers with the VSID that it was sent.
func routeFault(f *newFlow, r *policy.Route) Reason {
	if r.Gateway.IsZero() {
		return senderFault(f, recordOf(f.snap, f.sub.RDID, r.NextHop))
	}
	if r.Subnet != policy.NoIndex && r.Subnet != f.sub.Index {
		return ReasonUnknownSender
	}
	f.via = policy.Record{PA: r.Gateway, Port: policy.NoIndex, Subnet: f.sub.Index}
	if f.sub.ByMAC(f.srcMAC) == nil {
		f.via.MAC = f.srcMAC
	}
	return senderFault(f, &f.via)
}

// senderFault says why a frame cannot be sender's. The router's MAC is the source of a frame that was routed on the
// sender's host, be it back into the sender's own subnet.
func senderFault(f *newFlow, sender *policy.Record) Reason {
	switch {
	case sender == nil || f.src == linkLocalRouter:
		return ReasonUnknownSender
	case sender.Local() || sender.Rewrite || !f.snap.SameHost(sender.PA, f.outerSrc):
		return ReasonProviderSpoof
	case f.srcMAC != f.snap.RouterMAC && (f.srcMAC != sender.MAC || sender.Subnet != f.sub.Index):
		return ReasonInnerSourceMAC
	}
	return ReasonUndecided
}

// forward finds where the flow goes.
func forward(s *Switch, f *newFlow) bool {
	switch {
	case f.sub == nil:
		return forwardBridged(s, f)
	case f.encapsulated:
		return deliverNVGRE(f)
	case f.rewritten:
		return false // the guard found the VM by its provider address
	}
	if f.meta.Tagged {
		f.act.flags |= flagStripTag
	}
	f.act.flags |= flagAnswer
	f.act.gateway = f.sub.Gateway4.V4()
	f.act.srcMAC = f.snap.RouterMAC
	switch {
	case f.dstMAC == f.snap.RouterMAC:
		return forwardRouted(f)
	case f.dstMAC.IsGroup():
		return f.drop(ReasonTenantBroadcast)
	}
	f.dstCell = macCell(f.sub.VSID, false, f.dstMAC)
	f.target = f.sub.ByMAC(f.dstMAC)
	if f.target == nil {
		return f.drop(ReasonUnknownMAC)
	}
	f.wire = f.sub.VSID
	if f.note != nil {
		f.notef("switched inside subnet %s to %s (%s)", f.sub.Name, f.target.CA, f.target.MAC)
	}
	return false
}

func deliverNVGRE(f *newFlow) bool {
	if f.dstMAC.IsGroup() {
		return f.drop(ReasonTenantBroadcast)
	}
	f.dstCell = macCell(f.vsid, false, f.dstMAC)
	f.target = f.sub.ByMAC(f.dstMAC)
	if f.target == nil || !f.target.Local() {
		f.target = nil
		return f.drop(ReasonNotLocal)
	}
	f.wire = f.vsid
	return false
}

// forwardRouted is the distributed router: the subnets of one routing domain reach each other on the sender's host.
func forwardRouted(f *newFlow) bool {
	if !f.isIP() {
		return f.drop(ReasonRouterNonIP)
	}
	f.dstCell = addrCell(f.sub.RDID, f.dst)
	to := f.snap.SubnetOf(f.sub.RDID, f.dst)
	if f.sub.IsGateway(f.dst) || (to != nil && to.IsGateway(f.dst)) {
		if f.note != nil {
			f.notef("%s is the gateway: the switch itself", f.dst)
		}
		f.act.kind = actGateway
		return true
	}
	if !routable(f.src) || !routable(f.dst) {
		return f.drop(ReasonMartian)
	}
	if to == nil {
		return forwardByRoute(f)
	}
	f.target = to.ByCA(f.dst)
	if f.target == nil {
		return f.drop(ReasonUnknownAddr)
	}
	if f.note != nil {
		f.notef("routed from subnet %s to %s", f.sub.Name, to.Name)
	}
	f.route(to, f.target.MAC)
	return false
}

// routable reports an address that a router may pass on: no unspecified, loopback, link-local, group, broadcast or class
// E one (RFC 1812, section 5.3.7; RFC 4291, section 2.5).
func routable(a packet.Addr) bool {
	if a.Is4() {
		net := a.V4() >> 24
		return net != 0 && net != 127 && net < 224 && a.V4()>>16 != 0xa9fe
	}
	return a.Hi|a.Lo>>1 != 0 && !packet.IsLinkLocal6(a) && !packet.IsMulticast6(a)
}

func (f *newFlow) route(to *policy.Subnet, dst packet.MAC) {
	f.act.flags |= flagRoute
	f.act.dstMAC = dst
	f.wire = to.VSID
}

// forwardByRoute serves destinations outside every subnet of the domain: a gateway VM or a provider gateway.
func forwardByRoute(f *newFlow) bool {
	r := f.snap.RouteOf(f.sub, f.dst)
	if r == nil {
		return f.drop(ReasonNoRoute)
	}
	if !r.Gateway.IsZero() {
		if f.note != nil {
			f.notef("routed to provider gateway %s", r.Gateway)
		}
		f.route(f.sub, f.snap.RouterMAC)
		f.via = policy.Record{PA: r.Gateway, Port: policy.NoIndex, Subnet: f.sub.Index}
		f.target = &f.via
		return false
	}
	f.target = recordOf(f.snap, f.sub.RDID, r.NextHop)
	if f.target == nil {
		return f.drop(ReasonUnknownAddr)
	}
	if f.note != nil {
		f.notef("routed to next hop %s", r.NextHop)
	}
	f.route(f.snap.Subnets[f.target.Subnet], f.target.MAC)
	return false
}

// virtualise completes the action for the target: a port of this switch, or NVGRE or rewriting to another host.
func virtualise(s *Switch, f *newFlow) bool {
	if f.sub == nil {
		return true // bridged: forwarding has completed the action
	}
	if f.target.Local() {
		return f.toLocal()
	}
	if f.exactTarget(); f.target.Rewrite {
		return rewriteOut(s, f)
	}
	pa, path, ok := f.snap.PathTo(f.target.PA, f.entropy)
	if !ok || !pa.Is4() || !path.NextHop.Is4() {
		return f.drop(ReasonNoProviderPath)
	}
	hop, ok := s.neighbours.index(path.Uplink, path.NextHop.V4())
	if !ok {
		return f.drop(ReasonNextHopTableFull)
	}
	uplink := f.snap.Port(path.Uplink)
	f.act.kind = actEncap
	f.act.out = path.Uplink
	f.act.nextHop = hop
	f.act.vsid = f.wire
	f.act.maxLen = addMTU(uplink.MTU, 14-outerLen)
	f.act.mtu = addMTU(uplink.MTU, -outerLen)
	f.act.sum = encodeOuter(&f.act.header, uplink.MAC, path.Source.V4(), pa.V4(), f.wire)
	if f.note != nil {
		f.notef("NVGRE, VSID %d, from provider address %s to %s by next hop %s", f.wire, path.Source, pa, path.NextHop)
	}
	return true
}

// addMTU keeps within 16 bits whatever MTU a device has.
func addMTU(mtu uint16, n int) uint16 { return uint16(min(max(int(mtu)+n, 0), 1<<16-1)) }

func (f *newFlow) toLocal() bool {
	if f.target.Port == f.in {
		return f.drop(ReasonHairpin)
	}
	out := f.snap.Port(f.target.Port)
	f.act.kind = actForward
	f.act.out = f.target.Port
	f.act.vsid = f.wire
	f.act.maxLen = addMTU(out.MTU, 14)
	f.act.mtu = out.MTU
	if f.rewritten {
		f.act.kind = actRewriteIn
	}
	if f.note != nil {
		f.notef("to a local vport")
	}
	return true
}
