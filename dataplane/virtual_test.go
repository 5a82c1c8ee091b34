package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

func TestSwitchInsideSubnet(t *testing.T) {
	r := newRig(t, 1)
	frame := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	for range 2 { // a new flow, then a known one
		out := r.send("red-vm1", frame)
		require.Len(t, out, 1)
		frames.EqualAll(t, [][]byte{frame}, out["red-vm2"], "unchanged")
	}
	st := r.workers()[0]
	require.EqualValues(t, 1, st.Flows)
	r.balanced()
}

func TestEncapsulate(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	inner := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.TOS(0xb9), frames.DF()),
		frames.TCP(4000, 80), frames.Payload(100))
	for range 2 {
		out := r.send("red-vm1", inner)
		require.Len(t, out["up0"], 1)
		tun := frames.Decap(t, out["up0"][0])
		require.Equal(t, uplinkMAC, tun.SrcMAC.String())
		require.Equal(t, hostBMAC, tun.DstMAC.String())
		require.Equal(t, hostAPA, tun.Src.String())
		require.Equal(t, hostBPA, tun.Dst.String())
		require.EqualValues(t, 6001, tun.VSID)
		require.EqualValues(t, 64, tun.TTL)
		require.EqualValues(t, 0xb9, tun.TOS, "DSCP and ECN are copied")
		require.True(t, tun.DF)
		frames.Equal(t, inner, tun.Inner)
	}
	r.balanced()
}

