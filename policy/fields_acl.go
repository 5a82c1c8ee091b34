package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/packet"
)

// Readers of the fields of ACL rules.

// ProtocolAny is the protocol of a rule that does not ask for one.
const ProtocolAny = "any"

// protocols are the ones with a name, in the order of their documentation.
var protocols = []struct {
	name   string
	number uint8
}{
	{"tcp", packet.ProtoTCP}, {"udp", packet.ProtoUDP}, {"sctp", packet.ProtoSCTP}, {"icmp", packet.ProtoICMP},
	{"icmpv6", packet.ProtoICMPv6}, {"esp", packet.ProtoESP},
}

// protocolNumber is the IP protocol that a rule asks for; ok is false when it asks for none.
func protocolNumber(s string) (n uint8, ok bool) {
	for _, p := range protocols {
		if p.name == s {
			return p.number, true
		}
	}
	v, err := strconv.ParseUint(s, 10, 8)
	return uint8(v), err == nil
}

// protocolName is the name of a protocol, its number when it has none.
func protocolName(n uint8) string {
	for _, p := range protocols {
		if p.number == n {
			return p.name
		}
	}
	return strconv.Itoa(int(n))
}

// protocol reads the name or number of an IP protocol; one that has a name is kept by it.
func protocol(dst *string) reader {
	return func(v value) {
		if isDigits(v.node.Value) {
			if n, ok := v.whole(0, 255, "write a number from 0 to 255, or a name"); ok {
				*dst = protocolName(uint8(n))
			}
			return
		}
		words := make([]string, 0, len(protocols)+1)
		for _, p := range protocols {
			words = append(words, p.name)
		}
		choice(dst, append(words, ProtocolAny)...)(v)
	}
}

// portRange reads a port, or two with a dash between them.
func portRange(dst *PortRange) reader {
	return func(v value) {
		s, ok := v.scalar("port")
		if !ok {
			return
		}
		const remedy = "write a port from 0 to 65535, or a range such as 8000-8099"
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		low, errLow := portNumber(first)
		high, errHigh := portNumber(last)
		switch {
		case errLow != nil || errHigh != nil:
			v.fail("is "+shown(s)+", not a port or a range of ports", remedy)
		case low > high:
			v.fail("is "+shown(s)+", an empty range", fmt.Sprintf("write %d-%d", high, low))
		default:
			*dst = PortRange{low, high, true}
		}
	}
}

func portNumber(s string) (uint16, error) {
	if len(s) > 1 && s[0] == '0' {
		return 0, strconv.ErrSyntax // could be meant as octal
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

// aclPrefix reads an IP prefix of any kind of addresses, multicast included.
func aclPrefix(dst *netip.Prefix) reader {
	return func(v value) {
		if a, err := netip.ParseAddr(v.node.Value); err == nil && a.Zone() == "" && !a.Is4In6() {
			v.fail("is "+shown(v.node.Value)+", without a prefix length", fmt.Sprintf("write %s/%d for this address alone", a, a.BitLen()))
			return
		}
		network(dst, false)(v)
	}
}

// anyMAC reads an Ethernet address, which may be a group's.
func anyMAC(dst *packet.MAC) reader {
	return func(v value) {
		s, ok := v.scalar("Ethernet address")
		if !ok {
			return
		}
		m, err := packet.ParseMAC(s)
		switch {
		case err != nil:
			v.fail("is "+shown(s)+", not an Ethernet address", "write six bytes, for example 00:15:5d:00:01:05")
		case m.IsZero():
			v.fail("is all zero, which no station may use", "give the address of the other end, or leave the key out")
		default:
			*dst = m
		}
	}
}

// etherType reads the protocol number of a frame that is not an 802.3 length.
func etherType(dst *uint16) reader {
	return number(dst, packet.MinEtherType, 1<<16-1)
}
