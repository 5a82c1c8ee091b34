package policy

import (
	"slices"
	"sort"

	"github.com/sluicenet/sluice/packet"
)

// NoIndex stands for "none" wherever an index of a port, subnet or record is expected.
const NoIndex = ^uint32(0)

// PortKind says what a port index of the switch stands for.
type PortKind uint8

const (
	PortNone   PortKind = iota // a hole: the index is not in use
	PortUplink                 // a physical port
	PortVport                  // a VM's port
)

// Attachment says to what network a vport belongs. A vport uses virtualisation or VLANs, never both.
type Attachment uint8

const (
	AttachNone        Attachment = iota
	AttachSubnet                 // a virtual subnet (VSID)
	AttachVLAN                   // access port: untagged towards the VM, tagged on the uplink
	AttachPassThrough            // VSID 0: untagged frames pass as they are, tagged ones when their VLAN is in Trunk
)

// Port is one port of the switch as the layers see it. The zero Port is a hole.
type Port struct {
	Kind   PortKind
	Attach Attachment
	MAC    packet.MAC // of the VM, or of the uplink
	MTU    uint16     // largest IP packet, bytes
	VLAN   uint16     // AttachVLAN: 1-4094
	Uplink uint32     // AttachVLAN, AttachPassThrough: port index of the uplink; else NoIndex
	Subnet uint32     // AttachSubnet: index into Snapshot.Subnets; else NoIndex
	Trunk  []uint16   // AttachPassThrough: VLANs whose tagged frames pass, ascending
	ACL    uint32     // of a vport: index into Snapshot.ACLs; 0: no rules
}

// Record is a lookup record: where (VSID, CA) lives.
type Record struct {
	CA     packet.Addr // zero in an L2-only record
	MAC    packet.MAC
	PA     packet.Addr // Rewrite: of the VM itself; else of its host, zero when it is on this host
	Port   uint32      // port index of the local vport; NoIndex when remote
	Subnet uint32      // index into Snapshot.Subnets
	// Rewrite: CA and PA stand for each other. A remote VM is reached by rewriting instead of NVGRE; a local one may
	// send to such VMs, and be reached so.
	Rewrite bool
}

// Local reports whether the record's VM has a port on this switch.
func (r *Record) Local() bool { return r.Port != NoIndex }

// Prefix is an IP prefix without pointers. Bits counts from the start of the 128-bit form, so an IPv4 /24 has 120.
type Prefix struct {
	Addr packet.Addr
	Bits uint8
}

// Contains reports whether a lies in the prefix. The zero Prefix contains nothing, and a prefix of IPv6 no IPv4 address,
// although those are held in an IPv6 form.
func (p Prefix) Contains(a packet.Addr) bool {
	if p == (Prefix{}) || p.Bits < 96 && a.Is4() {
		return false
	}
	if p.Bits <= 64 {
		return (a.Hi^p.Addr.Hi)&^(^uint64(0)>>p.Bits) == 0
	}
	return a.Hi == p.Addr.Hi && (a.Lo^p.Addr.Lo)&^(^uint64(0)>>(p.Bits-64)) == 0
}

// Subnet is a virtual subnet with its records. It is immutable once it is part of a Snapshot, and shared by the
// snapshots that did not change it.
type Subnet struct {
	Index    uint32 // position in Snapshot.Subnets
	Name     string
	VSID     uint32
	RDID     uint32 // routing domain, one per VM network
	Prefix4  Prefix
	Prefix6  Prefix
	Rewrite  bool        // the method of records that do not say their own
	Gateway4 packet.Addr // owned by the switch on every host; zero without an IPv4 prefix
	Gateway6 packet.Addr // prefix::1; fe80::1 is a gateway too
	Records  []Record
	// LocalPorts are the vports of this switch in the subnet: those with a record, each once.
	LocalPorts []uint32

	byCA  map[packet.Addr]uint32
	byMAC map[packet.MAC]uint32
	byPA  map[packet.Addr]uint32 // of rewritten records
	own   []uint32               // rewritten records of this host
}