func TestRouteBetweenSubnets(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	sent := frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7", frames.TTL(64)), frames.UDP(1, 2), frames.Payload(10))
	want := frames.Build(frames.Ether(routerMAC, redDB1), frames.IPv4("10.0.0.5", "10.0.1.7", frames.TTL(63)), frames.UDP(1, 2), frames.Payload(10))
	for range 2 {
		out := r.send("red-vm1", sent)
		tun := frames.Decap(t, out["up0"][0])
		require.EqualValues(t, 6002, tun.VSID, "the VSID is the target's")
		frames.Equal(t, want, tun.Inner)
	}
	local := frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5", frames.TTL(2)), frames.UDP(1, 2), frames.Payload(10))
	want = frames.Build(frames.Ether(routerMAC, redDB0), frames.IPv4("10.0.0.5", "10.0.1.5", frames.TTL(1)), frames.UDP(1, 2), frames.Payload(10))
	frames.EqualAll(t, [][]byte{want}, r.send("red-vm1", local)["red-db0"])

	// a frame that host B routed to us bears the router's MAC and our subnet's VSID
	routed := frames.Build(frames.Ether(routerMAC, redVM1), frames.IPv4("10.0.1.7", "10.0.0.5"), frames.UDP(2, 1), frames.Payload(10))
	out := r.send("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 3, routed))
	frames.EqualAll(t, [][]byte{routed}, out["red-vm1"])
	r.balanced()
}

func TestRouterAnswers(t *testing.T) {
	r := newRig(t, 1)
	for _, gateway := range []string{"10.0.0.1", "10.0.1.1"} {
		out := r.send("red-vm1", frames.Ping(redVM1, routerMAC, "10.0.0.5", gateway, 7, 9))
		require.Len(t, out["red-vm1"], 1, gateway)
		want := frames.Build(frames.Ether(routerMAC, redVM1), frames.IPv4(gateway, "10.0.0.5"), frames.EchoReply(7, 9), frames.Payload(56))
		require.Equal(t, len(want), len(out["red-vm1"][0]))
		require.Contains(t, frames.Dump(out["red-vm1"][0]), "10.0.0.5")
	}
	r.dropped("red-vm1", frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.0.1"), frames.TCP(1, 22)), ReasonGatewayService)

	out := r.send("red-vm1", frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5", frames.TTL(1)), frames.UDP(1, 2), frames.Payload(10)))
	p := frames.Dump(out["red-vm1"][0])
	require.Contains(t, p, "10.0.0.1", "time exceeded comes from the gateway")
	require.EqualValues(t, 1, r.counters("red-vm1").Drops[ReasonTTLExceeded])
	r.balanced()
}

func TestTooBig(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	big := func(opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", opts...), frames.UDP(1, 2), frames.Payload(1559-28))
	}
	out := r.send("red-vm1", big(frames.DF()))
	require.Empty(t, out["up0"])
	icmp := out["red-vm1"][0]
	require.EqualValues(t, 3, icmp[34])
	require.EqualValues(t, 4, icmp[35])
	require.EqualValues(t, 1558, int(icmp[40])<<8|int(icmp[41]), "fabric MTU 1600 less 42")
	require.Zero(t, packet.Checksum(icmp[14:34], 0))
	require.Zero(t, packet.Checksum(icmp[34:], 0))
	r.dropped("red-vm1", big(), ReasonTooBig)
	fits := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.DF()), frames.UDP(1, 2), frames.Payload(1558-28))
	require.Len(t, r.send("red-vm1", fits)["up0"], 1)
	r.balanced()
}

func TestIsolation(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	ip := func(src, dst, from, to string) []byte {
		return frames.Build(frames.Ether(src, dst), frames.IPv4(from, to), frames.UDP(1, 2), frames.Payload(10))
	}
	for name, tc := range map[string]struct {
		port  string
		frame []byte
		want  Reason
	}{
		"blue's MAC from red":      {"red-vm1", ip(redVM1, blueFar, "10.0.0.5", "10.0.0.7"), ReasonUnknownMAC},
		"blue has no 10.0.1":       {"blue-vm1", ip(blueVM1, routerMAC, "10.0.0.5", "10.0.1.7"), ReasonNoRoute},
		"nobody has the address":   {"red-vm1", ip(redVM1, routerMAC, "10.0.0.5", "10.0.1.77"), ReasonUnknownAddr},
		"forged source MAC":        {"red-vm1", ip(redVM2, redFar, "10.0.0.5", "10.0.0.7"), ReasonSourceMACSpoof},
		"forged source address":    {"red-vm1", ip(redVM1, redFar, "10.0.0.6", "10.0.0.7"), ReasonSourceAddrSpoof},
		"source outside":           {"red-vm1", ip(redVM1, redFar, "192.0.2.1", "10.0.0.7"), ReasonSourceAddrSpoof},
		"broadcast":                {"red-vm1", ip(redVM1, broadcast, "10.0.0.5", "255.255.255.255"), ReasonTenantBroadcast},
		"DHCP before an address":   {"red-vm1", ip(redVM1, broadcast, "0.0.0.0", "255.255.255.255"), ReasonTenantBroadcast},
		"to itself":                {"red-vm1", ip(redVM1, redVM1, "10.0.0.5", "10.0.0.5"), ReasonHairpin},
		"VLAN tag":                 {"red-vm1", frames.Build(frames.Ether(redVM1, redFar), frames.VLAN(5, 0), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(1, 2)), ReasonVLANTag},
		"no IP for the router":     {"red-vm1", frames.Build(frames.EtherOf(redVM1, routerMAC, frames.EtherTypeTest), frames.Payload(50)), ReasonRouterNonIP},
		"ARP for another's":        {"red-vm1", frames.ARPRequest(redVM1, "10.0.0.6", "10.0.0.7"), ReasonNeighbourSpoof},
		"ARP with another's MAC":   {"red-vm1", frames.ARPReply(redVM2, "10.0.0.5", redFar, "10.0.0.7"), ReasonSourceMACSpoof},
		"route is red's alone":     {"blue-vm1", ip(blueVM1, routerMAC, "10.0.0.5", "192.0.2.9"), ReasonNoRoute},
		"multicast inside the VMs": {"red-vm1", ip(redVM1, "01:00:5e:00:00:fb", "10.0.0.5", "224.0.0.251"), ReasonTenantBroadcast},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped(tc.port, tc.frame, tc.want)
			r.dropped(tc.port, tc.frame, tc.want) // as a known flow as well
		})
	}
	r.balanced()
}

func TestPriorityTagIsStripped(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	tagged := frames.Build(frames.Ether(redVM1, redFar), frames.VLAN(0, 5), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(1, 2), frames.Payload(30))
	plain := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(1, 2), frames.Payload(30))
	frames.Equal(t, plain, frames.Decap(t, r.send("red-vm1", tagged)["up0"][0]).Inner)
	r.balanced()
}

