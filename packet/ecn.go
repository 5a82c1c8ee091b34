package packet

import "encoding/binary"

// Explicit congestion notification: the low two bits of the IPv4 TOS byte and of the IPv6 traffic class
// (RFC 3168, section 5).
const (
	ECNNotECT uint8 = 0 // the transport does not understand marks
	ECNECT1   uint8 = 1
	ECNECT0   uint8 = 2
	ECNCE     uint8 = 3 // congestion experienced
	ECNMask   uint8 = 3
)

// ECNEncap returns the ECN bits of the outer header for a packet that a tunnel takes in: normal mode copies them
// (RFC 6040, section 4.1), so that a mark set inside the fabric can come back out.
func ECNEncap(inner uint8) uint8 { return inner & ECNMask }

// ecnDecap is the table of RFC 6040, section 4.2, figure 4, indexed by outer<<2|inner.
var ecnDecap = [16]uint8{
	// inner:      Not-ECT    ECT(1)   ECT(0)   CE
	/* Not-ECT */ ECNNotECT, ECNECT1, ECNECT0, ECNCE,
	/* ECT(1)  */ ECNNotECT, ECNECT1, ECNECT1, ECNCE,
	/* ECT(0)  */ ECNNotECT, ECNECT1, ECNECT0, ECNCE,
	/* CE      */ ecnDrop, ECNCE, ECNCE, ECNCE,
}

const ecnDrop = 0xff

// ECNDecap returns the ECN bits that the inner header leaves a tunnel with. ok is false where the packet must be
// dropped: the outer header was marked, and the inner transport would not see the mark (RFC 6040, section 4.2).
// Only the low two bits of outer and inner count, so that whole TOS bytes may be given.
func ECNDecap(outer, inner uint8) (ecn uint8, ok bool) {
	ecn = ecnDecap[outer&ECNMask<<2|inner&ECNMask]
	return ecn & ECNMask, ecn != ecnDrop
}

// SetECN4 sets the ECN bits of the IPv4 header at the front of ip (at least 12 bytes) and corrects its checksum.
func SetECN4(ip []byte, ecn uint8) {
	from := binary.BigEndian.Uint16(ip)
	to := from&^uint16(ECNMask) | uint16(ecn&ECNMask)
	if from == to {
		return
	}
	check := ip[ipv4Checksum : ipv4Checksum+2]
	binary.BigEndian.PutUint16(check, UpdateChecksum16(binary.BigEndian.Uint16(check), from, to))
	ip[ipv4TOS] = byte(to)
}

// SetECN6 sets the ECN bits of the IPv6 header at the front of ip (at least 2 bytes): the traffic class lies across
// the first two bytes, and no checksum covers it.
func SetECN6(ip []byte, ecn uint8) {
	ip[1] = ip[1]&^(ECNMask<<4) | ecn&ECNMask<<4
}
