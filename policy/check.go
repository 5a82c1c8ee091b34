package policy

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/packet"
)

// A checker finds what is wrong between the fields and objects of a file. It also runs when some of them could not be
// read: a field that is zero although the file gives it has had its own problem reported, and is left out here.
type checker struct {
	c       *Config
	d       *decoder
	uplinks map[string]*UplinkConfig // by name; of a doubled name the first
	subnets map[string]*subnetScope  // likewise
	ownPAs  map[string]holder        // provider addresses of this host
	peers   map[string]holder        // provider addresses of the hosts section
}

// holder says who has something that only one may have.
type holder struct {
	label string
	line  int
}

func (h holder) String() string { return fmt.Sprintf("%s (line %d)", h.label, h.line) }

func holderOf(o described) holder { return holder{o.label(), o.from().Line()} }

func check(c *Config, d *decoder) {
	k := &checker{c: c, d: d, uplinks: map[string]*UplinkConfig{}, subnets: map[string]*subnetScope{},
		ownPAs: map[string]holder{}, peers: map[string]holder{}}
	k.names()
	k.dataplane()
	k.vmq()
	k.devices()
	for i := range c.Uplinks {
		k.uplink(&c.Uplinks[i])
	}
	if n := len(c.Uplinks); n > maxUplinks {
		k.problem(&c.Uplinks[maxUplinks], "", fmt.Sprintf("%d uplinks are configured; the switch has room for %d", n, maxUplinks),
			"remove some")
	}
	k.networks()
	for i := range c.Vports {
		k.vport(&c.Vports[i])
	}
	k.bridgedMACs()
	k.acls()
	k.classification()
	k.qos()
	for i := range c.Hosts {
		k.peer(&c.Hosts[i])
	}
	k.records()
	k.rewritten()
}

// problem points at a field of an object.
func (k *checker) problem(o described, key, what, remedy string) {
	k.d.report(o.from().at(key), o.label(), what, remedy)
}

// names refuses names that are given twice, also in another case: they become file names and arguments of commands.
func (k *checker) names() {
	ports, subnets, networks, hosts := namespace{}, namespace{}, namespace{}, namespace{}
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		if k.claim(ports, u, u.Name) {
			k.uplinks[u.Name] = u
		}
	}
	for i := range k.c.Vports {
		k.claim(ports, &k.c.Vports[i], k.c.Vports[i].Name)
	}
	for i := range k.c.Networks {
		n := &k.c.Networks[i]
		k.claim(networks, n, n.Name)
		for j := range n.Subnets {
			if s := &n.Subnets[j]; k.claim(subnets, s, s.Name) {
				k.subnets[s.Name] = newSubnetScope(s, n)
			}
		}
	}
	if k.c.Host.Name != "" {
		hosts[strings.ToLower(k.c.Host.Name)] = namedHolder{k.c.Host.Name, holder{"this host", k.c.Host.Line()}}
	}
	for i := range k.c.Hosts {
		k.claim(hosts, &k.c.Hosts[i], k.c.Hosts[i].Name)
	}
}

type namedHolder struct {
	name string
	holder
}

// namespace holds the names that are taken, in lower case.
type namespace map[string]namedHolder

// claim takes a name for o; false when there is none, or it is taken already and has been reported.
func (k *checker) claim(taken namespace, o described, name string) bool {
	if name == "" {
		return false
	}
	other, double := taken[strings.ToLower(name)]
	switch {
	case !double:
		taken[strings.ToLower(name)] = namedHolder{name, holderOf(o)}
		return true
	case other.name == name:
		k.problem(o, "name", fmt.Sprintf("the name %s is also that of %s", name, other), "give each its own name")
	default:
		k.problem(o, "name", fmt.Sprintf("the name %s differs only in upper and lower case from that of %s", name, other),
			"give each its own name")
	}
	return false
}

func (k *checker) dataplane() {
	d := &k.c.Dataplane
	seen := map[int]bool{}
	for i, core := range d.Cores {
		if core != badCore && seen[core] {
			k.problem(d, fmt.Sprintf("cores[%d]", i), fmt.Sprintf("core %d is listed twice", core),
				"give each worker a core of its own")
		}
		seen[core] = true
	}
	if n := len(d.Cores); d.Workers > 0 && n > 0 && d.Workers != n {
		k.problem(d, "workers", fmt.Sprintf("workers is %d, but cores lists %d", d.Workers, n),
			"list one core per worker, or leave workers out")
	}
}

