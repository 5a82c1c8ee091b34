package dataplane

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

func TestPingWithWrongHeaderChecksum(t *testing.T) {
	r := newRig(t, 1)
	ping := frames.Ping(redVM1, routerMAC, "10.0.0.5", "10.0.0.1", 1, 1)
	r.dropped("red-vm1", frames.Patch(ping, 24, 1, 2), ReasonIPv4Checksum)
	require.Len(t, r.send("red-vm1", ping)["red-vm1"], 1)
	r.balanced()
}

// A flood that deserves errors must not cost other tenants theirs: path MTU discovery needs them.
func TestErrorsAreLimitedPerSender(t *testing.T) {
	r := newRig(t, 1)
	r.net.AdvanceTSC(time.Second)
	for range 2 * icmpErrorBurst {
		r.inject("red-vm1", frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5", frames.TTL(1)), frames.UDP(1, 2)))
	}
	r.idle()
	require.Len(t, r.devs["red-vm1"].Sent(), icmpErrorBurst)
	big := frames.Build(frames.Ether(blueVM1, blueFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.DF()), frames.UDP(1, 2), frames.Payload(1600))
	require.Len(t, r.send("blue-vm1", big)["blue-vm1"], 1)
	r.balanced()
}

func TestSourceOfICMPv6Errors(t *testing.T) {
	r := newRig(t, 1)
	for from, want := range map[string]string{red5: redGW, "fe80::5": "fe80::1"} {
		big := frames.Build(frames.Ether(redVM1, redFar), frames.IPv6(from, red7), frames.UDP(1, 2), frames.Payload(1600))
		out := r.send("red-vm1", big)["red-vm1"]
		require.Len(t, out, 1)
		ip, fault := packet.CheckIPv6(out[0][14:])
		require.Equal(t, packet.FaultNone, fault)
		require.Equal(t, want, ip.Src().String())
		require.Equal(t, from, ip.Dst().String())
		icmp, _ := packet.CheckICMPv6(ip.Payload())
		require.EqualValues(t, packet.ICMPv6PacketTooBig, icmp.Type())
		require.True(t, icmp.ChecksumOK(ip.Src(), ip.Dst()))
	}
	r.balanced()
}

func TestFragmentedNeighbourDiscovery(t *testing.T) {
	r := newRig(t, 1)
	forged := frames.NeighbourAdvertisement(red7, redVM1)
	part := hops255(frames.Build(frames.Ether(redVM1, redVM2), frames.IPv6(red5, red6), frames.Frag6(7, 0, true), frames.ICMPv6(136, 0), forged, frames.Payload(4)))
	r.dropped("red-vm1", part, ReasonBadND)
	r.dropped("up0", fromFar(hops255(frames.Build(frames.Ether(redFar, redVM2), frames.IPv6(red7, red6), frames.Frag6(7, 0, true), frames.ICMPv6(136, 0), forged, frames.Payload(4)))), ReasonBadND)
	r.balanced()
}

func TestNeighbourDiscoveryOfBridgedPorts(t *testing.T) {
	r := newRig(t, 1)
	f := solicit(thruMAC, "fe80::3", "fe80::4", wireMAC, "fe80::4")
	frames.EqualAll(t, [][]byte{f}, r.send("thru", f, memport.Split(70))["up0"], "in segments as well")
	r.balanced()
}

// Flooding takes all buffers that it may have in one round; a tenant's neighbour discovery is answered all the same.
func TestAnswersDuringFlood(t *testing.T) {
	var first, last []string // red-vm1's queue is polled behind those that flood
	for _, line := range strings.SplitAfter(rigPolicy, "\n") {
		if strings.Contains(line, "name: red-vm1") {
			last = append(last, line)
			continue
		}
		if line == "networks:\n" {
			first = append(first, last...)
		}
		first = append(first, line)
	}
	r := newRigOf(t, 1, strings.Join(first, ""))
	r.sw.workers[0].do(func() {
		for range packet.RxBurst {
			r.inject("acc1", untagged(acc1MAC, broadcast))
			r.inject("acc2", untagged(acc2MAC, broadcast))
			r.inject("thru", taggedWith(100, thruMAC, broadcast))
		}
		r.inject("red-vm1", solicit(redVM1, red5, "ff02::1:ff00:7", "33:33:ff:00:00:07", red7))
	})
	r.idle()
	require.Positive(t, r.counters("thru").Drops[ReasonNoBuffer])
	require.Len(t, r.devs["red-vm1"].Sent(), 1)
	r.balanced()
}
