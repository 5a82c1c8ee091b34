package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// move lets a worker have the only receive queue of a port.
func (r *rig) move(port string, worker int) {
	r.t.Helper()
	require.NoError(r.t, r.sw.MoveQueue(r.index.byName[port], 0, worker))
	require.Equal(r.t, worker, r.workerOf(port))
}

// workerOf is the number of the worker that has the first receive queue of a port, -1 when none has.
func (r *rig) workerOf(port string) int {
	at := -1
	for _, w := range r.sw.Workers() {
		for _, q := range w.Queues {
			if q.Port == r.index.byName[port] && q.Queue == 0 {
				require.Equal(r.t, -1, at, "queue 0 of %s is on two lists", port)
				at = w.ID
			}
		}
	}
	return at
}

// status is that of the only queue of a port, up to this moment.
func (r *rig) status(port string) QueueStatus {
	r.t.Helper()
	for _, w := range r.workers() {
		for _, q := range w.Queues {
			if q.Port == r.index.byName[port] {
				return q
			}
		}
	}
	require.Fail(r.t, "no queue", port)
	return QueueStatus{}
}

// A queue that moves takes its flows along: the new worker decides none of them anew, to and fro, and counters go on.
func TestMovedQueueKeepsItsFlows(t *testing.T) {
	const flows, rounds = 500, 10
	r := newRig(t, 3)
	r.resolve()
	send := func() {
		for port := range uint16(flows) {
			r.inject("red-vm1", frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"),
				frames.UDP(port+1, 2), frames.Payload(30)))
		}
		r.idle()
		require.Len(t, r.devs["up0"].Sent(), flows)
	}
	send()
	before := r.status("red-vm1")
	require.Greater(t, before.Flows, uint64(flows))
	for round := range rounds {
		r.move("red-vm1", round%3)
		send()
	}
	after := r.status("red-vm1")
	require.Equal(t, before.Misses, after.Misses, "no decision")
	require.Equal(t, before.Flows, after.Flows)
	require.Equal(t, before.Hits+flows*rounds, after.Hits)
	require.Equal(t, before.Packets+flows*rounds, after.Packets)
	for _, w := range r.sw.workers {
		require.LessOrEqual(t, len(w.queues), 8, "places on the list are used again")
		for ref, q := range w.queues {
			require.True(t, q == nil || q.ref == uint32(ref))
		}
	}
	r.balanced()
}

