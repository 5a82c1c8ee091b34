package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// leaves gives up0 a scheduler with a leaf for red-vm1, which has a maximum, beside the default flow, and red-vm2 a limit of
// what it gets.
func (r *rig) leaves(max uint64) {
	r.t.Helper()
	up := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: 10e9, Leaves: []policy.LeafQoS{
		{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1},
		{Key: 7, Port: r.index.byName["red-vm1"], Group: -1, Parent: -1, Weight: 1, MaxBytesPerSec: max, BurstBytes: 10_000}}}
	up.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 1 << 20, MarkBytes: 4000, MarkFullBytes: 4000}
	in := policy.SchedulerQoS{Port: r.index.byName["red-vm2"], RateBytesPerSec: 1_000_000, BurstBytes: 3000,
		Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	in.Classes[0] = policy.ClassQoS{Name: "inbound", Weight: 100, QueueBytes: 1 << 20}
	snap := *r.snap
	snap.QoS = policy.NewQoS([]policy.SchedulerQoS{up, in}, nil)
	require.NoError(r.t, r.sw.Publish(&snap))
	r.snap = &snap
}

func (r *rig) stats(port string) map[uint32]qos.QueueStats {
	r.t.Helper()
	told := make(chan []SchedulerStatus)
	go func() { told <- r.sw.Schedulers() }()
	var list []SchedulerStatus
	for list == nil {
		select {
		case list = <-told:
		case <-time.After(time.Millisecond):
			for _, w := range r.sw.workers {
				w.do(func() { w.answer() }) // the clock of the test stands still, and rounds of timers with it
			}
		}
	}
	for _, st := range list {
		if st.Port == r.index.byName[port] {
			require.NoError(r.t, st.Err)
			all := map[uint32]qos.QueueStats{}
			for _, q := range st.Queues {
				require.Zero(r.t, q.Class)
				all[q.Leaf] = q.QueueStats
			}
			return all
		}
	}
	require.Fail(r.t, "no scheduler", port)
	return nil
}

// What a vport sends waits in its own queue, is marked, and told of; others do not wait for it.
func TestSchedulersTellOfTheirQueues(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.leaves(1_000_000)
	ect := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.TOS(2)), frames.UDP(7, 2), frames.Payload(1000-24-42-42))
	r.net.AdvanceTSC(time.Second)
	for range 50 {
		r.inject("red-vm1", ect)
	}
	for i := range 20 {
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
	}
	r.idle()
	marked, sent := 0, 0
	look := func() {
		for _, f := range r.devs["up0"].Sent() {
			d := frames.Decap(t, f)
			sent++
			if packet.IPv4(f[14:]).ECN() == packet.ECNCE {
				marked++
				require.Equal(t, packet.ECNECT0, packet.IPv4(d.Inner[14:]).ECN(), "only the outermost header")
				require.True(t, packet.IPv4(f[14:]).ChecksumOK())
			}
		}
	}
	look()
	st := r.stats("up0")
	require.EqualValues(t, 20, st[0].SentPackets, "the default flow")
	require.EqualValues(t, 50, st[1].SentPackets+st[1].Packets)
	require.GreaterOrEqual(t, st[1].Packets, uint64(40))
	require.EqualValues(t, r.queued(), st[1].Packets)
	for range 100 {
		r.net.AdvanceTSC(time.Millisecond)
		r.idle()
	}
	look()
	require.Equal(t, 70, sent)
	st = r.stats("up0")
	require.Positive(t, marked)
	require.EqualValues(t, marked, st[1].Marked)
	require.EqualValues(t, 50_000, st[1].SentBytes, "as they are on the wire")
	r.balanced()
}

// What a full queue refuses is not counted as marked.
func TestOnlyAcceptedPacketsAreMarked(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	up := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: 100_000, BurstBytes: 2000,
		Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	up.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 10_500, MarkBytes: 4000, MarkFullBytes: 4000}
	snap := *r.snap
	snap.QoS = policy.NewQoS([]policy.SchedulerQoS{up}, nil)
	require.NoError(t, r.sw.Publish(&snap))
	r.net.AdvanceTSC(time.Second)
	ect := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.TOS(2)), frames.UDP(7, 2),
		frames.Payload(1000-24-42-42))
	r.set(func() {
		for range 50 { // all in one burst
			r.inject("red-vm1", ect)
		}
	})
	r.idle()
	require.EqualValues(t, 50-10, r.counters("red-vm1").Drops[ReasonQueueFull])
	st := r.stats("up0")[0]
	for range 20 {
		r.net.AdvanceTSC(10 * time.Millisecond)
		r.idle()
	}
	marked := 0
	for _, f := range r.devs["up0"].Sent() {
		if packet.IPv4(f[14:]).ECN() == packet.ECNCE {
			marked++
		}
	}
	require.Equal(t, 2, marked, "eight found the queue empty")
	require.EqualValues(t, marked, st.Marked)
	require.EqualValues(t, 10, st.Capable, "all that were accepted")
	r.balanced()
}

