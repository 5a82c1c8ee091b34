package policy

import (
	"fmt"
	"net/netip"
	"slices"
)

// Overhead is what NVGRE over IPv4 adds to an IP packet of a VM: its Ethernet header, GRE with key, and outer IPv4 (RFC
// 7637, section 4.1).
const Overhead = 14 + 8 + 20

// Warnings are things that Parse accepts and that are still likely mistakes, in the order of their lines.
func (c *Config) Warnings() []Problem {
	w := &warner{c: c, d: &decoder{file: c.File}}
	for i := range c.Uplinks {
		if u := &c.Uplinks[i]; u.MTU != 0 {
			w.fabricMTU(u, u.MTU)
		}
	}
	w.reach()
	w.routes()
	w.aclLists()
	w.qos()
	return sortProblems(w.d.problems)
}

// CheckMTU is the part of Warnings about the MTU of an uplink that leaves it to its device, once that is known.
func (c *Config) CheckMTU(uplink string, mtu int) []Problem {
	w := &warner{c: c, d: &decoder{file: c.File}}
	if u := c.Uplink(uplink); u != nil {
		w.fabricMTU(u, mtu)
	}
	return sortProblems(w.d.problems)
}

type warner struct {
	c *Config
	d *decoder
}

func (w *warner) warn(o described, key, what, remedy string) {
	w.d.report(o.from().at(key), o.label(), what, remedy)
}

// fabricMTU warns, once per subnet, that VMs send packets which do not fit the fabric once they are encapsulated.
func (w *warner) fabricMTU(u *UplinkConfig, mtu int) {
	if len(u.ProviderAddresses) == 0 {
		return
	}
	largest := map[string]int{}
	for i := range w.c.Vports {
		v := &w.c.Vports[i]
		if v.Subnet != "" {
			largest[v.Subnet] = max(largest[v.Subnet], v.MTU)
		}
	}
	for i := range w.c.Networks {
		for j := range w.c.Networks[i].Subnets {
			s := &w.c.Networks[i].Subnets[j]
			vm, adds := largest[s.Name], overheadOf(s)
			switch {
			case vm+adds <= mtu:
			case adds == 0:
				w.warn(u, "mtu", fmt.Sprintf("VMs of %s send up to %d bytes; uplink %s carries %d", s.Name, vm, u.Name, mtu),
					fmt.Sprintf("set its mtu to %d or more, or the VMs' to %d", vm, mtu))
			default:
				w.warn(u, "mtu", fmt.Sprintf("VMs of %s send up to %d bytes; NVGRE adds %d; uplink %s carries %d",
					s.Name, vm, Overhead, u.Name, mtu),
					fmt.Sprintf("set its mtu to %d or more, or the VMs' to %d", vm+Overhead, mtu-Overhead))
			}
		}
	}
}

// aclLists warns of rules that nobody has.
func (w *warner) aclLists() {
	used := map[string]bool{}
	for i := range w.c.Vports {
		used[w.c.Vports[i].ACLList] = true
	}
	for i := range w.c.ACLLists {
		if l := &w.c.ACLLists[i]; !used[l.Name] {
			w.warn(l, "name", "no vport has the list, so its rules concern nobody", "add aclList: "+l.Name+" to a vport, or remove the list")
		}
	}
}

// qos warns of shares that may not hold.
func (w *warner) qos() {
	minimums := slices.ContainsFunc(w.c.Vports, func(v VportConfig) bool {
		s := w.c.shareOf(&v)
		return s.min != nil && s.min.MinBytesPerSec > 0
	})
	for i := range w.c.Uplinks {
		u := &w.c.Uplinks[i]
		if u.has("qos") && u.QoS.BytesPerSec == 0 {
			w.warn(&u.QoS, "", "the rate of the link is left to the device, and a file that is applied is refused while it does not tell it, as some interfaces of the kernel do",
				"add rate: <rate>, for example rate: 10Gbit")
		}
		for j := range u.QoS.Classes {
			if c := &u.QoS.Classes[j]; c.Strict && c.MaxBytesPerSec == 0 && minimums {
				w.warn(c, "", "the class is strict without a max, so it may take what vports have as their minimum", "add max: <rate>")
			}
		}
	}
}

// reach warns of provider addresses that no uplink has a prefix or a gateway for. Packets to them are dropped.
func (w *warner) reach() {
	type seen struct {
		first described
		key   string
		n     int
	}
	lost, reached := map[netip.Addr]*seen{}, map[netip.Addr]bool{}
	note := func(o described, key string, pa netip.Addr) {
		switch s := lost[pa]; {
		case reached[pa]:
		case s != nil:
			s.n++
		case w.c.reaches(pa):
			reached[pa] = true
		default:
			lost[pa] = &seen{o, key, 1}
		}
	}
	for i := range w.c.Records {
		note(&w.c.Records[i], "pa", w.c.Records[i].PA)
	}
	for i := range w.c.Networks {
		for j := range w.c.Networks[i].Routes {
			if r := &w.c.Networks[i].Routes[j]; r.Gateway.IsValid() {
				note(r, "gateway", r.Gateway)
			}
		}
	}
	for pa, s := range lost {
		what := fmt.Sprintf("no uplink reaches provider address %s", pa)
		if s.n > 1 {
			what += fmt.Sprintf(", which %d entries use", s.n)
		}
		w.warn(s.first, s.key, what, "give an uplink a provider address in its prefix, or a gateway")
	}
}

// reaches reports that an uplink has a prefix or a gateway for a provider address, or for another one of its host.
func (c *Config) reaches(pa netip.Addr) bool {
	targets := []netip.Addr{pa}
	for i := range c.Hosts {
		for _, other := range c.Hosts[i].ProviderAddresses {
			if other == pa {
				targets = append(targets, c.Hosts[i].ProviderAddresses...)
			}
		}
	}
	for i := range c.Uplinks {
		if c.Uplinks[i].Gateway.IsValid() {
			return true
		}
		for _, p := range c.Uplinks[i].ProviderAddresses {
			for _, t := range targets {
				if p.Contains(t) {
					return true
				}
			}
		}
	}
	return false
}

// routes warns of extra routes that carry nothing.
func (w *warner) routes() {
	known := map[string]bool{}
	key := func(subnet string, ca netip.Addr) string { return subnet + " " + ca.String() }
	for i := range w.c.Vports {
		for _, ca := range w.c.Vports[i].Addresses {
			known[key(w.c.Vports[i].Subnet, ca)] = true
		}
	}
	for i := range w.c.Records {
		known[key(w.c.Records[i].Subnet, w.c.Records[i].CA)] = true
	}
	for i := range w.c.Networks {
		n := &w.c.Networks[i]
		for j := range n.Routes {
			r := &n.Routes[j]
			for l := range n.Subnets {
				s := &n.Subnets[l]
				if p := s.prefixOf(r.Prefix.Addr()); p.IsValid() && p.Bits() <= r.Prefix.Bits() {
					w.warn(r, "prefix", fmt.Sprintf("subnet %s holds all of %s, so the route is never used", s.Name, r.Prefix),
						"remove the route, or make its prefix one outside the subnets")
				}
				if r.NextHop.IsValid() && s.prefixOf(r.NextHop).IsValid() && !known[key(s.Name, r.NextHop)] {
					w.warn(r, "nextHop",
						fmt.Sprintf("no vport and no record has the next hop %s, so packets by this route are dropped", r.NextHop),
						"add a vport or a record with this address in subnet "+s.Name)
				}
			}
		}
	}
}
