package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// pairVM is a VM of the pair below.
type pairVM struct {
	name, host, subnet, ca, mac string
	ca6                         string // red has IPv6 too
}

// The customers' addresses are the same in red and blue, but for one that only blue has.
var pairVMs = []pairVM{
	{"red-1", "a", "red-web", "10.0.0.5", "00:15:5d:01:00:05", "2001:db8:1::5"},
	{"red-3", "a", "red-db", "10.0.1.5", "00:15:5d:01:01:05", "2001:db8:2::5"},
	{"blue-1", "a", "blue-web", "10.0.0.5", "00:15:5d:02:00:05", ""},
	{"red-2", "b", "red-web", "10.0.0.7", "00:15:5d:01:00:07", "2001:db8:1::7"},
	{"red-4", "b", "red-db", "10.0.1.9", "00:15:5d:01:01:09", "2001:db8:2::9"},
	{"blue-2", "b", "blue-web", "10.0.0.7", "00:15:5d:02:00:07", ""},
	{"blue-only", "b", "blue-web", "10.0.0.66", "00:15:5d:02:00:42", ""},
}

// addresses are the VM's, as YAML wants them.
func (v pairVM) addresses() []string {
	if v.ca6 == "" {
		return []string{v.ca}
	}
	return []string{v.ca, `"` + v.ca6 + `"`}
}

var pairPA = map[string]string{"a": "172.16.1.1", "b": "172.16.1.2"}

const pairNetworks = `
networks:
  - name: red
    subnets:
      - {name: red-web, vsid: 6001, prefix: 10.0.0.0/24, prefix6: "2001:db8:1::/64"}
      - {name: red-db, vsid: 6002, prefix: 10.0.1.0/24, prefix6: "2001:db8:2::/64"}
  - name: blue
    subnets:
      - {name: blue-web, vsid: 7001, prefix: 10.0.0.0/24}
      - {name: blue-db, vsid: 7002, prefix: 10.0.1.0/24}
`

// pairConfig is the configuration of host "a" or "b".
func pairConfig(host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "host: {name: host-%s}\ndaemon: {socket: \"${socket}\"}\n", host)
	fmt.Fprintf(&b, "dataplane: {%s}\n", dataplaneOf(host))
	fmt.Fprintf(&b, "uplinks:\n  - {name: up0, device: {driver: af_packet, interface: eth1}, mtu: 1600, providerAddresses: [%s/24]}\n", pairPA[host])
	b.WriteString("vports:\n")
	for _, v := range pairVMs {
		if v.host == host {
			fmt.Fprintf(&b, "  - {name: %s, device: {driver: tap, interface: eth0, namespace: \"${ns}%s\"}, mac: %s, mtu: 1500, subnet: %s, addresses: [%s]}\n",
				v.name, v.name, v.mac, v.subnet, strings.Join(v.addresses(), ", "))
		}
	}
	b.WriteString(pairNetworks + "records:\n")
	for _, v := range pairVMs {
		if v.host != host {
			for _, ca := range v.addresses() {
				fmt.Fprintf(&b, "  - {subnet: %s, ca: %s, mac: %s, pa: %s}\n", v.subnet, ca, v.mac, pairPA[v.host])
			}
		}
	}
	return b.String()
}

// pair is two hosts with two tenants.
//
//	red-1  10.0.0.5 ┐                                                     ┌ red-2     10.0.0.7
//	red-3  10.0.1.5 ┼ host-a: sluiced ── eth1 ── fabric ── eth1 ── host-b ┼ red-4     10.0.1.9
//	blue-1 10.0.0.5 ┘ 172.16.1.1             [br0]           172.16.1.2   ├ blue-2    10.0.0.7
//	                                                                      └ blue-only 10.0.0.66
type pair struct {
	*lab
	a, b   *daemon
	fabric *netlab.Namespace // bridge ports: to-a, to-b
	vms    map[string]*netlab.Namespace
}

func newPair(t *testing.T) *pair { return newPairOn(t, 1600) }

// newPairOn is a pair on a fabric of some MTU.
func newPairOn(t *testing.T, mtu int) *pair {
	t.Helper()
	l := newLab(t)
	fabric, hostA, hostB := l.namespace("fabric"), l.namespace("host-a"), l.namespace("host-b")
	l.wire(hostA, "eth1", fabric, "to-a", mtu)
	l.wire(hostB, "eth1", fabric, "to-b", mtu)
	require.NoError(t, fabric.AddBridge("br0", mtu, "to-a", "to-b"))
	p := l.startPair(hostA, hostB, func(host string) string {
		return strings.Replace(pairConfig(host), "mtu: 1600", fmt.Sprintf("mtu: %d", mtu), 1)
	})
	p.fabric = fabric
	return p
}