// What waits for a next hop goes along, and what comes in by the moved queue stays behind it, as does what waits at the new
// worker already.
func TestHeldPacketsMoveAlong(t *testing.T) {
	r := newRig(t, 2)
	require.NotEqual(t, r.workerOf("red-vm1"), r.workerOf("red-vm2"))
	for i := range 3 {
		r.inject("red-vm1", numbered(i))
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
	}
	r.idle()
	require.EqualValues(t, 3, r.counters("red-vm1").Queued)
	r.move("red-vm1", r.workerOf("red-vm2"))
	for i := 3; i < 5; i++ {
		r.inject("red-vm1", numbered(i))
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
	}
	r.idle()
	require.EqualValues(t, 5, r.counters("red-vm1").Queued)
	r.balanced()
	r.devs["up0"].Sent()
	r.inject("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))
	next := map[string]uint16{}
	for _, f := range r.wait("up0", 10) {
		inner := frames.Decap(t, f).Inner
		from := string(inner[6:12])
		require.Equal(t, next[from], binary.BigEndian.Uint16(inner[14+4:]))
		next[from]++
	}
	require.Len(t, next, 2)
	for _, n := range next {
		require.EqualValues(t, 5, n)
	}
	require.Zero(t, r.queued())
	r.balanced()
}

// Of a port with several queues on one worker only those packets go along that came in by the moved one.
func TestOnlyItsHeldPacketsMove(t *testing.T) {
	r := newRig(t, 2)
	w, to := r.sw.workers[0], r.sw.workers[1]
	pkts := fakes(t, 6)
	w.do(func() {
		w.held = append(w.held, heldPackets{hop: 7, uplink: 1, n: 4, pkts: [8]*packet.Packet{pkts[0], pkts[1], pkts[2], pkts[3]},
			in: [8]uint32{5, 5, 6, 5}, rx: [8]uint16{1, 2, 1, 1}})
	})
	var given []heldPackets
	w.do(func() { given = w.takeHeld(5, 1) })
	require.Len(t, given, 1)
	require.Equal(t, heldPackets{hop: 7, uplink: 1, n: 2, pkts: [8]*packet.Packet{pkts[0], pkts[3]}, in: [8]uint32{5, 5}, rx: [8]uint16{1, 1}}, given[0])
	left := heldPackets{}
	w.do(func() { left, w.held = w.held[0], w.held[:0] })
	require.Equal(t, heldPackets{hop: 7, uplink: 1, n: 2, pkts: [8]*packet.Packet{pkts[1], pkts[2]}, in: [8]uint32{5, 6}, rx: [8]uint16{2, 1}}, left)
	var first, last *packet.Packet
	to.do(func() {
		to.held = append(to.held, heldPackets{hop: 7, uplink: 1, n: 1, pkts: [8]*packet.Packet{pkts[4]}})
		to.giveHeld(given)
		first, last = to.held[0].pkts[0], to.heldFor(&action{nextHop: 7}).pkts[0]
		to.held = to.held[:0]
	})
	require.Same(t, pkts[0], first, "in front of what waits there")
	require.Same(t, pkts[4], last, "what comes now waits behind both")
}

// refusing is a poller that takes no receive queue while it says so.
type refusing struct {
	Poller
	refuses atomic.Bool
}

var errRefused = errors.New("no descriptors are left")

func (p *refusing) AddRx(device uint32, queue uint16, ref uint32) error {
	if p.refuses.Load() {
		return errRefused
	}
	return p.Poller.AddRx(device, queue, ref)
}

func TestRefusedQueueStays(t *testing.T) {
	r := bareRig(t)
	pollers := [2]*refusing{}
	for i := range pollers {
		pollers[i] = &refusing{Poller: r.net.Poller()}
		r.addWorker(pollers[i])
	}
	r.setUp(rigPolicy, 2)
	r.resolve()
	old := r.workerOf("red-vm1")
	r.send("red-vm1", numbered(0))
	misses := r.status("red-vm1").Misses
	pollers[1-old].refuses.Store(true)
	err := r.sw.MoveQueue(r.index.byName["red-vm1"], 0, 1-old)
	require.ErrorIs(t, err, errRefused)
	require.ErrorContains(t, err, "move queue 0 of port red-vm1 to worker")
	require.ErrorContains(t, err, "polls it on")
	require.Equal(t, old, r.workerOf("red-vm1"))
	require.Len(t, r.send("red-vm1", numbered(1))["up0"], 1, "and is polled")
	require.Equal(t, misses, r.status("red-vm1").Misses)
	pollers[old].refuses.Store(true) // the device is gone
	err = r.sw.MoveQueue(r.index.byName["red-vm1"], 0, 1-old)
	require.ErrorIs(t, err, errRefused)
	require.ErrorContains(t, err, "remove the port and add it again")
	require.Equal(t, old, r.workerOf("red-vm1"), "it goes with its port")
	r.balanced()
	r.remove("red-vm1")
	require.Equal(t, -1, r.workerOf("red-vm1"))
}

func TestMoveOfWhatIsNotThere(t *testing.T) {
	r := newRig(t, 2)
	red := r.index.byName["red-vm1"]
	require.ErrorIs(t, r.sw.MoveQueue(99, 0, 0), ErrNoPort)
	require.ErrorIs(t, r.sw.MoveQueue(red, 1, 0), ErrNoQueue)
	require.ErrorContains(t, r.sw.MoveQueue(red, 1, 0), "the port has 1")
	require.ErrorIs(t, r.sw.MoveQueue(red, 0, 2), ErrNoWorker)
	require.ErrorIs(t, r.sw.MoveQueue(red, 0, -1), ErrNoWorker)
	require.NoError(t, r.sw.MoveQueue(red, 0, r.workerOf("red-vm1")), "it is there already")
	r.sw.Close()
	require.ErrorIs(t, r.sw.MoveQueue(red, 0, 0), ErrClosed)
}

// A worker that hangs, whichever part it has, makes a move fail after a bound, with its number, and no packet is lost.
func TestMoveWithHungWorker(t *testing.T) {
	const hung = 2
	for name, c := range map[string]struct {
		from, to int
		want     string
	}{
		"old": {hung, 0, "worker 2, which polls it, hangs"},
		"new": {0, hung, "worker 2, which is to poll it, hangs"},
	} {
		t.Run(name, func(t *testing.T) {
			r, p, _ := hungRig(t)
			r.sw.patience = patience
			r.move("red-vm2", c.from)
			r.sw.patience = time.Second // the others must answer within
			<-p.stuck
			err := r.sw.MoveQueue(r.index.byName["red-vm2"], 0, c.to)
			require.ErrorIs(t, err, ErrHangs)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.from, r.workerOf("red-vm2"))
			if c.from != hung {
				r.inject("red-vm2", frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1))
				r.wait("red-vm1", 1)
			}
			p.stuck <- struct{}{}
			r.sw.patience = patience
			r.idle()
			require.Equal(t, c.from, r.workerOf("red-vm2"), "the move that failed does not happen later")
			r.move("red-vm2", c.to)
			require.Len(t, r.send("red-vm2", frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 2))["red-vm1"], 1)
			r.balanced()
		})
	}
}

