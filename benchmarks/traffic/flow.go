package traffic

import (
	"net/netip"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
)

// Flow is one flow of the traffic.
type Flow struct {
	Source   string // name of the port that it comes in by
	Sink     string // name of the port that it goes out by
	From, To VM
	VSID     uint32
	FlowID   uint8 // in NVGRE, as the sending host chose it
	Protocol string
	SrcPort  uint16
	DstPort  uint16
	Bytes    int // of the VM's frame, without FCS and encapsulation
}

const (
	firstSrcPort = 1024
	srcPorts     = 60000 // 1024 to 61023
	firstDstPort = 5001
	dstPorts     = 3000 // 5001 to 8000: rules deny what is above
)

// Flow gives the i-th flow of the profile: tenants take turns, then VMs, then peers, then what is behind a bridge's ports,
// then transport ports, so that every prefix of the list is spread as evenly as can be. Flows from Profile.Flows on are
// the new ones that nobody has seen; there are more of them than any table holds.
func (p *Plan) Flow(i int) Flow {
	pr := &p.Profile
	t := i % pr.Tenants
	n := i / pr.Tenants % pr.VMs
	f := i / pr.Tenants / pr.VMs % pr.Peers
	k := i / pr.Tenants / pr.VMs / pr.Peers
	tenant := &p.Tenants[t]
	near, far := tenant.VMs[n], tenant.Peers[f]
	flow := Flow{Source: near.Name, Sink: Uplink, VSID: tenant.VSID, Protocol: p.protocol(i), Bytes: p.size(i)}
	switch pr.Direction {
	case profile.Decap:
		flow.Source, flow.Sink = Uplink, near.Name
		near, far = far, near
		flow.FlowID = uint8(scatter(uint64(i)))
	case profile.Local:
		flow.Sink = far.Name
	case profile.Bridge:
		flow.Sink = far.Name
		// Every pair of addresses once before any of them twice.
		a, b := k%pr.MACs, (k/pr.MACs+k)%pr.MACs
		near, far = station(near, n, a), station(far, pr.VMs+f, b)
		k /= pr.MACs * pr.MACs
	}
	flow.From, flow.To = near, far
	flow.SrcPort, flow.DstPort = uint16(firstSrcPort+k%srcPorts), uint16(firstDstPort+k/srcPorts%dstPorts)
	return flow
}

// Stations lists what is behind the ports of a bridge and takes part in the traffic.
func (p *Plan) Stations() (all []VM) {
	if p.Profile.Direction != profile.Bridge {
		return nil
	}
	seen := map[packet.MAC]bool{}
	for i := range p.Profile.Flows {
		f := p.Flow(i)
		for _, s := range []VM{f.From, f.To} {
			if !seen[s.MAC] {
				seen[s.MAC] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// station is the m-th address behind the n-th port of a tenant's bridge.
func station(port VM, n, m int) VM {
	port.MAC = packet.MAC{0x02, 0x15, byte(port.Tenant + 1), byte(n + 1), byte(m >> 8), byte(m)}
	port.CA = netip.AddrFrom4([4]byte{10, byte(n + 1), byte(m >> 8), byte(m)})
	return port
}

// size chooses the i-th flow's frame size: with a mix, by weight.
func (p *Plan) size(i int) int {
	at := int(scatter(scatter(uint64(i))) % uint64(p.sizeWeights))
	for _, s := range p.sizes {
		if at -= s.Weight; at < 0 {
			return s.Bytes
		}
	}
	panic("traffic: a profile without sizes")
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