// devices refuses two ports on one device.
func (k *checker) devices() {
	taken := map[string]holder{}
	claim := func(o described, key, device string) {
		// Of two ports with one name and no interface of their own the name is the mistake.
		if other, double := taken[device]; double && other.label != o.label() {
			k.problem(o, key, device+" is also the device of "+other.String(), "give each port a device of its own")
			return
		}
		taken[device] = holderOf(o)
	}
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		k.uplinkDevice(u)
		if u.Device.PCI != "" {
			claim(u, "device.pci", "PCI device "+u.Device.PCI)
		}
		if u.Device.Interface != "" {
			claim(u, "device.interface", "interface "+u.Device.Interface)
		}
		if vdev, args, _ := strings.Cut(u.Device.DevArgs, ","); vdev != "" {
			claim(u, "device.devargs", "virtual device "+vdev)
			for arg := range strings.SplitSeq(args, ",") {
				if iface, ok := strings.CutPrefix(arg, "iface="); ok {
					claim(u, "device.devargs", "interface "+iface)
				}
			}
		}
	}
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		if k.vportInterface(v) {
			device := "interface " + v.Device.Interface
			if v.Device.Namespace != "" {
				device += " in namespace " + v.Device.Namespace
			}
			claim(v, "device.interface", device)
		}
	}
}

func (k *checker) uplinkDevice(u *UplinkConfig) {
	if !u.has("device") || u.partial {
		return
	}
	var ways []string
	for _, key := range []string{"pci", "driver", "devargs"} {
		if u.has("device." + key) {
			ways = append(ways, key)
		}
	}
	const remedy = `use pci: "0000:03:00.0", or driver: af_packet with interface: eth1, or devargs`
	switch {
	case len(ways) > 1:
		k.problem(u, "device", "device says in several ways what it is: "+strings.Join(ways, ", "), "keep one of them")
	case len(ways) == 0 && u.has("device.interface"):
		k.problem(u, "device", "device has an interface, but no driver", "add driver: "+DriverAFPacket)
	case len(ways) == 0:
		k.problem(u, "device", "device does not say what it is", remedy)
	case ways[0] == "driver" && !u.has("device.interface"):
		k.problem(u, "device", "device has a driver, but no interface", "add interface: <name of the kernel's interface>")
	case ways[0] != "driver" && u.has("device.interface"):
		k.problem(u, "device.interface", "device.interface goes with driver, not with "+ways[0], "leave it out")
	}
}

// vportInterface checks the interface that a vport gets when it does not name one; false when it has none.
func (k *checker) vportInterface(v *VportConfig) bool {
	if v.Device.Interface == "" {
		return false
	}
	if what, _ := interfaceProblem(v.Device.Interface); what != "" && !v.has("device.interface") {
		k.problem(v, "name", "the interface would have the vport's name, which "+what,
			"set device.interface, or use another name")
		return false
	}
	return true
}

func (k *checker) vport(v *VportConfig) {
	k.attachment(v)
	if v.MAC == k.c.Dataplane.RouterMAC && !v.MAC.IsZero() {
		k.problem(v, "mac", "mac is that of the router ("+v.MAC.String()+")",
			"use another one, or another dataplane.routerMAC")
	}
	if v.Uplink != "" && k.uplinks[v.Uplink] == nil && !k.unread("uplinks") {
		k.problem(v, "uplink", "uplink "+v.Uplink+" is not defined", k.definedUplinks(v.Uplink))
	}
	seen := map[uint16]bool{}
	for i, vlan := range v.Trunk {
		if vlan != 0 && seen[vlan] {
			k.problem(v, fmt.Sprintf("trunk[%d]", i), fmt.Sprintf("VLAN %d is listed twice", vlan), "leave one out")
		}
		seen[vlan] = true
	}
	if v.Subnet == "" {
		return
	}
	scope := k.scope(v, v.Subnet)
	if scope == nil {
		return
	}
	if scope.subnet.Prefix6.IsValid() && v.MTU > 0 && v.MTU < minMTU6 {
		k.problem(v, "mtu", fmt.Sprintf("mtu is %d, and subnet %s has IPv6, which needs %d", v.MTU, v.Subnet, minMTU6),
			fmt.Sprintf("set it to %d or more", minMTU6))
	}
	scope.addVport(k, v)
}

