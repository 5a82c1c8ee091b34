package packet

import (
	"encoding/binary"
	"math/bits"
)

// Rewriting the addresses of IPv4 packets, as NAT does (RFC 3022, section 4). All checksums concerned cover both addresses
// once, in the IP header or in the pseudo-header of the transport, so one number per pair of addresses corrects them all.

// Further IPv4 options that name addresses (RFC 791, section 3.1).
const (
	IPv4OptRecordRoute uint8 = 7
	IPv4OptTimestamp   uint8 = 68
)

// AddrPair is source and destination address of an IPv4 header as they stand there: a raw load of 8 bytes, so that
// rewriting costs one store.
type AddrPair uint64

// MakeAddrPair takes addresses in host order.
func MakeAddrPair(src, dst uint32) AddrPair {
	return AddrPair(bits.ReverseBytes32(src)) | AddrPair(bits.ReverseBytes32(dst))<<32
}

// Src returns the source address in host order.
func (p AddrPair) Src() uint32 { return bits.ReverseBytes32(uint32(p)) }

// Dst returns the destination address in host order.
func (p AddrPair) Dst() uint32 { return bits.ReverseBytes32(uint32(p >> 32)) }

// swap is the pair of a packet in the other direction.
func (p AddrPair) swap() AddrPair { return p>>32 | p<<32 }

// Addrs returns both addresses.
func (v IPv4) Addrs() AddrPair { return AddrPair(binary.LittleEndian.Uint64(v[ipv4Src:])) }

// ChecksumDelta is what replacing a pair of addresses adds to the one's complement sum of what covers them: for
// ApplyDelta. The two directions of a flow have the same delta for the same replacement.
func ChecksumDelta(from, to AddrPair) uint16 {
	return foldSum(addrPairSum(^from) + addrPairSum(to))
}

func addrPairSum(p AddrPair) uint32 {
	s, d := p.Src(), p.Dst()
	return s>>16 + s&0xffff + d>>16 + d&0xffff
}

// ApplyDelta returns a checksum after what it covers changed by delta (RFC 1624, equation 3). It never gives 0xffff,
// like a full computation over anything but zeros.
func ApplyDelta(check, delta uint16) uint16 {
	s := uint32(^check) + uint32(delta)
	return ^uint16(s>>16 + s)
}

// ApplyDeltaUDP is ApplyDelta for UDP, where no checksum shows as 0 and one of 0 as 0xffff (RFC 768).
func ApplyDeltaUDP(check, delta uint16) uint16 {
	if check == 0 {
		return 0
	}
	if check = ApplyDelta(check, delta); check == 0 {
		check = 0xffff
	}
	return check
}

// SetAddrs writes both addresses and corrects the header checksum by the delta of the replacement; the transport's is
// the caller's (RewriteTransport).
func (v IPv4) SetAddrs(to AddrPair, delta uint16) {
	binary.BigEndian.PutUint16(v[ipv4Checksum:], ApplyDelta(binary.BigEndian.Uint16(v[ipv4Checksum:]), delta))
	binary.LittleEndian.PutUint64(v[ipv4Src:], uint64(to))
}

// NamesAddresses reports an option that lists addresses, or options that cannot be read: rewriting would have to
// translate these too, and a source route would steer the packet through the fabric.
func (v IPv4) NamesAddresses() bool {
	if v[0]&0xf == IPv4Len/4 {
		return false
	}
	for options := v.Options(); len(options) > 0; {
		kind, _, rest, f := NextOption(options)
		switch {
		case f != FaultNone:
			return true
		case kind == IPv4OptLooseRoute, kind == IPv4OptStrictRoute, kind == IPv4OptRecordRoute, kind == IPv4OptTimestamp:
			return true
		}
		options = rest
	}
	return false
}

// pseudoChecksum is where a protocol has a checksum that covers the addresses, counted from its header; 0 for those
// that have none: ICMP, ESP, GRE, and SCTP, whose CRC does not cover them (RFC 9260, section 6.8).
var pseudoChecksum = [256]uint8{ProtoTCP: 16, ProtoUDP: 6, ProtoUDPLite: 6, ProtoDCCP: 6}

// RewriteTransport corrects what stands at the front of an IPv4 payload for a replacement of the header's addresses: the
// checksum of a transport that covers them, and in ICMP errors the packet that they quote. It is for whole datagrams
// and first fragments. It reports false when the payload cannot be translated: see rewriteQuote, or a header cut off.
func RewriteTransport(l4 []byte, proto uint8, from, to AddrPair, delta uint16) bool {
	at := int(pseudoChecksum[proto])
	switch {
	case proto == ProtoICMP:
		return len(l4) >= ICMPLen && (!ICMP(l4).IsError() || rewriteQuote(ICMP(l4), from, to, delta))
	case at == 0:
		return true
	case len(l4) < at+2:
		return false
	}
	check := binary.BigEndian.Uint16(l4[at:])
	if proto == ProtoUDP {
		check = ApplyDeltaUDP(check, delta)
	} else {
		check = ApplyDelta(check, delta)
	}
	binary.BigEndian.PutUint16(l4[at:], check)
	return true
}

// rewriteQuote translates the packet that an ICMP error quotes, whose addresses must be those of the error, exchanged:
// it went the other way. It reports false, and changes nothing, for any other, for a quote that ends inside its header,
// and for a redirect, which names a third address.
//
// The ICMP checksum covers the quoted header, but its sum stays what it is: the header's own checksum makes up for the
// addresses. The quoted transport checksum does count, because the addresses that it covers are not beside it.
func rewriteQuote(m ICMP, from, to AddrPair, delta uint16) bool {
	if m[0] == ICMPRedirect {
		return false
	}
	quote := IPv4(m[ICMPLen:])
	if len(quote) < IPv4Len || quote[0]>>4 != 4 || quote.HeaderLen() < IPv4Len || quote.HeaderLen() > len(quote) ||
		quote.Addrs() != from.swap() || quote.NamesAddresses() {
		return false
	}
	quote.SetAddrs(to.swap(), delta)
	at := int(pseudoChecksum[quote.Proto()])
	if at == 0 || quote.FragOffset() != 0 || len(quote) < quote.HeaderLen()+at+2 {
		return true
	}
	field := quote[quote.HeaderLen()+at:]
	was := binary.BigEndian.Uint16(field)
	now := ApplyDelta(was, delta)
	if quote.Proto() == ProtoUDP {
		now = ApplyDeltaUDP(was, delta)
	}
	binary.BigEndian.PutUint16(field, now)
	binary.BigEndian.PutUint16(m[icmpChecksum:], UpdateChecksum16(m.Checksum(), was, now))
	return true
}
