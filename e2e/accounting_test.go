package e2e

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// bad is a frame that must be dropped for a reason.
type bad struct {
	what, reason string
	frame        []byte
}

// spoil changes a copy of a frame.
func spoil(frame []byte, change func([]byte)) []byte {
	f := slices.Clone(frame)
	change(f)
	return f
}

// Offsets of the IPv4 header's fields in a plain frame.
const (
	ipStart    = 14
	ipTotalLen = ipStart + 2
	ipFragment = ipStart + 6
	ipChecksum = ipStart + 10
	udpLen     = ipStart + 20 + 4
)

func put16(offset int, value uint16) func([]byte) {
	return func(f []byte) { binary.BigEndian.PutUint16(f[offset:], value) }
}

func tagged(t *testing.T, frame []byte, vlan uint16) []byte {
	t.Helper()
	tag := binary.BigEndian.AppendUint16([]byte{0x81, 0x00}, vlan)
	return slices.Concat(frame[:12], tag, frame[12:])
}

// Addresses of the pair that bad frames are made of.
const (
	red1MAC, red2MAC, red3MAC = "00:15:5d:01:00:05", "00:15:5d:01:00:07", "00:15:5d:01:01:05"
	routerMAC                 = "02:15:5d:00:00:01"
	strangerMAC               = "02:00:00:00:00:99"
	broadcastMAC              = "ff:ff:ff:ff:ff:ff"
)

// fromVM are frames that red-1 must not get through.
func fromVM(t *testing.T) []bad {
	good := udpFrame(t, red1MAC, red2MAC, "10.0.0.5", "10.0.0.7", 64)
	return []bad{
		{"nothing behind the Ethernet header", "truncated-ipv4", good[:ipStart]},
		{"cut inside the IPv4 header", "truncated-ipv4", good[:ipStart+12]},
		{"version 5", "bad-ipv4-version", spoil(good, func(f []byte) { f[ipStart] = 0x55 })},
		{"IHL 4", "bad-ipv4-header-length", spoil(good, func(f []byte) { f[ipStart] = 0x44 })},
		{"total length beyond the frame", "bad-ipv4-total-length", spoil(good, put16(ipTotalLen, 1000))},
		{"total length below the header", "bad-ipv4-total-length", spoil(good, put16(ipTotalLen, 10))},
		{"cut inside UDP", "truncated-transport", spoil(good, put16(ipTotalLen, 24))[:ipStart+24]},
		{"UDP length beyond the packet", "bad-transport-length", spoil(good, put16(udpLen, 900))},
		{"group address as source", "bad-source-mac", spoil(good, func(f []byte) { f[6] |= 1 })},
		{"another VM's MAC", "source-mac-spoof", udpFrame(t, red2MAC, red1MAC, "10.0.0.5", "10.0.0.7", 64)},
		{"another VM's address", "source-address-spoof", udpFrame(t, red1MAC, red2MAC, "10.0.0.66", "10.0.0.7", 64)},
		{"ARP for another's address", "neighbour-spoof", arpRequest(t, red1MAC, "10.0.0.7", "10.0.0.1")},
		{"a VLAN inside a virtual subnet", "vlan-tag", tagged(t, good, 5)},
		{"broadcast", "tenant-broadcast", udpFrame(t, red1MAC, broadcastMAC, "10.0.0.5", "10.0.0.255", 64)},
		{"ARP for nobody", "neighbour-unanswered", arpRequest(t, red1MAC, "10.0.0.5", "10.0.0.201")},
		{"a MAC that nobody has", "unknown-mac", udpFrame(t, red1MAC, strangerMAC, "10.0.0.5", "10.0.0.7", 64)},
		{"an address that nobody has", "unknown-address", udpFrame(t, red1MAC, routerMAC, "10.0.0.5", "10.0.1.200", 64)},
		{"another network", "no-route", udpFrame(t, red1MAC, routerMAC, "10.0.0.5", "192.0.2.1", 64)},
		{"UDP to the gateway", "gateway-service", udpFrame(t, red1MAC, routerMAC, "10.0.0.5", "10.0.0.1", 64)},
		{"no IP for the router", "router-non-ip", build(t, ethernet(red1MAC, routerMAC, 0x88b5), gopacket.Payload(make([]byte, 50)))},
	}
}

