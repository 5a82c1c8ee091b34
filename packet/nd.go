package packet

import "encoding/binary"

// Neighbour discovery (RFC 4861). Solicitation and advertisement of a neighbour share a form, sections 4.3 and 4.4:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|   135 or 136  |    code (0)   |           checksum            |
//	+-+-+-+---------+---------------+-------------------------------+
//	|R|S|O|        reserved (flags in an advertisement only)        |
//	+-+-+-+---------------------------------------------------------+
//	|                    target address, 16 bytes                   |
//	+---------------------------------------------------------------+
//	|  options: type, length in units of 8 bytes, data              |
//	+---------------------------------------------------------------+
//
// An advertisement of a router, section 4.2, with the preference of RFC 4191, section 2.2:
//
//	+---------------+---------------+-------------------------------+
//	|      134      |    code (0)   |           checksum            |
//	+---------------+-+-+-+---+-----+-------------------------------+
//	| cur hop limit |M|O|H|Prf| res |   router lifetime, seconds    |
//	+---------------+-+-+-+---+-----+-------------------------------+
//	|                    reachable time, milliseconds               |
//	+---------------------------------------------------------------+
//	|                    retransmit timer, milliseconds             |
//	+---------------------------------------------------------------+
//	|  options                                                      |
//	+---------------------------------------------------------------+
const (
	NeighborLen     = 24 // solicitation and advertisement, without options
	RouterAdvertLen = 16

	ndTarget = 8
	ndHops   = 255 // a packet with this hop limit was not forwarded by any router

	raHops       = 4
	raFlags      = 5
	raLifetime   = 6
	raReachable  = 8
	raRetransmit = 12
)

// Flags of a neighbour advertisement (section 4.4).
const (
	NAFlagRouter    uint8 = 0x80
	NAFlagSolicited uint8 = 0x40
	NAFlagOverride  uint8 = 0x20
)

// Flags of a router advertisement (section 4.2).
const (
	RAFlagManaged uint8 = 0x80 // addresses by DHCPv6
	RAFlagOther   uint8 = 0x40 // other configuration by DHCPv6
)

// Option types (section 4.6).
const (
	NDOptSourceMAC  uint8 = 1
	NDOptTargetMAC  uint8 = 2
	NDOptPrefix     uint8 = 3
	NDOptMTU        uint8 = 5
	ndOptMACLen           = 8
	ndOptMTULen           = 8
	ndOptPrefixLen        = 32
	ndPrefixOnLink  uint8 = 0x80
	ndPrefixAutoCfg uint8 = 0x40
)

// Views of a message that its Check accepted.
type (
	NeighborSolicit []byte
	NeighborAdvert  []byte
	RouterAdvert    []byte
)

// CheckNeighborSolicit validates the ICMPv6 message m of packet ip as section 7.1.1 asks: hop limit, checksum, code,
// length, target, options; a sender without an address yet asks the solicited-node group and names no MAC.
func CheckNeighborSolicit(ip IPv6, m []byte) (NeighborSolicit, Fault) {
	if f := checkND(ip, m, ICMPv6NeighborSolicit, NeighborLen); f != FaultNone {
		return nil, f
	}
	s := NeighborSolicit(m)
	if IsMulticast6(s.Target()) {
		return nil, FaultAddress
	}
	if IsUnspecified6(ip.Src()) {
		if _, named := s.SourceMAC(); named || !isSolicitedNode(ip.Dst()) {
			return nil, FaultAddress
		}
	}
	return s, FaultNone
}

// CheckNeighborAdvert validates the ICMPv6 message m of packet ip as section 7.1.2 asks.
func CheckNeighborAdvert(ip IPv6, m []byte) (NeighborAdvert, Fault) {
	if f := checkND(ip, m, ICMPv6NeighborAdvert, NeighborLen); f != FaultNone {
		return nil, f
	}
	a := NeighborAdvert(m)
	if IsMulticast6(a.Target()) || IsMulticast6(ip.Dst()) && a.Flags()&NAFlagSolicited != 0 {
		return nil, FaultAddress
	}
	return a, FaultNone
}

// CheckRouterAdvert validates the ICMPv6 message m of packet ip as section 6.1.2 asks.
func CheckRouterAdvert(ip IPv6, m []byte) (RouterAdvert, Fault) {
	if f := checkND(ip, m, ICMPv6RouterAdvert, RouterAdvertLen); f != FaultNone {
		return nil, f
	}
	if !IsLinkLocal6(ip.Src()) {
		return nil, FaultAddress
	}
	return RouterAdvert(m), FaultNone
}

