package dataplane

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

func (r *rig) misses() (n uint64) {
	for _, w := range r.workers() {
		for _, q := range w.Queues {
			n += q.Misses
		}
	}
	return n
}

func TestChangedRecordTouchesItsFlowsOnly(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	local := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	r.send("red-vm1", local)
	r.send("red-vm1", toFar(1))
	before := r.misses()
	r.send("red-vm1", local)
	r.send("red-vm1", toFar(1))
	require.Equal(t, before, r.misses())

	r.publish(r.parse(strings.ReplaceAll(rigPolicy, `mac: "00:15:5d:00:01:07", pa: 172.16.1.2`, `mac: "00:15:5d:00:01:07", pa: 172.16.1.5`)))
	r.send("red-vm1", local)
	require.Equal(t, before, r.misses(), "an untouched flow does not decide again")
	r.send("red-vm1", toFar(1))
	require.Equal(t, before+1, r.misses())
	r.inject("up0", frames.ARPReply("02:dd:00:00:00:05", "172.16.1.5", uplinkMAC, hostAPA))
	require.Equal(t, "172.16.1.5", frames.Decap(t, r.wait("up0", 1)[0]).Dst.String(), "the VM has moved to another host")
	r.balanced()
}

func TestRemovedVport(t *testing.T) {
	r := newRig(t, 1)
	local := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	r.send("red-vm1", local)
	c := r.parse(strings.Replace(strings.Replace(rigPolicy,
		`  - {name: red-vm2, device: {driver: tap}, mac: "00:15:5d:00:01:06", subnet: red-web, addresses: [10.0.0.6, "2001:db8:1::6"]}`+"\n", "", 1),
		"nextHop: 10.0.0.6", "nextHop: 10.0.0.7", 1))
	gone := r.index.byName["red-vm2"]
	delete(r.index.byName, "red-vm2")
	r.publish(c)
	require.NoError(t, r.sw.RemovePort(gone))
	require.ErrorIs(t, r.sw.RemovePort(gone), ErrNoPort)
	_, ok := r.sw.PortCounters(gone)
	require.False(t, ok)
	dev := r.devs["red-vm2"]
	delete(r.devs, "red-vm2")
	require.NoError(t, dev.Close())
	r.dropped("red-vm1", local, ReasonUnknownMAC)

	// the index goes to another port, which starts with clean counters and gets nothing of the old one
	fresh := r.net.Device(1, 1)
	require.NoError(t, r.sw.AddPort(PortSpec{Index: gone, Name: "new", Device: fresh.Handle(), RxQueues: 1, TxQueues: 1}))
	r.devs["new"], r.index.byName["new"] = fresh, gone
	require.Equal(t, PortCounters{Drops: map[Reason]uint64{}}, r.counters("new"))
	r.dropped("red-vm1", local, ReasonUnknownMAC)
	r.dropped("new", local, ReasonPortGone)
	r.balanced()
}

func TestHeldPacketsOfRemovedPort(t *testing.T) {
	r := newRig(t, 1)
	r.inject("red-vm1", toFar(1))
	r.idle()
	require.EqualValues(t, 1, r.counters("red-vm1").Queued)
	require.NoError(t, r.sw.RemovePort(r.index.byName["red-vm1"]))
}

func TestAddPortErrors(t *testing.T) {
	r := newRig(t, 1)
	require.ErrorIs(t, r.sw.AddPort(PortSpec{Index: 0, Name: "twice"}), ErrPortIndex)
	require.ErrorIs(t, r.sw.AddPort(PortSpec{Index: 1 << 20, Name: "far"}), ErrPortIndex)
	err := r.sw.AddPort(PortSpec{Index: 99, Name: "nodev", Device: 4711, RxQueues: 1, TxQueues: 1})
	require.ErrorContains(t, err, "nodev")
	_, ok := r.sw.PortCounters(99)
	require.False(t, ok, "nothing is left of a port that could not be added")
}

func TestRejectedSends(t *testing.T) {
	r := newRig(t, 1)
	r.devs["red-vm2"].SetTxLimit(1)
	frame := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	for range 10 {
		r.inject("red-vm1", frame)
	}
	r.idle()
	c := r.counters("red-vm1")
	require.EqualValues(t, 10, c.Sent+c.Drops[ReasonTxRejected])
	require.EqualValues(t, len(r.devs["red-vm2"].Sent()), c.Sent)
	to := r.counters("red-vm2")
	require.Equal(t, c.Sent, to.TxPackets)
	require.Equal(t, c.Sent*uint64(len(frame)), to.TxBytes)
	r.devs["red-vm2"].SetTxLimit(-1)
	r.balanced()
}