// fromFabric are frames that host-a must not accept from the wire; up and peer are the MACs of both uplinks.
func fromFabric(t *testing.T, up, peer string) []bad {
	inner := udpFrame(t, red2MAC, red1MAC, "10.0.0.7", "10.0.0.5", 64)
	outer := func(change func(*nvgre)) []byte {
		n := nvgre{srcMAC: peer, dstMAC: up, src: pairPA["b"], dst: pairPA["a"], flags: 0x2000, protocol: 0x6558, vsid: 6001, inner: inner}
		change(&n)
		return n.frame(t)
	}
	good := outer(func(*nvgre) {})
	return []bad{
		{"IPv4 inside GRE", "bad-gre-protocol", outer(func(n *nvgre) { n.protocol = 0x0800 })},
		{"checksum bit", "bad-gre-flags", outer(func(n *nvgre) { n.flags = 0xa000 })},
		{"sequence bit", "bad-gre-flags", outer(func(n *nvgre) { n.flags = 0x3000 })},
		{"no key", "bad-gre-flags", outer(func(n *nvgre) { n.flags = 0 })},
		{"version 1", "bad-gre-flags", outer(func(n *nvgre) { n.flags = 0x2001 })},
		{"reserved bits", "bad-gre-flags", outer(func(n *nvgre) { n.flags = 0x2080 })},
		{"VSID 0", "reserved-vsid", outer(func(n *nvgre) { n.vsid = 0 })},
		{"VSID 4095", "reserved-vsid", outer(func(n *nvgre) { n.vsid = 4095 })},
		{"VSID 0xffffff", "reserved-vsid", outer(func(n *nvgre) { n.vsid = 0xffffff })},
		{"a VSID of nobody", "unknown-vsid", outer(func(n *nvgre) { n.vsid = 9999 })},
		{"802.1Q inside", "inner-vlan", outer(func(n *nvgre) { n.inner = tagged(t, inner, 7) })},
		{"a sender of nobody", "unknown-sender", outer(func(n *nvgre) {
			n.inner = udpFrame(t, red2MAC, red1MAC, "10.0.0.250", "10.0.0.5", 64)
		})},
		{"a stranger as outer source", "provider-spoof", outer(func(n *nvgre) { n.src = "172.16.1.99" })},
		{"the address of a VM of our own", "provider-spoof", outer(func(n *nvgre) {
			n.inner = udpFrame(t, red3MAC, red1MAC, "10.0.1.5", "10.0.0.5", 64)
		})},
		{"a stranger's MAC inside", "inner-source-mac", outer(func(n *nvgre) {
			n.inner = udpFrame(t, strangerMAC, red1MAC, "10.0.0.7", "10.0.0.5", 64)
		})},
		{"for a VM of the sender's host", "not-local", outer(func(n *nvgre) {
			n.inner = udpFrame(t, red2MAC, red2MAC, "10.0.0.7", "10.0.0.7", 64)
		})},
		{"inner total length beyond the frame", "bad-ipv4-total-length", outer(func(n *nvgre) { n.inner = spoil(inner, put16(ipTotalLen, 1400)) })},
		{"inner IHL 3", "bad-ipv4-header-length", outer(func(n *nvgre) { n.inner = spoil(inner, func(f []byte) { f[ipStart] = 0x43 }) })},
		{"inner frame cut", "truncated-ipv4", outer(func(n *nvgre) { n.inner = inner[:20] })},
		{"inner frame of 5 bytes", "truncated-ethernet", outer(func(n *nvgre) { n.inner = inner[:5] })},
		{"wrong outer checksum", "bad-outer-checksum", spoil(good, func(f []byte) { f[ipChecksum] ^= 0xff })},
		{"UDP to the provider address", "not-for-provider", udpFrame(t, peer, up, pairPA["b"], pairPA["a"], 64)},
	}
}

// After good and bad traffic, mixed: every bad frame under its reason, and the books balance to the packet.
func TestAccounting(t *testing.T) {
	p := newPair(t)
	up := p.a.uplink("up0").Mac
	peer := p.b.uplink("up0").Mac
	vmFrames, fabricFrames := fromVM(t), fromFabric(t, up, peer)
	vm, fabric := newStation(t, p.vms["red-1"], "eth0"), newStation(t, p.fabric, "to-a")

	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	before := p.a.drops()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := netlab.Iperf(p.ctx, p.vms["red-1"], p.vms["red-2"], addr("10.0.0.7"), netlab.IperfOptions{Duration: 2 * time.Second, Rate: "200M"})
		assert.NoError(t, err, "good traffic passes among the bad")
	}()
	const rounds = 10
	for range rounds {
		for _, b := range vmFrames {
			vm.send(b.frame)
		}
		for _, b := range fabricFrames {
			fabric.send(b.frame)
		}
		time.Sleep(50 * time.Millisecond) // so that neither socket overflows on a busy machine
	}
	<-done
	p.requireIperf(p.vms["blue-1"], p.vms["blue-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second, UDP: true, Rate: "50M"})

	p.a.requireBalanced()
	p.b.requireBalanced()
	after := p.a.drops()
	for port, frames := range map[string][]bad{"red-1": vmFrames, "up0": fabricFrames} {
		want := map[string]uint64{}
		for _, b := range frames {
			want[b.reason] += rounds
		}
		for reason, count := range want {
			assert.Equal(t, count, after[port][reason]-before[port][reason], "drops of %s for %s, which came from: %s", port, reason, causes(frames, reason))
		}
	}
	t.Logf("host-a: %v", after)
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
}

func causes(frames []bad, reason string) (what []string) {
	for _, b := range frames {
		if b.reason == reason {
			what = append(what, b.what)
		}
	}
	return what
}

// Non-IP unicast inside a subnet is carried too.
func TestNonIPUnicastIsCarried(t *testing.T) {
	p := newPair(t)
	capture, err := p.vms["red-2"].Capture(p.ctx, "eth0", p.Path("red-2.pcapng"))
	require.NoError(t, err)
	frame := build(t, ethernet(red1MAC, red2MAC, 0x88b5), gopacket.Payload("an experimental protocol of IEEE 802 inside NVGRE"))
	newStation(t, p.vms["red-1"], "eth0").send(frame)
	require.Eventually(t, func() bool { return p.b.vport("red-2").Counters.TxPackets > 0 }, 5*time.Second, 50*time.Millisecond)
	require.NoError(t, capture.Stop())
	found := slices.ContainsFunc(captured(t, capture.File), func(packet gopacket.Packet) bool {
		e, ok := packet.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		return ok && e.EthernetType == 0x88b5 && slices.Equal(packet.Data(), frame)
	})
	assert.True(t, found, "the frame arrives byte for byte")
	p.a.requireBalanced()
	p.b.requireBalanced()
}
