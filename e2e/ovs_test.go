package e2e

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// openVSwitch is an Open vSwitch of its own, with the userspace datapath, which needs no kernel module.
type openVSwitch struct {
	l   *lab
	ns  *netlab.Namespace
	dir string
}

func (l *lab) openVSwitch(ns *netlab.Namespace, name string) *openVSwitch {
	l.t.Helper()
	for _, tool := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			l.t.Skipf("no %s: install openvswitch-switch-dpdk (make deps)", tool)
		}
	}
	o := &openVSwitch{l: l, ns: ns, dir: l.Path(name)}
	require.NoError(l.t, os.Mkdir(o.dir, 0o755))
	db := o.dir + "/conf.db"
	l.run(ns, "ovsdb-tool", "create", db, "/usr/share/openvswitch/vswitch.ovsschema")
	start := func(program string, args ...string) *netlab.Process {
		argv := append([]string{"env", "OVS_RUNDIR=" + o.dir, program, "--no-chdir",
			"--unixctl=" + o.dir + "/" + program + ".ctl"}, args...)
		p, err := ns.Start(name+"-"+program, argv...)
		require.NoError(l.t, err)
		return p
	}
	start("ovsdb-server", "--remote=punix:"+o.dir+"/db.sock", db)
	require.Eventually(l.t, func() bool { _, err := os.Stat(o.dir + "/db.sock"); return err == nil }, 5*time.Second, 20*time.Millisecond)
	o.vsctl("--no-wait", "init")
	start("ovs-vswitchd", "unix:"+o.dir+"/db.sock")
	return o
}

func (o *openVSwitch) vsctl(args ...string) {
	o.l.t.Helper()
	o.l.run(o.ns, append([]string{"ovs-vsctl", "--timeout=20", "--db=unix:" + o.dir + "/db.sock"}, args...)...)
}

func (o *openVSwitch) addFlow(bridge, flow string) {
	o.l.t.Helper()
	o.l.run(o.ns, "ovs-ofctl", "add-flow", "unix:"+o.dir+"/"+bridge+".mgmt", flow)
}

// arpResponder is the flow by which Open vSwitch answers broadcast requests for an address itself, as an NVGRE endpoint must.
func arpResponder(port, ca, mac string) string {
	addr := hex.EncodeToString(netip.MustParseAddr(ca).AsSlice())
	return fmt.Sprintf("priority=20,in_port=%s,dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_tpa=%s,actions="+
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:%s,load:0x2->NXM_OF_ARP_OP[],"+
		"move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"+
		"load:0x%s->NXM_NX_ARP_SHA[],load:0x%s->NXM_OF_ARP_SPA[],in_port", port, ca, mac, strings.ReplaceAll(mac, ":", ""), addr)
}

const ovsPeerConfig = `
host: {name: host-a}
daemon: {socket: "${socket}"}
dataplane: {workers: 1}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth1}, mtu: 1600, providerAddresses: [172.16.1.1/24]}
vports:
  - {name: vm-a, device: {driver: tap, interface: eth0, namespace: "${ns}vm-a"}, mac: 00:15:5d:00:01:05, mtu: 1500, subnet: web, addresses: [10.0.0.5]}
networks:
  - name: red
    subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/24}]
records:
  - {subnet: web, ca: 10.0.0.7, mac: 00:15:5d:00:01:07, pa: 172.16.1.2}
`

