package policy

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sluicenet/sluice/packet"
)

// AddrKey names a customer address in its routing domain.
type AddrKey struct {
	RDID uint32
	Addr packet.Addr
}

// MACKey names an Ethernet address in its virtual subnet.
type MACKey struct {
	VSID uint32
	MAC  packet.MAC
}

// Delta says which decisions that were taken by one snapshot may be wrong by the next. It may name more than changed,
// never less. Its lists are sorted and free of duplicates.
type Delta struct {
	// All: everything decided so far is to be decided again, and the lists are empty. So it is when routes, subnets,
	// domains, the router MAC, provider addresses, hosts, bridges, classification, which uplinks have a scheduler with
	// classes or destinations, and of which classes, an uplink's entry, or a bridged vport's entry or rules changed, or the
	// record of a route's next hop: what a flow of another port or address was decided by.
	All bool
	// Ports are the vports whose Port entry, rules or destination classes changed, appeared or went, and those that own a
	// record which did: what a vport may send depends on its records.
	Ports []uint32
	// Addrs are the customer addresses whose record changed, appeared or went, or whose vport's Port entry did.
	Addrs []AddrKey
	// MACs are the Ethernet addresses of which the same is true.
	MACs []MACKey
	// PAs are the provider addresses of rewritten VMs of which the same is true.
	PAs []packet.Addr
}

// Empty reports that nothing decided so far is touched.
func (d *Delta) Empty() bool {
	return !d.All && len(d.Ports) == 0 && len(d.Addrs) == 0 && len(d.MACs) == 0 && len(d.PAs) == 0
}

// Compare finds what changed from prev to next. It costs the ports plus the records of those subnets that the two
// snapshots do not share. Without prev, or without next, everything changed.
func Compare(prev, next *Snapshot) Delta {
	if prev == next {
		return Delta{}
	}
	if prev == nil || next == nil || !sameFrame(prev, next) {
		return Delta{All: true}
	}
	c := comparison{prev: prev, next: next, ports: map[uint32]bool{}, addrs: map[AddrKey]bool{}, macs: map[MACKey]bool{},
		pas: map[packet.Addr]bool{}, acls: map[[2]*ACL]bool{}}
	if !c.comparePorts() {
		return Delta{All: true}
	}
	for i, sub := range next.Subnets {
		if old := prev.Subnets[i]; old != sub {
			c.compareRecords(old, sub)
			c.compareRecords(sub, old)
		}
	}
	if c.touchesNextHop() {
		return Delta{All: true}
	}
	return c.delta()
}

// sameFrame reports whether all that flows of any port and address share is the same in both snapshots.
func sameFrame(prev, next *Snapshot) bool {
	return prev.RouterMAC == next.RouterMAC &&
		slices.Equal(prev.PAs, next.PAs) &&
		prev.Classes.same(next.Classes) &&
		prev.QoS.sameQueues(next.QoS) &&
		slices.EqualFunc(prev.groups, next.groups, slices.Equal) &&
		slices.EqualFunc(prev.Subnets, next.Subnets, sameSubnetHead) &&
		slices.EqualFunc(prev.Domains, next.Domains, sameDomain) &&
		maps.EqualFunc(prev.Bridges, next.Bridges, sameBridge)
}

// sameSubnetHead compares all of a subnet but its records. Names take no part in decisions.
func sameSubnetHead(a, b *Subnet) bool {
	return a == b || a.Index == b.Index && a.VSID == b.VSID && a.RDID == b.RDID && a.Rewrite == b.Rewrite &&
		a.Prefix4 == b.Prefix4 && a.Prefix6 == b.Prefix6 && a.Gateway4 == b.Gateway4 && a.Gateway6 == b.Gateway6
}

func sameDomain(a, b Domain) bool {
	return a.RDID == b.RDID && slices.Equal(a.Subnets, b.Subnets) && slices.Equal(a.Routes, b.Routes)
}

func sameBridge(a, b *Bridge) bool {
	return a == b || a.ID == b.ID && a.Uplink == b.Uplink && a.VLAN == b.VLAN && slices.Equal(a.Ports, b.Ports)
}

func samePort(a, b *Port) bool {
	return a.Kind == b.Kind && a.Attach == b.Attach && a.MAC == b.MAC && a.MTU == b.MTU && a.VLAN == b.VLAN &&
		a.Uplink == b.Uplink && a.Subnet == b.Subnet && slices.Equal(a.Trunk, b.Trunk)
}