func TestARPProxy(t *testing.T) {
	r := newRig(t, 1)
	out := r.send("red-vm1", frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7"))
	require.Len(t, out, 1, "answered from policy; nothing reaches the fabric")
	frames.EqualAll(t, [][]byte{frames.ARPReply(redFar, "10.0.0.7", redVM1, "10.0.0.5")}, out["red-vm1"])

	out = r.send("red-vm1", frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.1"))
	frames.EqualAll(t, [][]byte{frames.ARPReply(routerMAC, "10.0.0.1", redVM1, "10.0.0.5")}, out["red-vm1"])

	request := frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.6")
	out = r.send("red-vm1", request)
	require.Len(t, out, 1)
	frames.EqualAll(t, [][]byte{request}, out["red-vm2"], "a local VM answers for itself")

	out = r.send("red-vm1", frames.DuplicateProbe(redVM1, "10.0.0.7"))
	require.Len(t, out["red-vm1"], 1, "a duplicate on another host is found")
	out = r.send("red-vm1", frames.DuplicateProbe(redVM1, "10.0.0.5"))
	require.Empty(t, out["red-vm1"], "the prober's own record is no duplicate")
	require.Len(t, out["red-vm2"], 1)

	out = r.send("red-vm1", frames.GratuitousARP(redVM1, "10.0.0.5"))
	require.Len(t, out, 1)
	require.Len(t, out["red-vm2"], 1, "an announcement reaches the local VMs of the subnet only")
	r.dropped("blue-vm1", frames.ARPRequest(blueVM1, "10.0.0.5", "10.0.0.99"), ReasonNeighbourUnanswered)
	r.balanced()
}

func TestARPProbeIsCarried(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	probe := frames.ARPProbe(redVM1, "10.0.0.5", redFar, "10.0.0.7")
	tun := frames.Decap(t, r.send("red-vm1", probe)["up0"][0])
	frames.Equal(t, probe, tun.Inner)
	back := frames.ARPReply(redFar, "10.0.0.7", redVM1, "10.0.0.5")
	out := r.send("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, back))
	frames.EqualAll(t, [][]byte{back}, out["red-vm1"])
	forged := frames.ARPReply(redFar, "10.0.0.8", redVM1, "10.0.0.5")
	r.dropped("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, forged), ReasonNeighbourSpoof)
	r.balanced()
}

func TestDecapsulate(t *testing.T) {
	r := newRig(t, 1)
	inner := frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1)
	good := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 77, inner)
	for range 2 {
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", good)["red-vm1"])
	}
	short := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, frames.Build(frames.EtherOf(redFar, redVM1, frames.EtherTypeTest), frames.Payload(1)))
	out := r.send("up0", frames.Pad(short, 100))
	require.Len(t, out["red-vm1"], 1)
	require.Len(t, out["red-vm1"][0], 15, "padding of the link is cut off")

	nv := func(src string, vsid uint32, inner []byte) []byte {
		return frames.NVGRE(hostBMAC, uplinkMAC, src, hostAPA, vsid, 77, inner)
	}
	for name, tc := range map[string]struct {
		frame []byte
		want  Reason
	}{
		"known flow from another host":  {nv("172.16.1.9", 6001, inner), ReasonProviderSpoof},
		"unknown VSID":                  {nv(hostBPA, 9999, inner), ReasonUnknownVSID},
		"unknown sender":                {nv(hostBPA, 6001, frames.Ping(redFar, redVM1, "10.0.0.77", "10.0.0.5", 1, 1)), ReasonUnknownSender},
		"sender that is local":          {nv(hostBPA, 6001, frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1)), ReasonProviderSpoof},
		"sender of another host":        {nv(hostBPA, 6001, frames.Ping("00:15:5d:00:01:08", redVM1, "10.0.0.8", "10.0.0.5", 1, 1)), ReasonProviderSpoof},
		"inner MAC not the sender's":    {nv(hostBPA, 6001, frames.Ping(redDB1, redVM1, "10.0.0.7", "10.0.0.5", 1, 1)), ReasonInnerSourceMAC},
		"target elsewhere":              {nv(hostBPA, 6001, frames.Ping(redFar, "00:15:5d:00:01:08", "10.0.0.7", "10.0.0.8", 1, 1)), ReasonNotLocal},
		"tenant broadcast":              {nv(hostBPA, 6001, frames.ARPRequest(redFar, "10.0.0.7", "10.0.0.5")), ReasonTenantBroadcast},
		"inner tag":                     {nv(hostBPA, 6001, frames.Build(frames.Ether(redFar, redVM1), frames.VLAN(3, 0), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(1, 2))), ReasonInnerVLAN},
		"blue's VSID, red's sender MAC": {nv(hostBPA, 7001, inner), ReasonInnerSourceMAC},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped("up0", tc.frame, tc.want)
			r.dropped("up0", tc.frame, tc.want)
		})
	}
	frames.EqualAll(t, [][]byte{inner}, r.send("up0", good)["red-vm1"], "forged packets do not displace a known flow")
	r.balanced()
}

