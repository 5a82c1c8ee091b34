package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// rewriteScope is who has which provider address. Those of VMs and those of hosts are apart: a packet to the one is the
// VM's, to the other the host's.
type rewriteScope struct {
	vms   map[netip.Addr]holder
	hosts map[netip.Addr]holder // by records and routes; the hosts section is in checker.peers
}

// rewritten checks what IP rewrite asks for: a provider address of its own for each customer address.
func (k *checker) rewritten() {
	s := &rewriteScope{vms: map[netip.Addr]holder{}, hosts: map[netip.Addr]holder{}}
	for i := range k.c.Networks {
		n := &k.c.Networks[i]
		for j := range n.Subnets {
			if sub := &n.Subnets[j]; sub.Method == MethodRewrite && sub.has("prefix6") {
				k.problem(sub, "method", "method rewrite carries IPv4 only, and the subnet has prefix6",
					"leave prefix6 out, or use nvgre")
			}
		}
		for j := range n.Routes {
			s.addHost(&n.Routes[j], n.Routes[j].Gateway)
		}
	}
	for i := range k.c.Records {
		if r := &k.c.Records[i]; k.methodOf(r) == MethodNVGRE {
			s.addHost(r, r.PA)
		}
	}
	for i := range k.c.Vports {
		k.rewrittenVport(&k.c.Vports[i], s)
	}
	for i := range k.c.Records {
		if r := &k.c.Records[i]; k.methodOf(r) == MethodRewrite {
			k.rewrittenRecord(r, s)
		}
	}
}

func (s *rewriteScope) addHost(o described, pa netip.Addr) {
	if _, taken := s.hosts[pa]; !taken && pa.IsValid() {
		s.hosts[pa] = holderOf(o)
	}
}

// methodOf is how packets to a VM of another host travel; "" when its subnet is not known.
func (k *checker) methodOf(r *RecordConfig) string {
	if scope := k.subnets[r.Subnet]; scope != nil {
		return cmp.Or(r.Method, scope.subnet.Method)
	}
	return r.Method
}

func (k *checker) rewrittenVport(v *VportConfig, s *rewriteScope) {
	scope := k.subnets[v.Subnet]
	if scope == nil || v.partial {
		return
	}
	want := 0
	for _, a := range v.Addresses {
		if a.Is4() {
			want++
		}
	}
	unread := k.refused(v, "addresses")
	for i, a := range v.Addresses {
		unread = unread || !a.IsValid() && v.has(fmt.Sprintf("addresses[%d]", i))
	}
	switch have := len(v.ProviderAddresses); {
	case unread || k.refused(v, "providerAddresses"):
	case have == 0 && want > 0 && scope.subnet.Method == MethodRewrite:
		k.problem(v, "", fmt.Sprintf("subnet %s is one of method rewrite, and the vport has no providerAddresses", v.Subnet),
			fmt.Sprintf("add providerAddresses with %s%s", count(want, "free address", "free addresses"), k.fabricPrefixes()))
	case have != want && v.has("providerAddresses"):
		k.problem(v, "providerAddresses", fmt.Sprintf("%s for %s", count(have, "provider address", "provider addresses"),
			count(want, "IPv4 address", "IPv4 addresses")), "give one for each IPv4 entry of addresses, in the same order")
	}
	for i, pa := range v.ProviderAddresses {
		if key := fmt.Sprintf("providerAddresses[%d]", i); pa.IsValid() && k.vmPA(v, key, pa, s) && !k.inFabric(pa) {
			k.problem(v, key, "provider address "+pa.String()+" is in no prefix of an uplink's providerAddresses: the fabric would not find it here",
				"use a free address"+k.fabricPrefixes())
		}
	}
}

func (k *checker) rewrittenRecord(r *RecordConfig, s *rewriteScope) {
	switch {
	case r.partial:
	case !r.has("ca"):
		k.problem(r, "", "rewrite replaces customer addresses, and the record has none", "add ca, or method: nvgre with the provider address of the VM's host")
	case r.CA.Is6():
		k.problem(r, "ca", fmt.Sprintf("%s is IPv6, and rewrite carries IPv4 only", r.CA), "use method: nvgre with the provider address of the VM's host")
	}
	if r.PA.IsValid() && !k.refused(r, "pa") {
		k.vmPA(r, "pa", r.PA, s)
	}
}

// vmPA checks that pa may belong to one VM, and takes it.
func (k *checker) vmPA(o described, key string, pa netip.Addr, s *rewriteScope) bool {
	what, remedy := k.fabricRole(pa), "give the VM one of its own"
	switch host, is := s.hosts[pa]; {
	case what != "":
	case is:
		what = "the host's in " + host.String()
	default:
		other, double := s.vms[pa]
		if !double {
			s.vms[pa] = holderOf(o)
			return true
		}
		what = "also that of " + other.String()
		if other == holderOf(o) {
			what = "given twice"
		}
	}
	k.problem(o, key, "provider address "+pa.String()+" is "+what, remedy)
	return false
}

// fabricRole says what a provider address is already in the fabric, "" for nothing.
func (k *checker) fabricRole(pa netip.Addr) string {
	if own, is := k.ownPAs[pa.String()]; is {
		return "that of " + own.String() + " itself"
	}
	if peer, is := k.peers[pa.String()]; is {
		return "that of " + peer.String()
	}
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		if u.Gateway == pa {
			return "the gateway of " + holderOf(u).String()
		}
		for _, p := range u.ProviderAddresses {
			if p.IsValid() && isEdge(p, pa) {
				return "the " + edgeName(p, pa) + " address of " + p.Masked().String()
			}
		}
	}
	return ""
}

// inFabric reports that an uplink has a prefix for pa, or that one of its prefixes could not be read.
func (k *checker) inFabric(pa netip.Addr) bool {
	if k.unread("uplinks") {
		return true
	}
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		if u.partial || k.unreadPA(u) {
			return true
		}
		for _, p := range u.ProviderAddresses {
			if p.Contains(pa) {
				return true
			}
		}
	}
	return false
}

// fabricPrefixes names, in a remedy, where provider addresses are.
func (k *checker) fabricPrefixes() string {
	var all []string
	for i := range k.c.Uplinks {
		for _, p := range k.c.Uplinks[i].ProviderAddresses {
			if p.IsValid() {
				all = append(all, p.Masked().String())
			}
		}
	}
	if len(all) == 0 {
		return " in the prefix of an uplink's providerAddresses"
	}
	return " in " + strings.Join(all, " or ")
}

// overheadOf is what crossing the fabric adds to an IP packet of the subnet's VMs.
func overheadOf(s *SubnetConfig) int {
	if s.Method == MethodRewrite {
		return 0
	}
	return Overhead
}

// OverheadOf is what crossing the fabric adds to an IP packet from a vport, bytes.
func (c *Config) OverheadOf(v *VportConfig) int {
	if s, _ := c.Subnet(v.Subnet); s != nil {
		return overheadOf(s)
	}
	return 0
}
