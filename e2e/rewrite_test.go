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

// greenVM is a VM of the tenant below: its provider address stands for its customer address in the fabric.
type greenVM struct{ name, host, subnet, ca, pa, mac string }

// green's subnets are rewritten, and so are those of lime, which has the same addresses:
//
//	green-1 10.0.0.5 (.11) ┐                                                     ┌ green-2 10.0.0.7 (.12)
//	lime-1  10.0.0.5 (.21) ┴ host-a: sluiced ── eth1 ── fabric ── eth1 ── host-b ┼ green-4 10.0.1.9 (.14)
//	                         172.16.1.1             [br0]           172.16.1.2   └ lime-2  10.0.0.7 (.22)
var greenVMs = []greenVM{
	{"green-1", "a", "green-web", "10.0.0.5", "172.16.1.11", "00:15:5d:03:00:05"},
	{"lime-1", "a", "lime-web", "10.0.0.5", "172.16.1.21", "00:15:5d:04:00:05"},
	{"green-2", "b", "green-web", "10.0.0.7", "172.16.1.12", "00:15:5d:03:00:07"},
	{"green-4", "b", "green-db", "10.0.1.9", "172.16.1.14", "00:15:5d:03:01:09"},
	{"lime-2", "b", "lime-web", "10.0.0.7", "172.16.1.22", "00:15:5d:04:00:07"},
}

// greenConfig is the configuration of a host, with green's subnets of a method. The fabric's MTU is that of the VMs when
// nothing is encapsulated.
func greenConfig(host, method string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "host: {name: host-%s}\ndaemon: {socket: \"${socket}\"}\n", host)
	fmt.Fprintf(&b, "dataplane: {%s}\n", dataplaneOf(host))
	fmt.Fprintf(&b, "uplinks:\n  - {name: up0, device: {driver: af_packet, interface: eth1}, mtu: 1500, providerAddresses: [%s/24]}\n", pairPA[host])
	b.WriteString("vports:\n")
	for _, v := range greenVMs {
		if v.host == host {
			fmt.Fprintf(&b, "  - {name: %s, device: {driver: tap, interface: eth0, namespace: \"${ns}%s\"}, mac: %s, subnet: %s, addresses: [%s], providerAddresses: [%s]}\n",
				v.name, v.name, v.mac, v.subnet, v.ca, v.pa)
		}
	}
	fmt.Fprintf(&b, `networks:
  - name: green
    subnets:
      - {name: green-web, vsid: 8001, prefix: 10.0.0.0/24, method: %s}
      - {name: green-db, vsid: 8002, prefix: 10.0.1.0/24, method: %s}
  - name: lime
    subnets:
      - {name: lime-web, vsid: 9001, prefix: 10.0.0.0/24, method: rewrite}
records:
`, method, method)
	for _, v := range greenVMs {
		pa := v.pa
		if method == "nvgre" && strings.HasPrefix(v.name, "green") {
			pa = pairPA[v.host]
		}
		if v.host != host {
			fmt.Fprintf(&b, "  - {subnet: %s, ca: %s, mac: %s, pa: %s}\n", v.subnet, v.ca, v.mac, pa)
		}
	}
	return b.String()
}

func newGreen(t *testing.T) *pair {
	t.Helper()
	l := newLab(t)
	p := &pair{lab: l, fabric: l.namespace("fabric"), vms: map[string]*netlab.Namespace{}}
	hostA, hostB := l.namespace("host-a"), l.namespace("host-b")
	l.wire(hostA, "eth1", p.fabric, "to-a", 1500)
	l.wire(hostB, "eth1", p.fabric, "to-b", 1500)
	require.NoError(t, p.fabric.AddBridge("br0", 1500, "to-a", "to-b"))
	for _, v := range greenVMs {
		p.vms[v.name] = l.namespace(v.name)
	}
	p.a, p.b = l.sluiced(hostA, "a", greenConfig("a", "rewrite")), l.sluiced(hostB, "b", greenConfig("b", "rewrite"))
	for _, v := range greenVMs {
		gateway := netip.PrefixFrom(addr(v.ca), 24).Masked().Addr().Next()
		l.configureVM(p.vms[v.name], "eth0", v.ca+"/24", gateway.String())
	}
	return p
}

