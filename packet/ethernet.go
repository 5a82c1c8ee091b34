package packet

import "encoding/binary"

// EtherTypes (IANA, "IEEE 802 Numbers"); untyped, so that they also compose into the wider words of keys and headers.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeTEB  = 0x6558 // transparent Ethernet bridging: an Ethernet frame inside GRE
	EtherTypeVLAN = 0x8100 // 802.1Q customer tag
	EtherTypeIPv6 = 0x86dd
	EtherTypeSlow = 0x8809 // slow protocols: LACP
	EtherTypeQinQ = 0x88a8 // 802.1ad service tag
	EtherTypeLLDP = 0x88cc

	// MinEtherType is the smallest EtherType; smaller values are the length of an 802.3 frame.
	MinEtherType = 0x0600
)

// Ethernet II header.
const (
	EthernetLen = 14 // without tags

	ethernetDst  = 0
	ethernetSrc  = 6
	ethernetType = 12
)

// Ethernet views a frame from its first byte.
type Ethernet []byte

// CheckEthernet reports false when b is too short for an Ethernet header.
func CheckEthernet(b []byte) (Ethernet, bool) { return Ethernet(b), len(b) >= EthernetLen }

// Dst returns the destination address.
func (e Ethernet) Dst() MAC { return MAC(e[ethernetDst : ethernetDst+6]) }

// Src returns the source address.
func (e Ethernet) Src() MAC { return MAC(e[ethernetSrc : ethernetSrc+6]) }

// EtherType returns the type of what follows the addresses, which may be a tag's.
func (e Ethernet) EtherType() uint16 { return binary.BigEndian.Uint16(e[ethernetType:]) }

// Payload returns what follows the untagged header.
func (e Ethernet) Payload() []byte { return e[EthernetLen:] }

// SetDst writes the destination address.
func (e Ethernet) SetDst(m MAC) { *(*MAC)(e[ethernetDst : ethernetDst+6]) = m }

// SetSrc writes the source address.
func (e Ethernet) SetSrc(m MAC) { *(*MAC)(e[ethernetSrc : ethernetSrc+6]) = m }

// SetEtherType writes the type.
func (e Ethernet) SetEtherType(t uint16) { binary.BigEndian.PutUint16(e[ethernetType:], t) }

// EncodeEthernet writes a header into b, which holds at least EthernetLen bytes.
func EncodeEthernet(b []byte, dst, src MAC, etherType uint16) {
	e := Ethernet(b[:EthernetLen])
	e.SetDst(dst)
	e.SetSrc(src)
	e.SetEtherType(etherType)
}
