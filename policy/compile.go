package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sluicenet/sluice/packet"
)

// PortIndex says which port of the switch an uplink or vport of the configuration became. Names of the two are distinct.
type PortIndex interface {
	// Index is the port index of the switch; ok is false when there is no such port.
	Index(name string) (index uint32, ok bool)
	// MAC is the Ethernet address of an uplink's device.
	MAC(name string) packet.MAC
	// MTU is the largest IP packet, bytes, that an uplink's device carries.
	MTU(name string) int
}

// PortTable is a PortIndex held in memory.
type PortTable map[string]PortInfo

// PortInfo is what a PortTable knows of one port.
type PortInfo struct {
	Index uint32
	MAC   packet.MAC
	MTU   int
}

// Index implements PortIndex.
func (t PortTable) Index(name string) (uint32, bool) { p, ok := t[name]; return p.Index, ok }

// MAC implements PortIndex.
func (t PortTable) MAC(name string) packet.MAC { return t[name].MAC }

// MTU implements PortIndex.
func (t PortTable) MTU(name string) int { return t[name].MTU }

// NumberPorts numbers uplinks, then vports, in the order of configuration: for looking at a policy without a switch.
// An uplink without a configured MTU counts as one of 1500 bytes.
func NumberPorts(c *Config) PortTable {
	t := PortTable{}
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		t[u.Name] = PortInfo{Index: uint32(len(t)), MTU: cmp.Or(u.MTU, defaultVportMTU)}
	}
	for i := range c.Vports {
		t[c.Vports[i].Name] = PortInfo{Index: uint32(len(t))}
	}
	return t
}

// maxPortIndex keeps Bridge.ID unique (BridgeID has 20 bits for the uplink), and a wrong index from taking all memory.
const maxPortIndex = 1<<20 - 1

// Compile turns a configuration that Parse accepted into what the data plane decides by. VMs of this host become
// records with a port, VMs of other hosts records with a provider address. Subnets that are as in prev are shared with
// it; prev may be nil.
func Compile(c *Config, prev *Snapshot, ports PortIndex) (*Snapshot, error) {
	k := compiler{config: c, prev: prev, index: map[string]uint32{}, subnets: map[string]uint32{}, records: map[string][]Record{}}
	k.out = Snapshot{Revision: 1, RouterMAC: c.Dataplane.RouterMAC, SlowPathShare: c.Dataplane.SlowPathShare, Bridges: map[uint32]*Bridge{}}
	if prev != nil {
		k.out.Revision = prev.Revision + 1
	}
	if err := k.indexPorts(ports); err != nil {
		return nil, err
	}
	for i := range c.Networks {
		for j := range c.Networks[i].Subnets {
			k.subnets[c.Networks[i].Subnets[j].Name] = uint32(len(k.subnets))
			k.methods = append(k.methods, c.Networks[i].Subnets[j].Method)
		}
	}
	k.uplinks(ports)
	if err := k.acls(); err != nil {
		return nil, err
	}
	if err := k.vports(); err != nil {
		return nil, err
	}
	if err := k.classification(); err != nil {
		return nil, err
	}
	if err := k.qos(ports); err != nil {
		return nil, err
	}
	if err := k.remoteRecords(); err != nil {
		return nil, err
	}
	if err := k.networks(); err != nil {
		return nil, err
	}
	return NewSnapshot(k.out, k.hosts()), nil
}

type compiler struct {
	config  *Config
	prev    *Snapshot
	out     Snapshot
	index   map[string]uint32 // of uplinks and vports
	subnets map[string]uint32 // index by name
	methods []string          // of subnets
	records map[string][]Record

	vportACLs map[string]uint32 // index of the rules by vport
}

