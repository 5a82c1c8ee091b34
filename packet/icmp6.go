package packet

import "encoding/binary"

// ICMPv6 (RFC 4443, section 2.1) has the header of ICMP, with a checksum that covers a pseudo-header as well:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|      type     |      code     |           checksum            |
//	+---------------+---------------+-------------------------------+
//	|  packet too big: MTU;  echo: identifier and sequence number   |
//	+---------------------------------------------------------------+
const ICMPv6Len = 8

// ICMPv6 types. Those below 128 are errors.
const (
	ICMPv6Unreachable      uint8 = 1
	ICMPv6PacketTooBig     uint8 = 2
	ICMPv6TimeExceeded     uint8 = 3
	ICMPv6ParameterProblem uint8 = 4
	ICMPv6Echo             uint8 = 128
	ICMPv6EchoReply        uint8 = 129
	ICMPv6RouterSolicit    uint8 = 133 // RFC 4861, section 4
	ICMPv6RouterAdvert     uint8 = 134
	ICMPv6NeighborSolicit  uint8 = 135
	ICMPv6NeighborAdvert   uint8 = 136
	ICMPv6Redirect         uint8 = 137
)

// Codes of ICMPv6Unreachable and ICMPv6ParameterProblem.
const (
	ICMPv6NoRoute            uint8 = 0
	ICMPv6AdminProhibited    uint8 = 1
	ICMPv6AddressUnreachable uint8 = 3
	ICMPv6PortUnreachable    uint8 = 4

	ICMPv6UnknownOption uint8 = 2
)

// MaxICMPv6Quote is how much of the offending packet an error carries, so that the error itself stays within the
// minimum MTU (RFC 4443, section 2.4 (c)).
const MaxICMPv6Quote = IPv6MinMTU - IPv6Len - ICMPv6Len

// ICMPv6 views a message from its type to the end of the IP packet.
type ICMPv6 []byte

// CheckICMPv6 reports a message too short for a header. The checksum is the caller's choice: see ChecksumOK.
func CheckICMPv6(b []byte) (ICMPv6, Fault) {
	if len(b) < ICMPv6Len {
		return nil, FaultTruncated
	}
	return ICMPv6(b), FaultNone
}

// Type returns the message type.
func (m ICMPv6) Type() uint8 { return m[0] }

// Code returns the code, whose meaning depends on the type.
func (m ICMPv6) Code() uint8 { return m[icmpCode] }

// Checksum returns the checksum as it stands.
func (m ICMPv6) Checksum() uint16 { return binary.BigEndian.Uint16(m[icmpChecksum:]) }

// ID returns the identifier of an echo.
func (m ICMPv6) ID() uint16 { return binary.BigEndian.Uint16(m[icmpID:]) }

// Seq returns the sequence number of an echo.
func (m ICMPv6) Seq() uint16 { return binary.BigEndian.Uint16(m[icmpSeq:]) }

// MTU returns the next-hop MTU of ICMPv6PacketTooBig, bytes.
func (m ICMPv6) MTU() uint32 { return binary.BigEndian.Uint32(m[icmpID:]) }

// Payload returns the data of an echo, or the packet that an error quotes.
func (m ICMPv6) Payload() []byte { return m[ICMPv6Len:] }

// IsError reports a message about another packet: no error may answer it.
func (m ICMPv6) IsError() bool { return m[0] < 128 }

// ChecksumOK verifies the checksum over the whole view and the pseudo-header of the two addresses.
func (m ICMPv6) ChecksumOK(src, dst Addr) bool {
	return Checksum(m, PseudoSum6(src, dst, ProtoICMPv6, uint32(len(m)))) == 0
}

// SetChecksum computes the checksum over the whole view and the pseudo-header of the two addresses.
func (m ICMPv6) SetChecksum(src, dst Addr) {
	binary.BigEndian.PutUint16(m[icmpChecksum:], 0)
	binary.BigEndian.PutUint16(m[icmpChecksum:], Checksum(m, PseudoSum6(src, dst, ProtoICMPv6, uint32(len(m)))))
}

