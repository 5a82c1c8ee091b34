package packet

import "encoding/binary"

// IPv6 header (RFC 8200, section 3):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+-----------+---+---------------------------------------+
//	|   6   |   DSCP    |ECN|              flow label               |
//	+-------+-----------+---+-------+---------------+---------------+
//	|        payload length         |  next header  |   hop limit   |
//	+-------------------------------+---------------+---------------+
//	|                    source address, 16 bytes                   |
//	+---------------------------------------------------------------+
//	|                 destination address, 16 bytes                 |
//	+---------------------------------------------------------------+
//
// Fragment header (section 4.5):
//
//	+---------------+---------------+-------------------------+---+-+
//	|  next header  |   reserved    |     fragment offset     |res|M|
//	+---------------+---------------+-------------------------+---+-+
//	|                         identification                        |
//	+---------------------------------------------------------------+
const (
	IPv6Len         = 40
	IPv6FragmentLen = 8
	IPv6MinMTU      = 1280 // RFC 8200, section 5

	ipv6Payload = 4
	ipv6Next    = 6
	ipv6Hops    = 7
	ipv6Src     = 8
	ipv6Dst     = 24
)

// Bounds of an extension header chain. Real chains have one or two headers; a longer one only makes a walker work
// (RFC 8504, section 5.3 allows such limits).
const (
	MaxIPv6Extensions   = 8
	MaxIPv6ExtensionLen = 256 // bytes of all extension headers of a packet
)

// IPv6 views a packet from its version field to the end that its payload length names.
type IPv6 []byte

// CheckIPv6 validates version and length of the packet at the front of b and cuts off what follows it. Jumbograms
// (RFC 2675) are refused: no link here carries one.
func CheckIPv6(b []byte) (IPv6, Fault) {
	if f := CheckIPv6Header(b, len(b)); f != FaultNone {
		return nil, f
	}
	return IPv6(b[:IPv6Len+int(binary.BigEndian.Uint16(b[ipv6Payload:]))]), FaultNone
}

// CheckIPv6Header validates the header at the front of b when the packet goes on in further segments: frame is the
// number of bytes from the header on in all segments.
func CheckIPv6Header(b []byte, frame int) Fault {
	if len(b) < IPv6Len {
		return FaultTruncated
	}
	payload := int(binary.BigEndian.Uint16(b[ipv6Payload:]))
	switch {
	case b[0]>>4 != 6:
		return FaultVersion
	case payload > frame-IPv6Len, payload == 0 && b[ipv6Next] == ProtoHopByHop:
		return FaultTotalLength
	}
	return FaultNone
}

// TrafficClass returns DSCP and ECN.
func (v IPv6) TrafficClass() uint8 { return v[0]<<4 | v[1]>>4 }

// DSCP returns the differentiated services code point (RFC 2474).
func (v IPv6) DSCP() uint8 { return v.TrafficClass() >> 2 }

// ECN returns the congestion notification bits (RFC 3168).
func (v IPv6) ECN() uint8 { return v[1] >> 4 & ECNMask }

// FlowLabel returns the 20-bit flow label (RFC 6437).
func (v IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(v) & 0xfffff }

// PayloadLen returns the length of all that follows the fixed header, bytes.
func (v IPv6) PayloadLen() uint16 { return binary.BigEndian.Uint16(v[ipv6Payload:]) }

// NextHeader returns the type of what follows the fixed header: an extension header or the upper layer.
func (v IPv6) NextHeader() uint8 { return v[ipv6Next] }

// HopLimit returns the remaining hops.
func (v IPv6) HopLimit() uint8 { return v[ipv6Hops] }

// Src returns the source address.
func (v IPv6) Src() Addr { return AddrFrom16(v[ipv6Src:ipv6Dst]) }

// Dst returns the destination address.
func (v IPv6) Dst() Addr { return AddrFrom16(v[ipv6Dst:IPv6Len]) }

// Payload returns what follows the fixed header.
func (v IPv6) Payload() []byte { return v[IPv6Len:] }

// SetTrafficClass writes DSCP and ECN.
func (v IPv6) SetTrafficClass(tc uint8) {
	v[0] = 6<<4 | tc>>4
	v[1] = tc<<4 | v[1]&0xf
}

// SetPayloadLen writes the payload length. The view keeps its own length.
func (v IPv6) SetPayloadLen(n uint16) { binary.BigEndian.PutUint16(v[ipv6Payload:], n) }

// SetSrc writes the source address; the checksum of the upper layer is the caller's.
func (v IPv6) SetSrc(a Addr) { putAddr(v[ipv6Src:ipv6Dst], a) }

// SetDst writes the destination address; the checksum of the upper layer is the caller's.
func (v IPv6) SetDst(a Addr) { putAddr(v[ipv6Dst:IPv6Len], a) }

