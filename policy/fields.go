package policy

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// The keys of each object, in the order of their documentation. A name comes first (decoder.object).

func configFields(c *Config) []field {
	return []field{
		{"host", section(&c.Host, hostFields(&c.Host)), "add host: {name: <name of this host>}"},
		{"daemon", section(&c.Daemon, daemonFields(&c.Daemon)), ""},
		{"dataplane", section(&c.Dataplane, dataplaneFields(&c.Dataplane)), ""},
		{"uplinks", objects(&c.Uplinks, uplinkFields), ""},
		{"vports", objects(&c.Vports, vportFields), ""},
		{"aclLists", objects(&c.ACLLists, aclListFields), ""},
		{"classification", section(&c.Classification, classificationFields(&c.Classification)), ""},
		{"networks", objects(&c.Networks, networkFields), ""},
		{"qosGroups", objects(&c.QoSGroups, qosGroupFields), ""},
		{"hostGroups", objects(&c.HostGroups, hostGroupFields), ""},
		{"hosts", objects(&c.Hosts, peerFields), ""},
		{"records", objects(&c.Records, recordFields), ""},
	}
}

func hostFields(h *HostConfig) []field {
	return []field{
		{"name", name(&h.Name), "name this host"},
		{"group", name(&h.Group), ""},
	}
}

func daemonFields(d *DaemonConfig) []field {
	return []field{
		{"socket", checked(&d.Socket, socketProblem), ""},
		{"metrics", checked(&d.Metrics, metricsProblem), ""},
		{"logLevel", choice(&d.LogLevel, logLevels...), ""},
		{"logFormat", choice(&d.LogFormat, logFormats...), ""},
	}
}

const (
	maxWorkers       = 256
	maxCore          = 4095
	minFlowsPerQueue = 1 << 10
	maxFlowsPerQueue = 1 << 26
	maxQueues        = 64
	maxUplinks       = 32   // ethdev ports in a common build of DPDK
	minMTU           = 576  // every IPv4 host takes this much (RFC 791, section 3.1)
	maxMTU           = 9702 // a frame of 9,728 bytes, what server NICs take, less Ethernet header, two VLAN tags and FCS
	minMTU6          = 1280 // RFC 8200, section 5
	maxVLAN          = 4094
	maxVSID          = 1<<24 - 1
	maxWeight        = 1<<16 - 1
)

func dataplaneFields(d *DataplaneConfig) []field {
	return []field{
		{"workers", workers(&d.Workers), ""},
		{"cores", list(&d.Cores, core), ""},
		{"hugepages", choice(&d.Hugepages, "auto", "on", "off"), ""},
		{"idle", section(&d.Idle, idleFields(&d.Idle)), ""},
		{"flowIdle", duration(&d.FlowIdle, time.Second, 24*time.Hour), ""},
		{"macAge", duration(&d.MACAge, 10*time.Second, 24*time.Hour), ""},
		{"flowsPerQueue", powerOfTwo(&d.FlowsPerQueue, minFlowsPerQueue, maxFlowsPerQueue), ""},
		{"slowPathShare", share(&d.SlowPathShare), ""},
		{"routerMAC", hardwareAddr(&d.RouterMAC), ""},
		{"vmq", group(vmqLimitFields(&d.VMQ)...), ""},
	}
}

func idleFields(c *IdleConfig) []field {
	return []field{
		{"mode", choice(&c.Mode, IdleAdaptive, IdleBusy), ""},
		{"spin", duration(&c.Spin, 0, time.Second), ""},
		{"maxSleep", duration(&c.MaxSleep, 10*time.Microsecond, time.Second), ""},
	}
}

func uplinkFields(u *UplinkConfig) []field {
	return []field{
		{"name", name(&u.Name), "name the uplink"},
		{"device", group(
			field{"pci", pciAddress(&u.Device.PCI), ""},
			field{"driver", choice(&u.Device.Driver, DriverAFPacket, DriverAFXDP), ""},
			field{"interface", interfaceName(&u.Device.Interface), ""},
			field{"devargs", text(&u.Device.DevArgs), ""},
		), `say which: device: {pci: "0000:03:00.0"} or device: {driver: af_packet, interface: eth1}`},
		{"queues", number(&u.Queues, 1, maxQueues), ""},
		{"vmq", group(vmqFields(&u.VMQ)...), ""},
		{"mtu", number(&u.MTU, minMTU, maxMTU), ""},
		{"providerAddresses", list(&u.ProviderAddresses, providerPrefix), ""},
		{"gateway", providerAddress(&u.Gateway), ""},
		{"qos", owned(&u.QoS.owner, section(&u.QoS, linkQoSFields(&u.QoS))), ""},
	}
}

