package policy

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// Config is the configuration of one host as its YAML file says it, checked, with defaults filled in. It is not changed
// after Parse has returned it.
type Config struct {
	source
	File           string
	Host           HostConfig
	Daemon         DaemonConfig
	Dataplane      DataplaneConfig
	Uplinks        []UplinkConfig
	Vports         []VportConfig
	ACLLists       []ACLListConfig
	Classification ClassificationConfig
	QoSGroups      []QoSGroupConfig
	HostGroups     []HostGroupConfig
	Networks       []NetworkConfig
	Hosts          []PeerConfig
	Records        []RecordConfig
}

// HostConfig names this host.
type HostConfig struct {
	source
	Name  string
	Group string // of hostGroups
}

// DaemonConfig is what sluiced needs before it looks at any port. LoadSettings lays environment and flags over it.
type DaemonConfig struct {
	source
	Socket    string // absolute path of the control socket
	Metrics   string // host:port of the metrics endpoint, or MetricsOff
	LogLevel  string // debug, info, warn, error
	LogFormat string // text, json
}

// MetricsOff is the value of DaemonConfig.Metrics that means no endpoint.
const MetricsOff = "off"

// DataplaneConfig sizes the workers. All but SlowPathShare, RouterMAC and VMQ takes effect when the daemon starts.
type DataplaneConfig struct {
	source
	Workers       int    // 0: auto, one per core of Cores, or chosen by the daemon when Cores is empty
	Cores         []int  // CPU cores of the workers; empty: chosen by the daemon
	Hugepages     string // auto, on, off
	Idle          IdleConfig
	FlowIdle      time.Duration
	MACAge        time.Duration
	FlowsPerQueue int        // a power of two
	SlowPathShare uint8      // percent of a worker, 1 to 100
	RouterMAC     packet.MAC // of the distributed router, the same on every host
	VMQ           VMQLimits
}

// IdleConfig says what workers without packets do.
type IdleConfig struct {
	source
	Mode     string        // IdleAdaptive, IdleBusy
	Spin     time.Duration // after the last packet, before the first sleep
	MaxSleep time.Duration // while a device cannot wake the worker
}

// What workers without packets do.
const (
	IdleAdaptive = "adaptive" // back off, then sleep
	IdleBusy     = "busy"     // poll on
)

// UplinkConfig is a physical port into the fabric.
type UplinkConfig struct {
	source
	Name              string
	Device            UplinkDevice
	Queues            int
	VMQ               VMQConfig
	MTU               int            // largest IP packet, bytes; 0: the device's own
	ProviderAddresses []netip.Prefix // our addresses, with the length of the fabric's prefix
	Gateway           netip.Addr     // for provider addresses outside every prefix; invalid without one
	QoS               LinkQoSConfig
}

// UplinkDevice says which device an uplink is. Exactly one of PCI, Driver with Interface, and DevArgs is set.
type UplinkDevice struct {
	PCI       string // domain:bus:device.function, lower case
	Driver    string // DriverAFPacket, DriverAFXDP
	Interface string // of the kernel
	DevArgs   string // a DPDK virtual device, "net_pcap0,iface=eth1"
}

// Drivers of devices.
const (
	DriverAFPacket = "af_packet"
	DriverAFXDP    = "af_xdp"
	DriverTap      = "tap"
)

func (d UplinkDevice) String() string {
	switch {
	case d.PCI != "":
		return "pci " + d.PCI
	case d.DevArgs != "":
		return "devargs " + d.DevArgs
	}
	return d.Driver + " " + d.Interface
}

// VportConfig is a VM's port. It has either a Subnet, or an Uplink with a VLAN or PassThrough.
type VportConfig struct {
	source
	Name      string
	Device    VportDevice
	Queues    int
	VMQ       VMQConfig
	MAC       packet.MAC
	MTU       int // largest IP packet, bytes
	Subnet    string
	Addresses []netip.Addr // customer addresses; none: layer 2 only
	// ProviderAddresses are the VM's own in the fabric: one for each IPv4 entry of Addresses, in their order.
	ProviderAddresses []netip.Addr
	Uplink            string
	VLAN              uint16 // access VLAN; 0: none
	PassThrough       bool
	Trunk             []uint16 // VLANs that a pass-through vport sees tagged
	ACLs              []ACLConfig
	ACLList           string // instead of ACLs: the name of a list of them
	QoS               VportQoSConfig
}

// VportDevice says what a vport is towards the VM.
type VportDevice struct {
	Driver    string // DriverTap
	Interface string // name of the interface in the namespace
	Namespace string // a name under /run/netns or a path; empty: the daemon's own
	Persist   bool   // the interface outlives the daemon
}

func (d VportDevice) String() string {
	s := d.Driver + " " + d.Interface
	if d.Namespace != "" {
		s += " in " + d.Namespace
	}
	return s
}

// Attachment says what kind of network the vport belongs to.
func (v *VportConfig) Attachment() Attachment {
	switch {
	case v.Subnet != "":
		return AttachSubnet
	case v.PassThrough:
		return AttachPassThrough
	case v.VLAN != 0:
		return AttachVLAN
	}
	return AttachNone
}

// ACLListConfig is a list of rules that several vports have.
type ACLListConfig struct {
	source
	Name  string
	Rules []ACLConfig
}

// ACLConfig is a rule that lets packets of a vport pass, or drops them. What it does not ask for may be anything. Of the
// rules that match the one with the highest weight decides, of equal weights the first.
type ACLConfig struct {
	source
	Name       string
	Direction  string // DirectionIn, DirectionOut, DirectionBoth
	Action     string // ActionAllow, ActionDeny
	Weight     uint16
	Protocol   string       // ProtocolAny, a name such as tcp, or a number without a name
	Remote     netip.Prefix // of the other end; invalid: any
	Local      netip.Prefix // of the VM's end; invalid: any
	RemoteMAC  packet.MAC   // instead of Remote; zero: any
	RemotePort PortRange
	LocalPort  PortRange
	EtherType  uint16 // instead of all that is of IP; 0: any
}

