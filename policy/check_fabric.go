package policy

import (
	"fmt"
	"net/netip"
)

// providerAddress reads an address of the fabric.
func providerAddress(dst *netip.Addr) reader {
	return func(v value) {
		var a netip.Addr
		address(&a)(v)
		if a.Is6() {
			v.fail("is "+a.String()+": IPv6 provider addresses are not offered by this version", "use an IPv4 address")
			return
		}
		*dst = a
	}
}

// providerPrefix reads an own address in the fabric, with the length of its prefix.
func providerPrefix(dst *netip.Prefix) reader {
	return func(v value) {
		var p netip.Prefix
		network(&p, true)(v)
		if !p.IsValid() {
			return
		}
		a := p.Addr()
		switch {
		case a.Is6():
			v.fail("is "+p.String()+": IPv6 provider addresses are not offered by this version", "use an IPv4 address")
		case p.Bits() < minPrefixLen4:
			v.fail(fmt.Sprintf("is %s, a prefix of %d bits", p, p.Bits()),
				fmt.Sprintf("give the length of the fabric's prefix, %d to 32", minPrefixLen4))
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == broadcast4:
			v.fail("is "+a.String()+", which no host may have", "use a unicast address")
		case isEdge(p, a):
			v.fail(fmt.Sprintf("is %s, which is the %s address of its prefix", p, edgeName(p, a)), "use "+usable(p))
		default:
			*dst = p
		}
	}
}

// lastOf is the highest address of a prefix: the broadcast address of IPv4.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// isEdge reports an address of p that no host may have: the first one (of IPv6, that of any router, RFC 4291, section
// 2.6.1), and the broadcast address of IPv4. Prefixes of one or two addresses have none (RFC 3021).
func isEdge(p netip.Prefix, a netip.Addr) bool {
	if !p.Contains(a) || p.Bits() >= a.BitLen()-1 {
		return false
	}
	return a == p.Masked().Addr() || a.Is4() && a == lastOf(p)
}

func edgeName(p netip.Prefix, a netip.Addr) string {
	switch {
	case a.Is6():
		return "router anycast"
	case a == p.Masked().Addr():
		return "network"
	}
	return "broadcast"
}

// usable names the addresses of p that hosts may have.
func usable(p netip.Prefix) string {
	first, last := p.Masked().Addr().Next(), lastOf(p)
	if last.Is4() {
		last = last.Prev()
	}
	return first.String() + " to " + last.String()
}

func (k *checker) uplink(u *UplinkConfig) {
	inPrefix := false
	for i, p := range u.ProviderAddresses {
		if !p.IsValid() {
			continue
		}
		key := fmt.Sprintf("providerAddresses[%d]", i)
		if other, double := k.ownPAs[p.Addr().String()]; double {
			k.problem(u, key, "provider address "+p.Addr().String()+" is also that of "+other.String(),
				"give each uplink its own")
			continue
		}
		k.ownPAs[p.Addr().String()] = holderOf(u)
		if !p.Contains(u.Gateway) {
			continue
		}
		inPrefix = true
		switch {
		case u.Gateway == p.Addr():
			k.problem(u, "gateway", "gateway "+u.Gateway.String()+" is the uplink's own provider address",
				"give the address of the fabric's router")
		case isEdge(p, u.Gateway):
			k.problem(u, "gateway", fmt.Sprintf("gateway %s is the %s address of %s", u.Gateway, edgeName(p, u.Gateway), p.Masked()),
				"use "+usable(p))
		}
	}
	if u.Gateway.IsValid() && !inPrefix && !k.unreadPA(u) {
		k.problem(u, "gateway", "gateway "+u.Gateway.String()+" is in no prefix of the uplink's providerAddresses",
			"give a router that the uplink reaches directly, or add a provider address in its prefix")
	}
}

// unreadPA reports that a provider address of the uplink has been refused: what it would have held is not known.
func (k *checker) unreadPA(u *UplinkConfig) bool {
	for _, p := range u.ProviderAddresses {
		if !p.IsValid() {
			return true
		}
	}
	return u.has("providerAddresses") && len(u.ProviderAddresses) == 0
}

// peer checks another host.
func (k *checker) peer(h *PeerConfig) {
	if h.has("providerAddresses") && len(h.ProviderAddresses) == 0 {
		k.problem(h, "providerAddresses", "the host has no provider address", "list its addresses, or leave the host out")
	}
	for i, pa := range h.ProviderAddresses {
		if !pa.IsValid() {
			continue
		}
		key := fmt.Sprintf("providerAddresses[%d]", i)
		if k.foreignPA(h, key, pa) {
			if other, double := k.peers[pa.String()]; double {
				k.problem(h, key, "provider address "+pa.String()+" is also that of "+other.String(),
					"an address belongs to one host: leave one out")
				continue
			}
			k.peers[pa.String()] = holderOf(h)
		}
	}
}

// foreignPA checks that pa may be the provider address of another host.
func (k *checker) foreignPA(o described, key string, pa netip.Addr) bool {
	if own, is := k.ownPAs[pa.String()]; is {
		k.problem(o, key, "provider address "+pa.String()+" is this host's own, of "+own.String(),
			"name the address of the other host; a VM of this host is a vport")
		return false
	}
	for i := range k.c.Uplinks {
		for _, p := range k.c.Uplinks[i].ProviderAddresses {
			if p.IsValid() && isEdge(p, pa) {
				k.problem(o, key, fmt.Sprintf("provider address %s is the %s address of %s", pa, edgeName(p, pa), p.Masked()),
					"use "+usable(p))
				return false
			}
		}
	}
	return true
}
