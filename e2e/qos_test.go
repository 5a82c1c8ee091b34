package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

const pairClasses = `
classification:
  default: {dscp: clear}
  rules:
    - {name: voice, match: {network: red, protocol: udp, port: 5060}, tc: 5, dscp: ef}
    - {name: blue, match: {network: blue}, trust: dscp}
  builtIn:
    - {name: iscsi, tc: 3, dscp: af31, pcp: 3}
    - {name: live-migration, tc: 4}
  outer:
    - {tc: 4, dscp: cs4, pcp: 4}
`

// marks are what a frame of the fabric bears.
type marks struct {
	pcp          string // "-" without a tag
	outer, inner uint8  // DSCP
}

func marksOf(p gopacket.Packet) (m marks, port string) {
	m.pcp = "-"
	n := 0
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			m.pcp = fmt.Sprint(l.Priority)
		case *layers.IPv4:
			if n++; n == 1 {
				m.outer = l.TOS >> 2
			}
			m.inner = l.TOS >> 2
		case *layers.UDP:
			port = fmt.Sprintf("udp %d", uint16(l.DstPort))
		case *layers.TCP:
			port = fmt.Sprintf("tcp %d", uint16(l.DstPort))
		}
	}
	return m, port
}

// sendMarked sends two packets with a DSCP from a VM to another one of its tenant: the first makes the flow known.
func (p *pair) sendMarked(vm, proto, to string, port, dscp int) {
	p.t.Helper()
	src, dst := pairVMOf(vm), to
	network := &layers.IPv4{Version: 4, TTL: 64, TOS: uint8(dscp << 2), SrcIP: ip(src.ca), DstIP: ip(dst)}
	var transport gopacket.SerializableLayer
	if proto == "udp" {
		network.Protocol = layers.IPProtocolUDP
		u := &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}
		require.NoError(p.t, u.SetNetworkLayerForChecksum(network))
		transport = u
	} else {
		network.Protocol = layers.IPProtocolTCP
		s := &layers.TCP{SrcPort: 40000, DstPort: layers.TCPPort(port), SYN: true, Window: 1000}
		require.NoError(p.t, s.SetNetworkLayerForChecksum(network))
		transport = s
	}
	peer := ""
	for _, v := range pairVMs {
		if v.ca == dst && strings.HasPrefix(v.name, vm[:3]) {
			peer = v.mac
		}
	}
	frame := build(p.t, ethernet(src.mac, peer, layers.EthernetTypeIPv4), network, transport, gopacket.Payload(make([]byte, 40)))
	newStation(p.t, p.vms[vm], "eth0").send(frame, frame)
}

func pairVMOf(name string) pairVM {
	for _, v := range pairVMs {
		if v.name == name {
			return v
		}
	}
	panic(name)
}