// startPair starts the daemons and sets up the VMs.
func (l *lab) startPair(hostA, hostB *netlab.Namespace, config func(host string) string) *pair {
	l.t.Helper()
	p := &pair{lab: l, vms: map[string]*netlab.Namespace{}}
	for _, v := range pairVMs {
		p.vms[v.name] = l.namespace(v.name)
	}
	p.a, p.b = l.sluiced(hostA, "a", config("a")), l.sluiced(hostB, "b", config("b"))
	for _, v := range pairVMs {
		ca := netip.MustParseAddr(v.ca)
		gateway := netip.PrefixFrom(ca, 24).Masked().Addr().Next()
		l.configureVM(p.vms[v.name], "eth0", v.ca+"/24", gateway.String())
	}
	return p
}

func TestTenants(t *testing.T) {
	p := newPair(t)
	assert.Equal(t, 64, p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{}).TTL)
	assert.Equal(t, 64, p.requirePing(p.vms["blue-1"], "10.0.0.7", netlab.PingOptions{}).TTL)
	assert.Equal(t, 63, p.requirePing(p.vms["red-1"], "10.0.1.9", netlab.PingOptions{}).TTL, "routed once, to the other host")
	assert.Equal(t, 63, p.requirePing(p.vms["red-1"], "10.0.1.5", netlab.PingOptions{}).TTL, "routed once, on the same host")
	assert.Equal(t, 63, p.requirePing(p.vms["red-4"], "10.0.0.5", netlab.PingOptions{}).TTL, "routed once, back to the first host")
	p.requirePing(p.vms["red-1"], "10.0.0.1", netlab.PingOptions{})
	p.requirePing(p.vms["red-1"], "10.0.1.1", netlab.PingOptions{})
	p.requireSilence(p.vms["red-1"], "10.0.0.66")

	for tenant, want := range map[string]string{"red": "00:15:5d:01:00:07", "blue": "00:15:5d:02:00:07"} {
		got, err := p.vms[tenant+"-1"].Neighbour(netip.MustParseAddr("10.0.0.7"))
		require.NoError(t, err)
		assert.Equal(t, want, got.String(), "10.0.0.7 as %s sees it", tenant)
	}
	traced := p.run(p.vms["red-1"], "ping", "-n", "-c", "1", "-t", "1", "-W", "2", "-q", "10.0.0.1")
	assert.Contains(t, traced, "1 received", "TTL 1 is enough for the gateway")
	out, err := p.vms["red-1"].Run(p.ctx, "ping", "-n", "-c", "1", "-t", "1", "-W", "2", "10.0.1.9")
	assert.Error(t, err)
	assert.Contains(t, string(out), "From 10.0.0.1 icmp_seq=1 Time to live exceeded")

	p.requireIperf(p.vms["red-1"], p.vms["red-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(p.vms["red-1"], p.vms["red-4"], "10.0.1.9", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(p.vms["blue-1"], p.vms["blue-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second, UDP: true, Rate: "50M"})
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// enableIPv6 turns IPv6 on in red's VMs.
func (p *pair) enableIPv6() {
	p.t.Helper()
	for _, v := range pairVMs {
		if v.ca6 == "" {
			continue
		}
		ca := netip.PrefixFrom(addr(v.ca6), 64)
		require.NoError(p.t, p.vms[v.name].EnableIPv6())
		require.NoError(p.t, p.vms[v.name].AddAddress("eth0", ca))
		require.NoError(p.t, p.vms[v.name].AddRoute(netip.MustParsePrefix("::/0"), ca.Masked().Addr().Next()))
	}
}

