package policy

import (
	"net/netip"

	"github.com/sluicenet/sluice/packet"
)

// PrefixFrom converts p, masked; an invalid prefix gives the zero Prefix, which contains nothing. So that ::/0 is not
// taken for that, it is held as ::1/0.
func PrefixFrom(p netip.Prefix) Prefix {
	if !p.IsValid() {
		return Prefix{}
	}
	p = p.Masked()
	out := Prefix{Addr: packet.AddrFromNetip(p.Addr()), Bits: uint8(p.Bits())}
	if p.Addr().Is4() {
		out.Bits += 96
	}
	if out == (Prefix{}) {
		out.Addr.Lo = 1
	}
	return out
}

// IsZero reports the Prefix that contains nothing.
func (p Prefix) IsZero() bool { return p == Prefix{} }

// Netip converts, masked; the zero Prefix gives the invalid one.
func (p Prefix) Netip() netip.Prefix {
	if p.IsZero() {
		return netip.Prefix{}
	}
	a, bits := p.Addr.Netip(), int(p.Bits)
	switch {
	case a.Is4():
		bits -= 96
	case !a.IsValid():
		a = netip.IPv6Unspecified()
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// String is the prefix in CIDR form, "-" for the zero Prefix.
func (p Prefix) String() string {
	if p.IsZero() {
		return "-"
	}
	return p.Netip().String()
}