// The owner of a scheduler hangs with packets of the moved queue in its lane: the queue goes back to the old worker.
func TestMoveWaitsForTheOwner(t *testing.T) {
	r := newRig(t, 3)
	r.resolve()
	r.scheduled("up0", 1_000_000_000)
	owner := r.sw.egresses[0].owner
	from, to := (owner.id+1)%3, (owner.id+2)%3
	r.sw.patience = patience
	r.move("red-vm2", from)
	hangs, goOn := make(chan struct{}), make(chan struct{})
	owner.post(func() { close(hangs); <-goOn })
	<-hangs
	for i := range 10 {
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
	}
	require.True(t, r.net.WaitFor(patience, func() bool { return r.counters("red-vm2").Queued == 10 }))
	r.sw.patience = time.Second // the others must answer within
	err := r.sw.MoveQueue(r.index.byName["red-vm2"], 0, to)
	require.ErrorIs(t, err, ErrHangs)
	require.ErrorContains(t, err, fmt.Sprintf("worker %d, which has a scheduler, does not take in what worker %d handed over", owner.id, from))
	require.Equal(t, from, r.workerOf("red-vm2"))
	close(goOn)
	r.wait("up0", 10)
	r.sw.patience = patience
	r.move("red-vm2", to)
	r.balanced()
}

// Another change that waits for a hanging worker keeps a move for no longer than its bound.
func TestMoveBesideAChangeThatHangs(t *testing.T) {
	r, p, _ := hungRig(t)
	<-p.stuck
	removed := make(chan error, 1)
	go func() { removed <- r.sw.RemovePort(r.index.byName["acc2"]) }()
	require.Eventually(t, func() bool {
		if r.sw.mu.TryLock() {
			r.sw.mu.Unlock()
			return false
		}
		return true
	}, patience, time.Millisecond)
	r.sw.patience = 50 * time.Millisecond
	require.ErrorContains(t, r.sw.MoveQueue(r.index.byName["red-vm2"], 0, 0), "another change of the switch is not done yet")
	p.stuck <- struct{}{}
	require.NoError(t, <-removed)
	require.NoError(t, r.devs["acc2"].Close())
	delete(r.devs, "acc2")
}