// NewSubnet indexes records, whose Subnet fields it sets to s.Index. Of several records with one MAC (a VM with several
// CAs) the first is the one ByMAC finds. The slice belongs to the subnet from then on.
func NewSubnet(s Subnet, records []Record) *Subnet {
	s.Records = records
	s.byCA = make(map[packet.Addr]uint32, len(records))
	s.byMAC = make(map[packet.MAC]uint32, len(records))
	s.LocalPorts = nil
	s.indexPAs()
	for i := range records {
		r := &records[i]
		r.Subnet = s.Index
		if !r.CA.IsZero() {
			s.byCA[r.CA] = uint32(i)
		}
		if _, taken := s.byMAC[r.MAC]; !taken {
			s.byMAC[r.MAC] = uint32(i)
		}
		if r.Local() && !slices.Contains(s.LocalPorts, r.Port) {
			s.LocalPorts = append(s.LocalPorts, r.Port)
		}
	}
	return &s
}

// ByCA finds the record of a customer address, nil without one.
func (s *Subnet) ByCA(ca packet.Addr) *Record {
	if i, ok := s.byCA[ca]; ok {
		return &s.Records[i]
	}
	return nil
}

// ByMAC finds a record by Ethernet address, nil without one.
func (s *Subnet) ByMAC(m packet.MAC) *Record {
	if i, ok := s.byMAC[m]; ok {
		return &s.Records[i]
	}
	return nil
}

// Contains reports whether a lies in one of the subnet's prefixes.
func (s *Subnet) Contains(a packet.Addr) bool { return s.Prefix4.Contains(a) || s.Prefix6.Contains(a) }

// linkLocalGateway is fe80::1, the switch's own address in every subnet with an IPv6 prefix.
var linkLocalGateway = packet.Addr{Hi: 0xfe80 << 48, Lo: 1}

// IsGateway reports whether a is an address that the switch itself owns in this subnet.
func (s *Subnet) IsGateway(a packet.Addr) bool {
	if a.IsZero() {
		return false
	}
	return a == s.Gateway4 || a == s.Gateway6 || (a == linkLocalGateway && !s.Gateway6.IsZero())
}

// Route is an extra customer route of a routing domain: to a next-hop CA, such as a gateway VM, or to a provider
// gateway, which gets the packet with the VSID of the sender's subnet.
type Route struct {
	Prefix  Prefix
	Metric  uint32
	Subnet  uint32      // index of the only subnet the route serves; NoIndex: the whole domain
	NextHop packet.Addr // customer address in the domain; zero when Gateway is set
	Gateway packet.Addr // provider address; zero when NextHop is set
}

// Domain is a routing domain: one tenant's VM network. Two domains never reach each other.
type Domain struct {
	RDID    uint32
	Name    string
	Subnets []uint32 // indices into Snapshot.Subnets
	Routes  []Route  // longest prefix first, then lowest metric (SortRoutes)
}

// SortRoutes puts the routes in the order of look-up: longest prefix first, then lowest metric.
func (d *Domain) SortRoutes() {
	sort.SliceStable(d.Routes, func(i, j int) bool {
		a, b := &d.Routes[i], &d.Routes[j]
		if a.Prefix.Bits != b.Prefix.Bits {
			return a.Prefix.Bits > b.Prefix.Bits
		}
		return a.Metric < b.Metric
	})
}

// Bridge is a layer-2 domain of ports that are not virtualised: one VLAN (0: untagged) of one uplink. Frames are
// learned, switched and flooded among Ports and the uplink; two uplinks are never bridged with each other.
type Bridge struct {
	ID     uint32 // BridgeID(uplink, vlan)
	Uplink uint32
	VLAN   uint16
	Ports  []uint32 // vports in the domain, without the uplink
}