// Directions and actions of rules.
const (
	DirectionIn   = "in"   // towards the VM
	DirectionOut  = "out"  // from the VM
	DirectionBoth = "both" // either
	ActionAllow   = "allow"
	ActionDeny    = "deny"
)

// NetworkConfig is a VM network: one tenant's routing domain.
type NetworkConfig struct {
	source
	Name    string
	RDID    uint32
	Subnets []SubnetConfig
	Routes  []RouteConfig
	QoS     NetworkQoSConfig
}

// SubnetConfig is a virtual subnet.
type SubnetConfig struct {
	source
	Name    string
	VSID    uint32
	Prefix  netip.Prefix // IPv4; invalid without one
	Prefix6 netip.Prefix // IPv6; invalid without one
	Method  string       // MethodNVGRE, MethodRewrite
}

// How packets of a subnet cross the fabric.
const (
	MethodNVGRE   = "nvgre"   // inside others, between the provider addresses of the hosts (RFC 7637)
	MethodRewrite = "rewrite" // with their addresses replaced by provider addresses of the VMs
)

// RouteConfig is an extra customer route. Exactly one of NextHop and Gateway is set.
type RouteConfig struct {
	source
	Prefix  netip.Prefix
	NextHop netip.Addr // customer address
	Gateway netip.Addr // provider address
	Metric  uint32
	Subnet  string // the only subnet that the route serves; empty: all of the network
	network string
}

// PeerConfig is another host. Its provider addresses are equal ways to it.
type PeerConfig struct {
	source
	Name              string
	ProviderAddresses []netip.Addr
}

// RecordConfig is a VM of another host.
type RecordConfig struct {
	source
	Subnet string
	CA     netip.Addr // invalid: layer 2 only
	MAC    packet.MAC
	PA     netip.Addr // of the VM's host, or by MethodRewrite of the VM itself
	Method string     // empty: that of the subnet
}

// Uplink finds an uplink by name, nil without one.
func (c *Config) Uplink(name string) *UplinkConfig {
	for i := range c.Uplinks {
		if c.Uplinks[i].Name == name {
			return &c.Uplinks[i]
		}
	}
	return nil
}

// Vport finds a vport by name, nil without one.
func (c *Config) Vport(name string) *VportConfig {
	for i := range c.Vports {
		if c.Vports[i].Name == name {
			return &c.Vports[i]
		}
	}
	return nil
}

// Subnet finds a subnet and its network by name, nil without one.
func (c *Config) Subnet(name string) (*SubnetConfig, *NetworkConfig) {
	for i := range c.Networks {
		n := &c.Networks[i]
		for j := range n.Subnets {
			if n.Subnets[j].Name == name {
				return &n.Subnets[j], n
			}
		}
	}
	return nil, nil
}

// position is a place in the file, counted from 1; the zero position is none.
type position struct{ line, column int32 }

// source is where in the file an object and its fields stand.
type source struct {
	pos     position
	number  int32 // of the object in its list, counted from 1
	partial bool  // the object has keys that are not known, so what it lacks may just be misspelt
	fields  []fieldPosition
}

type fieldPosition struct {
	key string // "mac", "device.interface", "addresses[1]"
	pos position
}

// Line is the line of the file where the object begins, counted from 1; 0 when it was not in the file.
func (s *source) Line() int { return int(s.pos.line) }

func (s *source) from() *source { return s }

// has reports that the file gives the field, be its value right or wrong.
func (s *source) has(key string) bool { return s.find(key) != position{} }

// find is where the value of a field stands, the zero position when the file does not give it.
func (s *source) find(key string) position {
	for _, f := range s.fields {
		if f.key == key {
			return f.pos
		}
	}
	return position{}
}

// at is where to point for a problem of a field: at its value, else at the object.
func (s *source) at(key string) position {
	if p := s.find(key); p != (position{}) {
		return p
	}
	return s.pos
}

// described is an object of the file that problems can be about.
type described interface {
	from() *source
	label() string // "vport red-vm1"
}

func (s *source) named(kind, name string) string {
	if name == "" {
		return fmt.Sprintf("%s %d", kind, s.number)
	}
	return kind + " " + name
}

func (c *Config) label() string          { return "" }
func (c *HostConfig) label() string      { return "host" }
func (c *DaemonConfig) label() string    { return "daemon" }
func (c *DataplaneConfig) label() string { return "dataplane" }
func (c *IdleConfig) label() string      { return "dataplane.idle" }
func (c *UplinkConfig) label() string    { return c.named("uplink", c.Name) }
func (c *VportConfig) label() string     { return c.named("vport", c.Name) }
func (c *ACLListConfig) label() string   { return c.named("acl list", c.Name) }
func (c *ACLConfig) label() string       { return c.named("acl", c.Name) }
func (c *NetworkConfig) label() string   { return c.named("network", c.Name) }
func (c *SubnetConfig) label() string    { return c.named("subnet", c.Name) }
func (c *PeerConfig) label() string      { return c.named("host", c.Name) }

func (c *RouteConfig) label() string {
	if !c.Prefix.IsValid() {
		return c.named("route", "")
	}
	return "route " + c.Prefix.String()
}

func (c *RecordConfig) label() string {
	switch {
	case c.CA.IsValid():
		return "record " + c.CA.String() + " of " + c.Subnet
	case !c.MAC.IsZero():
		return "record " + c.MAC.String() + " of " + c.Subnet
	}
	return c.named("record", "")
}
