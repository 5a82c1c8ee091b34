package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

const wireMAC = "02:ee:00:00:00:01" // a station in the fabric

func untagged(src, dst string) []byte {
	return frames.Build(frames.Ether(src, dst), frames.IPv4("192.168.1.1", "192.168.1.2"), frames.UDP(1, 2), frames.Payload(30))
}

func taggedWith(vlan uint16, src, dst string) []byte {
	return frames.Build(frames.Ether(src, dst), frames.VLAN(vlan, 0), frames.IPv4("192.168.1.1", "192.168.1.2"), frames.UDP(1, 2), frames.Payload(30))
}

// learned waits until the switch knows an address on a port.
func (r *rig) learned(mac, port string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		for _, e := range r.sw.Learned() {
			if e.MAC.String() == mac && e.Port == r.index.byName[port] {
				return true
			}
		}
		return false
	}, patience, time.Millisecond, "%s on %s", mac, port)
}

func TestAccessVLAN(t *testing.T) {
	r := newRig(t, 1)
	out := r.send("acc1", untagged(acc1MAC, broadcast))
	require.Len(t, out, 3, "flooded to the other ports of VLAN 100")
	frames.EqualAll(t, [][]byte{untagged(acc1MAC, broadcast)}, out["acc2"])
	frames.EqualAll(t, [][]byte{taggedWith(100, acc1MAC, broadcast)}, out["up0"])
	frames.EqualAll(t, [][]byte{taggedWith(100, acc1MAC, broadcast)}, out["thru"], "trunk 100")

	r.learned(acc1MAC, "acc1")
	out = r.send("up0", taggedWith(100, wireMAC, acc1MAC))
	require.Len(t, out, 1, "learned: no flooding")
	frames.EqualAll(t, [][]byte{untagged(wireMAC, acc1MAC)}, out["acc1"])
	r.learned(wireMAC, "up0")
	frames.EqualAll(t, [][]byte{taggedWith(100, acc1MAC, wireMAC)}, r.send("acc1", untagged(acc1MAC, wireMAC))["up0"])

	prio := frames.Build(frames.Ether(acc1MAC, wireMAC), frames.VLAN(0, 6), frames.IPv4("192.168.1.1", "192.168.1.2"), frames.UDP(1, 2), frames.Payload(30))
	want := frames.Build(frames.Ether(acc1MAC, wireMAC), frames.VLAN(100, 6), frames.IPv4("192.168.1.1", "192.168.1.2"), frames.UDP(1, 2), frames.Payload(30))
	frames.EqualAll(t, [][]byte{want}, r.send("acc1", prio)["up0"], "a priority tag gets the VLAN and keeps its priority")

	r.dropped("acc1", taggedWith(200, acc1MAC, wireMAC), ReasonVLANTag)
	r.dropped("up0", taggedWith(999, wireMAC, broadcast), ReasonVLANNotAllowed)
	r.balanced()
}

func TestPassThrough(t *testing.T) {
	r := newRig(t, 1)
	frames.EqualAll(t, [][]byte{untagged(thruMAC, wireMAC)}, r.send("thru", untagged(thruMAC, wireMAC))["up0"])
	frames.EqualAll(t, [][]byte{taggedWith(200, thruMAC, wireMAC)}, r.send("thru", taggedWith(200, thruMAC, wireMAC))["up0"], "untouched")
	r.learned(thruMAC, "thru")
	frames.EqualAll(t, [][]byte{untagged(wireMAC, thruMAC)}, r.send("up0", untagged(wireMAC, thruMAC))["thru"])
	arp := frames.ARPRequest(wireMAC, "192.168.1.1", "192.168.1.2")
	frames.EqualAll(t, [][]byte{arp}, r.send("up0", arp)["thru"], "ARP for others than the host passes")
	r.dropped("thru", taggedWith(300, thruMAC, wireMAC), ReasonVLANNotAllowed)

	asHost := frames.NVGRE(thruMAC, hostBMAC, hostAPA, hostBPA, 6001, 0, toFar(1))
	r.dropped("thru", asHost, ReasonSourceAddrSpoof)
	r.dropped("thru", untagged(uplinkMAC, wireMAC), ReasonSourceMACSpoof)
	r.dropped("thru", frames.GratuitousARP(thruMAC, hostAPA), ReasonNeighbourSpoof)
	r.balanced()
}

func TestLearnedAddressMovesAndAges(t *testing.T) {
	r := newRig(t, 1)
	r.send("acc1", untagged(acc1MAC, broadcast))
	r.learned(acc1MAC, "acc1")
	require.Len(t, r.send("up0", taggedWith(100, wireMAC, acc1MAC))["acc1"], 1)

	r.send("acc2", untagged(acc1MAC, broadcast))
	r.learned(acc1MAC, "acc2")
	out := r.send("up0", taggedWith(100, wireMAC, acc1MAC))
	require.Len(t, out["acc2"], 1, "the known flow follows the address")
	require.Empty(t, out["acc1"])

	r.net.AdvanceTSC(400 * time.Second)
	require.Eventually(t, func() bool { return len(r.sw.Learned()) == 0 }, patience, 5*time.Millisecond, "ages out")
	require.Len(t, r.send("up0", taggedWith(100, wireMAC, acc1MAC)), 3, "flooded again")
	r.balanced()
}

// A known flow passes no layer: what reports an address to control a second time is the sweep of the flow table.
func TestLostLearningIsMadeGood(t *testing.T) {
	r := newRig(t, 1)
	r.net.AdvanceTSC(0)
	w := r.sw.workers[0]
	w.do(func() {}) // the next iteration sees the clock that stands still: no timer runs behind it
	w.do(func() {
		for _, q := range w.queues {
			q.learnRound, q.learned = w.nextRun, maxLearned // no more events in this round of timers
		}
	})
	r.send("acc1", untagged(acc1MAC, broadcast))
	require.Positive(t, w.events.lost.Load())
	require.Empty(t, r.sw.Learned())
	r.net.AdvanceTSC(2 * housekeeping)
	r.learned(acc1MAC, "acc1")
	r.balanced()
}

func TestFloodWithoutBuffers(t *testing.T) {
	r := newRig(t, 1)
	r.sw.workers[0].do(func() { // between two polls: the next one gets all of it at once
		for range packet.RxBurst {
			r.inject("acc1", untagged(acc1MAC, broadcast))
			r.inject("acc2", untagged(acc2MAC, broadcast))
			r.inject("thru", taggedWith(100, thruMAC, broadcast))
			r.inject("up0", taggedWith(100, wireMAC, broadcast))
		}
	})
	r.idle()
	lost, copies := uint64(0), uint64(0)
	for _, port := range []string{"acc1", "acc2", "thru", "up0"} {
		c := r.counters(port)
		lost += c.Drops[ReasonNoBuffer]
		copies += c.Created
	}
	require.EqualValues(t, 4*packet.RxBurst*2, copies, "two copies and the frame itself, for three ports")
	require.Equal(t, copies-(packet.MaxSpares-answerSpares), lost, "what the spares do not cover is dropped and counted")
	r.balanced()
}