// sameACL compares the rules of a port in both snapshots, once for all ports that share them.
func (c *comparison) sameACL(prev, next uint32) bool {
	a, b := c.prev.ACL(prev), c.next.ACL(next)
	if a == b {
		return true
	}
	pair := [2]*ACL{a, b}
	same, known := c.acls[pair]
	if !known {
		same = a.sameRules(b)
		c.acls[pair] = same
	}
	return same
}

// sameRecord compares what two records of subnets with the same head say.
func sameRecord(a, b *Record) bool {
	return a.CA == b.CA && a.MAC == b.MAC && a.PA == b.PA && a.Port == b.Port && a.Rewrite == b.Rewrite
}

type comparison struct {
	prev, next *Snapshot
	ports      map[uint32]bool
	addrs      map[AddrKey]bool
	macs       map[MACKey]bool
	pas        map[packet.Addr]bool
	acls       map[[2]*ACL]bool // whether two lists of rules decide alike
}

// comparePorts notes the vports that changed and the addresses behind them; false means that a port changed which
// flows of other ports were decided by.
func (c *comparison) comparePorts() bool {
	subnets := map[uint32]bool{}
	for i := range uint32(max(len(c.prev.Ports), len(c.next.Ports))) {
		a, b := c.prev.Port(i), c.next.Port(i)
		if samePort(a, b) && c.sameACL(a.ACL, b.ACL) && slices.Equal(c.prev.QoS.destinationsOf(i), c.next.QoS.destinationsOf(i)) {
			continue
		}
		for _, p := range []*Port{a, b} {
			if p.Kind == PortUplink || p.Attach == AttachVLAN || p.Attach == AttachPassThrough {
				return false
			}
			if p.Attach == AttachSubnet {
				subnets[p.Subnet] = true
			}
		}
		c.ports[i] = true
	}
	for i := range subnets {
		for _, s := range []*Snapshot{c.prev, c.next} {
			c.notePortRecords(s, i)
		}
	}
	return true
}

// notePortRecords notes the records of a subnet that stand for a changed port.
func (c *comparison) notePortRecords(s *Snapshot, subnet uint32) {
	if int(subnet) >= len(s.Subnets) {
		return
	}
	sub := s.Subnets[subnet]
	for i := range sub.Records {
		if r := &sub.Records[i]; c.ports[r.Port] {
			c.note(sub, r)
		}
	}
}

// compareRecords notes the records of a that b finds otherwise or not at all.
func (c *comparison) compareRecords(a, b *Subnet) {
	for i := range a.Records {
		r := &a.Records[i]
		if !r.CA.IsZero() {
			if was, is := a.ByCA(r.CA), b.ByCA(r.CA); is == nil || !sameRecord(was, is) {
				c.note(a, r)
			}
		}
		if was, is := a.ByMAC(r.MAC), b.ByMAC(r.MAC); is == nil || !sameRecord(was, is) {
			c.note(a, r)
		}
	}
}

func (c *comparison) note(s *Subnet, r *Record) {
	if r.Local() {
		c.ports[r.Port] = true
	}
	if !r.CA.IsZero() {
		c.addrs[AddrKey{s.RDID, r.CA}] = true
	}
	c.macs[MACKey{s.VSID, r.MAC}] = true
	if r.Rewrite {
		c.pas[r.PA] = true
	}
}

// touchesNextHop reports whether a noted address is the next hop of a route; both snapshots have the same routes. A flow
// that takes the route was filed under its own target, so only a full renewal reaches it.
func (c *comparison) touchesNextHop() bool {
	if len(c.addrs) == 0 {
		return false
	}
	for i := range c.next.Domains {
		d := &c.next.Domains[i]
		for j := range d.Routes {
			if c.addrs[AddrKey{d.RDID, d.Routes[j].NextHop}] {
				return true
			}
		}
	}
	return false
}

func (c *comparison) delta() Delta {
	return Delta{
		Ports: slices.Sorted(maps.Keys(c.ports)),
		Addrs: slices.SortedFunc(maps.Keys(c.addrs), func(a, b AddrKey) int {
			return cmp.Or(cmp.Compare(a.RDID, b.RDID), compareAddr(a.Addr, b.Addr))
		}),
		PAs: slices.SortedFunc(maps.Keys(c.pas), compareAddr),
		MACs: slices.SortedFunc(maps.Keys(c.macs), func(a, b MACKey) int {
			return cmp.Or(cmp.Compare(a.VSID, b.VSID), cmp.Compare(a.MAC.Uint64(), b.MAC.Uint64()))
		}),
	}
}

func compareAddr(a, b packet.Addr) int {
	return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
}
