package dataplane

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// scheduled gives an output a scheduler of one class and one queue, at a rate; 0 takes all schedulers away.
func (r *rig) scheduled(port string, bytesPerSec uint64) {
	r.t.Helper()
	r.scheduledBurst(port, bytesPerSec, 0)
}

func (r *rig) scheduledBurst(port string, bytesPerSec, burst uint64) {
	r.t.Helper()
	snap := *r.snap
	snap.QoS = nil
	if bytesPerSec != 0 {
		one := policy.SchedulerQoS{Port: r.index.byName[port], RateBytesPerSec: bytesPerSec, BurstBytes: burst,
			Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
		one.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 1 << 20}
		snap.QoS = &policy.QoS{Schedulers: []policy.SchedulerQoS{one}}
	}
	require.NoError(r.t, r.sw.Publish(&snap))
	r.snap = &snap
}

// queued is what waits, over all ports.
func (r *rig) queued() (n uint64) {
	r.sw.Quiesce()
	for name := range r.devs {
		n += r.counters(name).Queued
	}
	return n
}

// A backlog leaves as the link lets it, and every packet of it is charged as queued until then.
func TestSchedulerKeepsTheRate(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	r.scheduled("up0", 1_000_000) // 1 MB/s: a packet of 1,000 wire bytes takes a millisecond
	r.net.AdvanceTSC(time.Second)
	r.idle()
	r.devs["up0"].Sent()
	frame := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(7, 2), frames.Payload(1000-24-42-42))
	const total = 600
	for range total {
		r.inject("red-vm1", frame)
	}
	r.idle()
	burst := len(r.devs["up0"].Sent())
	require.Less(t, burst, total)
	require.EqualValues(t, total-burst, r.queued())
	r.balanced()
	sent := burst
	for range 10 {
		r.net.AdvanceTSC(10 * time.Millisecond)
		r.idle()
		n := len(r.devs["up0"].Sent())
		require.InDelta(t, 10, n, 1)
		sent += n
		require.EqualValues(t, total-sent, r.queued())
		r.balanced()
	}
	r.net.AdvanceTSC(10 * time.Second) // the owner stood still
	r.idle()
	n := len(r.devs["up0"].Sent())
	require.LessOrEqual(t, n, burst+1, "a stall releases no more than a pause does")
	for r.queued() > 0 {
		r.net.AdvanceTSC(50 * time.Millisecond)
		r.idle()
		n += len(r.devs["up0"].Sent())
		r.balanced()
	}
	require.Equal(t, total, sent+n)
}

func TestQueueIsBounded(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	r.scheduled("up0", 1_000)
	r.net.AdvanceTSC(time.Second)
	frame := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(7, 2), frames.Payload(1400))
	for range 1000 {
		r.inject("red-vm1", frame)
	}
	r.idle()
	c := r.counters("red-vm1")
	require.Positive(t, c.Drops[ReasonQueueFull])
	require.Positive(t, c.Queued)
	r.balanced()
}

// A port that goes takes what it sent, and what was meant for it, along.
func TestRemovedPortLeavesNothingQueued(t *testing.T) {
	for _, gone := range []string{"red-vm1", "up0"} {
		r := newRig(t, 2)
		r.resolve()
		r.scheduledBurst("up0", 1_000, 2_000)
		r.net.AdvanceTSC(time.Second)
		for i := range 100 {
			r.inject("red-vm1", numbered(i))
			r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
		}
		r.idle()
		before := r.queued()
		require.Positive(t, before)
		r.remove(gone)
		if gone == "up0" {
			require.Zero(t, r.queued())
			require.Positive(t, r.counters("red-vm1").Drops[ReasonPortGone])
		} else {
			require.Positive(t, r.queued(), "what others sent stays")
			require.Less(t, r.queued(), before)
		}
		r.balanced()
	}
}