func TestForgedPacketFirst(t *testing.T) {
	r := newRig(t, 1)
	inner := frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1)
	forged := frames.NVGRE(hostBMAC, uplinkMAC, "172.16.1.9", hostAPA, 6001, 77, inner)
	good := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 77, inner)
	for range 3 {
		r.dropped("up0", forged, ReasonProviderSpoof)
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", good)["red-vm1"], "the true sender is heard")
	}
	r.balanced()
}

// All sixteen combinations of RFC 6040, figure 4, for the loops of plain packets, the general path and IPv6, each as a
// packet of a new flow and of a known one.
func TestECNOnDecapsulation(t *testing.T) {
	const drop = 0xff
	figure4 := [4][4]byte{ // by inner, then outer: 00, 01, 10, 11
		0: {0, 0, 0, drop},
		1: {1, 1, 1, 3},
		2: {2, 1, 2, 3},
		3: {3, 3, 3, 3},
	}
	inners := map[string]func(ecn uint8) []byte{
		"plain": func(ecn uint8) []byte {
			return frames.Build(frames.Ether(redFar, redVM1), frames.IPv4("10.0.0.7", "10.0.0.5", frames.TOS(0xb8|ecn)), frames.UDP(1, 2), frames.Payload(20))
		},
		"fragment": func(ecn uint8) []byte {
			return frames.Build(frames.Ether(redFar, redVM1), frames.IPv4("10.0.0.7", "10.0.0.5", frames.TOS(0xb8|ecn), frames.Frag(64, true)), frames.Payload(64))
		},
		"IPv6": func(ecn uint8) []byte {
			return frames.Build(frames.Ether(redFar, redVM1), frames.IPv6("2001:db8:1::7", "2001:db8:1::5", frames.TOS(0xb8|ecn)), frames.UDP(1, 2), frames.Payload(20))
		},
	}
	for name, inner := range inners {
		r := newRig(t, 1)
		for in := range uint8(4) {
			for out, want := range figure4[in] {
				frame := outerECN(inner(in), uint8(out))
				for range 2 {
					if want == drop {
						r.dropped("up0", frame, ReasonECN)
						continue
					}
					frames.EqualAll(t, [][]byte{inner(want)}, r.send("up0", frame)["red-vm1"], "%s: inner %02b outer %02b", name, in, out)
				}
			}
		}
		r.balanced()
	}
}

// outerECN puts a frame for red-web into NVGRE whose outer header bears these marks.
func outerECN(inner []byte, ecn uint8) []byte {
	f := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, inner)
	return frames.FixIPv4(frames.Patch(f, 15, ecn), 14)
}

// What is not IP cannot carry the mark on to anybody.
func TestECNOfFramesThatAreNotIP(t *testing.T) {
	r := newRig(t, 1)
	arp := frames.ARPReply(redFar, "10.0.0.7", redVM1, "10.0.0.5")
	frames.EqualAll(t, [][]byte{arp}, r.send("up0", outerECN(arp, 0))["red-vm1"])
	frames.EqualAll(t, [][]byte{arp}, r.send("up0", outerECN(arp, 2))["red-vm1"], "not marked")
	r.dropped("up0", outerECN(arp, 3), ReasonECN)
	r.balanced()
}