// Classification and tagging between real namespaces, as the fabric between the hosts sees them.
func TestMarksOnTheFabric(t *testing.T) {
	p := newPair(t)
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{}) // next hops are known from here on
	p.requirePing(p.vms["blue-1"], "10.0.0.7", netlab.PingOptions{})
	out, err := p.a.apply(pairConfig("a") + pairClasses)
	require.NoError(t, err, out)
	assert.Contains(t, out, "+ built-in iscsi: tc 3, dscp af31, pcp 3")
	capture, err := p.fabric.Capture(p.ctx, "to-a", p.Path("marks.pcapng"))
	require.NoError(t, err)
	p.sendMarked("red-1", "tcp", "10.0.0.7", 3260, 0)
	p.sendMarked("red-1", "udp", "10.0.0.7", 5060, 10)
	p.sendMarked("red-1", "tcp", "10.0.0.7", 6600, 0)
	p.sendMarked("red-1", "tcp", "10.0.0.7", 80, 46)
	p.sendMarked("blue-1", "tcp", "10.0.0.7", 3260, 12)
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{}) // real stacks go on meanwhile, and all has been captured
	require.NoError(t, capture.Stop())

	want := map[string]marks{
		"6001 tcp 3260": {"3", 26, 26}, // built-in class
		"6001 udp 5060": {"-", 46, 46}, // own rule
		"6001 tcp 6600": {"4", 32, 0},  // only the outer header
		"6001 tcp 80":   {"-", 0, 0},   // nobody marks itself
		"7001 tcp 3260": {"-", 12, 12}, // trusted
	}
	got, times := map[string]marks{}, map[string]int{}
	for _, packet := range captured(t, capture.File) {
		vsid, _, ok := key(packet)
		m, port := marksOf(packet)
		if name := fmt.Sprintf("%d %s", vsid, port); ok && want[name] != (marks{}) {
			got[name] = m
			times[name]++
		}
	}
	assert.Equal(t, want, got)
	for name, n := range times {
		assert.Equal(t, 2, n, name)
	}
	requireClean(t, capture.File, "ip")

	hop, err := p.a.cli("nexthop", "--vsid", "6001", "--from", "10.0.0.5", "--to", "10.0.0.7")
	require.NoError(t, err)
	assert.Contains(t, hop, "classification: built-in iscsi puts tcp, port 3260 into class 3, DSCP 26, priority 3")
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// 802.1p on the wire, for frames that are not IP as well: in the tag of a VLAN, and in one of VLAN 0.
func TestPrioritiesOnTheFabric(t *testing.T) {
	p := newBridged(t)
	out, err := p.a.apply(bridgedConfig("a", bridgedVport("one", oneMAC, "vlan: 100"), bridgedVport("two", twoMAC, "vlan: 100"),
		bridgedVport("other", otherMAC, "vlan: 200"), bridgedVport("host0", hostMAC, "passThrough: true, trunk: [300]")) + `
classification:
  rules:
    - {name: lab, match: {etherType: 0x88b5}, tc: 6, pcp: 6}
    - {name: cleared, match: {vport: host0, pcp: 7}, tc: 0, pcp: clear}
  builtIn: [{name: smb-direct, tc: 3, pcp: 3}]
`)
	require.NoError(t, err, out)
	capture, err := p.fabric.Capture(p.ctx, "to-a", p.Path("priorities.pcapng"))
	require.NoError(t, err)
	const roce, lab, plain = 0x8915, 0x88b5, 0x88b6
	frame := func(src string, kind layers.EthernetType) []byte {
		return build(t, ethernet(src, threeMAC, kind), gopacket.Payload(make([]byte, 60)))
	}
	newStation(t, p.one, "eth0").send(frame(oneMAC, roce), frame(oneMAC, lab), frame(oneMAC, plain))
	trunk := tagged(t, frame(hostMAC, plain), 300)
	trunk[14] |= 7 << 5
	newStation(t, p.host, "eth0").send(frame(hostMAC, lab), trunk)
	p.requirePing(p.one, "192.168.9.3", netlab.PingOptions{})
	require.NoError(t, capture.Stop())

	got := map[string]bool{}
	for _, packet := range captured(t, capture.File) {
		outer, _ := outerInner(packet)
		src := outer.SrcMAC.String()
		if src != oneMAC && src != hostMAC {
			continue
		}
		if tag, ok := packet.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
			got[fmt.Sprintf("%s %#x: VLAN %d, priority %d", src, uint16(tag.Type), tag.VLANIdentifier, tag.Priority)] = true
		}
	}
	for _, want := range []string{
		oneMAC + " 0x8915: VLAN 100, priority 3", oneMAC + " 0x88b5: VLAN 100, priority 6", oneMAC + " 0x88b6: VLAN 100, priority 0",
		hostMAC + " 0x88b5: VLAN 0, priority 6", hostMAC + " 0x88b6: VLAN 300, priority 0",
	} {
		assert.True(t, got[want], "%s, of %v", want, got)
	}
	p.a.requireBalanced()
}
