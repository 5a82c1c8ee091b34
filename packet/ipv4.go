package packet

import "encoding/binary"

// IPv4 header (RFC 791, section 3.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+-------+-----------+---+-------------------------------+
//	|   4   |  IHL  |   DSCP    |ECN|          total length         |
//	+-------+-------+-----------+---+-+-+-+-------------------------+
//	|         identification        |0|D|M|     fragment offset     |
//	+---------------+---------------+-+-+-+-------------------------+
//	|      TTL      |    protocol   |        header checksum        |
//	+---------------+---------------+-------------------------------+
//	|                         source address                        |
//	+---------------------------------------------------------------+
//	|                      destination address                      |
//	+---------------------------------------------------------------+
//	|                 options, 0 to 40 bytes, padded                |
//	+---------------------------------------------------------------+
const (
	IPv4Len    = 20 // without options
	IPv4MaxLen = 60 // with all options
	MaxIPLen   = 65535

	ipv4TOS      = 1
	ipv4Total    = 2
	ipv4ID       = 4
	ipv4Frag     = 6
	ipv4TTL      = 8
	ipv4Proto    = 9
	ipv4Checksum = 10
	ipv4Src      = 12
	ipv4Dst      = 16
)

// Parts of the fragment field.
const (
	IPv4DontFragment  uint16 = 0x4000
	IPv4MoreFragments uint16 = 0x2000
	ipv4OffsetMask    uint16 = 0x1fff // units of 8 bytes
)

// IPv4 views a packet from its version field to the end that its total length names.
type IPv4 []byte

// CheckIPv4 validates version and lengths of the packet at the front of b and cuts off what follows it, such as the
// padding of a short Ethernet frame. The header checksum is the caller's choice: see ChecksumOK.
func CheckIPv4(b []byte) (IPv4, Fault) {
	if f := CheckIPv4Header(b, len(b)); f != FaultNone {
		return nil, f
	}
	return IPv4(b[:binary.BigEndian.Uint16(b[ipv4Total:])]), FaultNone
}

// CheckIPv4Header validates the header at the front of b when the packet goes on in further segments: b holds the
// header, and frame is the number of bytes from the header on in all segments.
func CheckIPv4Header(b []byte, frame int) Fault {
	if len(b) < IPv4Len {
		return FaultTruncated
	}
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[ipv4Total:]))
	switch {
	case b[0]>>4 != 4:
		return FaultVersion
	case header < IPv4Len:
		return FaultHeaderLength
	case header > len(b):
		return FaultTruncated
	case total < header || total > frame:
		return FaultTotalLength
	}
	return FaultNone
}

// HeaderLen returns the length of header and options, bytes.
func (v IPv4) HeaderLen() int { return int(v[0]&0xf) * 4 }

// TOS returns DSCP and ECN.
func (v IPv4) TOS() uint8 { return v[ipv4TOS] }

// DSCP returns the differentiated services code point (RFC 2474).
func (v IPv4) DSCP() uint8 { return v[ipv4TOS] >> 2 }

// ECN returns the congestion notification bits (RFC 3168).
func (v IPv4) ECN() uint8 { return v[ipv4TOS] & ECNMask }

// TotalLen returns the length of header and payload, bytes.
func (v IPv4) TotalLen() uint16 { return binary.BigEndian.Uint16(v[ipv4Total:]) }

// ID returns the identification that fragments of one datagram share.
func (v IPv4) ID() uint16 { return binary.BigEndian.Uint16(v[ipv4ID:]) }

// DontFragment reports DF.
func (v IPv4) DontFragment() bool { return v.fragField()&IPv4DontFragment != 0 }

// MoreFragments reports MF.
func (v IPv4) MoreFragments() bool { return v.fragField()&IPv4MoreFragments != 0 }

// FragOffset returns the place of the payload in its datagram, bytes.
func (v IPv4) FragOffset() int { return int(v.fragField()&ipv4OffsetMask) * 8 }

// IsFragment reports a part of a datagram, the first one included.
func (v IPv4) IsFragment() bool { return v.fragField()&(IPv4MoreFragments|ipv4OffsetMask) != 0 }

func (v IPv4) fragField() uint16 { return binary.BigEndian.Uint16(v[ipv4Frag:]) }

// TTL returns the time to live, hops.
func (v IPv4) TTL() uint8 { return v[ipv4TTL] }

// Proto returns the protocol of the payload.
func (v IPv4) Proto() uint8 { return v[ipv4Proto] }

// HeaderChecksum returns the header checksum as it stands.
func (v IPv4) HeaderChecksum() uint16 { return binary.BigEndian.Uint16(v[ipv4Checksum:]) }

// Src returns the source address in host order.
func (v IPv4) Src() uint32 { return binary.BigEndian.Uint32(v[ipv4Src:]) }

// Dst returns the destination address in host order.
func (v IPv4) Dst() uint32 { return binary.BigEndian.Uint32(v[ipv4Dst:]) }

// Options returns the options, padding included.
func (v IPv4) Options() []byte { return v[IPv4Len:v.HeaderLen()] }

