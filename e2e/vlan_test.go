package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/demo/netlab"
)

func bridgedConfig(host string, vports ...string) string {
	return fmt.Sprintf(`
host: {name: host-%s}
daemon: {socket: "${socket}"}
dataplane: {%s, macAge: 10s}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth1}, mtu: 1600, providerAddresses: [%s/24]}
vports:
  - %s
`, host, dataplaneOf(host), pairPA[host], strings.Join(vports, "\n  - "))
}

func bridgedVport(name, mac, attachment string) string {
	return fmt.Sprintf(`{name: %s, device: {driver: tap, interface: eth0, namespace: "${ns}%s"}, mac: %s, mtu: 1500, uplink: up0, %s}`,
		name, name, mac, attachment)
}

const (
	oneMAC, twoMAC, threeMAC = "00:15:5d:64:00:01", "00:15:5d:64:00:02", "00:15:5d:64:00:03"
	otherMAC, hostMAC        = "00:15:5d:c8:00:01", "00:15:5d:00:00:10"
)

// Ports without virtualisation: VLAN access, and pass-through with a trunk, against each other and a plain Linux.
//
//	one    VLAN 100 ┐
//	two    VLAN 100 ┤                                              ┌ host-b: sluiced ── three VLAN 100
//	other  VLAN 200 ┼ host-a: sluiced ── eth1 ── fabric [br0] ─────┤
//	host0  untagged ┘                                              └ plain: Linux, untagged
//	       trunk 300
type bridged struct {
	*lab
	a, b                         *daemon
	fabric                       *netlab.Namespace
	one, two, three, other, host *netlab.Namespace
	plain                        *netlab.Namespace
}

func newBridged(t *testing.T) *bridged {
	t.Helper()
	l := newLab(t)
	p := &bridged{lab: l, fabric: l.namespace("fabric")}
	hostA, hostB := l.namespace("host-a"), l.namespace("host-b")
	p.one, p.two, p.three, p.other, p.host = l.namespace("one"), l.namespace("two"), l.namespace("three"), l.namespace("other"), l.namespace("host0")
	p.plain = l.namespace("plain")
	l.wire(hostA, "eth1", p.fabric, "to-a", 1600)
	l.wire(hostB, "eth1", p.fabric, "to-b", 1600)
	l.wire(p.plain, "eth0", p.fabric, "to-plain", 1500)
	require.NoError(t, p.fabric.AddBridge("br0", 1500, "to-a", "to-b", "to-plain"))
	l.run(p.plain, "ethtool", "-K", "eth0", "tx", "off") // checksums are nobody else's business here
	p.a = l.sluiced(hostA, "a", bridgedConfig("a",
		bridgedVport("one", oneMAC, "vlan: 100"), bridgedVport("two", twoMAC, "vlan: 100"),
		bridgedVport("other", otherMAC, "vlan: 200"), bridgedVport("host0", hostMAC, "passThrough: true, trunk: [300]")))
	p.b = l.sluiced(hostB, "b", bridgedConfig("b", bridgedVport("three", threeMAC, "vlan: 100")))
	for ns, address := range map[*netlab.Namespace]string{
		p.one: "192.168.9.1/24", p.two: "192.168.9.2/24", p.three: "192.168.9.3/24", p.other: "192.168.9.4/24",
		p.host: "192.168.9.5/24", p.plain: "192.168.9.6/24",
	} {
		l.configureVM(ns, "eth0", address, "")
	}
	return p
}

// learned lists "bridge MAC port" of a daemon.
func (d *daemon) learned() []string {
	d.l.t.Helper()
	answer, err := d.client.ListLearned(d.l.ctx, &sluicev1.ListLearnedRequest{})
	require.NoError(d.l.t, err)
	var all []string
	for _, m := range answer.Learned {
		all = append(all, m.Bridge+" "+m.Mac+" "+m.Port)
	}
	return all
}

