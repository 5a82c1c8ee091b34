package policy

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/sluicenet/sluice/packet"
)

// Direction of a packet as the VM sees it.
type Direction uint8

// The values of Direction.
const (
	DirIn  Direction = iota // towards the VM
	DirOut                  // from the VM
	numDirections
)

func (d Direction) String() string { return [...]string{"in", "out"}[d] }

// FrameClass says what rules can tell about a frame. A rule holds a set of them, a frame is of one.
type FrameClass uint8

// The values of FrameClass.
const (
	FrameIPv4      FrameClass = 1 << iota
	FrameIPv6                 // but neighbour discovery
	FrameARP                  // only rules with its EtherType concern it
	FrameNeighbour            // neighbour solicitations and advertisements: only rules with the EtherType of IPv6
	FrameOther                // neither ARP nor IP
	FrameOpaque               // may hide IP where the switch does not look: behind a second tag, or in LLC
)

// ACLPacket is what rules look at, as the VM sees it: remote is the other end.
type ACLPacket struct {
	Remote, Local         packet.Addr // zero in frames that are not IP
	RemoteMAC             packet.MAC
	Class                 FrameClass
	Proto                 uint8
	HasPorts              bool // false in fragments: even the first one shares its flow with those that bear no ports
	RemotePort, LocalPort uint16
	EtherType             uint16 // of FrameOther and FrameOpaque; 0 in LLC
}

// PortRange is a range of transport ports, both ends included.
type PortRange struct {
	Low, High uint16
	Set       bool // false: any port, and none
}

func (p PortRange) String() string {
	switch {
	case !p.Set:
		return "-"
	case p.Low == p.High:
		return fmt.Sprint(p.Low)
	}
	return fmt.Sprintf("%d-%d", p.Low, p.High)
}

// ports is a range so that one comparison tells whether it holds a port.
type ports struct{ low, more uint16 }

func (p ports) hold(n uint16) bool { return n-p.low <= p.more }

func (p ports) String() string { return PortRange{p.low, p.low + p.more, true}.String() }

// What a rule asks for besides addresses.
const (
	asksProto = 1 << iota
	asksRemotePort
	asksLocalPort
	asksMAC
	asksEtherType
	denies
)

// ACLRule is a rule as the data path compares it: one cache line, no pointers. An address matches when nothing differs
// after the shift, which is 64 for words that take no part.
type ACLRule struct {
	remote, local           packet.Addr
	remoteShift, localShift [2]uint8
	remotePorts, localPorts ports
	number                  uint32 // in ACL.origins
	remoteMAC               packet.MAC
	etherType               uint16
	classes                 FrameClass
	proto                   uint8
	asks                    uint8
}

// Denies reports that the rule drops what it matches; otherwise it lets it pass.
func (r *ACLRule) Denies() bool { return r.asks&denies != 0 }

// ACL is a list of rules, shared by the vports that have the same. It is immutable once it is part of a Snapshot.
type ACL struct {
	Owner string // "vport red-vm1", "list web"
	// rules of each direction in the order of decision: by weight, the highest first, then as in the file
	rules   [numDirections][]ACLRule
	classes [numDirections]FrameClass // that any rule concerns
	origins []origin
}

// origin says where a rule comes from. It takes no part in decisions.
type origin struct {
	name string
	line int32
}

var noACL ACL

// Concerns reports whether any rule of the direction may match frames of a class.
func (a *ACL) Concerns(d Direction, c FrameClass) bool { return a.classes[d]&c != 0 }

// Decide finds the rule that decides about a packet; nil when none matches, and the packet may pass.
func (a *ACL) Decide(d Direction, p *ACLPacket) *ACLRule {
	if !a.Concerns(d, p.Class) {
		return nil
	}
	rules := a.rules[d]
	for i := range rules {
		if r := &rules[i]; r.reaches(p) && (r.asks&^denies == 0 || r.agrees(p)) {
			return r
		}
	}
	return nil
}

// reaches compares class and addresses. What the switch does not look into may have any address.
func (r *ACLRule) reaches(p *ACLPacket) bool {
	return r.classes&p.Class != 0 && (differ(&r.remote, &p.Remote, &r.remoteShift)|differ(&r.local, &p.Local, &r.localShift) == 0 ||
		p.Class == FrameOpaque)
}

func differ(a, b *packet.Addr, shift *[2]uint8) uint64 {
	return (a.Hi^b.Hi)>>shift[0] | (a.Lo^b.Lo)>>shift[1]
}

