package packet

import "encoding/binary"

// Differentiated services code point: the high six bits of the IPv4 TOS byte and of the IPv6 traffic class (RFC 2474,
// section 3).

// MaxDSCP is the largest code point.
const MaxDSCP = 63

// SetDSCP4 sets the code point of the IPv4 header at the front of ip (at least 12 bytes) and corrects its checksum.
func SetDSCP4(ip []byte, dscp uint8) {
	from := binary.BigEndian.Uint16(ip)
	to := from&^uint16(MaxDSCP<<2) | uint16(dscp&MaxDSCP)<<2
	if from == to {
		return
	}
	check := ip[ipv4Checksum : ipv4Checksum+2]
	binary.BigEndian.PutUint16(check, UpdateChecksum16(binary.BigEndian.Uint16(check), from, to))
	ip[ipv4TOS] = byte(to)
}

// SetDSCP6 sets the code point of the IPv6 header at the front of ip (at least 2 bytes): it lies across the first two
// bytes, and no checksum covers it.
func SetDSCP6(ip []byte, dscp uint8) {
	dscp &= MaxDSCP
	ip[0] = ip[0]&0xf0 | dscp>>2
	ip[1] = ip[1]&^(3<<6) | dscp<<6
}
