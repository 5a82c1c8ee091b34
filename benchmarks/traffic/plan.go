// Package traffic makes traffic of a profile: the hosts and VMs that it takes, the frames of its flows, pcaps of them that
// any switch can be fed with, and the policy under which our switch forwards them. All of it follows from the profile
// alone, byte for byte.
package traffic

import (
	"fmt"
	"net/netip"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
)

// The fabric: this host and the one where the peers are.
var (
	NearPA     = netip.MustParseAddr("172.16.1.1")
	FarPA      = netip.MustParseAddr("172.16.1.2")
	Fabric     = netip.MustParsePrefix("172.16.1.0/24")
	UplinkMAC  = packet.MAC{0x02, 0, 0, 0, 0x01, 0x01}
	FarHostMAC = packet.MAC{0x02, 0, 0, 0, 0x02, 0x01}
)

// Uplink is the name of the uplink's port.
const Uplink = "up0"

// prefix is that of every tenant: they share their customer addresses.
var prefix = netip.MustParsePrefix("10.0.0.0/16")

const firstVSID = 5001

// VM is a virtual machine.
type VM struct {
	Name   string
	Tenant int
	MAC    packet.MAC
	CA     netip.Addr
}

// Tenant is a network of its own.
type Tenant struct {
	Name  string
	VSID  uint32
	VMs   []VM // here
	Peers []VM // on the other host, or here when the direction is Local
}

// Plan is what a profile takes: tenants, and the ports that traffic comes in by and goes out by.
type Plan struct {
	Profile profile.Profile
	Tenants []Tenant
	Sources []string // names of ports: of VMs, or of the uplink
	Sinks   []string
}

// New plans a profile.
func New(p profile.Profile) *Plan {
	plan := &Plan{Profile: p}
	for t := range p.Tenants {
		tenant := Tenant{Name: fmt.Sprintf("tenant%d", t+1), VSID: uint32(firstVSID + t)}
		for n := range p.VMs {
			tenant.VMs = append(tenant.VMs, newVM(t, "vm", n, 1))
		}
		for n := range p.Peers {
			tenant.Peers = append(tenant.Peers, newVM(t, "peer", n, 32))
		}
		plan.Tenants = append(plan.Tenants, tenant)
	}
	vms, peers := plan.names(func(t *Tenant) []VM { return t.VMs }), plan.names(func(t *Tenant) []VM { return t.Peers })
	switch p.Direction {
	case profile.Encap:
		plan.Sources, plan.Sinks = vms, []string{Uplink}
	case profile.Decap:
		plan.Sources, plan.Sinks = []string{Uplink}, vms
	case profile.Local:
		plan.Sources, plan.Sinks = vms, peers
	}
	return plan
}

// newVM numbers VMs within the third and fourth byte of their address; the gateway has the first address of the prefix.
func newVM(tenant int, kind string, n, block int) VM {
	base := prefix.Addr().As4()
	host := block<<8 + 2 + n
	base[2], base[3] = byte(host>>8), byte(host)
	return VM{Name: fmt.Sprintf("t%d-%s%d", tenant+1, kind, n+1), Tenant: tenant,
		MAC: packet.MAC{0x00, 0x15, 0x5d, byte(tenant + 1), base[2], base[3]}, CA: netip.AddrFrom4(base)}
}

func (p *Plan) names(of func(*Tenant) []VM) (names []string) {
	for i := range p.Tenants {
		for _, vm := range of(&p.Tenants[i]) {
			names = append(names, vm.Name)
		}
	}
	return names
}

// Ports lists the switch's ports, the uplink first.
func (p *Plan) Ports() []string {
	ports := append([]string{Uplink}, p.names(func(t *Tenant) []VM { return t.VMs })...)
	if p.Profile.Direction == profile.Local {
		ports = append(ports, p.names(func(t *Tenant) []VM { return t.Peers })...)
	}
	return ports
}

// VMs lists the VMs that have a port here, by tenant.
func (p *Plan) VMs() (vms []VM) {
	for i := range p.Tenants {
		vms = append(vms, p.Tenants[i].VMs...)
		if p.Profile.Direction == profile.Local {
			vms = append(vms, p.Tenants[i].Peers...)
		}
	}
	return vms
}

// Flow is one flow of the traffic.
type Flow struct {
	Source   string // name of the port that it comes in by
	From, To VM
	VSID     uint32
	FlowID   uint8 // in NVGRE, as the sending host chose it
	Protocol string
	SrcPort  uint16
	DstPort  uint16
}

const (
	firstSrcPort = 1024
	srcPorts     = 60000 // 1024 to 61023
	firstDstPort = 5001
)

// Flow gives the i-th flow of the profile: tenants take turns, then VMs, then peers, then ports, so that every prefix of
// the list is spread as evenly as can be.
func (p *Plan) Flow(i int) Flow {
	pr := &p.Profile
	t := i % pr.Tenants
	n := i / pr.Tenants % pr.VMs
	f := i / pr.Tenants / pr.VMs % pr.Peers
	k := i / pr.Tenants / pr.VMs / pr.Peers
	tenant := &p.Tenants[t]
	near, far := tenant.VMs[n], tenant.Peers[f]
	flow := Flow{Source: near.Name, From: near, To: far, VSID: tenant.VSID, Protocol: p.protocol(i),
		SrcPort: uint16(firstSrcPort + k%srcPorts), DstPort: uint16(firstDstPort + k/srcPorts)}
	if pr.Direction == profile.Decap {
		flow.Source, flow.From, flow.To = Uplink, far, near
		flow.FlowID = uint8(scatter(uint64(i)))
	}
	return flow
}

func (p *Plan) protocol(i int) string {
	total := 0
	for _, s := range p.Profile.Protocols {
		total += s.Weight
	}
	at := int(scatter(uint64(i)) % uint64(total))
	for _, s := range p.Profile.Protocols {
		if at -= s.Weight; at < 0 {
			return s.Protocol
		}
	}
	panic("traffic: a profile without protocols")
}

// scatter is the finaliser of SplitMix64: neighbours get unrelated numbers, the same ones on every machine.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