// Marks, and who could bear them, are counted for each vport, in classes that mark.
func TestCapablePacketsAreCounted(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	up := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: 100_000, BurstBytes: 2000,
		Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	send := func(marks uint32, ecn uint8) uint64 {
		up.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 100_000, MarkBytes: marks, MarkFullBytes: marks}
		snap := *r.snap
		snap.QoS = policy.NewQoS([]policy.SchedulerQoS{up}, nil)
		require.NoError(t, r.sw.Publish(&snap))
		before := r.stats("up0")[0].Capable
		frame := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.TOS(ecn)), frames.UDP(7, 2), frames.Payload(100))
		r.set(func() {
			for range 30 {
				r.inject("red-vm1", frame)
			}
		})
		r.idle()
		return r.stats("up0")[0].Capable - before
	}
	require.EqualValues(t, 30, send(50_000, packet.ECNECT0), "below the depth from which marks are set")
	require.EqualValues(t, 30, send(50_000, packet.ECNECT1))
	require.EqualValues(t, 30, send(50_000, packet.ECNCE), "marked by somebody before")
	require.Zero(t, send(50_000, packet.ECNNotECT))
	require.Zero(t, send(0, packet.ECNECT0), "a class that does not mark")
	for r.queued() > 0 {
		r.net.AdvanceTSC(100 * time.Millisecond)
		r.idle()
	}
	r.balanced()
}

// A VM gets no more than its inbound maximum, from the fabric and from a neighbour on the same host.
func TestInboundMaximum(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.leaves(0)
	r.net.AdvanceTSC(time.Second)
	local := frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6"), frames.UDP(7, 2), frames.Payload(1000-24-42))
	far := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, frames.Build(frames.Ether(redFar, redVM2), frames.IPv4("10.0.0.7", "10.0.0.6"), frames.UDP(7, 2), frames.Payload(1000-24-42)))
	for range 30 {
		r.inject("red-vm1", local)
		r.inject("up0", far)
	}
	r.idle()
	require.Len(t, r.devs["red-vm2"].Sent(), 3, "the burst")
	require.EqualValues(t, 57, r.queued())
	r.balanced()
	for range 20 {
		r.net.AdvanceTSC(time.Millisecond)
		r.idle()
	}
	require.InDelta(t, 20, len(r.devs["red-vm2"].Sent()), 1)
	snap := *r.snap
	snap.QoS = nil
	require.NoError(t, r.sw.Publish(&snap))
	r.snap = &snap
	require.InDelta(t, 37, len(r.devs["red-vm2"].Sent()), 1, "what waits leaves with the limit")
	require.Zero(t, r.queued())
	r.balanced()
}

// A VM that pings its gateway gets the answers within its inbound maximum, like everything else.
func TestInboundMaximumHoldsForPings(t *testing.T) {
	r := newRig(t, 2)
	r.leaves(0)
	r.net.AdvanceTSC(time.Second)
	ping := frames.Build(frames.Ether(redVM2, routerMAC), frames.IPv4("10.0.0.6", "10.0.0.1"), frames.Echo(1, 1), frames.Payload(1000-24-42))
	for range 60 {
		r.inject("red-vm2", ping)
	}
	r.idle()
	require.Len(t, r.devs["red-vm2"].Sent(), 3, "the burst")
	require.EqualValues(t, 57, r.queued())
	for range 20 {
		r.net.AdvanceTSC(time.Millisecond)
		r.idle()
	}
	require.InDelta(t, 20, len(r.devs["red-vm2"].Sent()), 1)
	r.balanced()
}

// A change of a maximum holds at once and loses nothing.
func TestReconfigureUnderLoad(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.net.AdvanceTSC(time.Second)
	sent := 0
	const each, rounds = 40, 10
	for round := range rounds {
		rate := uint64(1_000_000) * uint64(1+round%3)
		r.leaves(rate)
		for i := range each {
			r.inject("red-vm1", frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.ID(uint16(i))), frames.UDP(7, 2), frames.Payload(1000-24-42-42)))
		}
		r.idle()
		before := len(r.devs["up0"].Sent())
		sent += before
		n := 0
		for range 10 {
			r.net.AdvanceTSC(time.Millisecond)
			r.idle()
			n += len(r.devs["up0"].Sent())
		}
		sent += n
		if left := int(r.queued()); left > 0 {
			require.InDelta(t, 10*(1+round%3), n, 3, "round %d", round)
		}
		r.balanced()
	}
	r.leaves(0)
	r.net.AdvanceTSC(time.Millisecond)
	r.idle()
	sent += len(r.devs["up0"].Sent())
	require.Equal(t, each*rounds, sent, "nothing is lost")
	r.balanced()
}

// hungPoller hangs in Poll while stuck is locked.
type hungPoller struct {
	*memport.Poller
	stuck chan struct{} // holds a token while it may go on
}

func (p *hungPoller) Poll() {
	<-p.stuck
	p.stuck <- struct{}{}
	p.Poller.Poll()
}

// A worker that hangs keeps nobody from an answer.
func TestHangingOwnerIsToldOf(t *testing.T) {
	r := bareRig(t)
	p := &hungPoller{Poller: r.net.Poller(), stuck: make(chan struct{}, 1)}
	p.stuck <- struct{}{}
	r.addWorker(p)
	r.setUp(rigPolicy, 1)
	r.leaves(1_000_000)
	<-p.stuck
	for _, st := range r.sw.Schedulers() {
		require.ErrorIs(t, st.Err, ErrSilent)
		require.NotNil(t, st.Config)
	}
	p.stuck <- struct{}{}
	require.Empty(t, r.stats("up0"))
}

// A scheduler that goes before it is asked is left out, and said to hang by nobody.
func TestSchedulerGoesBeforeItIsAsked(t *testing.T) {
	r := newRig(t, 2)
	r.leaves(1_000_000)
	list := r.sw.egresses
	require.Len(t, list, 2)
	r.scheduled("up0", 0)
	require.Empty(t, askAll(list))
	r.leaves(1_000_000)
	list = r.sw.egresses
	r.remove("up0")
	require.Empty(t, askAll(list[:1]))
}
