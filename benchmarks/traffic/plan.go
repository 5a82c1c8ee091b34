// Package traffic makes traffic of a profile: the hosts and VMs that it takes, the frames of its flows, pcaps of them that
// any switch can be fed with, and the policy under which our switch forwards them. All of it follows from the profile
// alone, byte for byte.
package traffic

import (
	"encoding/binary"
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

// Provider addresses of VMs, with IP rewrite: those here are in the fabric's prefix, those of the peers behind the other
// host, which is the uplink's gateway.
var (
	nearPAs = netip.MustParseAddr("172.16.1.100")
	farPAs  = netip.MustParseAddr("172.17.0.1")
)

// nth is the address n behind first.
func nth(first netip.Addr, n int) netip.Addr {
	a := first.As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	return netip.AddrFrom4(a)
}

// Uplink is the name of the uplink's port.
const Uplink = "up0"

// prefix is that of every tenant: they share their customer addresses.
var prefix = netip.MustParsePrefix("10.0.0.0/16")

const firstVSID = 5001

// VM is a virtual machine, or with a bridge one of the stations behind a port.
type VM struct {
	Name   string // of its port too, where it has one
	Tenant int
	MAC    packet.MAC
	CA     netip.Addr
	PA     netip.Addr // of its own; only with IP rewrite
}

// Tenant is a network of its own.
type Tenant struct {
	Name  string
	VSID  uint32
	VMs   []VM // here
	Peers []VM // on the other host, or here when the traffic stays
}

// Plan is what a profile takes: tenants, and the ports that traffic comes in by and goes out by.
type Plan struct {
	Profile profile.Profile
	Tenants []Tenant
	Sources []string // names of ports: of VMs, or of the uplink
	Sinks   []string

	sizes       []profile.Size
	sizeWeights int
}

// New plans a profile.
func New(p profile.Profile) *Plan {
	plan := &Plan{Profile: p, sizes: p.Sizes()}
	for _, s := range plan.sizes {
		plan.sizeWeights += s.Weight
	}
	for t := range p.Tenants {
		tenant := Tenant{Name: fmt.Sprintf("tenant%d", t+1), VSID: uint32(firstVSID + t)}
		for n := range p.VMs {
			vm := newVM(t, "vm", n, 1)
			vm.PA = nth(nearPAs, t*p.VMs+n)
			tenant.VMs = append(tenant.VMs, vm)
		}
		for n := range p.Peers {
			vm := newVM(t, "peer", n, 32)
			vm.PA = nth(farPAs, t*p.Peers+n)
			tenant.Peers = append(tenant.Peers, vm)
		}
		plan.Tenants = append(plan.Tenants, tenant)
	}
	vms, peers := plan.names(func(t *Tenant) []VM { return t.VMs }), plan.names(func(t *Tenant) []VM { return t.Peers })
	switch p.Direction {
	case profile.Encap, profile.Rewrite:
		plan.Sources, plan.Sinks = vms, []string{Uplink}
	case profile.Decap:
		plan.Sources, plan.Sinks = []string{Uplink}, vms
	case profile.Local, profile.Bridge:
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
	if p.Profile.Direction.Stays() {
		ports = append(ports, p.names(func(t *Tenant) []VM { return t.Peers })...)
	}
	return ports
}

// VMs lists the VMs that have a port here, by tenant.
func (p *Plan) VMs() (vms []VM) {
	for i := range p.Tenants {
		vms = append(vms, p.Tenants[i].VMs...)
		if p.Profile.Direction.Stays() {
			vms = append(vms, p.Tenants[i].Peers...)
		}
	}
	return vms
}