// What a vport sent may wait in a queue that is not its own by now: the default one, one that the configuration has no
// more, or one that another port of the vport's name took over.
func TestRemovedPortLeavesNothingInOtherQueues(t *testing.T) {
	for name, owner := range map[string]struct{ before, after string }{
		"default": {"", "red-vm1"}, "gone": {"red-vm1", ""}, "own": {"red-vm1", "red-vm1"}, "another's": {"red-vm1", "red-vm2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			r.resolve()
			send := func() {
				for i := range 300 {
					r.inject("red-vm1", numbered(i))
					r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
				}
				r.idle()
			}
			r.ownQueue(owner.before)
			r.net.AdvanceTSC(time.Second)
			send()
			r.ownQueue(owner.after)
			send()
			all, others := r.queued(), r.counters("red-vm2").Queued
			require.Greater(t, all, others+sendBatch)
			r.remove("red-vm1")
			waits, e := 0, r.sw.egresses[0]
			e.owner.do(func() { waits = e.sched.Packets() })
			require.EqualValues(t, others, waits, "what others sent stays, and nothing else")
			require.Equal(t, others, r.queued())
			r.balanced()
		})
	}
}

// ownQueue gives up0 a slow scheduler with a queue for a port, or for none, besides the default one.
func (r *rig) ownQueue(port string) {
	r.t.Helper()
	up := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: 1_000, BurstBytes: 2_000,
		Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	if port != "" {
		up.Leaves = append(up.Leaves, policy.LeafQoS{Key: 7, Port: r.index.byName[port], Group: -1, Parent: -1, Weight: 1})
	}
	up.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 1 << 20}
	snap := *r.snap
	snap.QoS = policy.NewQoS([]policy.SchedulerQoS{up}, nil)
	require.NoError(r.t, r.sw.Publish(&snap))
	r.snap = &snap
}

func toFarFrom(mac, ip string, n int) []byte {
	return frames.Build(frames.Ether(mac, redFar), frames.IPv4(ip, "10.0.0.7", frames.ID(uint16(n))), frames.UDP(7, 2), frames.Payload(30))
}

// sequence feeds a port with numbered packets of one flow without end; what check returns looks at those sent by up0 since
// the last call, and counts them.
func (r *rig) sequence(port, mac, ip string) (check func(sent [][]byte) int) {
	frame := toFarFrom(mac, ip, 0)
	next := uint32(0)
	r.devs[port].SetSource(0, func(p *packet.Packet) bool {
		if !p.Append(len(frame)) {
			return false
		}
		data := p.Data()
		copy(data, frame)
		binary.BigEndian.PutUint32(data[14+20+8:], next)
		next++
		return true
	})
	src := packet.MAC{}
	copy(src[:], frame[6:12])
	last := -1
	return func(sent [][]byte) (n int) {
		for _, f := range sent {
			if len(f) < 42+54 || packet.MAC(f[42+6:]) != src {
				continue
			}
			number := int(binary.BigEndian.Uint32(f[42+14+20+8:]))
			require.Greater(r.t, number, last, "%s", port)
			last = number
			n++
		}
		return n
	}
}

// Two workers feed one uplink while its scheduler comes, changes and goes under load: no flow loses its order.
func TestOrderWhileSchedulersComeAndGo(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	one, two := r.sequence("red-vm1", redVM1, "10.0.0.5"), r.sequence("red-vm2", redVM2, "10.0.0.6")
	require.NotSame(t, r.pollerOf("red-vm1"), r.pollerOf("red-vm2"), "each on its own worker")
	seen := [2]int{}
	check := func() {
		sent := r.devs["up0"].Sent()
		seen[0] += one(sent)
		seen[1] += two(sent)
	}
	for round := range 12 {
		switch round % 4 {
		case 0:
			r.scheduled("up0", 20_000_000)
		case 1:
			r.scheduled("up0", 100e9)
		case 2:
			r.scheduled("up0", 40_000_000)
		case 3:
			r.scheduled("up0", 0)
		}
		for range 3 {
			r.net.WaitFor(time.Millisecond, func() bool { return false })
			check()
		}
	}
	require.True(t, r.net.WaitFor(patience, func() bool { check(); return min(seen[0], seen[1]) > 500 }), "%v", seen)
	r.devs["red-vm1"].SetSource(0, nil)
	r.devs["red-vm2"].SetSource(0, nil)
	r.scheduled("up0", 0)
	r.idle()
	check()
	require.Nil(t, r.sw.workers[0].egress, "nothing is left of it")
	r.balanced()
}

