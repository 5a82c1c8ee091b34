package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

const (
	red5  = "2001:db8:1::5"
	red6  = "2001:db8:1::6"
	red7  = "2001:db8:1::7"
	redGW = "2001:db8:1::1"
)

func hops255(f []byte) []byte { return frames.Patch(f, 14+7, 255) }

func solicit(srcMAC, src, dst, dstMAC, target string) []byte {
	return hops255(frames.Build(frames.Ether(srcMAC, dstMAC), frames.IPv6(src, dst), frames.ICMPv6(135, 0), frames.NeighbourSolicitation(target, srcMAC)))
}

func advert(srcMAC, src, dstMAC, dst, target string) []byte {
	return hops255(frames.Build(frames.Ether(srcMAC, dstMAC), frames.IPv6(src, dst), frames.ICMPv6(136, 0), frames.NeighbourAdvertisement(target, srcMAC)))
}

// answeredND checks that out holds one advertisement of target at mac.
func answeredND(t *testing.T, out [][]byte, target, mac string) {
	t.Helper()
	require.Len(t, out, 1)
	ip, fault := packet.CheckIPv6(out[0][14:])
	require.Equal(t, packet.FaultNone, fault)
	a, fault := packet.CheckNeighborAdvert(ip, ip.Payload())
	require.Equal(t, packet.FaultNone, fault, "checksum and hop limit")
	require.Equal(t, target, a.Target().String())
	at, ok := a.TargetMAC()
	require.True(t, ok)
	require.Equal(t, mac, at.String())
	require.Equal(t, mac, packet.Ethernet(out[0]).Src().String())
}

func TestNeighbourDiscoveryProxy(t *testing.T) {
	r := newRig(t, 1)
	ask := func(target string) map[string][][]byte {
		return r.send("red-vm1", solicit(redVM1, red5, "ff02::1:ff00:7", "33:33:ff:00:00:07", target))
	}
	out := ask(red7)
	require.Len(t, out, 1, "nothing reaches the fabric")
	answeredND(t, out["red-vm1"], red7, redFar)
	answeredND(t, ask(redGW)["red-vm1"], redGW, routerMAC)
	answeredND(t, ask("fe80::1")["red-vm1"], "fe80::1", routerMAC)

	out = ask(red6)
	require.Empty(t, out["red-vm1"])
	require.Len(t, out["red-vm2"], 1, "a local VM answers for itself")

	probe := hops255(frames.Build(frames.Ether(redVM1, "33:33:ff:00:00:07"), frames.IPv6("::", "ff02::1:ff00:7"), frames.ICMPv6(135, 0),
		frames.Bytes(append(make([]byte, 4), []byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}...))))
	answeredND(t, r.send("red-vm1", probe)["red-vm1"], red7, redFar)

	router := solicit(redVM1, red5, redGW, routerMAC, redGW)
	answeredND(t, r.send("red-vm1", router)["red-vm1"], redGW, routerMAC)
	r.dropped("red-vm1", solicit(redVM1, red6, "ff02::1:ff00:7", "33:33:ff:00:00:07", red7), ReasonNeighbourSpoof)
	r.dropped("red-vm1", advert(redVM1, red5, redVM2, red6, red7), ReasonNeighbourSpoof)
	r.dropped("red-vm1", advert(redVM1, "fe80::1", redVM2, red6, "fe80::1"), ReasonNeighbourSpoof)
	r.dropped("red-vm1", frames.Patch(advert(redVM1, red5, redVM2, red6, red5), 21, 64), ReasonBadND)
	require.Len(t, r.send("red-vm1", advert(redVM1, red5, redVM2, red6, red5))["red-vm2"], 1)
	r.balanced()
}

func TestNeighbourDiscoveryAcrossHosts(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	probe := solicit(redVM1, red5, red7, redFar, red7)
	frames.Equal(t, probe, frames.Decap(t, r.send("red-vm1", probe)["up0"][0]).Inner, "a unicast confirmation is carried")
	back := advert(redFar, red7, redVM1, red5, red7)
	nv := func(inner []byte) []byte {
		return frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 0, inner)
	}
	frames.EqualAll(t, [][]byte{back}, r.send("up0", nv(back))["red-vm1"])
	r.dropped("up0", nv(advert(redFar, red7, redVM1, red5, red6)), ReasonNeighbourSpoof)
	r.dropped("up0", nv(solicit(redFar, red7, "ff02::1:ff00:5", "33:33:ff:00:00:05", red5)), ReasonTenantBroadcast)
	r.balanced()
}

func TestIPv6Router(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	ping := frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv6(red5, redGW), frames.ICMPv6(128, 0), frames.Bytes([]byte{0, 7, 0, 1, 1, 2, 3}))
	out := r.send("red-vm1", ping)["red-vm1"]
	require.Len(t, out, 1)
	ip, fault := packet.CheckIPv6(out[0][14:])
	require.Equal(t, packet.FaultNone, fault)
	icmp, _ := packet.CheckICMPv6(ip.Payload())
	require.EqualValues(t, packet.ICMPv6EchoReply, icmp.Type())
	require.True(t, icmp.ChecksumOK(ip.Src(), ip.Dst()))
	require.Equal(t, redGW, ip.Src().String())

	big := frames.Build(frames.Ether(redVM1, redFar), frames.IPv6(red5, red7), frames.UDP(1, 2), frames.Payload(1559-48))
	out = r.send("red-vm1", big)["red-vm1"]
	require.Len(t, out, 1)
	ip, _ = packet.CheckIPv6(out[0][14:])
	icmp, _ = packet.CheckICMPv6(ip.Payload())
	require.EqualValues(t, packet.ICMPv6PacketTooBig, icmp.Type())
	require.EqualValues(t, 1558, icmp.MTU())
	require.True(t, icmp.ChecksumOK(ip.Src(), ip.Dst()))
	r.balanced()
}