// attachment checks that a vport belongs to one network, in one way.
func (k *checker) attachment(v *VportConfig) {
	passThrough := v.PassThrough || k.refused(v, "passThrough")
	virtual, bridged := v.has("subnet"), v.has("vlan") || passThrough || v.has("trunk")
	switch {
	case virtual && (bridged || v.has("uplink")):
		k.problem(v, "subnet", "the vport has a subnet, and also "+v.bridgeKeys()+": a port uses virtualisation or VLANs, never both",
			"keep subnet, or "+v.bridgeKeys())
	case virtual || v.partial:
	case !bridged && v.has("uplink"):
		k.problem(v, "uplink", "the vport has an uplink, but neither vlan nor passThrough",
			"add vlan: <1-4094> or passThrough: true")
	case !bridged:
		k.problem(v, "", "the vport belongs to no network",
			"add subnet: <name>, or uplink: <name> with vlan: <1-4094> or passThrough: true")
	case !v.has("uplink"):
		k.problem(v, "", "the vport has "+v.bridgeKeys()+", but no uplink", "add uplink: <name>")
	case v.has("vlan") && passThrough:
		k.problem(v, "passThrough", "the vport has vlan and passThrough",
			"keep vlan for an access port; a pass-through port lists its VLANs in trunk")
	case v.has("trunk") && !passThrough:
		k.problem(v, "trunk", "the vport has a trunk, but not passThrough", "add passThrough: true")
	}
	if v.has("addresses") && !virtual {
		k.problem(v, "addresses", "addresses are of a subnet, and the vport has none",
			"leave them out: the network behind the uplink gives addresses")
	}
	if v.has("providerAddresses") && !virtual {
		k.problem(v, "providerAddresses", "providerAddresses stand for addresses in a subnet, and the vport has none", "leave them out")
	}
}

// bridgeKeys names the keys that make a vport one of a VLAN or of the bare uplink.
func (v *VportConfig) bridgeKeys() string {
	var keys []string
	for _, key := range []string{"uplink", "vlan", "passThrough", "trunk"} {
		if v.has(key) {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, " and ")
}

// bridgedMACs refuses one MAC at two vports of a layer-2 domain outside virtual subnets.
func (k *checker) bridgedMACs() {
	type place struct {
		uplink string
		vlan   uint16
		mac    packet.MAC
	}
	taken := map[place]holder{}
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		var vlans []uint16
		switch v.Attachment() {
		case AttachVLAN:
			vlans = []uint16{v.VLAN}
		case AttachPassThrough:
			vlans = append([]uint16{0}, v.Trunk...)
		}
		if v.MAC.IsZero() || v.Uplink == "" {
			continue
		}
		for _, vlan := range vlans {
			at := place{v.Uplink, vlan, v.MAC}
			if other, double := taken[at]; double && other != holderOf(v) {
				k.problem(v, "mac", "mac is also that of "+other.String()+" in the same VLAN", "give each VM its own")
				break
			}
			taken[at] = holderOf(v)
		}
	}
}

// scope finds the subnet that o refers to; nil, and a problem reported, when there is none.
func (k *checker) scope(o described, subnet string) *subnetScope {
	scope := k.subnets[subnet]
	if scope == nil && !k.unread("networks") {
		k.problem(o, "subnet", "subnet "+subnet+" is not defined", k.definedSubnets(subnet))
	}
	return scope
}

// unread says that a section may be there under a key that is misspelt, or could not be read: what refers to it is not
// to blame.
func (k *checker) unread(section string) bool {
	return k.c.partial && !k.c.has(section) || k.refused(k.c, section)
}

// definedUplinks says in a remedy what an uplink's name may have been meant to be.
func (k *checker) definedUplinks(wrong string) string {
	return k.defined("uplinks", wrong, maps.Keys(k.uplinks))
}

func (k *checker) definedSubnets(wrong string) string {
	return k.defined("subnets", wrong, maps.Keys(k.subnets))
}

func (k *checker) defined(kind, wrong string, keys iter.Seq[string]) string {
	if k.d.full() {
		return ""
	}
	const most = 200 // names to look through
	names := slices.Sorted(keys)
	if guess := closest(wrong, names[:min(len(names), most)]); guess != "" {
		return "did you mean " + guess + "?"
	}
	switch n := len(names); {
	case n == 0:
		return "define it under " + kind
	case n > 8:
		return fmt.Sprintf("define it under %s, or use one of the %d there", kind, n)
	}
	return "define it under " + kind + ", or use " + oneOf(names)
}