func vportFields(p *VportConfig) []field {
	return []field{
		{"name", name(&p.Name), "name the vport"},
		{"device", group(
			field{"driver", vportDriver(&p.Device.Driver), "use driver: tap"},
			field{"interface", interfaceName(&p.Device.Interface), ""},
			field{"namespace", checked(&p.Device.Namespace, namespaceProblem), ""},
			field{"persist", boolean(&p.Device.Persist), ""},
		), "add device: {driver: tap}"},
		{"mac", hardwareAddr(&p.MAC), "give the address of the VM, for example mac: 02:00:00:00:00:01"},
		{"queues", number(&p.Queues, 1, maxQueues), ""},
		{"vmq", group(vmqFields(&p.VMQ)...), ""},
		{"mtu", number(&p.MTU, minMTU, maxMTU), ""},
		{"subnet", name(&p.Subnet), ""},
		{"addresses", list(&p.Addresses, address), ""},
		{"providerAddresses", list(&p.ProviderAddresses, providerAddress), ""},
		{"uplink", name(&p.Uplink), ""},
		{"vlan", number(&p.VLAN, 1, maxVLAN), ""},
		{"passThrough", boolean(&p.PassThrough), ""},
		{"trunk", list(&p.Trunk, func(n *uint16) reader { return number(n, 1, maxVLAN) }), ""},
		{"acls", objects(&p.ACLs, aclFields), ""},
		{"aclList", name(&p.ACLList), ""},
		{"qos", owned(&p.QoS.owner, section(&p.QoS, ownQoSFields(&p.QoS))), ""},
	}
}

func aclListFields(l *ACLListConfig) []field {
	return []field{
		{"name", name(&l.Name), "name the list"},
		{"rules", objects(&l.Rules, aclFields), "list its rules"},
	}
}

func aclFields(r *ACLConfig) []field {
	return []field{
		{"name", name(&r.Name), "name the rule"},
		{"direction", choice(&r.Direction, DirectionIn, DirectionOut, DirectionBoth), "say which way: in (towards the VM), out or both"},
		{"action", choice(&r.Action, ActionAllow, ActionDeny), "say what to do: allow or deny"},
		{"weight", number(&r.Weight, 0, maxWeight), ""},
		{"protocol", protocol(&r.Protocol), ""},
		{"remote", aclPrefix(&r.Remote), ""},
		{"remoteMAC", anyMAC(&r.RemoteMAC), ""},
		{"local", aclPrefix(&r.Local), ""},
		{"remotePort", portRange(&r.RemotePort), ""},
		{"localPort", portRange(&r.LocalPort), ""},
		{"etherType", etherType(&r.EtherType), ""},
	}
}

func networkFields(n *NetworkConfig) []field {
	routes := func(r *RouteConfig) []field {
		r.network = n.Name
		return routeFields(r)
	}
	return []field{
		{"name", name(&n.Name), "name the network"},
		{"rdid", number(&n.RDID, 1, minDerivedRDID-1), ""},
		{"subnets", objects(&n.Subnets, subnetFields), ""},
		{"routes", objects(&n.Routes, routes), ""},
		{"qos", owned(&n.QoS.owner, section(&n.QoS, networkQoSFields(&n.QoS))), ""},
	}
}

func subnetFields(s *SubnetConfig) []field {
	return []field{
		{"name", name(&s.Name), "name the subnet"},
		{"vsid", vsid(&s.VSID), fmt.Sprintf("give it an id of its own, %d to %d", packet.MinVSID, packet.MaxVSID)},
		{"prefix", network(&s.Prefix, false), ""},
		{"prefix6", network(&s.Prefix6, false), ""},
		{"method", choice(&s.Method, methods...), ""},
	}
}

func routeFields(r *RouteConfig) []field {
	return []field{
		{"prefix", network(&r.Prefix, false), "say for which addresses the route is, for example prefix: 0.0.0.0/0"},
		{"nextHop", address(&r.NextHop), ""},
		{"gateway", providerAddress(&r.Gateway), ""},
		{"metric", number(&r.Metric, 0, 1<<32-1), ""},
		{"subnet", name(&r.Subnet), ""},
	}
}

func peerFields(h *PeerConfig) []field {
	return []field{
		{"name", name(&h.Name), "name the host"},
		{"providerAddresses", list(&h.ProviderAddresses, providerAddress), "list the addresses of the host"},
	}
}

