package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sluicenet/sluice/packet"
)

const (
	minPrefixLen4, maxPrefixLen4 = 8, 30   // shorter is no subnet, longer has no room for the gateway and a VM
	minPrefixLen6, maxPrefixLen6 = 16, 126 // likewise
)

func (k *checker) networks() {
	vsids, rdids := map[uint32]holder{}, map[uint32]holder{}
	for i := range k.c.Networks {
		for j := range k.c.Networks[i].Subnets {
			if s := &k.c.Networks[i].Subnets[j]; packet.ValidVSID(s.VSID) && vsids[s.VSID].line == 0 {
				vsids[s.VSID] = holderOf(s)
			}
		}
	}
	for i := range k.c.Networks {
		n := &k.c.Networks[i]
		k.rdid(n, rdids)
		for j := range n.Subnets {
			s := &n.Subnets[j]
			k.vsid(s, vsids)
			k.prefix(s, "prefix", s.Prefix, n)
			k.prefix(s, "prefix6", s.Prefix6, n)
			if !s.has("prefix") && !s.has("prefix6") && !s.partial {
				k.problem(s, "", "the subnet has no prefix", "add prefix: 10.0.0.0/24, prefix6: 2001:db8:1::/64 or both")
			}
		}
		k.overlaps(n, "prefix", func(s *SubnetConfig) netip.Prefix { return s.Prefix })
		k.overlaps(n, "prefix6", func(s *SubnetConfig) netip.Prefix { return s.Prefix6 })
		k.routes(n)
	}
}

func (k *checker) rdid(n *NetworkConfig, taken map[uint32]holder) {
	if n.RDID == 0 || n.Name == "" && !n.has("rdid") {
		return
	}
	other, double := taken[n.RDID]
	switch {
	case !double:
		taken[n.RDID] = holderOf(n)
	case other.label == n.label():
	case n.has("rdid"):
		k.problem(n, "rdid", fmt.Sprintf("rdid %d is also that of %s", n.RDID, other), "give each network its own")
	default:
		k.problem(n, "name", fmt.Sprintf("the routing domain id %d, derived from the name, is also that of %s", n.RDID, other),
			"set rdid to a number below 2147483648, the same on every host")
	}
}

func (k *checker) vsid(s *SubnetConfig, taken map[uint32]holder) {
	other := taken[s.VSID]
	switch {
	case !s.has("vsid") || k.refused(s, "vsid"):
	case s.VSID == 0:
		k.problem(s, "vsid", "vsid 0 means not virtualised, and no subnet can have it", "use "+freeVSID(0, taken)+
			"; for a port outside virtual subnets use uplink and passThrough")
	case !packet.ValidVSID(s.VSID):
		k.problem(s, "vsid", fmt.Sprintf("vsid %d is reserved (RFC 7637: 0 to 4095 and 16777215)", s.VSID),
			"use "+freeVSID(s.VSID, taken))
	case other != holderOf(s):
		k.problem(s, "vsid", fmt.Sprintf("vsid %d is also that of %s", s.VSID, other), "use "+freeVSID(s.VSID, taken))
	}
}

// refused says that a field was given and could not be read, which has been reported where its value stands.
func (k *checker) refused(o described, key string) bool {
	at := o.from().find(key)
	return at != position{} && k.d.places[at]
}

// freeVSID says which values are free: the next one, and the whole range.
func freeVSID(near uint32, taken map[uint32]holder) string {
	v := min(max(near, packet.MinVSID), packet.MaxVSID)
	for range len(taken) + 1 {
		if _, used := taken[v]; !used {
			break
		}
		if v++; v > packet.MaxVSID {
			v = packet.MinVSID
		}
	}
	return fmt.Sprintf("a free one from %d to %d, for example %d", packet.MinVSID, packet.MaxVSID, v)
}

// prefix checks that a prefix can be that of a subnet.
func (k *checker) prefix(s *SubnetConfig, key string, p netip.Prefix, n *NetworkConfig) {
	if !p.IsValid() {
		return
	}
	a, low, high := p.Addr(), minPrefixLen4, maxPrefixLen4
	if a.Is6() {
		low, high = minPrefixLen6, maxPrefixLen6
	}
	switch {
	case a.Is6() && key == "prefix":
		k.problem(s, key, "prefix "+p.String()+" is IPv6", "write it as prefix6")
	case a.Is4() && key == "prefix6":
		k.problem(s, key, "prefix6 "+p.String()+" is IPv4", "write it as prefix")
	case p.Bits() < low || p.Bits() > high:
		k.problem(s, key, fmt.Sprintf("%s %s has a length of %d", key, p, p.Bits()),
			fmt.Sprintf("use /%d to /%d", low, high))
	case !forVMs(a):
		k.problem(s, key, key+" "+p.String()+" holds no addresses for VMs",
			"use a unicast prefix, for example 10.0.0.0/24 or 2001:db8:1::/64")
	}
}

