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
	ACLLists []aclListYAML     `yaml:"aclLists,omitempty"`
	Networks []networkYAML     `yaml:"networks,omitempty"`
	Records  []recordYAML      `yaml:"records,omitempty"`
}

type uplinkYAML struct {
	Name              string            `yaml:"name"`
	Device            map[string]string `yaml:"device,flow"`
	MTU               int               `yaml:"mtu"`
	ProviderAddresses []netip.Prefix    `yaml:"providerAddresses,flow"`
	Gateway           string            `yaml:"gateway,omitempty"`
}

type vportYAML struct {
	Name              string            `yaml:"name"`
	Device            map[string]string `yaml:"device,flow"`
	MAC               string            `yaml:"mac"`
	Subnet            string            `yaml:"subnet,omitempty"`
	Addresses         []netip.Addr      `yaml:"addresses,flow,omitempty"`
	ProviderAddresses []netip.Addr      `yaml:"providerAddresses,flow,omitempty"`
	Uplink            string            `yaml:"uplink,omitempty"` // with a bridge, instead of the subnet
	VLAN              int               `yaml:"vlan,omitempty"`
	ACLList           string            `yaml:"aclList,omitempty"`
}

type networkYAML struct {
	Name    string       `yaml:"name"`
	Subnets []subnetYAML `yaml:"subnets"`
}

type subnetYAML struct {
	Name   string       `yaml:"name"`
	VSID   uint32       `yaml:"vsid"`
	Prefix netip.Prefix `yaml:"prefix"`
	Method string       `yaml:"method,omitempty"`
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
	return p.ConfigOn(map[string]string{"driver": policy.DriverAFPacket, "interface": "fabric"})
}

// ConfigOn is Config with another device as the uplink, as a configuration describes one.
func (p *Plan) ConfigOn(device map[string]string) ([]byte, error) {
	uplink := uplinkYAML{Name: Uplink, Device: device, MTU: UplinkMTU,
		ProviderAddresses: []netip.Prefix{netip.PrefixFrom(NearPA, Fabric.Bits())}}
	if p.Profile.Direction == profile.Rewrite {
		uplink.Gateway = FarPA.String()
	}
	host := hostYAML{Host: map[string]string{"name": "near"}, Uplinks: []uplinkYAML{uplink}, ACLLists: p.aclLists()}
	if p.Profile.Direction != profile.Bridge {
		host.Networks, host.Records = p.networks()
	}
	for _, vm := range p.VMs() {
		host.Vports = append(host.Vports, p.vport(vm))
	}
	text, err := yaml.Marshal(host)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return text, nil
}

// networks are the tenants' networks, and where the VMs of the other host are.
func (p *Plan) networks() (networks []networkYAML, records []recordYAML) {
	for i := range p.Tenants {
		t := &p.Tenants[i]
		sub := subnetYAML{Name: t.subnet(), VSID: t.VSID, Prefix: prefix}
		if p.Profile.Direction == profile.Rewrite {
			sub.Method = "rewrite"
		}
		networks = append(networks, networkYAML{Name: t.Name, Subnets: []subnetYAML{sub}})
		if p.Profile.Direction.Stays() {
			continue
		}
		for _, vm := range t.Peers {
			record := recordYAML{Subnet: t.subnet(), CA: vm.CA, MAC: vm.MAC.String(), PA: FarPA}
			if p.Profile.Direction == profile.Rewrite {
				record.PA = vm.PA
			}
			records = append(records, record)
		}
	}
	return networks, records
}

func (p *Plan) vport(vm VM) vportYAML {
	v := vportYAML{Name: vm.Name, Device: map[string]string{"driver": policy.DriverTap}, MAC: vm.MAC.String()}
	if p.Profile.ACLs > 0 {
		v.ACLList = aclListName
	}
	if p.Profile.Direction == profile.Bridge {
		v.Uplink, v.VLAN = Uplink, VLAN(vm.Tenant)
		return v
	}
	v.Subnet, v.Addresses = p.Tenants[vm.Tenant].subnet(), []netip.Addr{vm.CA}
	if p.Profile.Direction == profile.Rewrite {
		v.ProviderAddresses = []netip.Addr{vm.PA}
	}
	return v
}

// VLAN is that of a tenant, where its ports are bridged.
func VLAN(tenant int) int { return 100 + tenant }

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
