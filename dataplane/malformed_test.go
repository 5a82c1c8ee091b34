package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// refused injects frames that must go nowhere, and asserts that each was counted under some reason.
func (r *rig) refused(port string, variants []frames.Variant) {
	r.t.Helper()
	for _, v := range variants {
		before := r.counters(port)
		out := r.send(port, v.Frame)
		after := r.counters(port)
		require.Empty(r.t, out, "%s was forwarded\n%s", v.Name, frames.Dump(v.Frame))
		require.Equal(r.t, before.Dropped+1, after.Dropped, v.Name)
		require.Equal(r.t, before.Drops[ReasonUndecided], after.Drops[ReasonUndecided], "%s has no reason of its own", v.Name)
	}
}

// butChecksum leaves out the wrong header checksum: a switch carries it, as Ethernet does; the router refuses it.
func butChecksum(variants []frames.Variant) []frames.Variant {
	return slices.DeleteFunc(variants, func(v frames.Variant) bool { return v.Name == "header checksum wrong" })
}

func TestRouterRefusesWrongChecksum(t *testing.T) {
	r := newRig(t, 1)
	f := frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5"), frames.UDP(1, 2), frames.Payload(10))
	require.Len(t, r.send("red-vm1", f)["red-db0"], 1)
	r.dropped("red-vm1", frames.Patch(f, 24, 1, 2), ReasonIPv4Checksum)
	r.balanced()
}

func TestMalformedFromVM(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	tcp := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.TCP(1, 2), frames.Payload(20))
	require.Len(t, r.send("red-vm1", tcp)["up0"], 1)
	r.refused("red-vm1", frames.Truncated(tcp))
	r.refused("red-vm1", butChecksum(frames.MalformedIPv4(tcp, 14)))
	v6 := frames.Build(frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::5", "2001:db8:1::7"), frames.HopByHop(), frames.Frag6(7, 0, true), frames.UDP(1, 2), frames.Payload(24))
	require.Len(t, r.send("red-vm1", v6)["up0"], 1)
	r.refused("red-vm1", frames.Truncated(v6))
	r.refused("red-vm1", frames.Truncated(frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7")))
	r.balanced()
}

func TestMalformedFromFabric(t *testing.T) {
	r := newRig(t, 1)
	inner := frames.Build(frames.Ether(redFar, redVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.TCP(1, 2), frames.Payload(20))
	good := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner)
	require.Len(t, r.send("up0", good)["red-vm1"], 1)
	r.refused("up0", frames.Truncated(good))
	r.refused("up0", frames.MalformedNVGRE(good))
	r.refused("up0", frames.MalformedIPv4(good, 14))
	r.refused("up0", butChecksum(frames.MalformedIPv4(good, 56)))
	for n := 0; n < len(inner); n++ { // the inner frame cut, the outer lengths honest
		r.refused("up0", []frames.Variant{{Name: "inner cut", Frame: frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner[:n])}})
	}
	r.balanced()
}

func TestReasonsOfMalformedFabricPackets(t *testing.T) {
	r := newRig(t, 1)
	inner := frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1)
	good := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner)
	patch := func(at int, b ...byte) []byte { return frames.FixIPv4(frames.Patch(good, at, b...), 14) }
	for name, tc := range map[string]struct {
		frame []byte
		want  Reason
	}{
		"checksum":            {frames.Patch(good, 24, 0, 0), ReasonOuterChecksum},
		"IHL 4":               {patch(14, 0x44), ReasonOuterHeader},
		"version 6":           {patch(14, 0x65), ReasonOuterHeader},
		"total length beyond": {patch(16, 0xff, 0xff), ReasonOuterHeader},
		"fragment":            {patch(20, 0x20, 0), ReasonOuterFragment},
		"GRE checksum bit":    {patch(34, 0xa0, 0), ReasonGREFlags},
		"GRE sequence bit":    {patch(34, 0x30, 0), ReasonGREFlags},
		"GRE routing bit":     {patch(34, 0x60, 0), ReasonGREFlags},
		"GRE without key":     {patch(34, 0x00, 0), ReasonGREFlags},
		"GRE recursion":       {patch(34, 0x21, 0), ReasonGREFlags},
		"GRE reserved":        {patch(34, 0x20, 0x80), ReasonGREFlags},
		"GRE version 1":       {patch(34, 0x20, 1), ReasonGREFlags},
		"GRE of IPv4":         {patch(36, 8, 0), ReasonGREProtocol},
		"VSID 0":              {patch(38, 0, 0, 0), ReasonReservedVSID},
		"VSID 4095":           {patch(38, 0, 0x0f, 0xff), ReasonReservedVSID},
		"VSID 0xffffff":       {patch(38, 0xff, 0xff, 0xff), ReasonReservedVSID},
		"source 0.0.0.0":      {patch(26, 0, 0, 0, 0), ReasonProviderSpoof},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped("up0", tc.frame, tc.want)
		})
	}
	r.balanced()
}

func TestSplitFabricPackets(t *testing.T) {
	r := newRig(t, 1)
	inner := frames.Build(frames.Ether(redFar, redVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(1, 2), frames.Payload(20))
	f := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner)
	for at := 1; at < len(f); at++ {
		if at >= outerLen+42 {
			frames.EqualAll(t, [][]byte{inner}, r.send("up0", f, memport.Split(at))["red-vm1"], "split at %d, behind the headers", at)
			continue
		}
		r.dropped("up0", f, reasonOf(packet.ErrSegments), memport.Split(at))
	}
	r.balanced()
}