func TestVLANAndPassThrough(t *testing.T) {
	p := newBridged(t)
	capture, err := p.fabric.Capture(p.ctx, "to-a", p.Path("vlan.pcapng"))
	require.NoError(t, err)
	p.requirePing(p.one, "192.168.9.2", netlab.PingOptions{}) // on one host
	p.requirePing(p.one, "192.168.9.3", netlab.PingOptions{}) // by the fabric, tagged
	p.requirePing(p.three, "192.168.9.2", netlab.PingOptions{})
	p.requirePing(p.host, "192.168.9.6", netlab.PingOptions{}) // untagged, with plain Linux
	p.requirePing(p.plain, "192.168.9.5", netlab.PingOptions{})
	p.requireSilence(p.other, "192.168.9.1") // another VLAN
	p.requireSilence(p.one, "192.168.9.5")   // no VLAN
	p.requireSilence(p.plain, "192.168.9.1")
	require.NoError(t, capture.Stop())

	plainMAC, err := p.plain.MAC("eth0")
	require.NoError(t, err)
	vlanOf := map[string]uint16{oneMAC: 100, twoMAC: 100, threeMAC: 100, otherMAC: 200, hostMAC: 0, plainMAC.String(): 0}
	seen := map[string]bool{}
	for _, packet := range captured(t, capture.File) {
		outer, _ := outerInner(packet)
		want, known := vlanOf[outer.SrcMAC.String()]
		if !known {
			continue
		}
		seen[outer.SrcMAC.String()] = true
		var got uint16
		if tag, ok := packet.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
			got = tag.VLANIdentifier
		}
		assert.Equal(t, want, got, "VLAN of %s on the fabric", outer.SrcMAC)
	}
	assert.True(t, seen[oneMAC] && seen[threeMAC] && seen[hostMAC], "seen: %v", seen)

	p.requireIperf(p.one, p.three, "192.168.9.3", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(p.host, p.plain, "192.168.9.6", netlab.IperfOptions{Duration: time.Second})
	p.requireIperf(p.plain, p.host, "192.168.9.5", netlab.IperfOptions{Duration: time.Second, UDP: true, Rate: "50M"})
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// frames counts what arrives with an EtherType at a VM while during runs.
func (p *bridged) frames(during func(), kinds ...layers.EthernetType) map[string][]string {
	p.t.Helper()
	listeners := map[string]*netlab.Namespace{"one": p.one, "two": p.two, "three": p.three, "other": p.other, "host0": p.host}
	captures := map[string]*netlab.Capture{}
	for name, ns := range listeners {
		c, err := ns.Capture(p.ctx, "eth0", p.Path(name+".pcapng"))
		require.NoError(p.t, err)
		captures[name] = c
	}
	during()
	got := map[string][]string{}
	for name, c := range captures {
		require.NoError(p.t, c.Stop())
		for _, packet := range captured(p.t, c.File) {
			outer, _ := outerInner(packet)
			kind, vlan := outer.EthernetType, "untagged"
			if tag, ok := packet.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
				kind, vlan = tag.Type, fmt.Sprint(tag.VLANIdentifier)
			}
			if slices.Contains(kinds, kind) {
				got[name] = append(got[name], fmt.Sprintf("%s %#x", vlan, uint16(kind)))
			}
		}
	}
	return got
}

// Learning, flooding and ageing, with frames of an experimental EtherType from a raw station on the fabric.
func TestLearningFloodingAgeing(t *testing.T) {
	p := newBridged(t)
	s := newStation(t, p.fabric, "to-a")
	const station = "02:00:00:00:00:77"
	probe := func(dst string, kind layers.EthernetType) []byte {
		return build(t, ethernet(station, dst, kind), gopacket.Payload(make([]byte, 60)))
	}
	const unknown, known, broadcast, trunk, foreign = 0x88b5, 0x88b6, 0x9990, 0x9991, 0x9992
	got := p.frames(func() {
		s.send(tagged(t, probe("02:00:00:00:00:78", unknown), 100)) // nobody is known to have it: flooded in VLAN 100
		require.Eventually(t, func() bool { return slices.Contains(p.a.learned(), "up0 vlan 100 "+station+" up0") }, 5*time.Second, 50*time.Millisecond)
		// VM two speaks to the station, so that its port is learned. The frame leaves by the uplink only; the fabric, which
		// never heard of the station, floods it to host-b, and so does host-b.
		newStation(t, p.two, "eth0").send(build(t, ethernet(twoMAC, station, known), gopacket.Payload(make([]byte, 60))))
		require.Eventually(t, func() bool { return slices.Contains(p.a.learned(), "up0 vlan 100 "+twoMAC+" two") }, 5*time.Second, 50*time.Millisecond)
		s.send(tagged(t, probe(twoMAC, known), 100))
		s.send(probe(broadcastMAC, broadcast))                       // untagged: the pass-through port only
		s.send(tagged(t, probe(hostMAC, trunk), 300))                // in the trunk: arrives tagged
		s.send(tagged(t, probe(hostMAC, foreign), 301))              // not in the trunk
		s.send(tagged(t, probe("02:00:00:00:00:78", foreign), 4000)) // nobody's VLAN
	}, unknown, known, broadcast, trunk, foreign)
	assert.Equal(t, map[string][]string{
		"one":   {"untagged 0x88b5"},
		"three": {"untagged 0x88b6"},
		"two":   {"untagged 0x88b5", "untagged 0x88b6"},
		"host0": {"untagged 0x9990", "300 0x9991"},
	}, dropSent(got, "two", "untagged 0x88b6"))
	assert.GreaterOrEqual(t, p.a.drops()["up0"]["vlan-not-allowed"]+p.a.drops()["up0"]["not-for-us"], uint64(2))
	p.a.requireBalanced()

	assert.Eventually(t, func() bool { return len(p.a.learned()) == 0 }, 25*time.Second, 200*time.Millisecond,
		"learned MACs are forgotten after 10 s of silence")
}

// dropSent takes away one entry that the VM itself sent while it was captured.
func dropSent(got map[string][]string, vm, entry string) map[string][]string {
	if i := slices.Index(got[vm], entry); i >= 0 {
		got[vm] = slices.Delete(got[vm], i, i+1)
	}
	return got
}