// agrees compares all else. What the switch cannot see is taken against the packet: a rule with ports that allows does
// not match a fragment, one that denies does.
func (r *ACLRule) agrees(p *ACLPacket) bool {
	switch {
	case r.asks&asksMAC != 0 && r.remoteMAC != p.RemoteMAC,
		r.asks&asksEtherType != 0 && r.etherType != p.EtherType:
		return false
	case p.Class == FrameOpaque: // only rules that deny ask for more of it
		return true
	case r.asks&asksProto != 0 && r.proto != p.Proto:
		return false
	case r.asks&(asksRemotePort|asksLocalPort) == 0:
		return true
	case !p.HasPorts:
		return r.Denies()
	}
	return (r.asks&asksRemotePort == 0 || r.remotePorts.hold(p.RemotePort)) &&
		(r.asks&asksLocalPort == 0 || r.localPorts.hold(p.LocalPort))
}

// DecideAddrs is Decide for an IP packet of which protocol and ports are not known: decisive is the first rule that does
// not ask for them, nil without one, and maybe are those before it which do.
func (a *ACL) DecideAddrs(d Direction, p *ACLPacket) (maybe []*ACLRule, decisive *ACLRule) {
	rules := a.rules[d]
	for i := range rules {
		r := &rules[i]
		if !r.reaches(p) || r.asks&asksMAC != 0 && r.remoteMAC != p.RemoteMAC {
			continue
		}
		if r.asks&asksProto == 0 {
			return maybe, r
		}
		maybe = append(maybe, r)
	}
	return maybe, nil
}

// Describe names a rule of the list: "acl ssh of vport red-vm1 (line 12)".
func (a *ACL) Describe(r *ACLRule) string {
	o := a.origins[r.number]
	s := "acl " + o.name + " of " + a.Owner
	if o.line > 0 {
		s += fmt.Sprintf(" (line %d)", o.line)
	}
	return s
}

// Transport says which protocol and ports the rule asks for: "tcp, local port 22".
func (r *ACLRule) Transport() string {
	if r.asks&asksProto == 0 {
		return "any"
	}
	s := protocolName(r.proto)
	if r.asks&asksRemotePort != 0 {
		s += ", remote port " + r.remotePorts.String()
	}
	if r.asks&asksLocalPort != 0 {
		s += ", local port " + r.localPorts.String()
	}
	return s
}

// sameRules reports that two lists decide alike. Names and lines take no part.
func (a *ACL) sameRules(b *ACL) bool {
	return a == b || slices.Equal(a.rules[DirIn], b.rules[DirIn]) && slices.Equal(a.rules[DirOut], b.rules[DirOut])
}

func (a *ACL) equal(b *ACL) bool {
	return a.Owner == b.Owner && slices.Equal(a.origins, b.origins) && a.sameRules(b)
}

// compileACL brings rules into the order and the form of decision.
func compileACL(owner string, rules []ACLConfig) *ACL {
	a := &ACL{Owner: owner, origins: make([]origin, len(rules))}
	var counts [numDirections]int
	for i := range rules {
		for d := range numDirections {
			if rules[i].concerns(d) {
				counts[d]++
			}
		}
	}
	for d, n := range counts {
		a.rules[d] = make([]ACLRule, 0, n)
	}
	for i, c := range byWeight(rules) {
		a.origins[i] = origin{c.Name, c.pos.line}
		r := c.compile()
		r.number = uint32(i)
		for d := range numDirections {
			if c.concerns(d) {
				a.rules[d] = append(a.rules[d], r)
				a.classes[d] |= r.classes
			}
		}
	}
	return a
}

// byWeight are the rules in the order of decision.
func byWeight(rules []ACLConfig) []*ACLConfig {
	sorted := make([]*ACLConfig, len(rules))
	for i := range rules {
		sorted[i] = &rules[i]
	}
	slices.SortStableFunc(sorted, func(a, b *ACLConfig) int { return int(b.Weight) - int(a.Weight) })
	return sorted
}

func (c *ACLConfig) concerns(d Direction) bool {
	return c.Direction == DirectionBoth || c.Direction == d.String()
}