func TestTenantsIPv6(t *testing.T) {
	p := newPair(t)
	p.enableIPv6()
	red1 := p.vms["red-1"]
	assert.Equal(t, 64, p.requirePing(red1, "2001:db8:1::7", netlab.PingOptions{}).TTL)
	assert.Equal(t, 63, p.requirePing(red1, "2001:db8:2::9", netlab.PingOptions{}).TTL, "routed once, to the other host")
	assert.Equal(t, 63, p.requirePing(red1, "2001:db8:2::5", netlab.PingOptions{}).TTL, "routed once, on the same host")
	p.requirePing(red1, "2001:db8:1::1", netlab.PingOptions{})
	p.requirePing(red1, "2001:db8:2::1", netlab.PingOptions{})
	p.requirePing(red1, "fe80::1%eth0", netlab.PingOptions{})
	p.requireSilence(red1, "2001:db8:1::66")
	p.requireIperf(red1, p.vms["red-2"], "2001:db8:1::7", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(red1, p.vms["red-4"], "2001:db8:2::9", netlab.IperfOptions{Duration: time.Second, UDP: true, Rate: "50M"})
	out, err := red1.Run(p.ctx, "ping", "-n", "-c", "1", "-t", "1", "-W", "2", "2001:db8:2::9")
	assert.Error(t, err)
	assert.Contains(t, string(out), "icmp_seq=1 Time exceeded: Hop limit")
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// Whatever a tenant tries, its broadcasts stay on its host, and what another tenant owns never shows on the wire.
func TestNoTenantBroadcastOnTheFabric(t *testing.T) {
	p := newPair(t)
	capture, err := p.fabric.Capture(p.ctx, "to-a", p.Path("fabric.pcapng"))
	require.NoError(t, err)

	p.enableIPv6()
	red1, blue1 := p.vms["red-1"], p.vms["blue-1"]
	p.requirePing(red1, "2001:db8:1::7", netlab.PingOptions{})
	p.requireSilence(red1, "2001:db8:1::66")
	p.requirePing(red1, "10.0.0.7", netlab.PingOptions{})
	p.requirePing(blue1, "10.0.0.7", netlab.PingOptions{})
	p.requireSilence(red1, "10.0.0.66")  // blue's
	p.requireSilence(red1, "10.0.0.200") // nobody's
	p.requireSilence(p.vms["red-3"], "10.0.0.66")
	p.run(red1, "ip", "neigh", "flush", "all")
	p.requirePing(red1, "10.0.0.7", netlab.PingOptions{})

	// Raw attempts: broadcasts and multicasts of all kinds, and blue's MAC and address straight from red.
	s := newStation(t, red1, "eth0")
	const self, blueOnly = "00:15:5d:01:00:05", "00:15:5d:02:00:42"
	s.send(
		arpRequest(t, self, "10.0.0.5", "10.0.0.66"),
		arpRequest(t, self, "10.0.0.5", "10.0.0.5"), // gratuitous
		arpRequest(t, self, "0.0.0.0", "10.0.0.7"),  // a probe
		udpFrame(t, self, "ff:ff:ff:ff:ff:ff", "10.0.0.5", "10.0.0.255", 100),
		udpFrame(t, self, "ff:ff:ff:ff:ff:ff", "10.0.0.5", "255.255.255.255", 100),
		udpFrame(t, self, "01:00:5e:00:00:fb", "10.0.0.5", "224.0.0.251", 100),
		udpFrame(t, self, blueOnly, "10.0.0.5", "10.0.0.66", 100),
		udpFrame(t, self, "02:15:5d:00:00:01", "10.0.0.5", "10.0.0.66", 100), // by the router
	)
	// A unicast ARP probe goes to its target like any unicast: that is how Linux refreshes its neighbours.
	probe := arpRequest(t, self, "10.0.0.5", "10.0.0.7")
	copy(probe, mac("00:15:5d:01:00:07"))
	s.send(probe)
	require.NoError(t, capture.Stop())

	probes := 0
	for _, packet := range captured(t, capture.File) {
		outer, inner := outerInner(packet)
		if inner == nil {
			assert.Equal(t, layers.EthernetTypeARP, outer.EthernetType, "neither NVGRE nor ARP: %s", packet)
			arp := packet.Layer(layers.LayerTypeARP).(*layers.ARP)
			target := netip.AddrFrom4([4]byte(arp.DstProtAddress)).String()
			assert.Contains(t, []string{pairPA["a"], pairPA["b"]}, target, "only provider addresses are asked for on the fabric")
			continue
		}
		vsid, _, ok := key(packet)
		require.True(t, ok)
		assert.Zero(t, inner.DstMAC[0]&1, "a tenant's broadcast or multicast is on the fabric: %s", packet)
		if arp, ok := packet.Layer(layers.LayerTypeARP).(*layers.ARP); ok && arp.Operation == layers.ARPRequest {
			probes++
			assert.Equal(t, "00:15:5d:01:00:07", inner.DstMAC.String())
		}
		for _, l := range packet.Layers() {
			if v4, ok := l.(*layers.IPv4); ok && vsid/1000 == 6 {
				assert.NotEqual(t, "10.0.0.66", v4.DstIP.String(), "red reaches for blue's address on the wire")
			}
		}
	}
	assert.NotZero(t, probes, "the unicast probe is carried")
	requireClean(t, capture.File, "gre")
	drops := p.a.drops()
	assert.NotEmpty(t, drops["red-1"])
	t.Logf("host-a dropped from red-1: %v", drops["red-1"])
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// arpRequest is a broadcast request.
func arpRequest(t *testing.T, srcMAC, src, target string) []byte {
	return build(t, ethernet(srcMAC, "ff:ff:ff:ff:ff:ff", layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: mac(srcMAC), SourceProtAddress: ip(src),
		DstHwAddress: make([]byte, 6), DstProtAddress: ip(target),
	})
}
