package packet

import "encoding/binary"

// ARP for IPv4 over Ethernet (RFC 826), the only combination in use:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|      hardware type (1)        |    protocol type (0x0800)     |
//	+---------------+---------------+-------------------------------+
//	| hw length (6) | p. length (4) |           operation           |
//	+---------------+---------------+-------------------------------+
//	|                  sender hardware address                      |
//	+                               +-------------------------------+
//	|                               |  sender protocol address ...  |
//	+-------------------------------+-------------------------------+
//	|  ... sender protocol address  |   target hardware address ... |
//	+-------------------------------+                               +
//	|                ... target hardware address                    |
//	+---------------------------------------------------------------+
//	|                   target protocol address                     |
//	+---------------------------------------------------------------+
const (
	ARPLen = 28

	arpOp  = 6
	arpSHA = 8
	arpSPA = 14
	arpTHA = 18
	arpTPA = 24

	arpEthernetIPv4 = 0x0001_0800_06_04 // hardware type, protocol type and both lengths
)

// Operations.
const (
	ARPRequest uint16 = 1
	ARPReply   uint16 = 2
)

// ARP views a message, without what pads the frame behind it.
type ARP []byte

// CheckARP takes what follows the Ethernet header and tags. It reports false for a message that is cut off or not of
// IPv4 over Ethernet.
func CheckARP(b []byte) (ARP, bool) {
	if len(b) < ARPLen || binary.BigEndian.Uint64(b)>>16 != arpEthernetIPv4 {
		return nil, false
	}
	return ARP(b[:ARPLen]), true
}

// Op returns the operation, which need not be one of the two known ones.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[arpOp:]) }

// SenderMAC returns the sender's hardware address.
func (a ARP) SenderMAC() MAC { return MAC(a[arpSHA : arpSHA+6]) }

// SenderIP returns the sender's protocol address in host order.
func (a ARP) SenderIP() uint32 { return binary.BigEndian.Uint32(a[arpSPA:]) }

// TargetMAC returns the target's hardware address, which means nothing in a request.
func (a ARP) TargetMAC() MAC { return MAC(a[arpTHA : arpTHA+6]) }

// TargetIP returns the target's protocol address in host order.
func (a ARP) TargetIP() uint32 { return binary.BigEndian.Uint32(a[arpTPA:]) }

// IsGratuitous reports a message about the sender's own address, request or reply (RFC 5227, section 1.2,
// "announcement"; RFC 5944, section 4.6).
func (a ARP) IsGratuitous() bool { return a.SenderIP() == a.TargetIP() && a.SenderIP() != 0 }

// IsProbe reports a request that asks whether an address is free, with sender 0.0.0.0 (RFC 5227, section 2.1.1). It must
// not update anybody's cache.
func (a ARP) IsProbe() bool { return a.SenderIP() == 0 && a.Op() == ARPRequest }

// EncodeARP writes a message into b, which holds at least ARPLen bytes. Addresses are in host order. A request carries
// the zero address in tha.
func EncodeARP(b []byte, op uint16, sha MAC, spa uint32, tha MAC, tpa uint32) {
	_ = b[ARPLen-1]
	binary.BigEndian.PutUint64(b, arpEthernetIPv4<<16|uint64(op))
	*(*MAC)(b[arpSHA : arpSHA+6]) = sha
	binary.BigEndian.PutUint32(b[arpSPA:], spa)
	*(*MAC)(b[arpTHA : arpTHA+6]) = tha
	binary.BigEndian.PutUint32(b[arpTPA:], tpa)
}
