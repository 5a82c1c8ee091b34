package policy

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/sluicenet/sluice/packet"
)

// subnetScope is who has which address in a subnet.
type subnetScope struct {
	subnet  *SubnetConfig
	network *NetworkConfig
	cas     map[netip.Addr]holder
	macs    map[packet.MAC]macHolder
	bare    map[packet.MAC]holder // records without a customer address
}

// macHolder is a VM. Several records of one remote VM agree in MAC and host.
type macHolder struct {
	holder
	host string // "" on this host
}

// anyHost stands for a host that the record does not tell.
const anyHost = "any"

func newSubnetScope(s *SubnetConfig, n *NetworkConfig) *subnetScope {
	return &subnetScope{subnet: s, network: n, cas: map[netip.Addr]holder{}, macs: map[packet.MAC]macHolder{},
		bare: map[packet.MAC]holder{}}
}

func (s *subnetScope) addVport(k *checker, v *VportConfig) {
	for i, ca := range v.Addresses {
		s.addCA(k, v, fmt.Sprintf("addresses[%d]", i), ca)
	}
	if v.MAC.IsZero() {
		return
	}
	if other, double := s.macs[v.MAC]; double {
		k.problem(v, "mac", fmt.Sprintf("mac %s is also that of %s in subnet %s", v.MAC, other, s.subnet.Name),
			"give each VM its own")
		return
	}
	s.macs[v.MAC] = macHolder{holder: holderOf(v)}
}

func (s *subnetScope) addRecord(k *checker, r *RecordConfig) {
	if r.CA.IsValid() {
		s.addCA(k, r, "ca", r.CA)
	}
	if r.MAC.IsZero() {
		return
	}
	host := k.hostOf(r.PA)
	if host != "" && cmp.Or(r.Method, s.subnet.Method) != MethodNVGRE {
		host = anyHost // the address is the VM's own and does not tell
	}
	other, double := s.macs[r.MAC]
	switch {
	case double && (other.host == "" || other.host != host && host != "" && host != anyHost && other.host != anyHost):
		k.problem(r, "mac", fmt.Sprintf("mac %s is also that of %s in subnet %s", r.MAC, other, s.subnet.Name),
			"give each VM its own")
		return
	case !double && host != "":
		s.macs[r.MAC] = macHolder{holderOf(r), host}
	}
	if r.has("ca") {
		return
	}
	if other, double := s.bare[r.MAC]; double {
		k.problem(r, "mac", "the same as "+other.String(), "leave one out")
		return
	}
	s.bare[r.MAC] = holderOf(r)
}

// addCA checks a customer address and takes it for o.
func (s *subnetScope) addCA(k *checker, o described, key string, ca netip.Addr) {
	if !ca.IsValid() {
		return
	}
	p := s.subnet.prefixOf(ca)
	switch {
	case ca == linkLocalGateway.Netip():
		k.problem(o, key, fmt.Sprintf("%s is the gateway of every subnet with IPv6", ca),
			"use an address inside "+s.prefixes())
	case !p.IsValid() && s.prefixes() == "":
		return
	case !p.IsValid() && s.whole(k, ca):
		k.problem(o, key, fmt.Sprintf("%s is outside subnet %s", ca, s.subnet.Name), "use an address inside "+s.prefixes())
	case !p.IsValid():
		return
	default:
		if what := notForVMs(p, ca); what != "" {
			k.problem(o, key, fmt.Sprintf("%s is the %s of subnet %s", ca, what, s.subnet.Name), "use "+usableForVMs(p))
			return
		}
		if other, double := s.cas[ca]; double {
			k.problem(o, key, fmt.Sprintf("%s is also the address of %s in subnet %s", ca, other, s.subnet.Name),
				"give each VM its own")
			return
		}
		s.cas[ca] = holderOf(o)
	}
}

// whole reports that the prefix which an address of ca's version would be in was not refused itself.
func (s *subnetScope) whole(k *checker, ca netip.Addr) bool {
	key, p := "prefix", s.subnet.Prefix
	if ca.Is6() {
		key, p = "prefix6", s.subnet.Prefix6
	}
	return p.IsValid() || !s.subnet.has(key)
}

// prefixes names what addresses of the subnet are in.
func (s *subnetScope) prefixes() string {
	p, q := s.subnet.Prefix, s.subnet.Prefix6
	switch {
	case p.IsValid() && q.IsValid():
		return p.String() + " or " + q.String()
	case p.IsValid():
		return p.String()
	case q.IsValid():
		return q.String()
	}
	return ""
}

// usableForVMs names the addresses of p past the gateway.
func usableForVMs(p netip.Prefix) string {
	last := lastOf(p)
	if last.Is4() {
		last = last.Prev()
	}
	return gatewayOf(p).Next().String() + " to " + last.String()
}

// hostOf names the host of a provider address: by the hosts section when it is there.
func (k *checker) hostOf(pa netip.Addr) string {
	if !pa.IsValid() {
		return ""
	}
	if h, listed := k.peers[pa.String()]; listed {
		return h.String()
	}
	return pa.String()
}

func (k *checker) records() {
	for i := range k.c.Records {
		r := &k.c.Records[i]
		if r.PA.IsValid() {
			k.foreignPA(r, "pa", r.PA)
		}
		if r.MAC == k.c.Dataplane.RouterMAC && !r.MAC.IsZero() {
			k.problem(r, "mac", "mac is that of the router ("+r.MAC.String()+")",
				"use another one, or another dataplane.routerMAC")
		}
		if r.Subnet == "" {
			continue
		}
		if scope := k.scope(r, r.Subnet); scope != nil {
			scope.addRecord(k, r)
		}
	}
	if len(k.c.Records) > 0 && !k.anyPA() && !k.unread("uplinks") {
		first := &k.c.Records[0]
		k.problem(first, "pa", fmt.Sprintf("%s in records, but no uplink has a provider address to send from",
			count(len(k.c.Records), "VM of another host", "VMs of other hosts")),
			"add providerAddresses: [172.16.1.1/24] to an uplink")
	}
}

// anyPA reports that some uplink gives provider addresses, be they right or wrong.
func (k *checker) anyPA() bool {
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		if len(u.ProviderAddresses) > 0 || u.partial || k.refused(u, "providerAddresses") {
			return true
		}
	}
	return false
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