// DecHopLimit takes one hop off. It reports false, and changes nothing, when none would be left.
func (v IPv6) DecHopLimit() bool {
	if v[ipv6Hops] <= 1 {
		return false
	}
	v[ipv6Hops]--
	return true
}

func putAddr(b []byte, a Addr) {
	_ = b[15]
	binary.BigEndian.PutUint64(b, a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
}

// IPv6Fields are the contents of a fixed header.
type IPv6Fields struct {
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	PayloadLen   uint16 // bytes
	NextHeader   uint8
	HopLimit     uint8
	Src, Dst     Addr
}

// Fields returns the contents of the fixed header.
func (v IPv6) Fields() IPv6Fields {
	return IPv6Fields{
		TrafficClass: v.TrafficClass(), FlowLabel: v.FlowLabel(), PayloadLen: v.PayloadLen(),
		NextHeader: v.NextHeader(), HopLimit: v.HopLimit(), Src: v.Src(), Dst: v.Dst(),
	}
}

// Encode writes the header to b, which holds at least IPv6Len bytes.
func (f *IPv6Fields) Encode(b []byte) {
	_ = b[IPv6Len-1]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(f.TrafficClass)<<20|f.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[ipv6Payload:], f.PayloadLen)
	b[ipv6Next] = f.NextHeader
	b[ipv6Hops] = f.HopLimit
	putAddr(b[ipv6Src:ipv6Dst], f.Src)
	putAddr(b[ipv6Dst:IPv6Len], f.Dst)
}

// IPv6Chain is what a walk over the extension headers finds. Offsets count from the fixed header.
type IPv6Chain struct {
	Proto    uint8 // upper layer, or the first header that the walk does not know
	Upper    int   // offset of the upper layer; behind a fragment header with an offset no header starts there
	Fragment int   // offset of the fragment header; 0 without one
}

// Walk follows the extension headers (RFC 8200, section 4) to the upper layer. It ends at the first header that it
// does not know, which is the upper layer as far as a switch can tell (RFC 7045, section 2.1); at ESP and AH, which are
// transports for IPv4 as well; and behind the fragment header of any fragment but the first.
func (v IPv6) Walk() (IPv6Chain, Fault) {
	c := IPv6Chain{Proto: v[ipv6Next], Upper: IPv6Len}
	for n := 0; n <= MaxIPv6Extensions; n++ {
		size := 8
		switch c.Proto {
		case ProtoHopByHop:
			if n != 0 { // only right behind the fixed header (section 4.1)
				return c, FaultChain
			}
		case ProtoFragment:
			if c.Fragment != 0 {
				return c, FaultChain
			}
		case ProtoRouting, ProtoDstOpts, ProtoMobility:
		default:
			return c, FaultNone
		}
		if n == MaxIPv6Extensions {
			break
		}
		if len(v)-c.Upper < 8 {
			return c, FaultTruncated
		}
		h := v[c.Upper:]
		if c.Proto == ProtoFragment {
			c.Fragment = c.Upper
		} else {
			size = (int(h[1]) + 1) * 8
		}
		if size > len(h) {
			return c, FaultTruncated
		}
		if c.Upper+size-IPv6Len > MaxIPv6ExtensionLen {
			return c, FaultChain
		}
		c.Proto = h[0]
		c.Upper += size
		if c.Fragment == c.Upper-size && IPv6Fragment(h).Offset() != 0 {
			return c, FaultNone
		}
	}
	return c, FaultChain
}

// IPv6Fragment views a fragment header.
type IPv6Fragment []byte

// NextHeader returns the type of what follows in the first fragment.
func (v IPv6Fragment) NextHeader() uint8 { return v[0] }

// Offset returns the place of the payload in the fragmentable part, bytes.
func (v IPv6Fragment) Offset() int { return int(binary.BigEndian.Uint16(v[2:]) &^ 7) }

// More reports that further fragments follow.
func (v IPv6Fragment) More() bool { return v[3]&1 != 0 }

// IsAtomic reports a packet that is whole in spite of the header (RFC 6946).
func (v IPv6Fragment) IsAtomic() bool { return binary.BigEndian.Uint16(v[2:])&0xfff9 == 0 }

// ID returns the identification that the fragments of one packet share.
func (v IPv6Fragment) ID() uint32 { return binary.BigEndian.Uint32(v[4:]) }

// EncodeIPv6Fragment writes a fragment header to b, which holds at least IPv6FragmentLen bytes. offset is in bytes and a
// multiple of 8.
func EncodeIPv6Fragment(b []byte, next uint8, offset uint16, more bool, id uint32) {
	_ = b[IPv6FragmentLen-1]
	field := offset &^ 7
	if more {
		field |= 1
	}
	b[0], b[1] = next, 0
	binary.BigEndian.PutUint16(b[2:], field)
	binary.BigEndian.PutUint32(b[4:], id)
}