func TestFragmentsShareAFlow(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	whole := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.ID(9)), frames.UDP(1, 2), frames.Payload(1200))
	flowIDs := map[uint8]bool{}
	parts := frames.FragmentIPv4(whole, 400)
	for _, k := range []int{2, 0, 1, 3} { // the non-first first
		if k >= len(parts) {
			continue
		}
		tun := frames.Decap(t, r.send("red-vm1", parts[k])["up0"][0])
		frames.Equal(t, parts[k], tun.Inner)
		flowIDs[tun.FlowID] = true
	}
	require.Len(t, flowIDs, 1, "all fragments take one path")
	r.balanced()
}

func TestUnusualBuffers(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	frame := toFar(1)
	r.dropped("red-vm1", frame, ReasonNoHeadroom, memport.Headroom(outerLen-1))
	require.Len(t, r.send("red-vm1", frame, memport.Headroom(outerLen))["up0"], 1)
	r.dropped("red-vm1", frame, ReasonNotWritable, memport.Shared())
	r.dropped("red-vm1", frame, ReasonNotWritable, memport.Indirect())

	local := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	frames.EqualAll(t, [][]byte{local}, r.send("red-vm1", local, memport.Shared())["red-vm2"], "nothing is written: shared buffers pass")
	for at := 1; at < len(local); at++ {
		out := r.send("red-vm1", local, memport.Split(at))
		if at >= 42 {
			frames.EqualAll(t, [][]byte{local}, out["red-vm2"], "split at %d, behind the headers", at)
			continue
		}
		require.Empty(t, out, "split at %d", at)
	}
	require.EqualValues(t, 41, r.counters("red-vm1").Drops[reasonOf(packet.ErrSegments)])
	out := r.send("red-vm1", toFar(1), memport.Split(50))
	frames.Equal(t, toFar(1), frames.Decap(t, out["up0"][0]).Inner, "encapsulated in front of the first segment")
	r.balanced()
}

// TestRandomTraffic floods the worker with frames that are valid, spoiled, and random, and checks what holds for all:
// nothing crashes, nothing is lost, and every packet is accounted for.
func TestRandomTraffic(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	rng := rand.New(rand.NewPCG(1, 2))
	seeds := trafficSeeds()
	ports := []string{"up0", "red-vm1", "red-vm2", "red-db0", "blue-vm1", "acc1", "acc2", "thru"}
	for i := range 20000 {
		f := append([]byte(nil), seeds[rng.IntN(len(seeds))]...)
		for range rng.IntN(4) {
			f[rng.IntN(len(f))] = byte(rng.Uint32())
		}
		if rng.IntN(5) == 0 {
			f = f[:rng.IntN(len(f))]
		}
		if len(f) == 0 {
			continue
		}
		r.inject(ports[rng.IntN(len(ports))], f)
		if i%256 == 0 {
			r.idle()
			for _, d := range r.devs {
				d.Sent()
			}
		}
	}
	r.balanced()
}

func trafficSeeds() [][]byte {
	inner := frames.Build(frames.Ether(redFar, redVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(1, 2), frames.Payload(20))
	return [][]byte{
		toFar(1), untagged(acc1MAC, acc2MAC), untagged(acc2MAC, broadcast), taggedWith(100, wireMAC, acc1MAC), taggedWith(200, thruMAC, broadcast),
		frames.Ping(redVM1, routerMAC, "10.0.0.5", "10.0.0.1", 1, 1), frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1),
		frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7"), frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.6"), frames.GratuitousARP(redVM2, "10.0.0.6"),
		frames.ARPRequest(hostBMAC, hostBPA, hostAPA), frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA),
		frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner),
		frames.FixIPv4(frames.Patch(frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, inner), 15, 3), 14), // congestion seen
		frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, frames.ARPReply(redFar, "10.0.0.7", redVM1, "10.0.0.5")),
		frames.Build(frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::5", "2001:db8:1::7"), frames.HopByHop(), frames.UDP(1, 2), frames.Payload(20)),
		frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5", frames.TTL(1)), frames.UDP(1, 2), frames.Payload(20)),
		frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5", frames.DF()), frames.UDP(1, 2), frames.Payload(1200)),
	}
}

// FuzzWorker feeds whole frames to a port of a running worker.
func FuzzWorker(f *testing.F) {
	ports := []string{"up0", "red-vm1", "red-vm2", "red-db0", "blue-vm1", "acc1", "acc2", "thru"}
	for port := range ports {
		for _, frame := range trafficSeeds() {
			f.Add(uint8(port), frame)
		}
	}
	r := newRig(f, 1)
	r.resolve()
	f.Fuzz(func(t *testing.T, port uint8, frame []byte) {
		if len(frame) == 0 || len(frame) > 1900 {
			return
		}
		r.t = t
		if len(frame) >= 34 && binary.BigEndian.Uint16(frame[12:]) == packet.EtherTypeIPv4 && frame[14] == 0x45 {
			frame = frames.FixIPv4(slices.Clone(frame), 14) // or the checksum of what it changed would stop the fuzzer
		}
		r.inject(ports[int(port)%len(ports)], frame)
		r.balanced()
		for name, d := range r.devs {
			for _, out := range d.Sent() {
				if name != "up0" && name != "thru" {
					continue
				}
				if len(out) > 38 && binary.BigEndian.Uint16(out[12:]) == 0x0800 && out[23] == 47 && binary.BigEndian.Uint16(out[34:]) == nvgreFlags && string(out[6:12]) == string(r.mac[:]) {
					frames.Decap(t, out) // what we encapsulate is well-formed whatever was inside
				}
			}
		}
	})
}