// Open vSwitch knows NVGRE as a GRE tunnel whose key is VSID<<8, with the FlowID's byte masked in matches.
//
//	vm-a 10.0.0.5                                                         vm-b 10.0.0.7
//	  │ tap                                                                 │ veth
//	host-a: sluiced ── eth1 ── fabric [bridge, MTU 1600] ── eth1 ── host-b: br-phy ~ br-int  Open vSwitch, netdev
//	172.16.1.1                                                         172.16.1.2
func TestOpenVSwitchPeer(t *testing.T) {
	l := newLab(t)
	hostA, hostB, fabric := l.namespace("host-a"), l.namespace("host-b"), l.namespace("fabric")
	vmA, vmB := l.namespace("vm-a"), l.namespace("vm-b")
	l.wire(hostA, "eth1", fabric, "to-a", 1600)
	l.wire(hostB, "eth1", fabric, "to-b", 1600)
	require.NoError(t, fabric.AddBridge("br0", 1600, "to-a", "to-b"))
	l.wire(vmB, "eth0", hostB, "vm", 1500)

	a := l.sluiced(hostA, "a", ovsPeerConfig)
	l.configureVM(vmA, "eth0", "10.0.0.5/24", "")
	require.NoError(t, vmB.SetMAC("eth0", mac("00:15:5d:00:01:07")))
	l.configureVM(vmB, "eth0", "10.0.0.7/24", "")
	// Else the kernel leaves TCP and UDP checksums to a network card that does not exist.
	l.run(vmB, "ethtool", "-K", "eth0", "tx", "off")

	b := l.openVSwitch(hostB, "ovs")
	b.vsctl("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev", "--", "add-port", "br-phy", "eth1")
	b.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure",
		"--", "add-port", "br-int", "vm", "--", "set", "interface", "vm", "ofport_request=1",
		"--", "add-port", "br-int", "gre0", "--", "set", "interface", "gre0", "type=gre", "ofport_request=2",
		"options:local_ip=172.16.1.2", "options:remote_ip=172.16.1.1", "options:key=flow")
	require.NoError(t, hostB.AddAddress("br-phy", netip.MustParsePrefix("172.16.1.2/24")))
	l.run(hostB, "ip", "link", "set", "br-phy", "mtu", "1600", "up")
	b.addFlow("br-int", arpResponder("1", "10.0.0.5", "00:15:5d:00:01:05"))
	b.addFlow("br-int", fmt.Sprintf("priority=10,in_port=1,actions=set_field:%#x->tun_id,output:2", 6001<<8|0x2a))
	b.addFlow("br-int", fmt.Sprintf("priority=10,in_port=2,tun_id=%#x/0xffffff00,actions=output:1", 6001<<8))

	// Open vSwitch drops what it cannot send while it asks for the MAC of a tunnel's other end.
	_, err := vmB.Ping(l.ctx, addr("10.0.0.5"), netlab.PingOptions{Count: 1})
	require.NoError(t, err)
	capture, err := fabric.Capture(l.ctx, "to-a", l.Path("ovs.pcapng"))
	require.NoError(t, err)
	l.requirePing(vmA, "10.0.0.7", netlab.PingOptions{Count: 5})
	l.requirePing(vmB, "10.0.0.5", netlab.PingOptions{Count: 5})
	whole := netlab.PingOptions{Size: 1472, DF: true} // 1,500 bytes inside, 1,542 outside
	l.requirePing(vmA, "10.0.0.7", whole)
	l.requirePing(vmB, "10.0.0.5", whole)
	for _, reverse := range []bool{false, true} {
		l.requireIperf(vmA, vmB, "10.0.0.7", netlab.IperfOptions{Duration: time.Second, Rate: "20M", Reverse: reverse})
		l.requireIperf(vmA, vmB, "10.0.0.7", netlab.IperfOptions{Duration: time.Second, Rate: "20M", Reverse: reverse, UDP: true})
	}
	require.NoError(t, capture.Stop())
	for _, reverse := range []bool{false, true} {
		rate := l.requireIperf(vmA, vmB, "10.0.0.7", netlab.IperfOptions{Duration: time.Second, Reverse: reverse})
		t.Logf("TCP, Open vSwitch sends: %v: %.0f Mbit/s", reverse, rate.BitsPerSecond/1e6)
	}
	requireClean(t, capture.File, "gre && ip.src == 172.16.1.1")
	checkOurNVGRE(t, capture.File, "172.16.1.1", 6001)
	a.requireBalanced()
}

// checkOurNVGRE checks every field of RFC 7637 in what a host has sent.
func checkOurNVGRE(t *testing.T, file, pa string, vsid uint32) {
	t.Helper()
	frames, flowIDs := 0, map[uint8]bool{}
	for _, p := range captured(t, file) {
		network, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if !ok || network.SrcIP.String() != pa {
			continue
		}
		frames++
		got, flowID, ok := key(p)
		require.True(t, ok, "not NVGRE: %s", p)
		flowIDs[flowID] = true
		assert.Equal(t, vsid, got)
		assert.Equal(t, layers.IPv4DontFragment, network.Flags)
		assert.EqualValues(t, 64, network.TTL)
		gre := p.Layer(layers.LayerTypeGRE).(*layers.GRE)
		assert.Equal(t, []byte{0x20, 0x00, 0x65, 0x58}, gre.Contents[:4], "C=0 K=1 S=0, version 0, transparent Ethernet")
		_, inner := outerInner(p)
		require.NotNil(t, inner)
		assert.NotEqual(t, layers.EthernetTypeDot1Q, inner.EthernetType)
	}
	require.NotZero(t, frames)
	assert.Greater(t, len(flowIDs), 1, "flows of several connections spread over FlowIDs")
}