func recordFields(r *RecordConfig) []field {
	return []field{
		{"subnet", name(&r.Subnet), "say in which subnet the VM is"},
		{"ca", address(&r.CA), ""},
		{"mac", hardwareAddr(&r.MAC), "give the address of the VM"},
		{"pa", providerAddress(&r.PA), "give the provider address of the VM's host"},
		{"method", choice(&r.Method, methods...), ""},
	}
}

// checked reads text that problem finds nothing wrong with.
func checked(dst *string, problem func(string) (what, remedy string)) reader {
	return func(v value) {
		var s string
		text(&s)(v)
		if s == "" {
			return
		}
		if what, remedy := problem(s); what != "" {
			v.fail(what, remedy)
			return
		}
		*dst = s
	}
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
	methods    = []string{MethodNVGRE, MethodRewrite}
)

// maxSocketLen is what sockaddr_un holds, less the final zero.
const maxSocketLen = 107

func socketProblem(s string) (what, remedy string) {
	switch {
	case !path.IsAbs(s):
		return "is " + shown(s) + ", not an absolute path", "write for example /run/sluice/sluiced.sock"
	case len(s) > maxSocketLen:
		return fmt.Sprintf("has %d bytes; a socket's path has at most %d", len(s), maxSocketLen), "use a shorter path"
	case strings.HasSuffix(s, "/"):
		return "is " + shown(s) + ", a directory", "add the name of the socket"
	}
	return "", ""
}

func metricsProblem(s string) (what, remedy string) {
	const example = "write host:port, for example 127.0.0.1:9464, or off"
	if s == MetricsOff {
		return "", ""
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return "is " + shown(s) + ", not an address with a port", example
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "has the port " + shown(port) + ", not a number from 1 to 65535", example
	}
	return "", ""
}

// namespaceProblem checks a network namespace: a name under /run/netns, or a path.
func namespaceProblem(s string) (what, remedy string) {
	if path.IsAbs(s) {
		return "", ""
	}
	if strings.ContainsAny(s, "/ ") || s == "." || s == ".." || len(s) > 255 {
		return "is " + shown(s) + ", neither a name nor an absolute path",
			"write the name that ip netns shows, or a path such as /proc/1234/ns/net"
	}
	return "", ""
}

// workers reads auto or a number.
func workers(dst *int) reader {
	return func(v value) {
		if v.node.Value != "auto" {
			number(dst, 1, maxWorkers)(v)
		}
	}
}

// badCore stands for an entry of cores that could not be read.
const badCore = -1

func core(dst *int) reader {
	*dst = badCore
	return number(dst, 0, maxCore)
}

// vsid reads a 24-bit number. Which of these are reserved is said by check, which knows the free ones.
func vsid(dst *uint32) reader {
	return func(v value) {
		n, _ := v.whole(0, maxVSID, fmt.Sprintf("use a free one from %d to %d", packet.MinVSID, packet.MaxVSID))
		*dst = uint32(n)
	}
}

func powerOfTwo(dst *int, low, high uint64) reader {
	return func(v value) {
		var n int
		number(&n, low, high)(v)
		if n&(n-1) != 0 {
			below := int(low)
			for below*2 <= n {
				below *= 2
			}
			v.fail(fmt.Sprintf("is %d, not a power of two", n), fmt.Sprintf("use %d or %d", below, below*2))
			return
		}
		*dst = n
	}
}

var pciForm = regexp.MustCompile(`^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$`)

// pciAddress reads a PCI address, with or without its domain, into the full form in lower case.
func pciAddress(dst *string) reader {
	return func(v value) {
		s, ok := v.scalar("PCI address")
		if !ok {
			return
		}
		m := pciForm.FindStringSubmatch(strings.ToLower(s))
		if m == nil {
			v.fail("is "+shown(s)+", not a PCI address",
				`write domain:bus:device.function in quotes, for example "0000:03:00.0"`)
			return
		}
		if m[1] == "" {
			m[1] = "0000"
		}
		*dst = m[1] + ":" + m[2] + ":" + m[3] + "." + m[4]
	}
}

// vportDriver reads the kind of a vport's device.
func vportDriver(dst *string) reader {
	return func(v value) {
		switch v.node.Value {
		case "vhost-user", "memif", "vf":
			v.fail(v.node.Value+" is not offered by this version", "use tap")
		default:
			choice(dst, DriverTap)(v)
		}
	}
}
