package soak

import (
	"fmt"
	"net/netip"

	"github.com/sluicenet/sluice/packet"
)

// Shape is how much of everything that stays untouched there is.
type Shape struct {
	Tenants int   `json:"tenants"` // with the same customer addresses
	VMs     int   `json:"vms"`     // of each tenant in its first subnet; each other subnet has one
	Peers   int   `json:"peers"`   // of each tenant and subnet on other hosts
	Flows   int   `json:"flows"`
	Rules   int   `json:"rules"`    // of every VM's port
	Sizes   []int `json:"sizes"`    // of frames as VMs send them, without FCS, by turns
	UDPOf10 int   `json:"udpOf10"`  // flows of ten that are UDP; the others are TCP
	MTU     int   `json:"mtu"`      // of the VMs
	Queues  int   `json:"rxQueues"` // of each sequence port
	Outputs int   `json:"txQueues"` // of the uplink: one per worker
}

// Bounds of a Shape, by how the site numbers things.
const (
	maxTenants = 16
	maxVMs     = 200
	maxPeers   = 200
	maxFlows   = 1 << 19
	maxRules   = 10_000
)

func (s *Shape) check() error {
	for _, b := range []struct {
		what            string
		is, least, most int
	}{
		{"tenants", s.Tenants, 1, maxTenants}, {"VMs", s.VMs, 2, maxVMs}, {"peers", s.Peers, 1, maxPeers}, {"flows", s.Flows, ways, maxFlows},
		{"rules", s.Rules, 0, maxRules}, {"sizes", len(s.Sizes), 1, 1000}, {"UDP flows of ten", s.UDPOf10, 0, 10}, {"MTU", s.MTU, 576, 1500},
		{"receive queues", s.Queues, 1, 64}, {"outputs", s.Outputs, 1, 64},
	} {
		if b.is < b.least || b.is > b.most {
			return fmt.Errorf("%d %s: a soak takes %d to %d", b.is, b.what, b.least, b.most)
		}
	}
	for _, size := range s.Sizes {
		if size < 60 || size > s.MTU+14 {
			return fmt.Errorf("frames of %d bytes: want 60 to %d, without FCS", size, s.MTU+14)
		}
	}
	return nil
}

// The fabric.
var (
	fabric     = netip.MustParsePrefix("172.16.0.0/16")
	nearPA     = netip.MustParseAddr("172.16.1.1")
	uplinkMAC  = packet.MAC{0x02, 0, 0, 0, 0x01, 0x01}
	routerMAC  = packet.MAC{0x02, 0x15, 0x5d, 0, 0, 0x01} // of every subnet's gateway, by default
	uplinkName = "up0"
)

const (
	farHosts  = 4 // with the peers that are reached by NVGRE
	uplinkMTU = 1600
)

// The subnets of a tenant.
const (
	web     = iota
	db      // reached from web by routing
	edge    // by IP rewrite
	subnets // how many
)

var subnetNames = [subnets]string{"web", "db", "edge"}

// vm is a virtual machine, here or on another host.
type vm struct {
	name   string // of its port, when it is here
	tenant int
	subnet int
	mac    packet.MAC
	ca     netip.Addr
	pa     netip.Addr // of its host, or in edge its own
}

// site is the host under test with the tenants that stay as they are.
type site struct {
	Shape
	rate  string // of the uplink's scheduler; "": it has none
	vms   []vm   // here
	peers []vm
}

func newSite(s Shape, rate string) *site {
	w := &site{Shape: s, rate: rate}
	for t := range s.Tenants {
		for sub := range subnets {
			here := 1
			if sub == web {
				here = s.VMs
			}
			for n := range here {
				w.vms = append(w.vms, newVM(t, sub, n, true))
			}
			for n := range s.Peers {
				w.peers = append(w.peers, newVM(t, sub, n, false))
			}
		}
	}
	return w
}

// newVM numbers machines inside a subnet: the gateway has the first address, those here come before the peers.
func newVM(tenant, subnet, n int, here bool) vm {
	block, name := byte(8), fmt.Sprintf("t%d-%s-peer%d", tenant+1, subnetNames[subnet], n+1)
	pa := netip.AddrFrom4([4]byte{172, 16, 1, byte(2 + n%farHosts)})
	if here {
		block, name, pa = 0, fmt.Sprintf("t%d-%s%d", tenant+1, subnetNames[subnet], n+1), nearPA
	}
	if subnet == edge {
		pa = netip.AddrFrom4([4]byte{172, 16, 32 + byte(tenant)<<1 + block>>3, byte(2 + n)})
	}
	return vm{name: name, tenant: tenant, subnet: subnet, pa: pa, ca: netip.AddrFrom4([4]byte{10, byte(subnet), block, byte(2 + n)}),
		mac: packet.MAC{0x00, 0x15, 0x5d, byte(tenant + 1), byte(subnet)<<4 | block, byte(2 + n)}}
}

func vsid(tenant, subnet int) uint32 { return uint32(5001 + 10*tenant + subnet) }

func subnetName(tenant, subnet int) string {
	return fmt.Sprintf("t%d-%s", tenant+1, subnetNames[subnet])
}

// find picks the n-th machine of a tenant's subnet, around and around.
func find(list []vm, tenant, subnet, n int) *vm {
	first, count := -1, 0
	for i := range list {
		if list[i].tenant == tenant && list[i].subnet == subnet {
			if first < 0 {
				first = i
			}
			count++
		}
	}
	return &list[first+n%count]
}

// hops are the addresses of the fabric that answer ARP: the other hosts, and the peers that have one of their own.
func (w *site) hops() map[packet.Addr]packet.MAC {
	all := map[packet.Addr]packet.MAC{}
	for i := range w.peers {
		all[packet.AddrFromNetip(w.peers[i].pa)] = hopMAC(w.peers[i].pa)
	}
	return all
}

func hopMAC(pa netip.Addr) packet.MAC {
	b := pa.As4()
	return packet.MAC{0x02, 0, 0, 0x02, b[2], b[3]}
}