// A queue that rests from polling is served again by the new worker, which keeps what it owes.
func TestRestingQueueMovesAndWakes(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	old := r.sw.workers[r.workerOf("red-vm1")]
	r.net.AdvanceTSC(time.Millisecond) // and no further: it would wake by itself
	old.do(func() {
		for _, q := range old.queues {
			if q != nil && q.port == r.index.byName["red-vm1"] {
				q.rests, q.restEnd, q.slow[slowFlow] = true, 1<<62, account{credit: -123_456, seen: old.slow.earned}
				old.slow.resting++
				old.slow.waits[0] = waiter{q.ref, old.slow.turn}
				old.poller.RestRx(q.ref, true)
			}
		}
	})
	r.inject("red-vm1", numbered(1))
	r.move("red-vm1", 1-old.id)
	r.idle()
	require.Len(t, r.devs["up0"].Sent(), 1)
	w := r.sw.workers[1-old.id]
	rests, credit := true, int64(0)
	w.do(func() {
		for _, q := range w.queues {
			if q != nil && q.port == r.index.byName["red-vm1"] {
				rests, credit = q.rests, q.slow[slowFlow].credit
			}
		}
	})
	require.False(t, rests)
	require.Negative(t, credit)
	resting, waits := 0, waiter{}
	old.do(func() { resting, waits = old.slow.resting, old.slow.waits[0] })
	require.Zero(t, resting)
	require.Zero(t, waits)
	r.balanced()
}

// Flows are not taken for old ones by a worker whose clock is behind.
func TestMoveToAWorkerWithAnEarlierClock(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	old := r.sw.workers[r.workerOf("red-vm1")]
	r.net.AdvanceTSC(time.Second)
	old.do(func() { old.skew += uint64(10 * time.Second) })
	r.send("red-vm1", numbered(1))
	flows := r.status("red-vm1").Flows
	require.NotZero(t, flows)
	r.move("red-vm1", 1-old.id)
	r.net.AdvanceTSC(time.Second)
	r.idle()
	after := r.status("red-vm1")
	require.Equal(t, flows, after.Flows)
	require.Zero(t, after.Expired)
}

// Two workers feed one uplink, with and without a scheduler, while their queues change places as fast as they can: no flow
// loses its order, and nothing is dropped but what queues refuse.
func TestOrderWhileQueuesMove(t *testing.T) {
	for name, rate := range map[string]uint64{"straight through": 0, "scheduler with a backlog": 20_000_000, "scheduler without": 100e9} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3) // one of them owns the scheduler
			r.sw.patience = patience
			r.resolve()
			r.sw.Quiesce() // what resolve sent is counted
			before := r.counters("red-vm1").Sent
			one, two := r.sequence("red-vm1", redVM1, "10.0.0.5"), r.sequence("red-vm2", redVM2, "10.0.0.6")
			if rate > 0 {
				r.scheduled("up0", rate)
			}
			seen := [2]int{}
			check := func() {
				sent := r.devs["up0"].Sent()
				seen[0] += one(sent)
				seen[1] += two(sent)
			}
			moves := 0
			require.True(t, r.net.WaitFor(patience, func() bool {
				r.move("red-vm1", moves%3)
				r.move("red-vm2", (moves+1+moves/3)%3)
				moves++
				check()
				return moves > 60 && min(seen[0], seen[1]) > 500
			}), "%v after %d moves", seen, moves)
			r.devs["red-vm1"].SetSource(0, nil)
			r.devs["red-vm2"].SetSource(0, nil)
			if rate > 0 {
				r.scheduled("up0", 0)
			}
			r.idle()
			check()
			for i, port := range []string{"red-vm1", "red-vm2"} {
				c := r.counters(port)
				lost := c.Dropped - c.Drops[ReasonQueueFull] - c.Drops[ReasonHandOverFull]
				require.Zero(t, lost, "%v", c.Drops)
				if port == "red-vm1" {
					c.Sent -= before
				}
				require.EqualValues(t, c.Sent, seen[i])
			}
			r.balanced()
		})
	}
}
