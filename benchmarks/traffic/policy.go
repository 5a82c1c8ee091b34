package traffic

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// The parts of a host's configuration that traffic needs, in the order in which a person would write them.
type hostYAML struct {
	Host     map[string]string `yaml:"host,flow"`
	Uplinks  []uplinkYAML      `yaml:"uplinks"`
	Vports   []vportYAML       `yaml:"vports"`
	Networks []networkYAML     `yaml:"networks"`
	Records  []recordYAML      `yaml:"records,omitempty"`
}

type uplinkYAML struct {
	Name              string            `yaml:"name"`
	Device            map[string]string `yaml:"device,flow"`
	MTU               int               `yaml:"mtu"`
	ProviderAddresses []netip.Prefix    `yaml:"providerAddresses,flow"`
}

type vportYAML struct {
	Name      string            `yaml:"name"`
	Device    map[string]string `yaml:"device,flow"`
	MAC       string            `yaml:"mac"`
	Subnet    string            `yaml:"subnet"`
	Addresses []netip.Addr      `yaml:"addresses,flow"`
}

type networkYAML struct {
	Name    string       `yaml:"name"`
	Subnets []subnetYAML `yaml:"subnets"`
}

type subnetYAML struct {
	Name   string       `yaml:"name"`
	VSID   uint32       `yaml:"vsid"`
	Prefix netip.Prefix `yaml:"prefix"`
}

type recordYAML struct {
	Subnet string     `yaml:"subnet"`
	CA     netip.Addr `yaml:"ca"`
	MAC    string     `yaml:"mac"`
	PA     netip.Addr `yaml:"pa"`
}

// UplinkMTU carries the largest frame of a profile inside NVGRE.
const UplinkMTU = 1600

// Config writes the configuration of the host on which the profile's traffic is forwarded, as a user would.
func (p *Plan) Config() ([]byte, error) {
	host := hostYAML{Host: map[string]string{"name": "near"}, Uplinks: []uplinkYAML{{Name: Uplink,
		Device: map[string]string{"driver": policy.DriverAFPacket, "interface": "fabric"}, MTU: UplinkMTU,
		ProviderAddresses: []netip.Prefix{netip.PrefixFrom(NearPA, Fabric.Bits())}}}}
	for i := range p.Tenants {
		t := &p.Tenants[i]
		host.Networks = append(host.Networks, networkYAML{Name: t.Name, Subnets: []subnetYAML{{Name: t.subnet(), VSID: t.VSID, Prefix: prefix}}})
		for _, vm := range t.Peers {
			if p.Profile.Direction != profile.Local {
				host.Records = append(host.Records, recordYAML{Subnet: t.subnet(), CA: vm.CA, MAC: vm.MAC.String(), PA: FarPA})
			}
		}
	}
	for _, vm := range p.VMs() {
		host.Vports = append(host.Vports, vportYAML{Name: vm.Name, Device: map[string]string{"driver": policy.DriverTap},
			MAC: vm.MAC.String(), Subnet: p.Tenants[vm.Tenant].subnet(), Addresses: []netip.Addr{vm.CA}})
	}
	text, err := yaml.Marshal(host)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return text, nil
}

func (t *Tenant) subnet() string { return t.Name + "-web" }

// Index is the port index that a port of the plan gets in the switch.
func (p *Plan) Index(port string) uint32 {
	for i, name := range p.Ports() {
		if name == port {
			return uint32(i)
		}
	}
	return policy.NoIndex
}

// Policy compiles the configuration with the plan's own port indices. The uplink has the MAC that the frames bear, not
// that of its device.
func (p *Plan) Policy() (*policy.Snapshot, error) {
	text, err := p.Config()
	if err != nil {
		return nil, err
	}
	c, err := policy.Parse("generated from profile "+p.Profile.Name, text)
	if err != nil {
		return nil, err
	}
	ports := policy.PortTable{}
	for i, name := range p.Ports() {
		info := policy.PortInfo{Index: uint32(i)}
		if name == Uplink {
			info.MAC, info.MTU = UplinkMAC, UplinkMTU
		}
		ports[name] = info
	}
	return policy.Compile(c, nil, ports)
}

// NextHops are the hosts in the fabric, by address.
func NextHops() map[packet.Addr]packet.MAC {
	return map[packet.Addr]packet.MAC{packet.AddrFromNetip(FarPA): FarHostMAC}
}
