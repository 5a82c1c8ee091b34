package packet

import "encoding/binary"

// ICMP for IPv4 (RFC 792). All messages used here have a header of 8 bytes; the second word is the type's own:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|      type     |      code     |           checksum            |
//	+---------------+---------------+-------------------------------+
//	|      echo: identifier         |     echo: sequence number     |
//	|      fragmentation needed: 0  |     next-hop MTU (RFC 1191)   |
//	+-------------------------------+-------------------------------+
//	|  echo: data;  errors: the packet that caused them, cut off    |
//	+---------------------------------------------------------------+
const (
	ICMPLen = 8

	icmpCode     = 1
	icmpChecksum = 2
	icmpID       = 4
	icmpSeq      = 6
	icmpMTU      = 6
)

// ICMP types.
const (
	ICMPEchoReply        uint8 = 0
	ICMPUnreachable      uint8 = 3
	ICMPSourceQuench     uint8 = 4
	ICMPRedirect         uint8 = 5
	ICMPEcho             uint8 = 8
	ICMPTimeExceeded     uint8 = 11
	ICMPParameterProblem uint8 = 12
)

// Codes of ICMPUnreachable and ICMPTimeExceeded.
const (
	ICMPNetUnreachable      uint8 = 0
	ICMPHostUnreachable     uint8 = 1
	ICMPProtocolUnreachable uint8 = 2
	ICMPPortUnreachable     uint8 = 3
	ICMPFragNeeded          uint8 = 4
	ICMPAdminProhibited     uint8 = 13 // RFC 1812, section 5.2.7.1

	ICMPTTLExceeded        uint8 = 0
	ICMPReassemblyExceeded uint8 = 1
)

// MaxICMPQuote is how much of the offending packet an error carries: the error datagram, with a header without options,
// stays within the 576 bytes that every host takes (RFC 1812, section 4.3.2.3).
const MaxICMPQuote = 576 - IPv4Len - ICMPLen

// ICMP views a message from its type to the end of the IP packet.
type ICMP []byte

// CheckICMP reports a message too short for a header. The checksum is the caller's choice: see ChecksumOK.
func CheckICMP(b []byte) (ICMP, Fault) {
	if len(b) < ICMPLen {
		return nil, FaultTruncated
	}
	return ICMP(b), FaultNone
}

// Type returns the message type.
func (m ICMP) Type() uint8 { return m[0] }

// Code returns the code, whose meaning depends on the type.
func (m ICMP) Code() uint8 { return m[icmpCode] }

// Checksum returns the checksum as it stands.
func (m ICMP) Checksum() uint16 { return binary.BigEndian.Uint16(m[icmpChecksum:]) }

// ID returns the identifier of an echo.
func (m ICMP) ID() uint16 { return binary.BigEndian.Uint16(m[icmpID:]) }

// Seq returns the sequence number of an echo.
func (m ICMP) Seq() uint16 { return binary.BigEndian.Uint16(m[icmpSeq:]) }

// MTU returns the next-hop MTU of ICMPFragNeeded, bytes; 0 from routers older than RFC 1191.
func (m ICMP) MTU() uint16 { return binary.BigEndian.Uint16(m[icmpMTU:]) }

// Payload returns the data of an echo, or the packet that an error quotes.
func (m ICMP) Payload() []byte { return m[ICMPLen:] }

// IsError reports a message about another packet: no error may answer it (RFC 1122, section 3.2.2).
func (m ICMP) IsError() bool {
	switch m[0] {
	case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}

// ChecksumOK verifies the checksum over the whole view.
func (m ICMP) ChecksumOK() bool { return Checksum(m, 0) == 0 }

// SetChecksum computes the checksum over the whole view.
func (m ICMP) SetChecksum() {
	binary.BigEndian.PutUint16(m[icmpChecksum:], 0)
	binary.BigEndian.PutUint16(m[icmpChecksum:], Checksum(m, 0))
}

// TurnEcho makes an echo request its reply, in place. It reports false, and changes nothing, for any other message.
func (m ICMP) TurnEcho() bool {
	if m[0] != ICMPEcho || m[icmpCode] != 0 {
		return false
	}
	m[0] = ICMPEchoReply
	check := UpdateChecksum16(m.Checksum(), uint16(ICMPEcho)<<8, uint16(ICMPEchoReply)<<8)
	binary.BigEndian.PutUint16(m[icmpChecksum:], check)
	if check == 0 && Checksum(m, 0) != 0 {
		// Nothing but zeros is left, whose checksum is 0xffff (see UpdateChecksum16).
		binary.BigEndian.PutUint16(m[icmpChecksum:], 0xffff)
	}
	return true
}

// EncodeICMPEcho writes an echo message with its data and checksum to the front of b and returns its length, or 0, with
// nothing written, when b is too short. typ is ICMPEcho or ICMPEchoReply.
func EncodeICMPEcho(b []byte, typ uint8, id, seq uint16, data []byte) int {
	return encodeICMP(b, typ, 0, uint32(id)<<16|uint32(seq), data)
}

// EncodeICMPError writes an error about the packet orig, of which it quotes at most MaxICMPQuote bytes, to the front of
// b, and returns its length, or 0, with nothing written, when b is too short. Ask MayAnswerIPv4 first.
func EncodeICMPError(b []byte, typ, code uint8, orig IPv4) int {
	return encodeICMP(b, typ, code, 0, orig[:min(len(orig), MaxICMPQuote)])
}

// EncodeICMPFragNeeded is EncodeICMPError for a packet larger than mtu, bytes, that must not be fragmented (RFC 1191,
// section 4).
func EncodeICMPFragNeeded(b []byte, mtu uint16, orig IPv4) int {
	return encodeICMP(b, ICMPUnreachable, ICMPFragNeeded, uint32(mtu), orig[:min(len(orig), MaxICMPQuote)])
}

func encodeICMP(b []byte, typ, code uint8, word uint32, data []byte) int {
	n := ICMPLen + len(data)
	if n > len(b) {
		return 0
	}
	copy(b[ICMPLen:], data) // before the header: data may overlap it
	b[0], b[icmpCode] = typ, code
	binary.BigEndian.PutUint32(b[icmpID:], word)
	ICMP(b[:n]).SetChecksum()
	return n
}

// MayAnswerIPv4 reports whether an ICMP error may be sent about a packet: not about an ICMP error, a fragment but the
// first, a group or broadcast destination, or a source that is no single host (RFC 1122, section 3.2.2). Subnet
// broadcasts, and frames sent to a group address, are the caller's to know.
func MayAnswerIPv4(ip IPv4) bool {
	if ip.FragOffset() != 0 || !isUnicast4(ip.Src()) || ip.Dst() == 0 || ip.Dst()>>28 >= 0xe {
		return false
	}
	if ip.Proto() != ProtoICMP {
		return true
	}
	m, f := CheckICMP(ip.Payload())
	return f == FaultNone && !m.IsError()
}

// isUnicast4 excludes 0.0.0.0/8, 127.0.0.0/8, multicast, class E and broadcast (RFC 1122, section 3.2.1.3).
func isUnicast4(ip uint32) bool {
	net := ip >> 24
	return net != 0 && net != 127 && net < 224
}