// EncodeICMPv6Echo writes an echo message with its data and checksum to the front of b and returns its length, or 0,
// with nothing written, when b is too short. typ is ICMPv6Echo or ICMPv6EchoReply.
func EncodeICMPv6Echo(b []byte, src, dst Addr, typ uint8, id, seq uint16, data []byte) int {
	return encodeICMPv6(b, src, dst, typ, 0, uint32(id)<<16|uint32(seq), data)
}

// EncodeICMPv6Error writes an error about the packet orig, of which it quotes at most MaxICMPv6Quote bytes, to the front
// of b, and returns its length, or 0, with nothing written, when b is too short. word is the MTU of ICMPv6PacketTooBig,
// the pointer of ICMPv6ParameterProblem, else 0. src and dst are the addresses of the error itself. Ask MayAnswerIPv6
// first.
func EncodeICMPv6Error(b []byte, src, dst Addr, typ, code uint8, word uint32, orig IPv6) int {
	return encodeICMPv6(b, src, dst, typ, code, word, orig[:min(len(orig), MaxICMPv6Quote)])
}

func encodeICMPv6(b []byte, src, dst Addr, typ, code uint8, word uint32, data []byte) int {
	n := ICMPv6Len + len(data)
	if n > len(b) {
		return 0
	}
	copy(b[ICMPv6Len:], data) // before the header: data may overlap it
	b[0], b[icmpCode] = typ, code
	binary.BigEndian.PutUint32(b[icmpID:], word)
	ICMPv6(b[:n]).SetChecksum(src, dst)
	return n
}

// MayAnswerIPv6 reports whether an ICMPv6 error of type typ and code may be sent about a packet: not about an error or a
// redirect, a fragment but the first, a source that is no single host, or a multicast destination, except that packet
// too big and an unknown option are answered there too (RFC 4443, section 2.4 (e)). Frames sent to a group address are
// the caller's to know.
func MayAnswerIPv6(ip IPv6, typ, code uint8) bool {
	src, dst := ip.Src(), ip.Dst()
	if IsUnspecified6(src) || IsMulticast6(src) {
		return false
	}
	toGroup := typ == ICMPv6PacketTooBig || typ == ICMPv6ParameterProblem && code == ICMPv6UnknownOption
	if IsMulticast6(dst) && !toGroup {
		return false
	}
	c, f := ip.Walk()
	if f != FaultNone || c.Fragment != 0 && IPv6Fragment(ip[c.Fragment:]).Offset() != 0 {
		return false
	}
	if c.Proto != ProtoICMPv6 {
		return true
	}
	m, f := CheckICMPv6(ip[c.Upper:])
	return f == FaultNone && !m.IsError() && m.Type() != ICMPv6Redirect
}

// IsMulticast6 reports ff00::/8 (RFC 4291, section 2.7).
func IsMulticast6(a Addr) bool { return a.Hi>>56 == 0xff }

// IsLinkLocal6 reports fe80::/10 (RFC 4291, section 2.5.6).
func IsLinkLocal6(a Addr) bool { return a.Hi>>54 == 0xfe80>>6 }

// IsUnspecified6 reports :: (RFC 4291, section 2.5.2), which is also the zero Addr.
func IsUnspecified6(a Addr) bool { return a.Hi|a.Lo == 0 }

// SolicitedNode returns the group that a host joins for its address a, ff02::1:ffXX:XXXX (RFC 4291, section 2.7.1).
func SolicitedNode(a Addr) Addr { return Addr{0xff02 << 48, 0x1_ff00_0000 | a.Lo&0xffffff} }

// MulticastMAC6 returns the Ethernet address of an IPv6 group, 33:33 and its last four bytes (RFC 2464, section 7).
func MulticastMAC6(a Addr) MAC { return MACFromUint64(0x3333<<32 | a.Lo&0xffffffff) }