// indexPorts makes room for every port and refuses indices that the snapshot could not hold.
func (k *compiler) indexPorts(ports PortIndex) error {
	owner := map[uint32]string{}
	add := func(name string) error {
		i, ok := ports.Index(name)
		switch {
		case !ok:
			return fmt.Errorf("port %s has no index in the switch", name)
		case i > maxPortIndex:
			return fmt.Errorf("port %s has index %d in the switch; the largest is %d", name, i, maxPortIndex)
		case owner[i] != "":
			return fmt.Errorf("ports %s and %s have the same index %d in the switch", owner[i], name, i)
		}
		owner[i], k.index[name] = name, i
		return nil
	}
	for i := range k.config.Uplinks {
		if err := add(k.config.Uplinks[i].Name); err != nil {
			return err
		}
	}
	for i := range k.config.Vports {
		if err := add(k.config.Vports[i].Name); err != nil {
			return err
		}
	}
	n := 0
	for i := range owner {
		n = max(n, int(i)+1)
	}
	k.out.Ports = make([]Port, n)
	return nil
}

func (k *compiler) uplinks(ports PortIndex) {
	for i := range k.config.Uplinks {
		u := &k.config.Uplinks[i]
		index := k.index[u.Name]
		k.out.Ports[index] = Port{Kind: PortUplink, MAC: ports.MAC(u.Name), MTU: clampMTU(cmp.Or(u.MTU, ports.MTU(u.Name))),
			Uplink: NoIndex, Subnet: NoIndex}
		for _, p := range u.ProviderAddresses {
			pa := ProviderAddress{Addr: packet.AddrFromNetip(p.Addr()), Prefix: PrefixFrom(p), Uplink: index}
			if p.Contains(u.Gateway) {
				pa.Gateway = packet.AddrFromNetip(u.Gateway)
			}
			k.out.PAs = append(k.out.PAs, pa)
		}
	}
}

func clampMTU(mtu int) uint16 { return uint16(min(max(mtu, 0), 1<<16-1)) }

func (k *compiler) vports() error {
	for i := range k.config.Vports {
		v := &k.config.Vports[i]
		p := Port{Kind: PortVport, Attach: v.Attachment(), MAC: v.MAC, MTU: clampMTU(v.MTU), Uplink: NoIndex, Subnet: NoIndex}
		var ok bool
		switch p.Attach {
		case AttachSubnet:
			if p.Subnet, ok = k.subnets[v.Subnet]; !ok {
				return fmt.Errorf("vport %s: subnet %s is not defined", v.Name, v.Subnet)
			}
			k.localRecords(v)
		case AttachVLAN, AttachPassThrough:
			if p.Uplink, ok = k.index[v.Uplink]; !ok || k.config.Uplink(v.Uplink) == nil {
				return fmt.Errorf("vport %s: uplink %s is not defined", v.Name, v.Uplink)
			}
			k.bridge(v, &p)
		}
		p.ACL = k.vportACLs[v.Name]
		k.out.Ports[k.index[v.Name]] = p
	}
	for _, b := range k.out.Bridges {
		slices.Sort(b.Ports)
	}
	return nil
}

// localRecords makes a record for each address of a vport, one of layer 2 only when it has none.
func (k *compiler) localRecords(v *VportConfig) {
	pas := v.ProviderAddresses
	addresses := v.Addresses
	if len(addresses) == 0 {
		addresses = []netip.Addr{{}}
	}
	for _, a := range addresses {
		r := Record{CA: packet.AddrFromNetip(a), MAC: v.MAC, Port: k.index[v.Name], Subnet: k.subnets[v.Subnet]}
		if a.Is4() && len(pas) > 0 {
			r.PA, r.Rewrite, pas = packet.AddrFromNetip(pas[0]), true, pas[1:]
		}
		k.records[v.Subnet] = append(k.records[v.Subnet], r)
	}
}

