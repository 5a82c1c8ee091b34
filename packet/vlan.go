package packet

import "encoding/binary"

// 802.1Q tag (IEEE 802.1Q-2018, section 9.6), between the source address and the EtherType:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-----+-+-----------------------+
//	|         TPID (0x8100)         | PCP |D|          VID          |
//	+-------------------------------+-----+-+-----------------------+
const (
	VLANLen = 4

	vlanTCI  = ethernetType + 2 // of the first tag, from the start of the frame
	vlanType = ethernetType + 4 // type behind the first tag
)

// VLAN identifiers with a meaning of their own (IEEE 802.1Q-2018, table 9-2).
const (
	VIDPriority uint16 = 0     // priority tag: no VLAN, only PCP and DEI
	MaxVID      uint16 = 0xffe // 0xfff is reserved
	vidMask     uint16 = 0xfff
)

// ValidVID reports whether v may name a VLAN.
func ValidVID(v uint16) bool { return v > VIDPriority && v <= MaxVID }

// MakeTCI composes tag control information; bits of pcp and vid beyond their fields are dropped.
func MakeTCI(pcp uint8, dei bool, vid uint16) uint16 {
	tci := uint16(pcp&7)<<13 | vid&vidMask
	if dei {
		tci |= 1 << 12
	}
	return tci
}

// TCIVID returns the VLAN identifier.
func TCIVID(tci uint16) uint16 { return tci & vidMask }

// TCIPCP returns the priority code point.
func TCIPCP(tci uint16) uint8 { return uint8(tci >> 13) }

// TCIDEI reports the drop eligible indicator.
func TCIDEI(tci uint16) bool { return tci&(1<<12) != 0 }

// VLAN views a frame from its first byte whose EtherType is a tag's.
type VLAN []byte

// CheckVLAN reports whether b starts with an Ethernet header, a whole customer tag (0x8100) and the type behind it.
// A service tag (0x88a8) is none: customer ports treat it as any other EtherType.
func CheckVLAN(b []byte) (VLAN, bool) {
	return VLAN(b), len(b) >= EthernetLen+VLANLen && binary.BigEndian.Uint16(b[ethernetType:]) == EtherTypeVLAN
}

// TCI returns PCP, DEI and VID of the first tag.
func (v VLAN) TCI() uint16 { return binary.BigEndian.Uint16(v[vlanTCI:]) }

// SetTCI writes PCP, DEI and VID of the first tag.
func (v VLAN) SetTCI(tci uint16) { binary.BigEndian.PutUint16(v[vlanTCI:], tci) }

// EtherType returns the type behind the first tag.
func (v VLAN) EtherType() uint16 { return binary.BigEndian.Uint16(v[vlanType:]) }

// Payload returns what follows the tag.
func (v VLAN) Payload() []byte { return v[EthernetLen+VLANLen:] }

// PushVLAN inserts a customer tag in front of the EtherType, in place, by moving the addresses into the headroom.
// It reports false, and changes nothing, when the packet must not be written, has no whole Ethernet header in its
// first segment, or lacks headroom.
func PushVLAN(p *Packet, tci uint16) bool {
	if !p.Writable() || p.DataLen < EthernetLen || !p.Prepend(VLANLen) {
		return false
	}
	b := p.Data()
	// 12 bytes move forward by 4: both loads come before the stores, since the ranges overlap.
	first, last := binary.NativeEndian.Uint64(b[4:]), binary.NativeEndian.Uint32(b[12:])
	binary.NativeEndian.PutUint64(b, first)
	binary.NativeEndian.PutUint32(b[8:], last)
	binary.BigEndian.PutUint32(b[ethernetType:], uint32(EtherTypeVLAN)<<16|uint32(tci))
	return true
}

// PopVLAN removes the first tag, in place, and returns it. It reports false, and changes nothing, when the frame has no
// customer tag or the packet must not be written.
func PopVLAN(p *Packet) (tci uint16, ok bool) {
	if !p.Writable() {
		return 0, false
	}
	v, ok := CheckVLAN(p.Data())
	if !ok {
		return 0, false
	}
	tci = v.TCI()
	first, last := binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint32(v[8:])
	binary.NativeEndian.PutUint64(v[4:], first)
	binary.NativeEndian.PutUint32(v[12:], last)
	return tci, p.TrimFront(VLANLen)
}
