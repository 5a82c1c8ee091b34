package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
)

// dataFrame is a UDP packet, with a tag or without.
func dataFrame(src, dst, from, to string, tag ...frames.Layer) []byte {
	stack := append([]frames.Layer{frames.Ether(src, dst)}, tag...)
	return frames.Build(append(stack, frames.IPv4(from, to), frames.UDP(1, 2), frames.Payload(30))...)
}

func fromFar(inner []byte) []byte {
	return frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner)
}

// A tag of priority 0 and VLAN 0 is all zeros: it must not pass for no tag once the untagged flow is known.
func TestEmptyTagIsATag(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	empty := func() frames.Layer { return frames.VLAN(0, 0) }
	plain := dataFrame(redVM1, redFar, "10.0.0.5", "10.0.0.7")
	for _, f := range [][]byte{plain, dataFrame(redVM1, redFar, "10.0.0.5", "10.0.0.7", empty()), plain} {
		frames.Equal(t, plain, frames.Decap(t, r.send("red-vm1", f)["up0"][0]).Inner, "no tag gets into NVGRE")
	}
	v6 := func(tag ...frames.Layer) []byte {
		stack := append([]frames.Layer{frames.Ether(redVM1, redFar)}, tag...)
		return frames.Build(append(stack, frames.IPv6("2001:db8:1::5", "2001:db8:1::7"), frames.UDP(1, 2), frames.Payload(30))...)
	}
	for _, f := range [][]byte{v6(), v6(empty())} {
		frames.Equal(t, v6(), frames.Decap(t, r.send("red-vm1", f)["up0"][0]).Inner)
	}

	back := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	require.Len(t, r.send("up0", fromFar(back))["red-vm1"], 1)
	r.dropped("up0", fromFar(dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5", empty())), ReasonInnerVLAN)
	r.balanced()
}

func TestTagsOfPacketsInSegments(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	plain := dataFrame(redVM1, redFar, "10.0.0.5", "10.0.0.7")
	out := r.send("red-vm1", dataFrame(redVM1, redFar, "10.0.0.5", "10.0.0.7", frames.VLAN(0, 5)), memport.Split(50, 60))
	frames.Equal(t, plain, frames.Decap(t, out["up0"][0]).Inner)

	out = r.send("acc1", untagged(acc1MAC, wireMAC), memport.Split(50))
	frames.EqualAll(t, [][]byte{taggedWith(100, acc1MAC, wireMAC)}, out["up0"])
	frames.EqualAll(t, [][]byte{taggedWith(100, acc1MAC, wireMAC)}, out["thru"])
	frames.EqualAll(t, [][]byte{untagged(acc1MAC, wireMAC)}, out["acc2"])
	r.learned(acc1MAC, "acc1")
	out = r.send("up0", taggedWith(100, wireMAC, acc1MAC), memport.Split(50))
	frames.EqualAll(t, [][]byte{untagged(wireMAC, acc1MAC)}, out["acc1"])
	r.balanced()
}

// Receivers skip a tag of VLAN 0 and take the tag behind it for the frame's.
func TestVLANBehindPriorityTag(t *testing.T) {
	r := newRig(t, 1)
	hidden := func(src, dst string) []byte {
		return dataFrame(src, dst, "192.168.1.1", "192.168.1.2", frames.VLAN(0, 3), frames.VLAN(300, 0))
	}
	r.dropped("acc1", hidden(acc1MAC, broadcast), ReasonVLANTag)
	r.dropped("thru", hidden(thruMAC, broadcast), ReasonVLANNotAllowed)
	r.dropped("up0", hidden(wireMAC, broadcast), ReasonVLANNotAllowed)
	double := dataFrame(thruMAC, wireMAC, "192.168.1.1", "192.168.1.2", frames.VLAN(200, 0), frames.VLAN(300, 0))
	frames.EqualAll(t, [][]byte{double}, r.send("thru", double)["up0"], "a VLAN inside one that is allowed passes untouched")
	r.balanced()
}

// The host's provider addresses are of the untagged fabric: a VLAN may have the same ones.
func TestProviderAddressInVLAN(t *testing.T) {
	r := newRig(t, 1)
	for _, f := range [][]byte{dataFrame(acc1MAC, broadcast, hostAPA, "172.16.1.9"), frames.GratuitousARP(acc1MAC, hostAPA)} {
		require.Len(t, r.send("acc1", f)["acc2"], 1)
	}
	trunk := dataFrame(thruMAC, broadcast, hostAPA, "172.16.1.9", frames.VLAN(200, 0))
	frames.EqualAll(t, [][]byte{trunk}, r.send("thru", trunk)["up0"])
	r.dropped("thru", dataFrame(thruMAC, broadcast, hostAPA, "172.16.1.9"), ReasonSourceAddrSpoof)
	r.dropped("thru", dataFrame(thruMAC, broadcast, hostAPA, "172.16.1.9", frames.VLAN(0, 1)), ReasonSourceAddrSpoof)
	r.balanced()
}

// Fabrics that give priorities bear them in a tag of VLAN 0.
func TestPriorityTagOnTheFabric(t *testing.T) {
	r := newRig(t, 1)
	tag := func(f []byte) []byte {
		return append(append(append([]byte(nil), f[:12]...), 0x81, 0, 0x60, 0), f[12:]...)
	}
	inner := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	for range 2 {
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", tag(fromFar(inner)))["red-vm1"])
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", frames.Pad(fromFar(inner), 140))["red-vm1"])
	}
	require.Len(t, r.send("up0", tag(frames.Ping(hostBMAC, uplinkMAC, hostBPA, hostAPA, 3, 4)))["up0"], 1)
	require.Len(t, r.send("up0", tag(frames.ARPRequest(hostBMAC, hostBPA, hostAPA)))["up0"], 1)
	whole := tag(fromFar(inner))
	for n := range len(whole) - 30 - 28 {
		r.refused("up0", []frames.Variant{{Name: "cut", Frame: whole[:n+1]}})
	}
	r.balanced()
}

// What is for the host itself is nobody else's: unknown unicast is flooded, and tenants' packets may be in it.
func TestFramesForTheUplinkAreNotFlooded(t *testing.T) {
	r := newRig(t, 1)
	inner := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	f := fromFar(inner)
	tagged := append(append(append([]byte(nil), f[:12]...), 0x81, 0, 0, 100), f[12:]...)
	r.dropped("up0", tagged, ReasonNotForUs)
	r.dropped("up0", frames.Build(frames.EtherOf(wireMAC, uplinkMAC, frames.EtherTypeTest), frames.Payload(50)), ReasonNotForUs)
	r.dropped("up0", udp6(wireMAC, uplinkMAC, "2001:db8:9::1", "2001:db8:9::2"), ReasonNotForUs)
	r.dropped("thru", untagged(thruMAC, uplinkMAC), ReasonNotForUs)
	r.balanced()
}
