package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/policy"
)

func TestRemovedVportLeavesHeldPacketsOfOthers(t *testing.T) {
	r := newRig(t, 1)
	ping := frames.Ping(blueVM1, blueFar, "10.0.0.5", "10.0.0.7", 1, 1)
	r.inject("red-vm1", toFar(1))
	r.inject("blue-vm1", ping)
	r.inject("red-vm1", toFar(2))
	r.idle()
	require.NoError(t, r.sw.RemovePort(r.index.byName["red-vm1"]))
	require.EqualValues(t, 1, r.counters("blue-vm1").Queued, "the two wait for the same next hop")
	require.Len(t, r.devs["up0"].Sent(), 1)
	out := r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))
	require.Len(t, out["up0"], 1)
	frames.Equal(t, ping, frames.Decap(t, out["up0"][0]).Inner)
	require.Zero(t, r.counters("blue-vm1").Queued)
}

// An uplink that comes back may lead into another fabric, where the next hops of the old one have other addresses.
func TestUplinkComesBack(t *testing.T) {
	r := newRig(t, 1)
	r.net.AdvanceTSC(time.Millisecond)
	r.resolve()
	r.inject("red-vm1", frames.Build(frames.Ether(redVM1, "00:15:5d:00:01:09"), frames.IPv4("10.0.0.5", "10.0.0.9"), frames.UDP(1, 2)))
	r.idle()
	require.EqualValues(t, 1, r.counters("red-vm1").Queued, "for the gateway, which is silent")
	require.Len(t, r.wait("up0", 1), 1, "a request")

	up := r.index.byName["up0"]
	without := *r.snap
	without.Ports = append(without.Ports[:0:0], without.Ports...)
	without.Ports[up] = policy.Port{}
	without.PAs = nil
	require.NoError(r.t, r.sw.Publish(&without))
	r.remove("up0")
	c := r.counters("red-vm1")
	require.Zero(t, c.Queued)
	require.Empty(t, r.sw.Neighbours())
	require.EqualValues(t, 1, c.Drops[ReasonPortGone])
	r.dropped("red-vm1", toFar(1), ReasonNoProviderPath)

	dev := r.net.Device(1, 1)
	r.devs["up0"] = dev
	require.NoError(t, r.sw.AddPort(PortSpec{Index: up, Name: "up0", Uplink: true, Device: dev.Handle(), RxQueues: 1, TxQueues: 1}))
	require.NoError(r.t, r.sw.Publish(r.snap))
	const other = "02:bb:00:00:00:77"
	r.inject("red-vm1", toFar(1))
	frames.Equal(t, frames.Pad(frames.ARPRequest(uplinkMAC, hostAPA, hostBPA), 60), r.wait("up0", 1)[0], "asked for anew")
	out := r.send("up0", frames.ARPReply(other, hostBPA, uplinkMAC, hostAPA))
	require.Equal(t, other, frames.Decap(t, out["up0"][0]).DstMAC.String())
	r.balanced()
}

func TestLateWorkerSharesOutputs(t *testing.T) {
	r := newRig(t, 1)
	r.addWorker(r.net.Poller())
	for _, name := range []string{"red-db0", "red-vm2"} { // new queues go to both workers
		r.remove(name)
		r.addAgain(name)
	}
	require.Len(t, r.workers()[1].Queues, 1)
	require.Len(t, r.send("red-vm1", frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1))["red-vm2"], 1)
	require.Len(t, r.send("red-vm2", frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1))["red-vm1"], 1)
	r.balanced()
}

// What a port sent last may be learned only after it has gone: whoever gets its index must not inherit that.
func TestLearningEndsWithThePort(t *testing.T) {
	r := newRig(t, 1)
	acc1 := r.index.byName["acc1"]
	without := *r.snap
	without.Ports = append(without.Ports[:0:0], without.Ports...)
	without.Ports[acc1] = policy.Port{}
	without.Bridges = nil
	for range 20 { // control may come first
		r.send("acc1", untagged(acc1MAC, broadcast))
		require.NoError(r.t, r.sw.Publish(&without))
		r.remove("acc1")
		r.addAgain("acc1")
		require.NoError(r.t, r.sw.Publish(r.snap))
		r.send("acc2", untagged(acc2MAC, broadcast))
		r.learned(acc2MAC, "acc2")
		for _, e := range r.sw.Learned() {
			require.NotEqual(t, acc1, e.Port, "%s", e.MAC)
		}
	}
	r.balanced()
}
