package packet

import "encoding/binary"

// UDP header (RFC 768): source port, destination port, length, checksum, of 16 bits each.
const (
	UDPLen = 8

	udpDst      = 2
	udpLength   = 4
	udpChecksum = 6
)

// UDP views a datagram: header and data.
type UDP []byte

// CheckUDP validates the length of the datagram at the front of b, which ends where the IP packet ends, and cuts off
// what follows it. A first fragment fails, since its length is that of the whole datagram.
func CheckUDP(b []byte) (UDP, Fault) {
	if len(b) < UDPLen {
		return nil, FaultTruncated
	}
	n := int(binary.BigEndian.Uint16(b[udpLength:]))
	if n < UDPLen || n > len(b) {
		return nil, FaultTotalLength
	}
	return UDP(b[:n]), FaultNone
}

// SrcPort returns the source port.
func (u UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(u) }

// DstPort returns the destination port.
func (u UDP) DstPort() uint16 { return binary.BigEndian.Uint16(u[udpDst:]) }

// Length returns the length of header and data, bytes.
func (u UDP) Length() uint16 { return binary.BigEndian.Uint16(u[udpLength:]) }

// Checksum returns the checksum as it stands; 0 means that the sender computed none.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[udpChecksum:]) }

// Payload returns the data.
func (u UDP) Payload() []byte { return u[UDPLen:] }

// ChecksumOK verifies the checksum; pseudo is the partial sum of the pseudo-header. A datagram without a checksum passes:
// IPv6 forbids that (RFC 8200, section 8.1), so there the caller looks for zero first.
func (u UDP) ChecksumOK(pseudo uint32) bool { return u.Checksum() == 0 || Checksum(u, pseudo) == 0 }

// SetChecksum computes the checksum over the whole view; pseudo is the partial sum of the pseudo-header. A sum of zero is
// sent as 0xffff.
func (u UDP) SetChecksum(pseudo uint32) {
	binary.BigEndian.PutUint16(u[udpChecksum:], 0)
	binary.BigEndian.PutUint16(u[udpChecksum:], UDPChecksum(1, Checksum(u, pseudo)))
}

// UDPChecksum returns what to write after an incremental update turned the checksum was into updated: none stays none,
// and a result of zero becomes 0xffff (RFC 768).
func UDPChecksum(was, updated uint16) uint16 {
	switch {
	case was == 0:
		return 0
	case updated == 0:
		return 0xffff
	}
	return updated
}

// EncodeUDP writes a header, with a checksum of zero, to b, which holds at least UDPLen bytes. length covers header and
// data.
func EncodeUDP(b []byte, srcPort, dstPort, length uint16) {
	binary.BigEndian.PutUint64(b, uint64(srcPort)<<48|uint64(dstPort)<<32|uint64(length)<<16)
}