// BridgeID names the layer-2 domain of a VLAN on an uplink.
func BridgeID(uplink uint32, vlan uint16) uint32 { return uplink<<12 | uint32(vlan) }

// ProviderAddress is an address of this host in the fabric.
type ProviderAddress struct {
	Addr    packet.Addr
	Prefix  Prefix
	Gateway packet.Addr // next hop for provider addresses outside every local prefix; zero without one
	Uplink  uint32      // port index
}

// ProviderPath says how the fabric reaches a provider address.
type ProviderPath struct {
	Uplink  uint32
	Source  packet.Addr // our own provider address to send from
	NextHop packet.Addr // the address whose MAC the outer frame bears: the target itself, or a gateway
}

// Snapshot is the compiled policy that workers decide by. It is immutable: a change makes a new one, which shares all
// subnets that it did not touch.
type Snapshot struct {
	Revision  uint64
	RouterMAC packet.MAC
	// SlowPathShare is the part of a worker that new flows and other slow work get while known flows wait, percent; 0 and
	// 100 do not limit it.
	SlowPathShare uint8
	Ports         []Port // by port index of the switch
	ACLs          []*ACL // shared by the ports that have the same; the first one is without rules
	Subnets       []*Subnet
	Domains       []Domain
	Bridges       map[uint32]*Bridge // by Bridge.ID
	PAs           []ProviderAddress  // of this host, in the order of configuration
	QoS           *QoS               // nil without any
	Classes       *Classification    // nil without any: all packets are of class 0, and keep their marks

	subnetByVSID map[uint32]uint32
	domainByRDID map[uint32]uint32
	localPA      map[packet.Addr]uint32
	vms          map[packet.Addr]vmIndex // by their own provider address
	paGroup      map[packet.Addr]uint32
	groups       [][]packet.Addr
}

// NewSnapshot completes s with its indices. hosts lists, for every other host that has more than one, its provider
// addresses: they are equal ways to the same host.
func NewSnapshot(s Snapshot, hosts [][]packet.Addr) *Snapshot {
	s.subnetByVSID = make(map[uint32]uint32, len(s.Subnets))
	for i, sub := range s.Subnets {
		s.subnetByVSID[sub.VSID] = uint32(i)
	}
	s.domainByRDID = make(map[uint32]uint32, len(s.Domains))
	for i := range s.Domains {
		s.domainByRDID[s.Domains[i].RDID] = uint32(i)
	}
	s.localPA = make(map[packet.Addr]uint32, len(s.PAs))
	for i := range s.PAs {
		s.localPA[s.PAs[i].Addr] = uint32(i)
	}
	s.groups = hosts
	s.paGroup = map[packet.Addr]uint32{}
	for g, pas := range hosts {
		for _, pa := range pas {
			s.paGroup[pa] = uint32(g)
		}
	}
	s.indexVMs()
	return &s
}

// WithRecords makes the snapshot that follows s when one subnet, by index, gets other records: what policy that arrives
// record by record needs. It costs the records of that subnet, one pointer per subnet, and the rewritten VMs of this
// host; all else is shared with s.
func (s *Snapshot) WithRecords(subnet uint32, records []Record) *Snapshot {
	next := *s
	next.Revision++
	next.Subnets = slices.Clone(s.Subnets)
	next.Subnets[subnet] = NewSubnet(*s.Subnets[subnet], records)
	next.indexVMs()
	return &next
}

// Port returns the port of an index, the zero Port when there is none.
func (s *Snapshot) Port(i uint32) *Port {
	if int(i) < len(s.Ports) {
		return &s.Ports[i]
	}
	return &noPort
}

var noPort Port

// ACL returns the rules of an index that a Port has, a list without rules when there is none.
func (s *Snapshot) ACL(i uint32) *ACL {
	if i > 0 && int(i) < len(s.ACLs) {
		return s.ACLs[i]
	}
	return &noACL
}

