package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/policy"
)

// stormy limits what is flooded towards ports to ten frames of a length on the wire a second, and five at once.
func (r *rig) stormy(wire uint64, ports ...string) {
	snap := *r.snap
	snap.QoS = &policy.QoS{}
	for _, p := range ports {
		snap.QoS.Storms = append(snap.QoS.Storms, policy.StormQoS{Port: r.index.byName[p], BytesPerSec: 10 * wire, BurstBytes: 5 * wire})
	}
	require.NoError(r.t, r.sw.Publish(&snap))
	r.snap = &snap
}

func TestStormLimit(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	frame := untagged(acc1MAC, broadcast)
	r.stormy(uint64(len(frame))+24, "acc2")
	r.net.AdvanceTSC(time.Minute) // a pause gives no more than the burst
	storm := func(n int) (limited, other int) {
		for range n {
			out := r.send("acc1", frame)
			limited += len(out["acc2"])
			other += len(out["thru"])
		}
		return limited, other
	}
	limited, other := storm(50)
	require.Equal(t, 5, limited, "the burst")
	require.Equal(t, 50, other, "other ports get all")
	require.EqualValues(t, 45, r.counters("acc1").Drops[ReasonStorm])
	r.net.AdvanceTSC(300 * time.Millisecond)
	limited, _ = storm(50)
	require.Equal(t, 3, limited, "ten a second")
	unicast := frames.Build(frames.Ether(acc2MAC, acc1MAC), frames.IPv4("10.9.0.2", "10.9.0.1"), frames.UDP(1, 2), frames.Payload(10))
	require.Len(t, r.send("acc2", unicast)["acc1"], 1)
	r.learned(acc2MAC, "acc2")
	for range 20 {
		back := frames.Build(frames.Ether(acc1MAC, acc2MAC), frames.IPv4("10.9.0.1", "10.9.0.2"), frames.UDP(1, 2), frames.Payload(10))
		require.Len(t, r.send("acc1", back)["acc2"], 1, "what is for the VM itself is no storm")
	}

	r.stormy(84, "red-vm2")
	arp := frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.6")
	got := 0
	for range 20 {
		got += len(r.send("red-vm1", arp)["red-vm2"])
	}
	require.Equal(t, 5, got, "ARP inside a virtual subnet too")
	require.EqualValues(t, 15, r.counters("red-vm1").Drops[ReasonStorm])
	r.balanced()
}

func TestWireTime(t *testing.T) {
	require.EqualValues(t, time.Second, wireTime(1000, 1000))
	require.EqualValues(t, 672, wireTime(84, 125_000_000))
	require.EqualValues(t, 24*time.Hour, wireTime(1<<60, 1), "never beyond what a clock can hold")
	require.EqualValues(t, 24*time.Hour, wireTime(1<<60, 1<<30))
}