func TestOwnProviderAddress(t *testing.T) {
	r := newRig(t, 1)
	out := r.send("up0", frames.ARPRequest(hostBMAC, hostBPA, hostAPA))
	frames.EqualAll(t, [][]byte{frames.ARPReply(uplinkMAC, hostAPA, hostBMAC, hostBPA)}, out["up0"])
	out = r.send("up0", frames.Ping(hostBMAC, uplinkMAC, hostBPA, hostAPA, 3, 4))
	require.Len(t, out["up0"], 1)
	require.EqualValues(t, 0, out["up0"][0][34], "echo reply")
	require.Zero(t, packet.Checksum(out["up0"][0][34:], 0))
	r.dropped("up0", frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(hostBPA, hostAPA), frames.UDP(1, 2)), ReasonNotForProvider)
	r.dropped("up0", frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(hostBPA, "172.16.1.77"), frames.UDP(1, 2)), ReasonNotForUs)
	r.dropped("up0", frames.GratuitousARP(hostBMAC, hostAPA), ReasonAddressConflict)
	r.balanced()
}

func TestIPv6InsideSubnet(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	build := func(opts ...frames.Layer) []byte {
		return frames.Build(append(append([]frames.Layer{frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::5", "2001:db8:1::7")}, opts...), frames.UDP(1, 2), frames.Payload(20))...)
	}
	for _, f := range [][]byte{build(), build(), build(frames.HopByHop(), frames.DestOpts(1))} {
		tun := frames.Decap(t, r.send("red-vm1", f)["up0"][0])
		frames.Equal(t, f, tun.Inner)
	}
	back := frames.Build(frames.Ether(redFar, redVM1), frames.IPv6("2001:db8:1::7", "2001:db8:1::5"), frames.UDP(2, 1), frames.Payload(20))
	frames.EqualAll(t, [][]byte{back}, r.send("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, back))["red-vm1"])
	spoof := frames.Build(frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::6", "2001:db8:1::7"), frames.UDP(1, 2))
	r.dropped("red-vm1", spoof, ReasonSourceAddrSpoof)
	r.balanced()
}

func TestHostWithSeveralProviderAddresses(t *testing.T) {
	r := newRig(t, 1)
	seen := map[string]bool{}
	for port := range uint16(64) {
		r.inject("red-vm1", frames.Build(frames.Ether(redVM1, "00:15:5d:00:01:08"), frames.IPv4("10.0.0.5", "10.0.0.8"), frames.UDP(port, 2), frames.Payload(20)))
	}
	r.idle()
	for _, pa := range []string{"172.16.1.3", "172.16.1.4"} {
		r.inject("up0", frames.ARPReply("02:cc:00:00:00:03", pa, uplinkMAC, hostAPA))
	}
	r.idle()
	for _, f := range r.devs["up0"].Sent() {
		if f[12] == 8 && f[13] == 0 {
			seen[frames.Decap(t, f).Dst.String()] = true
		}
	}
	require.Len(t, seen, 2, "flows are spread over both addresses")
	inner := frames.Ping("00:15:5d:00:01:08", redVM1, "10.0.0.8", "10.0.0.5", 1, 1)
	for _, pa := range []string{"172.16.1.3", "172.16.1.4", "172.16.1.3"} {
		require.Len(t, r.send("up0", frames.NVGRE(hostBMAC, uplinkMAC, pa, hostAPA, 6001, 0, inner))["red-vm1"], 1, "from %s", pa)
	}
	r.balanced()
}

func TestGatewayVM(t *testing.T) {
	r := newRig(t, 1)
	out := r.send("red-vm1", frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "192.0.2.9"), frames.UDP(1, 2), frames.Payload(20)))
	require.Len(t, out["red-vm2"], 1, "the route's next hop gets the packet")
	out = r.send("red-vm2", frames.Build(frames.Ether(redVM2, redVM1), frames.IPv4("192.0.2.9", "10.0.0.5"), frames.UDP(2, 1), frames.Payload(20)))
	require.Len(t, out["red-vm1"], 1, "and may send for what lies behind it")
	r.balanced()
}