// bridge makes a vport that is not virtualised a member of its layer-2 domains.
func (k *compiler) bridge(v *VportConfig, p *Port) {
	vlans := []uint16{v.VLAN}
	p.VLAN = v.VLAN
	if p.Attach == AttachPassThrough {
		p.VLAN, p.Trunk = 0, slices.Sorted(slices.Values(v.Trunk))
		vlans = append([]uint16{0}, p.Trunk...)
	}
	for _, vlan := range vlans {
		id := BridgeID(p.Uplink, vlan)
		b := k.out.Bridges[id]
		if b == nil {
			b = &Bridge{ID: id, Uplink: p.Uplink, VLAN: vlan}
			k.out.Bridges[id] = b
		}
		b.Ports = append(b.Ports, k.index[v.Name])
	}
}

func (k *compiler) remoteRecords() error {
	for i := range k.config.Records {
		r := &k.config.Records[i]
		subnet, ok := k.subnets[r.Subnet]
		if !ok {
			return fmt.Errorf("%s: subnet %s is not defined", r.label(), r.Subnet)
		}
		k.records[r.Subnet] = append(k.records[r.Subnet], Record{CA: packet.AddrFromNetip(r.CA), MAC: r.MAC,
			PA: packet.AddrFromNetip(r.PA), Port: NoIndex, Subnet: subnet,
			Rewrite: cmp.Or(r.Method, k.methods[subnet]) == MethodRewrite})
	}
	return nil
}

func (k *compiler) networks() error {
	for i := range k.config.Networks {
		n := &k.config.Networks[i]
		d := Domain{RDID: n.RDID, Name: n.Name}
		for j := range n.Subnets {
			sub := k.subnet(&n.Subnets[j], n.RDID)
			d.Subnets = append(d.Subnets, sub.Index)
			k.out.Subnets = append(k.out.Subnets, sub)
		}
		for j := range n.Routes {
			route, err := k.route(&n.Routes[j])
			if err != nil {
				return err
			}
			d.Routes = append(d.Routes, route)
		}
		d.SortRoutes()
		k.out.Domains = append(k.out.Domains, d)
	}
	return nil
}

// subnet compiles a subnet, or finds that the one of the previous snapshot says the same.
func (k *compiler) subnet(c *SubnetConfig, rdid uint32) *Subnet {
	head := Subnet{Index: k.subnets[c.Name], Name: c.Name, VSID: c.VSID, RDID: rdid, Rewrite: c.Method == MethodRewrite,
		Prefix4: PrefixFrom(c.Prefix), Prefix6: PrefixFrom(c.Prefix6),
		Gateway4: packet.AddrFromNetip(gatewayOf(c.Prefix)), Gateway6: packet.AddrFromNetip(gatewayOf(c.Prefix6))}
	records := k.records[c.Name]
	if k.prev != nil && int(head.Index) < len(k.prev.Subnets) {
		old := k.prev.Subnets[head.Index]
		if old.Name == head.Name && sameSubnetHead(old, &head) && slices.Equal(old.Records, records) {
			return old
		}
	}
	return NewSubnet(head, records)
}

// gatewayOf is the first usable address of a subnet's prefix, which the switch owns; invalid without a prefix.
func gatewayOf(p netip.Prefix) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	return p.Masked().Addr().Next()
}

func (k *compiler) route(c *RouteConfig) (Route, error) {
	r := Route{Prefix: PrefixFrom(c.Prefix), Metric: c.Metric, Subnet: NoIndex,
		NextHop: packet.AddrFromNetip(c.NextHop), Gateway: packet.AddrFromNetip(c.Gateway)}
	if c.Subnet != "" {
		subnet, ok := k.subnets[c.Subnet]
		if !ok {
			return Route{}, fmt.Errorf("%s: subnet %s is not defined", c.label(), c.Subnet)
		}
		r.Subnet = subnet
	}
	return r, nil
}

// hosts are the other hosts that several provider addresses lead to.
func (k *compiler) hosts() [][]packet.Addr {
	var groups [][]packet.Addr
	for i := range k.config.Hosts {
		if pas := k.config.Hosts[i].ProviderAddresses; len(pas) > 1 {
			group := make([]packet.Addr, len(pas))
			for j, pa := range pas {
				group[j] = packet.AddrFromNetip(pa)
			}
			groups = append(groups, group)
		}
	}
	return groups
}