// SubnetByVSID finds a virtual subnet, nil when this host does not know it.
func (s *Snapshot) SubnetByVSID(vsid uint32) *Subnet {
	if i, ok := s.subnetByVSID[vsid]; ok {
		return s.Subnets[i]
	}
	return nil
}

// Domain finds a routing domain, nil without one.
func (s *Snapshot) Domain(rdid uint32) *Domain {
	if i, ok := s.domainByRDID[rdid]; ok {
		return &s.Domains[i]
	}
	return nil
}

// SubnetOf finds the subnet of the routing domain whose prefix holds ca, nil without one. Prefixes of one domain do
// not overlap, so there is at most one.
func (s *Snapshot) SubnetOf(rdid uint32, ca packet.Addr) *Subnet {
	d := s.Domain(rdid)
	if d == nil {
		return nil
	}
	for _, i := range d.Subnets {
		if s.Subnets[i].Contains(ca) {
			return s.Subnets[i]
		}
	}
	return nil
}

// RouteOf finds the extra route for a packet from a VM of subnet from to ca, nil without one.
func (s *Snapshot) RouteOf(from *Subnet, ca packet.Addr) *Route {
	d := s.Domain(from.RDID)
	if d == nil {
		return nil
	}
	for i := range d.Routes {
		r := &d.Routes[i]
		if (r.Subnet == NoIndex || r.Subnet == from.Index) && r.Prefix.Contains(ca) {
			return r
		}
	}
	return nil
}

// LocalPA finds one of this host's provider addresses, nil when a is none.
func (s *Snapshot) LocalPA(a packet.Addr) *ProviderAddress {
	if i, ok := s.localPA[a]; ok {
		return &s.PAs[i]
	}
	return nil
}

// SameHost reports whether two provider addresses belong to one host.
func (s *Snapshot) SameHost(a, b packet.Addr) bool {
	if a == b {
		return true
	}
	ga, okA := s.paGroup[a]
	gb, okB := s.paGroup[b]
	return okA && okB && ga == gb
}

// PathTo chooses how to reach provider address pa: among the equal addresses of that host, and among the host's own
// uplinks that reach it, by the flow's hash. ok is false when no uplink has a prefix or a gateway for it.
func (s *Snapshot) PathTo(pa packet.Addr, hash uint32) (target packet.Addr, path ProviderPath, ok bool) {
	g, in := s.paGroup[pa]
	if !in {
		path, ok = s.pathTo(pa, hash)
		return pa, path, ok
	}
	// Some addresses of the other host may be in a fabric that this host has no part in: the next one takes their turn.
	group := s.groups[g]
	first := int(hash >> 8 % uint32(len(group)))
	for i := range group {
		target = group[(first+i)%len(group)]
		if path, ok = s.pathTo(target, hash); ok {
			return target, path, true
		}
	}
	return pa, ProviderPath{}, false
}

// maxPaths bounds the own provider addresses that share the traffic to one target.
const maxPaths = 8

func (s *Snapshot) pathTo(target packet.Addr, hash uint32) (ProviderPath, bool) {
	var direct, routed [maxPaths]*ProviderAddress
	nDirect, nRouted := uint32(0), uint32(0)
	for i := range s.PAs {
		p := &s.PAs[i]
		switch {
		case p.Prefix.Contains(target):
			if nDirect < maxPaths {
				direct[nDirect] = p
				nDirect++
			}
		case !p.Gateway.IsZero() && nRouted < maxPaths:
			routed[nRouted] = p
			nRouted++
		}
	}
	switch {
	case nDirect > 0:
		p := direct[hash>>16%nDirect]
		return ProviderPath{Uplink: p.Uplink, Source: p.Addr, NextHop: target}, true
	case nRouted > 0:
		p := routed[hash>>16%nRouted]
		return ProviderPath{Uplink: p.Uplink, Source: p.Addr, NextHop: p.Gateway}, true
	}
	return ProviderPath{}, false
}