// Real stacks talk over rewritten packets as over any wire, at the full MTU of the fabric; what crosses it is plain IP
// between the VMs' provider addresses, with right checksums.
func TestRewrite(t *testing.T) {
	p := newGreen(t)
	capture, err := p.fabric.Capture(p.ctx, "to-a", p.Path("fabric.pcapng"))
	require.NoError(t, err)
	green1, lime1 := p.vms["green-1"], p.vms["lime-1"]
	assert.Equal(t, 64, p.requirePing(green1, "10.0.0.7", netlab.PingOptions{}).TTL)
	assert.Equal(t, 63, p.requirePing(green1, "10.0.1.9", netlab.PingOptions{}).TTL, "routed once")
	assert.Equal(t, 63, p.requirePing(p.vms["green-4"], "10.0.0.5", netlab.PingOptions{}).TTL, "routed once, back")
	assert.Equal(t, 64, p.requirePing(lime1, "10.0.0.7", netlab.PingOptions{}).TTL)
	p.requireSilence(lime1, "10.0.1.9") // green's
	for tenant, want := range map[string]string{"green": "00:15:5d:03:00:07", "lime": "00:15:5d:04:00:07"} {
		got, err := p.vms[tenant+"-1"].Neighbour(addr("10.0.0.7"))
		require.NoError(t, err)
		assert.Equal(t, want, got.String(), "10.0.0.7 as %s sees it", tenant)
	}
	full := p.run(green1, "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1472", "10.0.0.7")
	assert.Contains(t, full, "1 received", "a packet of 1500 bytes fits")
	// Fragments leave as they should, which the capture shows. DPDK's af_packet driver lets the kernel put them together
	// again at the other host (fan-out with PACKET_FANOUT_FLAG_DEFRAG), and the whole is larger than any frame.
	_, _ = green1.Run(p.ctx, "ping", "-n", "-c", "1", "-W", "1", "-s", "4000", "10.0.0.7")
	out, err := green1.Run(p.ctx, "ping", "-n", "-c", "1", "-t", "1", "-W", "2", "10.0.1.9")
	assert.Error(t, err)
	assert.Contains(t, string(out), "From 10.0.0.1 icmp_seq=1 Time to live exceeded")
	refused, err := green1.Run(p.ctx, "bash", "-c", "exec 3<>/dev/udp/10.0.0.7/9; echo hello >&3; sleep 0.3; exec 2>&1; echo again >&3")
	assert.Error(t, err)
	assert.Contains(t, string(refused), "Connection refused", "the other VM's ICMP error finds the socket that caused it")
	p.run(green1, "ip", "neigh", "replace", "10.0.0.7", "lladdr", "00:15:5d:03:00:07", "dev", "eth0", "nud", "probe")
	p.requirePing(green1, "10.0.0.7", netlab.PingOptions{})
	require.NoError(t, capture.Stop())

	p.requireIperf(green1, p.vms["green-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(green1, p.vms["green-4"], "10.0.1.9", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(lime1, p.vms["lime-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second, UDP: true, Rate: "50M"})

	fragments := 0
	ours := map[string]string{}
	for _, v := range greenVMs {
		ours[v.pa] = v.subnet[:4]
	}
	for _, packet := range captured(t, capture.File) {
		if v4, ok := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
			src, dst := ours[v4.SrcIP.String()], ours[v4.DstIP.String()]
			assert.True(t, src != "" && src == dst, "not between two VMs of a tenant: %s", packet)
			if v4.FragOffset != 0 || v4.Flags&layers.IPv4MoreFragments != 0 {
				fragments++
			}
			continue
		}
		arp, ok := packet.Layer(layers.LayerTypeARP).(*layers.ARP)
		require.True(t, ok, "neither IP nor ARP: %s", packet)
		assert.NotEmpty(t, ours[netip.AddrFrom4([4]byte(arp.DstProtAddress)).String()]+pairPA["a"], packet)
	}
	assert.Equal(t, 3, fragments)
	requireClean(t, capture.File, "ip") // tshark puts fragments together and looks at the whole
	p.a.requireBalanced()
	p.b.requireBalanced()

	hop, err := p.a.cli("nexthop", "--vsid", "8001", "--from", "10.0.0.5", "--to", "10.0.1.9")
	require.NoError(t, err)
	assert.Contains(t, hop, "rewrite")
	assert.Contains(t, hop, "172.16.1.14")
	records, err := p.a.cli("record", "list")
	require.NoError(t, err)
	assert.Contains(t, records, "as 172.16.1.14")
}

// One apply on each host changes how a subnet travels; connections go on.
func TestMethodChangesByApply(t *testing.T) {
	p := newGreen(t)
	green1, green2 := p.vms["green-1"], p.vms["green-2"]
	for _, ns := range []*netlab.Namespace{green1, green2, p.vms["green-4"]} {
		p.run(ns, "ip", "link", "set", "eth0", "mtu", "1400") // so that NVGRE fits as well
	}
	p.requirePing(green1, "10.0.0.7", netlab.PingOptions{})
	done := make(chan error)
	go func() {
		rate, err := netlab.Iperf(p.ctx, green1, green2, addr("10.0.0.7"), netlab.IperfOptions{Duration: 4 * time.Second})
		if err == nil && rate.BitsPerSecond == 0 {
			err = fmt.Errorf("nothing arrived: %+v", rate)
		}
		done <- err
	}()
	for _, method := range []string{"nvgre", "rewrite", "nvgre"} {
		time.Sleep(700 * time.Millisecond)
		for host, d := range map[string]*daemon{"a": p.a, "b": p.b} {
			out, err := d.apply(greenConfig(host, method))
			require.NoError(t, err, out)
		}
	}
	require.NoError(t, <-done, "one TCP connection lives through all of it")
	p.requirePing(green1, "10.0.1.9", netlab.PingOptions{})
	hop, err := p.a.cli("nexthop", "--vsid", "8001", "--from", "10.0.0.5", "--to", "10.0.0.7")
	require.NoError(t, err)
	assert.Contains(t, hop, "nvgre")
	p.a.requireBalanced()
	p.b.requireBalanced()
}