// Payload returns what follows the header.
func (v IPv4) Payload() []byte { return v[v.HeaderLen():] }

// ChecksumOK reports whether the header checksum is right.
func (v IPv4) ChecksumOK() bool {
	if v[0] == 0x45 { // no options: five words added flat
		a, b, c := binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:]), binary.LittleEndian.Uint32(v[16:])
		s := a>>32 + a&0xffffffff + b>>32 + b&0xffffffff + uint64(c)
		s = s>>32 + s&0xffffffff
		return foldSum(uint32(s>>16)+uint32(s&0xffff)) == 0xffff
	}
	return Checksum(v[:v.HeaderLen()], 0) == 0
}

// SetChecksum computes the header checksum.
func (v IPv4) SetChecksum() {
	binary.BigEndian.PutUint16(v[ipv4Checksum:], 0)
	binary.BigEndian.PutUint16(v[ipv4Checksum:], Checksum(v[:v.HeaderLen()], 0))
}

// set16 writes a header word and corrects the checksum.
func (v IPv4) set16(at int, to uint16) {
	check := UpdateChecksum16(v.HeaderChecksum(), binary.BigEndian.Uint16(v[at:]), to)
	binary.BigEndian.PutUint16(v[at:], to)
	binary.BigEndian.PutUint16(v[ipv4Checksum:], check)
}

// SetTOS writes DSCP and ECN and corrects the checksum.
func (v IPv4) SetTOS(tos uint8) { v.set16(0, uint16(v[0])<<8|uint16(tos)) }

// SetTotalLen writes the total length and corrects the checksum. The view keeps its own length.
func (v IPv4) SetTotalLen(n uint16) { v.set16(ipv4Total, n) }

// SetID writes the identification and corrects the checksum.
func (v IPv4) SetID(id uint16) { v.set16(ipv4ID, id) }

// SetTTL writes the time to live and corrects the checksum.
func (v IPv4) SetTTL(ttl uint8) { v.set16(ipv4TTL, uint16(ttl)<<8|uint16(v[ipv4Proto])) }

// SetSrc writes the source address and corrects the header checksum; that of TCP and UDP is the caller's.
func (v IPv4) SetSrc(ip uint32) {
	check := UpdateChecksum32(v.HeaderChecksum(), v.Src(), ip)
	binary.BigEndian.PutUint32(v[ipv4Src:], ip)
	binary.BigEndian.PutUint16(v[ipv4Checksum:], check)
}

// SetDst writes the destination address and corrects the header checksum; that of TCP and UDP is the caller's.
func (v IPv4) SetDst(ip uint32) {
	check := UpdateChecksum32(v.HeaderChecksum(), v.Dst(), ip)
	binary.BigEndian.PutUint32(v[ipv4Dst:], ip)
	binary.BigEndian.PutUint16(v[ipv4Checksum:], check)
}

// DecTTL takes one hop off the time to live and corrects the checksum. It reports false, and changes nothing, when
// none would be left: a router then answers with time exceeded (RFC 1812, section 5.3.1).
func (v IPv4) DecTTL() bool {
	if v[ipv4TTL] <= 1 {
		return false
	}
	v.SetTTL(v[ipv4TTL] - 1)
	return true
}

// IPv4Fields are the contents of a header.
type IPv4Fields struct {
	TOS      uint8
	TTL      uint8
	Proto    uint8
	TotalLen uint16 // header and payload, bytes
	ID       uint16
	Frag     uint16 // IPv4DontFragment, IPv4MoreFragments, and the offset in units of 8 bytes
	Src, Dst uint32 // host order
	Options  []byte // at most 40 bytes; Encode pads them with zeros (end of options) to a multiple of 4
}

// Fields returns the contents of the header. Options keeps pointing into v.
func (v IPv4) Fields() IPv4Fields {
	return IPv4Fields{
		TOS: v.TOS(), TTL: v.TTL(), Proto: v.Proto(), TotalLen: v.TotalLen(), ID: v.ID(), Frag: v.fragField(),
		Src: v.Src(), Dst: v.Dst(), Options: v.Options(),
	}
}

// Encode writes the header with its checksum to the front of b and returns its length, or 0, with nothing written,
// when b is too short or the options too long.
func (f *IPv4Fields) Encode(b []byte) int {
	n := IPv4Len + (len(f.Options)+3)&^3
	if n > IPv4MaxLen || n > len(b) {
		return 0
	}
	b = b[:n]
	b[0] = 4<<4 | byte(n/4)
	b[ipv4TOS] = f.TOS
	binary.BigEndian.PutUint16(b[ipv4Total:], f.TotalLen)
	binary.BigEndian.PutUint16(b[ipv4ID:], f.ID)
	binary.BigEndian.PutUint16(b[ipv4Frag:], f.Frag)
	b[ipv4TTL] = f.TTL
	b[ipv4Proto] = f.Proto
	binary.BigEndian.PutUint32(b[ipv4Src:], f.Src)
	binary.BigEndian.PutUint32(b[ipv4Dst:], f.Dst)
	clear(b[IPv4Len+copy(b[IPv4Len:], f.Options):])
	IPv4(b).SetChecksum()
	return n
}