func checkND(ip IPv6, m []byte, typ uint8, size int) Fault {
	switch {
	case len(m) < size:
		return FaultTruncated
	case m[0] != typ || m[icmpCode] != 0:
		return FaultProtocol
	case ip.HopLimit() != ndHops:
		return FaultHopLimit
	case !ICMPv6(m).ChecksumOK(ip.Src(), ip.Dst()):
		return FaultChecksum
	}
	return CheckNDOptions(m[size:])
}

func isSolicitedNode(a Addr) bool { return a == SolicitedNode(a) }

// Target returns the address that is asked for.
func (s NeighborSolicit) Target() Addr { return AddrFrom16(s[ndTarget:NeighborLen]) }

// SourceMAC returns the sender's Ethernet address, where it names one.
func (s NeighborSolicit) SourceMAC() (MAC, bool) {
	return ndMAC(s[NeighborLen:], NDOptSourceMAC)
}

// Target returns the address that the advertisement is about.
func (a NeighborAdvert) Target() Addr { return AddrFrom16(a[ndTarget:NeighborLen]) }

// Flags returns NAFlagRouter, NAFlagSolicited and NAFlagOverride.
func (a NeighborAdvert) Flags() uint8 { return a[4] }

// TargetMAC returns the target's Ethernet address, where the message names it.
func (a NeighborAdvert) TargetMAC() (MAC, bool) {
	return ndMAC(a[NeighborLen:], NDOptTargetMAC)
}

// CurHopLimit returns the hop limit that hosts shall send with; 0 leaves it to them.
func (r RouterAdvert) CurHopLimit() uint8 { return r[raHops] }

// Flags returns RAFlagManaged, RAFlagOther and the bits of later RFCs.
func (r RouterAdvert) Flags() uint8 { return r[raFlags] }

// Lifetime returns how long the router serves as default router, seconds; 0: not at all.
func (r RouterAdvert) Lifetime() uint16 { return binary.BigEndian.Uint16(r[raLifetime:]) }

// ReachableTime returns how long a neighbour counts as reachable, milliseconds; 0: unspecified.
func (r RouterAdvert) ReachableTime() uint32 { return binary.BigEndian.Uint32(r[raReachable:]) }

// RetransTimer returns the time between solicitations, milliseconds; 0: unspecified.
func (r RouterAdvert) RetransTimer() uint32 { return binary.BigEndian.Uint32(r[raRetransmit:]) }

// Options returns the options. Read them with NextNDOption.
func (r RouterAdvert) Options() []byte { return r[RouterAdvertLen:] }

// SourceMAC returns the router's Ethernet address, where it names one.
func (r RouterAdvert) SourceMAC() (MAC, bool) { return ndMAC(r.Options(), NDOptSourceMAC) }

// MTU returns the MTU that hosts of the link shall use, bytes, where the message names one.
func (r RouterAdvert) MTU() (uint32, bool) {
	d, ok := findNDOption(r.Options(), NDOptMTU)
	if !ok || len(d) != ndOptMTULen-2 {
		return 0, false
	}
	return binary.BigEndian.Uint32(d[2:]), true
}

// NextNDOption takes the first option off b and returns its type, its data without type and length, and what follows.
// b must not be empty.
func NextNDOption(b []byte) (typ uint8, data, rest []byte, f Fault) {
	if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
		return 0, nil, nil, FaultOption
	}
	n := int(b[1]) * 8
	return b[0], b[2:n], b[n:], FaultNone
}

// CheckNDOptions reports the fault of the first malformed option: a message with one is dropped whole (section 4.6).
func CheckNDOptions(b []byte) Fault {
	for len(b) > 0 {
		_, _, rest, f := NextNDOption(b)
		if f != FaultNone {
			return f
		}
		b = rest
	}
	return FaultNone
}

func findNDOption(b []byte, typ uint8) (data []byte, ok bool) {
	for len(b) > 0 {
		t, d, rest, f := NextNDOption(b)
		if f != FaultNone {
			return nil, false
		}
		if t == typ {
			return d, true
		}
		b = rest
	}
	return nil, false
}

func ndMAC(options []byte, typ uint8) (MAC, bool) {
	d, ok := findNDOption(options, typ)
	if !ok || len(d) != ndOptMACLen-2 {
		return MAC{}, false
	}
	return MAC(d), true
}