// Neither the owner of a scheduler, with a backlog or without, nor a worker that hands over to it allocates.
func TestSchedulingDoesNotAllocate(t *testing.T) {
	for name, rate := range map[string]uint64{"backlog": 1_000_000, "straight through": 100e9} {
		for _, port := range []string{"red-vm1", "red-vm2"} {
			t.Run(name+" from "+port, func(t *testing.T) {
				r := newRig(t, 2)
				r.resolve()
				r.scheduled("up0", rate)
				mac, ip := redVM1, "10.0.0.5"
				if port == "red-vm2" {
					mac, ip = redVM2, "10.0.0.6"
				}
				require.Zero(t, r.allocations(port, [][]byte{toFarFrom(mac, ip, 1)}))
				require.Greater(t, r.counters(port).RxPackets, uint64(1000))
				r.net.AdvanceTSC(time.Minute)
				r.scheduled("up0", 0)
				r.balanced()
			})
		}
	}
}

// Without memory for a lane nothing changes, and the caller hears of it.
func TestNoMemoryForALane(t *testing.T) {
	r := newRig(t, 3)
	r.resolve()
	var made []*lane
	r.sw.newLane = func(reader *worker) (*lane, error) {
		if len(made) == 4 { // of 6
			return nil, unix.ENOMEM
		}
		l, err := newLane(reader)
		made = append(made, l)
		return l, err
	}
	snap := *r.snap
	one := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: 1_000_000,
		Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	one.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 1 << 20}
	snap.QoS = policy.NewQoS([]policy.SchedulerQoS{one}, nil)
	require.ErrorIs(t, r.sw.Publish(&snap), unix.ENOMEM)
	require.Same(t, r.snap, r.sw.Snapshot())
	require.Empty(t, r.sw.Schedulers())
	for _, l := range made {
		require.Nil(t, l.rows, "given back")
	}
	r.sw.newLane = newLane
	require.NoError(t, r.sw.Publish(&snap))
	require.Len(t, r.sw.lanes, 6)
}

// Lanes outlive a step that takes one scheduler away and brings another.
func TestSchedulerMovesToAnotherPort(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.scheduled("up0", 1_000_000_000)
	lane := r.sw.lanes[0]
	r.scheduled("red-vm2", 1_000_000_000)
	require.Same(t, lane, r.sw.lanes[0])
	require.Len(t, r.send("red-vm1", frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1))["red-vm2"], 1)
	require.Len(t, r.send("red-vm2", toFarFrom(redVM2, "10.0.0.6", 1))["up0"], 1)
	r.scheduled("red-vm2", 0)
	require.Empty(t, r.sw.lanes)
	r.balanced()
}

// A new scheduler goes to the worker that owns the fewest, with those counted that stay or come with it, not those that go.
func TestWorkerWithTheFewestOwns(t *testing.T) {
	r := newRig(t, 2)
	owners := func(ports ...string) (ids []int) {
		snap := *r.snap
		var all []policy.SchedulerQoS
		for _, port := range ports {
			all = append(all, policy.SchedulerQoS{Port: r.index.byName[port], RateBytesPerSec: 1_000_000,
				Leaves: []policy.LeafQoS{{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1}}})
			all[len(all)-1].Classes[0] = policy.ClassQoS{Name: "inbound", Weight: 100, QueueBytes: 1 << 20}
		}
		snap.QoS = policy.NewQoS(all, nil)
		require.NoError(t, r.sw.Publish(&snap))
		of := map[uint32]int{}
		for _, e := range r.sw.egresses {
			of[e.port] = e.owner.id
		}
		for _, port := range ports {
			ids = append(ids, of[r.index.byName[port]])
		}
		return ids
	}
	require.Equal(t, []int{0, 1, 0, 1}, owners("up0", "red-vm1", "red-vm2", "red-db0"))
	require.Equal(t, []int{1, 1}, owners("red-vm1", "red-db0"))
	require.Equal(t, []int{1, 1, 0, 0}, owners("red-vm1", "red-db0", "blue-vm1", "acc1"))
	require.Equal(t, []int{1, 0, 0}, owners("red-vm1", "acc2", "thru"), "the others go in the same step")
}