// forVMs reports an address of a kind that VMs may have: of IPv4 classes A to C without the first network.
func forVMs(a netip.Addr) bool {
	if a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return false
	}
	return a.Is6() || a.As4()[0] > 0 && a.As4()[0] < 224
}

// overlaps refuses subnets of one routing domain that share addresses: a target would be in both.
func (k *checker) overlaps(n *NetworkConfig, key string, prefix func(*SubnetConfig) netip.Prefix) {
	var sorted []*SubnetConfig
	for i := range n.Subnets {
		if prefix(&n.Subnets[i]).IsValid() {
			sorted = append(sorted, &n.Subnets[i])
		}
	}
	slices.SortStableFunc(sorted, func(a, b *SubnetConfig) int {
		p, q := prefix(a), prefix(b)
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	// Prefixes nest or are disjoint, so one that overlaps any before it overlaps the last one that was not inside another.
	var outer *SubnetConfig
	for _, s := range sorted {
		if outer == nil || !prefix(outer).Overlaps(prefix(s)) {
			outer = s
			continue
		}
		late, early := s, outer
		if late.number < early.number {
			late, early = early, late
		}
		k.problem(late, key, fmt.Sprintf("%s %s overlaps %s of %s in network %s",
			key, prefix(late), prefix(early), holderOf(early), n.Name),
			"use disjoint prefixes inside a network; those of different networks may overlap")
	}
}

// routes checks the extra customer routes of a network.
func (k *checker) routes(n *NetworkConfig) {
	type place struct {
		prefix netip.Prefix
		subnet string
		metric uint32
	}
	taken := map[place]holder{}
	for i := range n.Routes {
		r := &n.Routes[i]
		at := place{r.Prefix, r.Subnet, r.Metric}
		other, double := taken[at]
		switch {
		case !r.Prefix.IsValid():
		case double:
			k.problem(r, "prefix", "the same prefix and metric as "+other.String(),
				"of equal routes only the first is used: leave one out, or give it another metric")
		default:
			taken[at] = holderOf(r)
		}
		if r.Subnet != "" && !slices.ContainsFunc(n.Subnets, func(s SubnetConfig) bool { return s.Name == r.Subnet }) {
			k.problem(r, "subnet", fmt.Sprintf("subnet %s is not one of network %s", r.Subnet, n.Name),
				"name a subnet of the network, or leave it out")
		}
		k.nextHop(n, r)
	}
}

// nextHop checks where a route leads to.
func (k *checker) nextHop(n *NetworkConfig, r *RouteConfig) {
	switch {
	case r.has("nextHop") && r.has("gateway"):
		k.problem(r, "gateway", "the route has a nextHop and a gateway",
			"keep nextHop for a VM of the network, or gateway for a provider address")
		return
	case r.partial:
		return
	case !r.has("nextHop") && !r.has("gateway"):
		k.problem(r, "", "the route leads nowhere", "add nextHop: <customer address> or gateway: <provider address>")
		return
	case r.Gateway.IsValid():
		k.foreignPA(r, "gateway", r.Gateway)
		return
	case !r.NextHop.IsValid():
		return
	}
	if r.Prefix.IsValid() && r.NextHop.Is4() != r.Prefix.Addr().Is4() {
		k.problem(r, "nextHop", fmt.Sprintf("next hop %s is not of the same IP version as %s", r.NextHop, r.Prefix),
			"use one of the same version")
		return
	}
	for i := range n.Subnets {
		s := &n.Subnets[i]
		if s.partial || k.refused(s, "prefix") || k.refused(s, "prefix6") {
			return // its prefix may be the one
		}
		if p := s.prefixOf(r.NextHop); p.IsValid() {
			if what := notForVMs(p, r.NextHop); what != "" {
				k.problem(r, "nextHop", fmt.Sprintf("next hop %s is the %s of subnet %s", r.NextHop, what, s.Name),
					"name a VM of the network")
			}
			return
		}
	}
	k.problem(r, "nextHop", fmt.Sprintf("next hop %s is in no subnet of network %s", r.NextHop, n.Name),
		"name a VM of the network, or use gateway for a provider address")
}

// prefixOf is the prefix of the subnet that holds a, the invalid one when none does.
func (s *SubnetConfig) prefixOf(a netip.Addr) netip.Prefix {
	for _, p := range []netip.Prefix{s.Prefix, s.Prefix6} {
		if p.IsValid() && p.Contains(a) {
			return p
		}
	}
	return netip.Prefix{}
}

// notForVMs says why no VM may have an address of prefix p, "" when one may.
func notForVMs(p netip.Prefix, a netip.Addr) string {
	switch {
	case a == gatewayOf(p):
		return "gateway"
	case isEdge(p, a):
		return edgeName(p, a) + " address"
	}
	return ""
}
