package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseMAC reads a 48-bit address in any form that net.ParseMAC takes.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not an Ethernet address (want aa:bb:cc:dd:ee:ff)", s)
	}
	return MAC(hw), nil
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsGroup reports a multicast or broadcast address.
func (m MAC) IsGroup() bool { return m[0]&1 != 0 }

// IsZero reports the all-zero address, which no station may use.
func (m MAC) IsZero() bool { return m == MAC{} }

// Uint64 returns the address in the low 48 bits, first byte highest.
func (m MAC) Uint64() uint64 {
	return uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

// MACFromUint64 is the inverse of MAC.Uint64; the high 16 bits are ignored.
func MACFromUint64(v uint64) MAC {
	return MAC{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Addr is an IP address of 16 bytes without pointers, so that tables of it are invisible to the garbage collector.
// IPv4 is held in mapped form, ::ffff:a.b.c.d. The zero value is no address.
type Addr struct{ Hi, Lo uint64 }

// AddrFrom4 makes an Addr of an IPv4 address in host order (10.0.0.1 is 0x0a000001).
func AddrFrom4(v uint32) Addr { return Addr{0, 0xffff<<32 | uint64(v)} }

// AddrFrom16 makes an Addr of the 16 bytes of an IPv6 address in network order. b must hold 16 bytes.
func AddrFrom16(b []byte) Addr {
	_ = b[15]
	return Addr{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// AddrFromNetip converts; an invalid address gives the zero Addr, and a zone is dropped.
func AddrFromNetip(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	b := a.As16()
	return AddrFrom16(b[:])
}

// Is4 reports an IPv4 address.
func (a Addr) Is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// IsZero reports that a is no address.
func (a Addr) IsZero() bool { return a == Addr{} }

// V4 returns the low 32 bits: the IPv4 address in host order when Is4.
func (a Addr) V4() uint32 { return uint32(a.Lo) }

// Netip converts; IPv4 comes back unmapped, the zero Addr as the invalid netip.Addr.
func (a Addr) Netip() netip.Addr {
	if a.IsZero() {
		return netip.Addr{}
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return netip.AddrFrom16(b).Unmap()
}

func (a Addr) String() string {
	if a.IsZero() {
		return "-"
	}
	return a.Netip().String()
}

// VSID bounds (RFC 7637, section 3.2: 0x000-0xFFF reserved, 0xFFFFFF is the vendor-specific NVE-to-NVE VSID).
const (
	MinVSID = 0x001000
	MaxVSID = 0xfffffe
)

// ValidVSID reports whether v may name a virtual subnet on the wire (RFC 7637, section 3.2).
func ValidVSID(v uint32) bool { return v >= MinVSID && v <= MaxVSID }