func (c *ACLConfig) compile() ACLRule {
	r := ACLRule{classes: c.classes(), remoteShift: [2]uint8{64, 64}, localShift: [2]uint8{64, 64}}
	if c.Action == ActionDeny {
		r.asks |= denies
	}
	if c.Remote.IsValid() {
		r.remote, r.remoteShift = compiledPrefix(PrefixFrom(c.Remote))
	}
	if c.Local.IsValid() {
		r.local, r.localShift = compiledPrefix(PrefixFrom(c.Local))
	}
	if proto, ok := protocolNumber(c.Protocol); ok {
		r.proto, r.asks = proto, r.asks|asksProto
	}
	if p := c.RemotePort; p.Set {
		r.remotePorts, r.asks = ports{p.Low, p.High - p.Low}, r.asks|asksRemotePort
	}
	if p := c.LocalPort; p.Set {
		r.localPorts, r.asks = ports{p.Low, p.High - p.Low}, r.asks|asksLocalPort
	}
	if !c.RemoteMAC.IsZero() {
		r.remoteMAC, r.asks = c.RemoteMAC, r.asks|asksMAC
	}
	if r.classes&(FrameOther|FrameOpaque) != 0 && c.EtherType != 0 {
		r.etherType, r.asks = c.EtherType, r.asks|asksEtherType
	}
	return r
}

// compiledPrefix keeps what the comparison needs of a prefix.
func compiledPrefix(p Prefix) (packet.Addr, [2]uint8) {
	shift := [2]uint8{64 - min(p.Bits, 64), min(128-p.Bits, 64)}
	return packet.Addr{Hi: p.Addr.Hi >> shift[0] << shift[0], Lo: p.Addr.Lo >> shift[1] << shift[1]}, shift
}

// classes are the frames that a rule may match. One that asks for IP and denies also matches frames that may hide it.
func (c *ACLConfig) classes() FrameClass {
	switch c.EtherType {
	case 0:
	case packet.EtherTypeIPv4:
		return FrameIPv4
	case packet.EtherTypeIPv6:
		return FrameIPv6 | FrameNeighbour
	case packet.EtherTypeARP:
		return FrameARP
	default:
		return FrameOther | FrameOpaque
	}
	if !c.asksIP() {
		return FrameIPv4 | FrameIPv6 | FrameOther | FrameOpaque
	}
	family := FrameIPv4 | FrameIPv6
	switch {
	case c.Remote.IsValid():
		family = familyOf(c.Remote.Addr().Is4())
	case c.Local.IsValid():
		family = familyOf(c.Local.Addr().Is4())
	}
	if c.Action == ActionDeny {
		family |= FrameOpaque
	}
	return family
}

func familyOf(is4 bool) FrameClass {
	if is4 {
		return FrameIPv4
	}
	return FrameIPv6
}

// asksIP reports that only an IP packet can be what the rule asks for.
func (c *ACLConfig) asksIP() bool {
	_, proto := protocolNumber(c.Protocol)
	return proto || c.Remote.IsValid() || c.Local.IsValid() || c.RemotePort.Set || c.LocalPort.Set
}

// PacketOf turns what a flow key says into what rules look at. src and dst are zero in frames that are not IP, and the
// MACs are those that the VM sees.
func PacketOf(d Direction, m *packet.Parsed, src, dst packet.Addr, srcMAC, dstMAC packet.MAC, out *ACLPacket) {
	*out = ACLPacket{Remote: dst, Local: src, RemoteMAC: dstMAC, Proto: m.Proto}
	if d == DirIn {
		out.Remote, out.Local, out.RemoteMAC = src, dst, srcMAC
	}
	low, high := uint16(m.Key[2]>>32), uint16(m.Key[2]>>48)
	switch m.Kind {
	case packet.L3ARP:
		out.Class = FrameARP
		return
	case packet.L3IPv4:
		out.Class = FrameIPv4
	case packet.L3IPv6:
		out.Class = FrameIPv6
		if t := uint8(low); m.Proto == packet.ProtoICMPv6 && !m.Fragment &&
			(t == packet.ICMPv6NeighborSolicit || t == packet.ICMPv6NeighborAdvert) {
			out.Class = FrameNeighbour
		}
	default:
		out.Class, out.EtherType = FrameOther, low
		if m.Nested || low == 0 {
			out.Class = FrameOpaque
		}
		return
	}
	if m.Fragment || !HasPorts(m.Proto) {
		return
	}
	out.HasPorts = true
	out.RemotePort, out.LocalPort = bits.ReverseBytes16(high), bits.ReverseBytes16(low)
	if d == DirIn {
		out.RemotePort, out.LocalPort = out.LocalPort, out.RemotePort
	}
}

// HasPorts reports the protocols whose ports the flow key holds.
func HasPorts(proto uint8) bool {
	return proto == packet.ProtoTCP || proto == packet.ProtoUDP || proto == packet.ProtoSCTP
}
